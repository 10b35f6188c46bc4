//! A subgraph along the steps of sequences.

use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{Problem, unsupported};
use crate::formats::onnx::proto::{
    AttributeKind, AttributeProto, GraphProto, NodeProto, ValueInfo,
};
use crate::formats::onnx::subgraph::Body;
use crate::graph::{TensorType, ValueId};
use crate::ops::{Scan, ScanAxis};

/// Marks the `Scan` of opset 8 that runs within the one over the batch.
const OF_ONE: &str = "seqfuse_of_one_sequence";

/// Runs `body` for each step of the last `num_scan_inputs` inputs: the states after the last step, then
/// what each step gave, stacked. In opset 8 that is done for each sequence of a batch.
pub fn scan(call: &mut Call<'_>) -> Outputs {
    if call.opset() < 9 && !call.attributes.flag_or(OF_ONE, false)? {
        return batched(call);
    }
    let body = call.attributes.graph("body")?;
    let count =
        call.attributes.int("num_scan_inputs")?.ok_or_else(|| missing("num_scan_inputs"))?;
    let values: Vec<ValueId> = call.values("initial_state_and_scan_inputs")?;
    let directions = if call.opset() < 9 { "directions" } else { "scan_input_directions" };
    let count = usize::try_from(count).ok().filter(|count| (1..=values.len()).contains(count));
    let count =
        count.ok_or_else(|| bad("num_scan_inputs", "none of them", "the inputs' number"))?;
    let states = values.len() - count;
    let ranks: Vec<usize> =
        values.iter().skip(states).map(|value| call.value_ty(*value).rank()).collect();
    let sequences = axes(call, ["scan_input_axes", directions], &ranks)?;
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
    step(call, values, states, sequences, body)
}

/// Adds the operator.
fn step(
    call: &mut Call<'_>,
    values: Vec<ValueId>,
    states: usize,
    sequences: Vec<ScanAxis>,
    body: Body,
) -> Outputs {
    let results = body.graph.outputs().iter().skip(states);
    let ranks: Vec<usize> = results.map(|output| body.graph.ty(output.value).rank() + 1).collect();
    let results = axes(call, ["scan_output_axes", "scan_output_directions"], &ranks)?;
    let values: Vec<ValueId> = values.into_iter().chain(body.captures).collect();
    let op =
        call.operator(|graph| Scan::new(graph, body.graph, states, sequences, results, &values))?;
    let inputs = values.into_iter().map(Some).collect();
    Ok(call.add_node(op, inputs)?.into_iter().map(Into::into).collect())
}

/// Opset 8: states and sequences have a batch as their first axis. A scan over the batch, whose body scans
/// one sequence.
fn batched(call: &mut Call<'_>) -> Outputs {
    if call.optional_value(0)?.is_some() {
        return Err(unsupported(
            "`sequence_lens` of Scan in opset 8",
            "convert the model to opset 9 or later (onnx.version_converter)",
        ));
    }
    let values: Vec<ValueId> = (1..call.input_count())
        .map(|index| call.value(index, "initial_state_and_scan_inputs"))
        .collect::<Result<_, Problem>>()?;
    let count =
        call.attributes.int("num_scan_inputs")?.ok_or_else(|| missing("num_scan_inputs"))?;
    let number = |name: &str, i: i64| AttributeProto {
        name: name.to_owned(),
        r#type: AttributeKind::Int.into(),
        i,
        ..AttributeProto::default()
    };
    let mut attribute = vec![
        AttributeProto {
            name: "body".to_owned(),
            r#type: AttributeKind::Graph.into(),
            g: Some(Box::new(call.attributes.graph("body")?.clone())),
            ..AttributeProto::default()
        },
        number("num_scan_inputs", count),
        number(OF_ONE, 1),
    ];
    if let Some(directions) = call.attributes.ints("directions")? {
        attribute.push(AttributeProto {
            name: "directions".to_owned(),
            r#type: AttributeKind::Ints.into(),
            ints: directions.to_vec(),
            ..AttributeProto::default()
        });
    }
    let named = |prefix: &str, count: usize| -> Vec<String> {
        (0..count).map(|index| format!("seqfuse/{prefix}{index}")).collect()
    };
    let (input, output) = (named("input", values.len()), named("output", call.output_count()));
    let info = |names: &[String]| -> Vec<ValueInfo> {
        names.iter().map(|name| ValueInfo { name: name.clone(), r#type: None }).collect()
    };
    let body = GraphProto {
        input: info(&input),
        output: info(&output),
        node: vec![NodeProto {
            op_type: "Scan".to_owned(),
            input,
            output,
            attribute,
            ..NodeProto::default()
        }],
        ..GraphProto::default()
    };
    let types: Vec<TensorType> = values
        .iter()
        .map(|value| {
            let mut ty = call.value_ty(*value).clone();
            if !ty.dims.is_empty() {
                ty.dims.remove(0);
            }
            ty
        })
        .collect();
    let body = call.body(&body, &types, &[])?;
    let sequences = vec![ScanAxis { axis: 0, reverse: false }; values.len()];
    step(call, values, 0, sequences, body)
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
