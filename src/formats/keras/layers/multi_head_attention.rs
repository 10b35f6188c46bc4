//! `MultiHeadAttention`: projections, masks and attention over any axes; and
//! `GroupQueryAttention`, in which several query heads share the head of a key and a value.

mod masks;

use serde_json::Value;

use super::axes::{inverse, position, product};
use super::{
    Call, KERAS2, KerasLayer, LoweredTensor, VariableSpec, Weight, regularizer, weight, width,
};
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, Options};
use crate::graph::{Dim, Regularizer, TensorType, ValueId};
use crate::ops::{Activation, Attention, BinaryKind, Dense, MaskedRow};

#[derive(Debug)]
struct MultiHeadAttention {
    /// Whether it is a `GroupQueryAttention`.
    grouped: bool,
    heads: usize,
    /// The heads of keys and values.
    key_heads: usize,
    key_dim: usize,
    value_dim: usize,
    dropout: f64,
    use_bias: bool,
    use_gate: bool,
    output_shape: Option<Vec<usize>>,
    /// All axes between batch and features, if `None`.
    axes: Option<Vec<i64>>,
    sliding_window: Option<usize>,
    kernel: Weight,
    bias: Weight,
    /// What training adds to the loss for each projection.
    activity: Option<Regularizer>,
    /// Whether it is one of Keras 2: a wholly masked row is uniform there, and masks stay on.
    keras2: bool,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let key_dim = width(&options, "key_dim")?;
    let value_dim = match options.value("value_dim") {
        Some(_) => width(&options, "value_dim")?,
        None => key_dim,
    };
    let heads = width(&options, "num_heads")?;
    let layer = MultiHeadAttention {
        grouped: false,
        heads,
        key_heads: heads,
        key_dim,
        value_dim,
        dropout: options.rate_or("dropout", 0.0)?,
        use_bias: options.bool_or("use_bias", true)?,
        use_gate: options.bool_or("use_gate", false)?,
        keras2: options.bool_or(KERAS2, false)?,
        // An empty shape and 0 mean the query's, as in Python.
        output_shape: options
            .optional_usizes("output_shape")?
            .filter(|shape| !matches!(shape[..], [] | [0])),
        axes: options.optional_i64s("attention_axes")?,
        sliding_window: window(&options)?,
        kernel: weight(&options, "kernel", "glorot_uniform")?,
        bias: weight(&options, "bias", "zeros")?,
        activity: activity(config),
    };
    finish(options)?;
    Ok(Box::new(layer))
}

/// Reads a `GroupQueryAttention` (Ainslie et al. 2023, arXiv:2305.13245).
pub(super) fn parse_grouped(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let key_dim = width(&options, "head_dim")?;
    let heads = width(&options, "num_query_heads")?;
    let key_heads = width(&options, "num_key_value_heads")?;
    if heads % key_heads != 0 {
        let expected = format!("a number that divides num_query_heads, {heads}");
        return Err(options.bad("num_key_value_heads", expected));
    }
    let layer = MultiHeadAttention {
        grouped: true,
        heads,
        key_heads,
        key_dim,
        value_dim: key_dim,
        dropout: options.rate_or("dropout", 0.0)?,
        use_bias: options.bool_or("use_bias", true)?,
        use_gate: options.bool_or("use_gate", false)?,
        keras2: options.bool_or(KERAS2, false)?,
        output_shape: None,
        axes: None,
        sliding_window: window(&options)?,
        kernel: weight(&options, "kernel", "glorot_uniform")?,
        bias: weight(&options, "bias", "zeros")?,
        activity: activity(config),
    };
    finish(options)?;
    Ok(Box::new(layer))
}

/// What each projection is penalized with. One that is not followed is refused with the layer.
fn activity(config: &LayerConfig) -> Option<Regularizer> {
    let option = "activity_regularizer";
    regularizer(option, config.raw_options().get(option)).unwrap_or_default()
}

