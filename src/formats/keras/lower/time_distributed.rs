//! `TimeDistributed`: a layer or a model on every step of a sequence.
//!
//! Keras calls the layer within once a step. All of them treat the rows of a batch alike and apart,
//! so one call on `[batch * time, …]` gives the same; where something within would mix rows, the
//! file is refused.
//!
//! The output carries the mask of the call in Keras 3. In Keras 2 it carries the one that the layer
//! within gives its own output, and where that gives none, that of the call with all axes behind the
//! steps reduced.

use super::rows::mixing;
use super::{Lowering, Scope};
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, LayerKind};
use crate::formats::keras::layers::{Arg, Call, KERAS2, LoweredTensor};
use crate::graph::{Dim, ValueId};
use crate::ops::{BatchNorm, Dropout, Reduce, ReduceKind, Reshape};

/// Classes whose call takes a mask, which the wrapper hands on. `BatchNormalization` takes one too,
/// and heeds it in training alone.
const MASKED: [&str; 10] = [
    "AdditiveAttention",
    "Attention",
    "Bidirectional",
    "GRU",
    "GlobalAveragePooling1D",
    "LSTM",
    "RNN",
    "SimpleRNN",
    "Softmax",
    "TimeDistributed",
];

/// Whether the layer is a `TimeDistributed`.
pub fn is_one(layer: &LayerConfig) -> bool {
    layer.class_name == "TimeDistributed" && matches!(layer.kind, LayerKind::Layer)
}

/// The layer within a `TimeDistributed`; none where there is none, which its call says.
pub fn layer_within(layer: &LayerConfig) -> Option<LayerConfig> {
    if !is_one(layer) {
        return None;
    }
    LayerConfig::parse(layer.raw_options().get("layer")?, "the layer within").ok()
}

/// The input of a call, and its rows as one axis.
struct Rows {
    input: LoweredTensor,
    /// The mask that the output carries.
    mask: Option<ValueId>,
    /// Batch and time.
    axes: [Dim; 2],
    folded: ValueId,
    folded_mask: Option<ValueId>,
    /// Whether the mask of the output is that of the layer within, as in Keras 2.
    keras2: bool,
}

impl Lowering {
    /// Calls the layer within on all steps at once.
    ///
    /// # Errors
    /// If that cannot be done, or would not be what Keras does step by step.
    pub(super) fn call_time_distributed(
        &mut self,
        scope: &Scope<'_>,
        layer: &LayerConfig,
        args: Vec<Arg>,
        kwargs: Vec<(String, Arg)>,
        training: Option<bool>,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let options = layer.options();
        let within = options.layer("layer")?;
        let keras2 = options.bool_or(KERAS2, false)?;
        options.finish()?;
        let path = scope.path_of(layer);
        let mut call = Call::new(&mut self.graph, &path, args, kwargs, &[]);
        let training = training.or(call.flag(1, "training")?);
        let rows = fold(&mut call, keras2)?;
        let mask = handed_mask(&call, &within, &rows)?;
        call.finish()?;
        let mask = mask.map(|mask| ("mask".to_owned(), Arg::Tensor(LoweredTensor::plain(mask))));
        let (nodes, updates) = (self.graph.nodes().len(), self.graph.updates().len());
        // What does not take a mask as an argument hands on the one that its input has.
        let carried = rows.folded_mask.filter(|_| keras2 && mask.is_none());
        let argument = Arg::Tensor(LoweredTensor { value: rows.folded, mask: carried });
        let penalties = self.graph.penalties().len();
        let kwargs = mask.into_iter().collect();
        let outputs =
            self.call_within(&self.inner(scope, layer), &within, vec![argument], kwargs, training)?;
        let mut call = Call::new(&mut self.graph, &path, Vec::new(), Vec::new(), &[]);
        if call.graph.updates().len() > updates {
            return Err(call.refuse(format!(
                "layer '{}' within keeps a state, which Keras would carry from step to step; use \
                 one that is not stateful",
                within.name
            )));
        }
        refuse_mixed_rows(&call, &rows, nodes)?;
        note_steps(&mut call, nodes);
        unfold_penalties(&mut call, &rows, penalties)?;
        let [output] = outputs[..] else {
            let problem = format!("layer '{}' within gives several outputs", within.name);
            return Err(call.refuse(problem));
        };
        unfold(&mut call, &rows, output)
    }
}

/// Takes the arguments `inputs` and `mask`.
fn fold(call: &mut Call<'_>, keras2: bool) -> Result<Rows, FormatError> {
    let input = call.tensor(0, "inputs")?;
    let given = call.optional_tensor(2, "mask")?;
    let mask = given.map_or(input.mask, |mask| Some(mask.value));
    let ty = call.ty(input.value);
    let [batch, time, _, ..] = &ty.dims[..] else {
        let problem = format!("its input is {ty}, expected [batch, time, …] of 3 axes or more");
        return Err(call.refuse(problem));
    };
    let axes = [batch.clone(), time.clone()];
    let folded = merged(call, input.value)?;
    let folded_mask = mask.map(|mask| merged(call, mask)).transpose()?;
    Ok(Rows { input, mask, axes, folded, folded_mask, keras2 })
}

