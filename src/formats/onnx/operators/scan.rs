//! A subgraph along the steps of sequences.

use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{Problem, unsupported};
use crate::graph::{TensorType, ValueId};
use crate::ops::{Scan, ScanAxis};

/// Runs `body` for each step of the last `num_scan_inputs` inputs: the states after the last step, then
/// what each step gave, stacked.
pub fn scan(call: &mut Call<'_>) -> Outputs {
    if call.opset() < 9 {
        return Err(unsupported(
            "Scan of opset 8, which has an axis of batches and lengths of sequences,",
            "convert the model to opset 9 or later (onnx.version_converter)",
        ));
    }
    let body = call.attributes.graph("body")?;
    let count =
        call.attributes.int("num_scan_inputs")?.ok_or_else(|| missing("num_scan_inputs"))?;
    let values: Vec<ValueId> = call.values("initial_state_and_scan_inputs")?;
    let count = usize::try_from(count).ok().filter(|count| (1..=values.len()).contains(count));
    let count =
        count.ok_or_else(|| bad("num_scan_inputs", "none of them", "the inputs' number"))?;
    let states = values.len() - count;
    let ranks: Vec<usize> =
        values.iter().skip(states).map(|value| call.value_ty(*value).rank()).collect();
    let sequences = axes(call, ["scan_input_axes", "scan_input_directions"], &ranks)?;
    let mut types = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let mut ty: TensorType = call.value_ty(*value).clone();
        if let Some(scan) = index.checked_sub(states).and_then(|at| sequences.get(at)) {
            ty.dims.remove(scan.axis);
        }
        types.push(ty);
    }
    let rounds: Vec<(usize, usize)> = (0..states).map(|index| (index, index)).collect();
    let body = call.body(body, &types, &rounds)?;
    let results = body.graph.outputs().iter().skip(states);
    let ranks: Vec<usize> = results.map(|output| body.graph.ty(output.value).rank() + 1).collect();
    let results = axes(call, ["scan_output_axes", "scan_output_directions"], &ranks)?;
    let values: Vec<ValueId> = values.into_iter().chain(body.captures).collect();
    let op =
        call.operator(|graph| Scan::new(graph, body.graph, states, sequences, results, &values))?;
    let inputs = values.into_iter().map(Some).collect();
    Ok(call.add_node(op, inputs)?.into_iter().map(Into::into).collect())
}

/// The axis and the direction of each sequence: the first axis, forwards, where nothing is said.
fn axes(
    call: &mut Call<'_>,
    [axes, directions]: [&'static str; 2],
    ranks: &[usize],
) -> Result<Vec<ScanAxis>, Problem> {
    let mut list = |name: &'static str| {
        let found = call.attributes.ints(name)?.map(<[i64]>::to_vec);
        let found = found.unwrap_or_else(|| vec![0; ranks.len()]);
        match found.len() == ranks.len() {
            true => Ok(found),
            false => Err(bad(name, format!("{found:?}"), format!("{} numbers", ranks.len()))),
        }
    };
    let (places, turned) = (list(axes)?, list(directions)?);
    let mut found = Vec::with_capacity(ranks.len());
    for ((place, turned), rank) in places.iter().zip(&turned).zip(ranks) {
        let reverse = match turned {
            0 => false,
            1 => true,
            other => return Err(bad(directions, other.to_string(), "0 or 1")),
        };
        found.push(ScanAxis { axis: call.axis(axes, *place, *rank)?, reverse });
    }
    Ok(found)
}