fn window(options: &Options<'_>) -> Result<Option<usize>, FormatError> {
    match options.value("sliding_window") {
        Some(_) => options.size("sliding_window").map(Some),
        None => Ok(None),
    }
}

fn finish(options: Options<'_>) -> Result<(), FormatError> {
    options.only("flash_attention", &Value::Bool(false), "build the layer without it")?;
    options.ignore(&["seed"]);
    options.finish()
}

/// The projections, in the order in which Keras makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Query,
    Key,
    Gate,
    Value,
    Output,
}

impl Part {
    /// Where the file holds it, and its name. Attributes without a public name have an underscore.
    fn place(self, grouped: bool) -> (&'static str, &'static str) {
        let (private, name) = match self {
            Part::Query => ("_query_dense", "query"),
            Part::Key => ("_key_dense", "key"),
            Part::Gate => ("_gate_dense", "gate"),
            Part::Value => ("_value_dense", "value"),
            Part::Output => ("_output_dense", "attention_output"),
        };
        match grouped || self == Part::Gate {
            true => (private, name),
            false => (private.trim_start_matches('_'), name),
        }
    }
}

/// How the axes of queries and keys fall into those of the operator.
struct Axes {
    /// Those that are attended over.
    attended: Vec<usize>,
    /// The order of a projection's axes: batches, attended ones, heads, features.
    order: Vec<usize>,
}

