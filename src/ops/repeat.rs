//! A body over and over, by a count and a truth value.

use std::borrow::Cow;
use std::sync::Arc;

use super::body::{self, Sizes};
use crate::graph::{DType, Dim, Graph, OpError, Operator, Slots, TensorType, ValueId};

/// ONNX's `Loop`: runs a body until a count is reached or a condition fails.
///
/// Inputs: `trip_count` (one integer; empty: no limit), `condition` (one truth value; empty: true),
/// the first of each carried value, then what the body takes from around it. The body's inputs are
/// the number of the iteration (`i64`), the condition, the carried values and what it takes; its
/// outputs are the condition to go on, the carried values and what is collected, for each of which
/// the results of all iterations are stacked along a new first axis.
///
/// Outputs: the carried values after the last iteration, then the stacks. A carried value may
/// change its shape from one iteration to the next. It begins a stage of its own, and the sizes of
/// what it gave are measured.
#[derive(Clone, Debug)]
pub struct Loop {
    /// What runs in every iteration.
    pub body: Arc<Graph>,
    /// How many values go through the iterations.
    pub carried: usize,
    /// The types of the outputs, whose sizes may be symbols that nothing else binds.
    pub outputs: Vec<TensorType>,
}

impl Loop {
    /// The slot, and the body's input, of the first carried value.
    pub const FIRST: usize = 2;

    /// The node's operator in `graph`, where the values `inputs` follow `trip_count` and
    /// `condition`: the first of `carried` values and what the body takes. Sizes that are not
    /// certain become fresh symbols.
    ///
    /// # Errors
    /// If the body's inputs or outputs are too few, or a carried value changes its element type or
    /// rank.
    pub fn new(
        graph: &mut Graph,
        body: Arc<Graph>,
        carried: usize,
        inputs: &[ValueId],
    ) -> Result<Loop, OpError> {
        let first = Self::FIRST;
        if body.inputs().len() != first + inputs.len() || body.outputs().len() <= carried {
            let (takes, gives) = (body.inputs().len(), body.outputs().len());
            let expected = format!("{} inputs and more than {carried}", first + inputs.len());
            return Err(body::refuse("body", format!("{takes} inputs and {gives}"), expected));
        }
        let mut sizes = Sizes::default();
        for (input, value) in body.inputs()[first..].iter().zip(inputs).skip(carried) {
            sizes.learn(body.ty(input.value), graph.ty(*value));
        }
        let mut outputs = Vec::with_capacity(body.outputs().len() - 1);
        for (index, value) in inputs.iter().enumerate().take(carried) {
            let ty = graph.ty(*value).clone();
            outputs.push(body::carried_type(graph, &body, (first + index, 1 + index), &ty)?);
        }
        let count = Dim::Symbol(graph.fresh_symbol("iterations"));
        for index in 1 + carried..body.outputs().len() {
            let Some(inner) = body::output(&body, index) else { continue };
            let size = |axis: usize| sizes.outside(&inner.dims[axis]);
            let mut ty = body::outer_type(graph, "collected", inner, size);
            ty.dims.insert(0, count.clone());
            outputs.push(ty);
        }
        Ok(Loop { body, carried, outputs })
    }
}

impl Operator for Loop {
    fn name(&self) -> &'static str {
        "loop"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("carried", self.carried.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        match (index, self.body.inputs().get(index)) {
            (0, _) => Cow::Borrowed("trip_count"),
            (1, _) => Cow::Borrowed("condition"),
            (_, Some(input)) => Cow::Owned(input.name.clone()),
            (_, None) => Cow::Borrowed("surplus"),
        }
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let (first, count) = (Self::FIRST, self.body.inputs().len());
        inputs.at_most(count)?;
        if let Some(trips) = inputs.optional(0) {
            let single = trips.dims.iter().all(|dim| dim.may_equal(&Dim::Known(1)));
            if !single || !matches!(trips.dtype, DType::I64 | DType::I32) {
                return Err(inputs.shape_error(0, "one i64 or i32"));
            }
        }
        body::check_flag(&inputs, 1)?;
        let [number, condition, ..] = self.body.inputs() else {
            let value = format!("{count} inputs");
            return Err(body::refuse("body", value, "the iteration and the condition at least"));
        };
        for (input, dtype) in [(number, DType::I64), (condition, DType::Bool)] {
            let ty = self.body.ty(input.value);
            if ty.dtype != dtype || ty.rank() > 1 {
                let value = format!("`{}`: {ty}", input.name);
                return Err(body::refuse("body", value, format!("one {dtype}")));
            }
        }
        match body::output(&self.body, 0) {
            Some(ty) if ty.dtype == DType::Bool => {}
            _ => return Err(body::refuse("body", self.body.name(), "a condition as output 0")),
        }
        if self.carried > self.outputs.len() || first + self.carried > count {
            let value = self.carried.to_string();
            return Err(body::refuse("carried", value, "no more than the body has"));
        }
        // The first of a carried value may have other sizes than later ones.
        for index in first..first + self.carried {
            let (given, inner) =
                (inputs.get(index)?, self.body.ty(self.body.inputs()[index].value));
            if (given.dtype, given.rank()) != (inner.dtype, inner.rank()) {
                return Err(inputs.shape_error(index, inner.to_string()));
            }
        }
        let taken = first + self.carried;
        body::check_inputs(&inputs, taken, &self.body, taken..count)?;
        let stacked = |index: usize| usize::from(index >= self.carried);
        body::check_outputs("body", &self.body, 1, &self.outputs, stacked)?;
        Ok(self.outputs.clone())
    }

    fn on_host(&self) -> bool {
        true
    }

    fn bodies(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        vec![("body", &self.body)]
    }
}
