//! A body along an axis of its inputs.

use std::borrow::Cow;
use std::sync::Arc;

use super::body::{self, Sizes};
use crate::graph::{Dim, Graph, OpError, Operator, Slots, TensorType, ValueId};

/// How a sequence is walked, or collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanAxis {
    /// The axis of the steps.
    pub axis: usize,
    /// Whether the last step comes first.
    pub reverse: bool,
}

/// ONNX's `Scan` (from opset 9 on): runs a body for each step of one or more sequences.
///
/// Inputs: the first of each state, the sequences, then what the body takes from around it. The
/// body's inputs are the states, a step of each sequence without its axis, and what it takes; its
/// outputs are the states and a step of each result. Outputs: the states after the last step, then
/// the results, stacked along their axes.
#[derive(Clone, Debug)]
pub struct Scan {
    /// What runs in every step.
    pub body: Arc<Graph>,
    /// How many states go through the steps.
    pub states: usize,
    /// How each sequence is walked; there is at least one.
    pub sequences: Vec<ScanAxis>,
    /// How each result is collected.
    pub results: Vec<ScanAxis>,
    /// The types of the outputs, whose sizes may be symbols that nothing else binds.
    pub outputs: Vec<TensorType>,
}

impl Scan {
    /// The node's operator in `graph`, where `inputs` are the first of `states` states, the
    /// sequences and what the body takes. Sizes that are not certain become fresh symbols.
    ///
    /// # Errors
    /// If the body's inputs or outputs are others than the operator's, a state changes its element
    /// type or rank, or an axis does not exist.
    pub fn new(
        graph: &mut Graph,
        body: Arc<Graph>,
        states: usize,
        sequences: Vec<ScanAxis>,
        results: Vec<ScanAxis>,
        inputs: &[ValueId],
    ) -> Result<Scan, OpError> {
        let (takes, gives) = (body.inputs().len(), body.outputs().len());
        let whole = takes == inputs.len() && gives == states + results.len();
        if !whole || takes < states + sequences.len() || sequences.is_empty() {
            let value = format!("{takes} inputs and {gives} outputs");
            let expected = format!("{} and {}", inputs.len(), states + results.len());
            return Err(body::refuse("body", value, expected));
        }
        let mut sizes = Sizes::default();
        let pairs = body.inputs().iter().zip(inputs);
        for (input, value) in pairs.skip(states + sequences.len()) {
            sizes.learn(body.ty(input.value), graph.ty(*value));
        }
        for (index, scan) in sequences.iter().enumerate() {
            let value = inputs[states + index];
            let mut step = graph.ty(value).clone();
            if scan.axis >= step.rank() {
                let expected = format!("below {}", step.rank());
                return Err(body::refuse("sequences", scan.axis.to_string(), expected));
            }
            step.dims.remove(scan.axis);
            sizes.learn(body.ty(body.inputs()[states + index].value), &step);
        }
        let steps = graph.ty(inputs[states]).dims[sequences[0].axis].clone();
        let mut outputs = Vec::with_capacity(gives);
        for (index, value) in inputs.iter().enumerate().take(states) {
            let ty = graph.ty(*value).clone();
            outputs.push(body::carried_type(graph, &body, (index, index), &ty)?);
        }
        for (index, result) in results.iter().enumerate() {
            let Some(inner) = body::output(&body, states + index) else { continue };
            let size = |axis: usize| sizes.outside(&inner.dims[axis]);
            let mut ty = body::outer_type(graph, "collected", inner, size);
            if result.axis > ty.rank() {
                let expected = format!("at most {}", ty.rank());
                return Err(body::refuse("results", result.axis.to_string(), expected));
            }
            ty.dims.insert(result.axis, steps.clone());
            outputs.push(ty);
        }
        Ok(Scan { body, states, sequences, results, outputs })
    }
}

impl Operator for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let axes = |axes: &[ScanAxis]| {
            let sign = |scan: &ScanAxis| if scan.reverse { "-" } else { "" };
            let axes: Vec<String> =
                axes.iter().map(|scan| format!("{}{}", sign(scan), scan.axis)).collect();
            format!("[{}]", axes.join(", "))
        };
        vec![
            ("states", self.states.to_string()),
            ("sequences", axes(&self.sequences)),
            ("results", axes(&self.results)),
        ]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        match self.body.inputs().get(index) {
            Some(input) => Cow::Owned(input.name.clone()),
            None => Cow::Borrowed("surplus"),
        }
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let (count, taken) = (self.body.inputs().len(), self.states + self.sequences.len());
        inputs.at_most(count)?;
        if taken > count || self.sequences.is_empty() {
            let value = format!("{count} inputs");
            return Err(body::refuse("body", value, format!("{} at least", taken.max(1))));
        }
        for index in 0..taken {
            let (given, inner) =
                (inputs.get(index)?, self.body.ty(self.body.inputs()[index].value));
            let scan = index.checked_sub(self.states).and_then(|at| self.sequences.get(at));
            let fits = match scan {
                None => given.rank() == inner.rank(),
                Some(scan) => given.rank() == inner.rank() + 1 && scan.axis < given.rank(),
            };
            if given.dtype != inner.dtype || !fits {
                let expected = match scan {
                    None => inner.to_string(),
                    Some(scan) => format!("steps of {inner} along axis {}", scan.axis),
                };
                return Err(inputs.shape_error(index, expected));
            }
        }
        body::check_inputs(&inputs, taken, &self.body, taken..count)?;
        let stacked = |index: usize| usize::from(index >= self.states);
        body::check_outputs("body", &self.body, 0, &self.outputs, stacked)?;
        let misplaced = self.results.iter().zip(self.outputs.iter().skip(self.states));
        if self.outputs.len() != self.states + self.results.len()
            || misplaced.clone().any(|(result, ty)| result.axis >= ty.rank())
        {
            let value = format!("{:?}", self.results);
            return Err(body::refuse("results", value, "an axis of each result"));
        }
        self.same_length(&inputs)?;
        Ok(self.outputs.clone())
    }

    fn on_host(&self) -> bool {
        true
    }

    fn bodies(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        vec![("body", &self.body)]
    }
}

impl Scan {
    /// Checks that all sequences can have one number of steps.
    fn same_length(&self, inputs: &Slots<'_>) -> Result<(), OpError> {
        let mut steps: Option<&Dim> = None;
        for (index, scan) in self.sequences.iter().enumerate() {
            let own = &inputs.get(self.states + index)?.dims[scan.axis];
            match steps {
                Some(steps) if !steps.may_equal(own) => {
                    let expected = format!("{steps} steps as the first sequence has");
                    return Err(inputs.shape_error(self.states + index, expected));
                }
                _ => steps = Some(own),
            }
        }
        Ok(())
    }
}