impl MultiHeadAttention {
    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Query, Part::Key, Part::Gate, Part::Value, Part::Output];
        parts.retain(|part| *part != Part::Gate || self.use_gate);
        parts
    }

    /// Splits the axes of inputs that have `rank` of them.
    fn split(&self, call: &Call<'_>, rank: usize) -> Result<Axes, FormatError> {
        let attended: Vec<usize> = match &self.axes {
            None => (1..rank.saturating_sub(1)).collect(),
            Some(axes) => axes
                .iter()
                .map(|&axis| position(axis, rank))
                .collect::<Option<_>>()
                .ok_or_else(|| call.bad_axes("attention_axes", axes, rank))?,
        };
        let repeated = attended.iter().enumerate().any(|(i, axis)| attended[..i].contains(axis));
        let inside = attended.iter().all(|&axis| axis > 0 && axis + 1 < rank);
        if attended.is_empty() || repeated || !inside {
            let expected = format!("axes between batch and features of the {rank}");
            return Err(call.bad("attention_axes", format_args!("{attended:?}"), expected));
        }
        let mut order: Vec<usize> = (0..rank - 1).filter(|axis| !attended.contains(axis)).collect();
        order.extend(&attended);
        order.extend([rank - 1, rank]);
        Ok(Axes { attended, order })
    }

    /// Whether Keras takes its fused kernel, whose softmax leaves a wholly masked row uniform; the
    /// other path sets masked scores to 0 afterwards. Only inputs of three dimensions reach it.
    fn fused(&self, call: &Call<'_>, wants_scores: bool, query: ValueId) -> bool {
        self.dropout == 0.0 && !wants_scores && call.ty(query).rank() == 3
    }

    /// The axes of the inputs of a call.
    fn axes_of(
        &self,
        call: &Call<'_>,
        [query, value, key]: [LoweredTensor; 3],
        causal: bool,
    ) -> Result<Axes, FormatError> {
        let rank = call.ty(query.value).rank();
        if [value, key].iter().any(|other| call.ty(other.value).rank() != rank) {
            return Err(call.refuse("query, value and key have different numbers of dimensions"));
        }
        if self.grouped && rank != 3 {
            let expected = "3 dimensions, [batch, time, features]";
            return Err(call.bad("query", call.ty(query.value), expected));
        }
        let axes = self.split(call, rank)?;
        // Keras sizes these masks by axis 1 of the inputs, and cannot widen them to several axes.
        let suits = |input: LoweredTensor| match axes.attended[..] {
            [axis] => call.ty(input.value).dims.get(axis) == call.ty(input.value).dims.get(1),
            _ => false,
        };
        if (causal || self.sliding_window.is_some()) && !(suits(query) && suits(value)) {
            let problem = "use_causal_mask and sliding_window need attention over one axis, of the \
                           size of axis 1";
            return Err(call.refuse(problem));
        }
        Ok(axes)
    }

    /// `x` projected to `[.., heads, width]`, or to the output's shape.
    fn project(&self, call: &mut Call<'_>, part: Part, x: ValueId) -> Result<ValueId, FormatError> {
        let index = self.parts().iter().position(|other| *other == part).unwrap_or(0);
        let each = if self.use_bias { 2 } else { 1 };
        let mut inputs = vec![Some(x), Some(call.variable(each * index)?)];
        if self.use_bias {
            inputs.push(Some(call.variable(each * index + 1)?));
        }
        let contract = if part == Part::Output { 2 } else { 1 };
        let activation = if part == Part::Gate { Activation::Sigmoid } else { Activation::Linear };
        let value = call.add_node(Dense { contract, activation }, inputs)?[0];
        if let Some(regularizer) = self.activity {
            let name = format!("{}/{}", call.name(), part.place(self.grouped).1);
            call.penalize(&name, regularizer, &[value])?;
        }
        Ok(value)
    }

    /// `x` `[batch, .., heads, width]` as `[batches, attended, heads, width]`.
    fn fold(&self, call: &mut Call<'_>, axes: &Axes, x: ValueId) -> Result<ValueId, FormatError> {
        let x = call.transpose(x, &axes.order)?;
        let dims = call.ty(x).dims.clone();
        let batches = dims.len().saturating_sub(axes.attended.len() + 2);
        let (batches, rest) = dims.split_at(batches);
        let (attended, width) = rest.split_at(axes.attended.len());
        let folded = [&[product(batches), product(attended)], width].concat();
        call.reshape(x, folded)
    }

    /// Undoes [`MultiHeadAttention::fold`] for a projection of the shape `like`.
    fn unfold(
        &self,
        call: &mut Call<'_>,
        axes: &Axes,
        x: ValueId,
        like: &TensorType,
    ) -> Result<ValueId, FormatError> {
        let width = call.ty(x).dims.last().cloned();
        let last = axes.order.len() - 1;
        let dims: Vec<Dim> = axes
            .order
            .iter()
            .filter_map(
                |&axis| if axis == last { width.clone() } else { like.dims.get(axis).cloned() },
            )
            .collect();
        let x = call.reshape(x, dims)?;
        call.transpose(x, &inverse(&axes.order))
    }

    /// The scores `[batches, heads, attended, attended]` with Keras's axes: the batches', heads,
    /// those of the queries, those of the keys.
    fn scores(
        &self,
        call: &mut Call<'_>,
        axes: &Axes,
        scores: ValueId,
        query: &TensorType,
        key: &TensorType,
    ) -> Result<ValueId, FormatError> {
        let of = |ty: &TensorType, axis: usize| ty.dims.get(axis).cloned();
        let batches = query.rank().saturating_sub(axes.attended.len() + 2);
        let mut dims: Vec<Dim> =
            axes.order[..batches].iter().filter_map(|&axis| of(query, axis)).collect();
        dims.push(Dim::Known(self.heads));
        dims.extend(axes.attended.iter().filter_map(|&axis| of(query, axis)));
        dims.extend(axes.attended.iter().filter_map(|&axis| of(key, axis)));
        call.reshape(scores, dims)
    }
}