/// The value with its first two axes as one.
fn merged(call: &mut Call<'_>, value: ValueId) -> Result<ValueId, FormatError> {
    let ty = call.ty(value);
    let [batch, time, rest @ ..] = &ty.dims[..] else {
        return Err(call.refuse(format!("its mask is {ty}, expected [batch, time]")));
    };
    let mut dims = vec![batch.clone() * time.clone()];
    dims.extend_from_slice(rest);
    call.add(Reshape::to(dims), &[value])
}

/// The mask that the layer within is given.
fn handed_mask(
    call: &Call<'_>,
    within: &LayerConfig,
    rows: &Rows,
) -> Result<Option<ValueId>, FormatError> {
    let Some(mask) = rows.folded_mask else { return Ok(None) };
    if within.as_model().is_some() {
        return Ok(Some(mask));
    }
    if !MASKED.contains(&within.class_name.as_str()) {
        return Ok(None);
    }
    if call.ty(mask).rank() < 2 {
        return Err(call.refuse(format!(
            "its mask says which steps count, where layer '{}' within takes one that says it of \
             the parts of a step, [batch, time, …]; Keras cannot call it either",
            within.name
        )));
    }
    Ok(Some(mask))
}

/// Refuses what lets one row see another.
fn refuse_mixed_rows(call: &Call<'_>, rows: &Rows, first: usize) -> Result<(), FormatError> {
    let inputs: Vec<ValueId> = [rows.folded].into_iter().chain(rows.folded_mask).collect();
    match mixing(call.graph, &inputs, first) {
        None => Ok(()),
        Some(node) => Err(call.refuse(format!(
            "node '{}' ({}) within works along the first axis, the batch; what TimeDistributed \
             wraps must treat each row alone",
            node.name,
            node.op.name()
        ))),
    }
}

/// Notes what training does step by step in Keras, where all steps are one batch here.
fn note_steps(call: &mut Call<'_>, first: usize) {
    let reason = call.graph.nodes().iter().skip(first).find_map(|node| {
        let norm = node.op.downcast_ref::<BatchNorm>().is_some_and(|norm| !norm.frozen);
        let noise =
            node.op.downcast_ref::<Dropout>().is_some_and(|noise| noise.shared.contains(&0));
        let what = match (norm, noise) {
            (false, false) => return None,
            (true, _) => "BatchNormalization takes the statistics of each step apart",
            _ => "noise_shape lets the rows of each step share a number",
        };
        Some(format!("within `{}`, {what}; that is not followed", node.name))
    });
    if let Some(reason) = reason {
        call.untrainable(reason);
    }
}

/// Divides the penalties within by the rows of the batch, since Keras has one for each step.
fn unfold_penalties(call: &mut Call<'_>, rows: &Rows, first: usize) -> Result<(), FormatError> {
    for index in first..call.graph.penalties().len() {
        if rows.axes[1].known().is_none() {
            call.untrainable(
                "an activity_regularizer within needs a number of steps that is known",
            );
            return Ok(());
        }
        let value = call.graph.penalties()[index].value;
        let mut dims = rows.axes.to_vec();
        dims.extend(call.ty(value).dims.iter().skip(1).cloned());
        let value = call.reshape(value, dims)?;
        call.graph.penalties_mut()[index].value = value;
    }
    Ok(())
}

/// The output with batch and time apart again.
fn unfold(
    call: &mut Call<'_>,
    rows: &Rows,
    output: LoweredTensor,
) -> Result<Vec<LoweredTensor>, FormatError> {
    let value = match output.value == rows.folded {
        true => rows.input.value,
        false => apart(call, rows, output.value)?,
    };
    let mask = match (output.mask, rows.mask) {
        (_, mask) if !rows.keras2 => mask,
        (Some(mask), _) if Some(mask) == rows.folded_mask => rows.mask,
        (Some(mask), _) => Some(apart(call, rows, mask)?),
        // A step counts where any of its parts does.
        (None, Some(mask)) => match call.ty(mask).rank().saturating_sub(2) {
            0 => Some(mask),
            count => {
                let any = Reduce { kind: ReduceKind::Any, first: 2, count, keepdims: false };
                Some(call.add(any, &[mask])?)
            }
        },
        (None, None) => None,
    };
    Ok(vec![LoweredTensor { value, mask }])
}

/// A value of the layer within with its first axis as batch and time.
fn apart(call: &mut Call<'_>, rows: &Rows, value: ValueId) -> Result<ValueId, FormatError> {
    let mut dims = rows.axes.to_vec();
    dims.extend(call.ty(value).dims.iter().skip(1).cloned());
    call.add(Reshape::to(dims), &[value])
}