impl KerasLayer for MultiHeadAttention {
    fn takes_masks_off(&self) -> bool {
        !self.grouped && !self.keras2
    }

    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let features = |position: usize, name: &str| {
            call.peek(position, name).and_then(|ty| ty.dims.last()).and_then(Dim::known)
        };
        let unknown = |name: &str| call.refuse(format!("the features of '{name}' are not known"));
        let query = features(0, "query").ok_or_else(|| unknown("query"))?;
        let value = features(1, "value").ok_or_else(|| unknown("value"))?;
        let key = match call.look(2, "key") {
            Some(_) => features(2, "key").ok_or_else(|| unknown("key"))?,
            None => value,
        };
        let mut variables = Vec::new();
        for part in self.parts() {
            let (ins, outs) = match part {
                Part::Query => (vec![query], vec![self.heads, self.key_dim]),
                Part::Key => (vec![key], vec![self.key_heads, self.key_dim]),
                Part::Gate => (vec![query], vec![self.heads, self.value_dim]),
                Part::Value => (vec![value], vec![self.key_heads, self.value_dim]),
                Part::Output => (
                    vec![self.heads, self.value_dim],
                    self.output_shape.clone().unwrap_or_else(|| vec![query]),
                ),
            };
            let (path, name) = part.place(self.grouped);
            let kernel = [&ins[..], &outs[..]].concat();
            // Keras makes the projections without a word of whether the layer is trained, so that
            // they always are (3.15).
            let spec = VariableSpec::new(0, "kernel", kernel, &self.kernel);
            variables.push(spec.trained(true).below(path, name));
            if self.use_bias {
                let spec = VariableSpec::new(1, "bias", outs, &self.bias);
                variables.push(spec.trained(true).below(path, name));
            }
        }
        Ok(variables)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let query = call.tensor(0, "query")?;
        let value = call.tensor(1, "value")?;
        let key = call.optional_tensor(2, "key")?;
        let given = masks::Given::take(call, self.grouped, query, value, key)?;
        let wants_scores = call.flag(7, "return_attention_scores")?.unwrap_or(false);
        let causal = call.flag(9, "use_causal_mask")?.unwrap_or(false);
        let key = key.unwrap_or(value);

        let axes = self.axes_of(call, [query, value, key], causal)?;
        let (x, k, v) =
            (call.float(query.value)?, call.float(key.value)?, call.float(value.value)?);
        let q = self.project(call, Part::Query, x)?;
        let k = self.project(call, Part::Key, k)?;
        let v = self.project(call, Part::Value, v)?;
        let (query_type, key_type) = (call.ty(q).clone(), call.ty(k).clone());
        let fused = self.fused(call, wants_scores, query.value);
        let projections = masks::Projections { query: q, key: k };
        let as_is = self.grouped && !fused && !causal && self.sliding_window.is_none();
        let mask = given.combine(call, &axes, projections, as_is)?;
        let several = self.axes.as_ref().is_some_and(|axes| axes.len() > 1);
        if self.keras2 && several && mask.is_some() {
            return Err(call.refuse(
                "Keras 2 treats masks of attention over several axes in a way of its own, which is \
                 not followed; save the model with Keras 3",
            ));
        }
        let (q, k, v) =
            (self.fold(call, &axes, q)?, self.fold(call, &axes, k)?, self.fold(call, &axes, v)?);

        let attention = Attention {
            scale: (1.0 / (self.key_dim as f64).sqrt()) as f32,
            causal,
            sliding_window: self.sliding_window,
            masked_row: if fused || self.keras2 { MaskedRow::Uniform } else { MaskedRow::Zero },
            dropout: self.dropout as f32,
            dropped_scores: false,
        };
        let mut inputs = vec![Some(q), Some(k), Some(v)];
        inputs.extend(mask.map(Some));
        let outputs = call.add_node(attention, inputs)?;
        let (Some(&output), Some(&scores)) = (outputs.first(), outputs.get(1)) else {
            return Err(call.refuse("attention has no outputs"));
        };
        let mut y = self.unfold(call, &axes, output, &query_type)?;
        if self.use_gate {
            let gate = self.project(call, Part::Gate, x)?;
            y = call.binary(BinaryKind::Multiply, y, gate)?;
        }
        let y = self.project(call, Part::Output, y)?;
        let mut results = vec![LoweredTensor { value: y, mask: query.mask }];
        if wants_scores {
            let scores = self.scores(call, &axes, scores, &query_type, &key_type)?;
            results.push(LoweredTensor::plain(scores));
        }
        Ok(results)
    }

    fn acts_in_training(&self) -> bool {
        self.dropout > 0.0
    }
}
