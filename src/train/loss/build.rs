//! The nodes of one output's loss: formula, mask, weights and reduction, in Keras's order.

use super::{LossConfig, LossFunction, Reduction};
use crate::graph::{DType, Dim, Graph, GraphError, Operator, Tensor, TensorType, ValueId};
use crate::ops::{
    Binary, BinaryKind, Cast, Loss, LossKind, Reduce, ReduceKind, Reshape, Select,
    SparseCrossentropy,
};
use crate::train::TrainError;

/// What a loss is computed of.
#[derive(Clone, Copy, Debug)]
pub(in crate::train) struct LossInputs<'a> {
    /// The output's name.
    pub output: &'a str,
    /// What the model gives, `[batch, .., classes]`.
    pub prediction: ValueId,
    /// What a sigmoid or softmax made the prediction of, where it is directly one: Keras computes
    /// crossentropies from it whatever `from_logits` says.
    pub logits: Option<ValueId>,
    /// Which samples count, `[batch, ..]`.
    pub mask: Option<ValueId>,
    /// The targets.
    pub targets: ValueId,
    /// Sample weights.
    pub weights: Option<ValueId>,
}

/// Adds the nodes of a loss and returns its value, a scalar.
///
/// # Errors
/// If targets, predictions, mask and weights do not fit.
pub(in crate::train) fn add_loss(
    graph: &mut Graph,
    config: &LossConfig,
    inputs: &LossInputs<'_>,
) -> Result<ValueId, TrainError> {
    let mut build = Build { graph, name: format!("loss/{}", inputs.output), inputs };
    let (values, counted) = match build.resolve(config.function) {
        LossFunction::Dense(kind) => (build.dense(kind)?, None),
        LossFunction::SparseCrossentropy { from_logits, ignore_class } => {
            build.sparse(from_logits, ignore_class)?
        }
        LossFunction::Crossentropy => return Err(build.misfit("a number of classes")),
    };
    build.reduce(values, counted, config.reduction)
}

struct Build<'a> {
    graph: &'a mut Graph,
    name: String,
    inputs: &'a LossInputs<'a>,
}

impl Build<'_> {
    fn add(&mut self, op: impl Operator, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        self.graph.add_one(&self.name, op, inputs)
    }

    fn binary(&mut self, kind: BinaryKind, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.add(Binary { kind }, &[a, b])
    }

    fn dims(&self, id: ValueId) -> Vec<Dim> {
        self.graph.ty(id).dims.clone()
    }

    /// The same elements with, or without, a last axis of size 1.
    fn with_last(&mut self, id: ValueId, present: bool) -> Result<ValueId, GraphError> {
        let mut dims = self.dims(id);
        match present {
            true => dims.push(Dim::Known(1)),
            false => drop(dims.pop()),
        }
        self.add(Reshape::to(dims), &[id])
    }

    fn misfit(&self, expected: impl Into<String>) -> TrainError {
        let found = self.graph.ty(self.inputs.targets);
        let prediction = self.graph.ty(self.inputs.prediction);
        TrainError::data(
            format!("targets of output `{}`", self.inputs.output),
            format!("{found} for predictions {prediction}"),
            expected,
        )
    }

    /// The crossentropy that `crossentropy` stands for.
    fn resolve(&self, function: LossFunction) -> LossFunction {
        if function != LossFunction::Crossentropy {
            return function;
        }
        let (targets, prediction) =
            (self.dims(self.inputs.targets), self.dims(self.inputs.prediction));
        let is_one = |dims: &[Dim]| dims.last() == Some(&Dim::Known(1));
        let smoothing = 0.0;
        match (is_one(&prediction), targets.len() < prediction.len() || is_one(&targets)) {
            (true, _) => LossFunction::Dense(LossKind::BinaryCrossentropy {
                from_logits: false,
                label_smoothing: smoothing,
            }),
            (_, true) => {
                LossFunction::SparseCrossentropy { from_logits: false, ignore_class: None }
            }
            _ => LossFunction::Dense(LossKind::CategoricalCrossentropy {
                from_logits: false,
                label_smoothing: smoothing,
            }),
        }
    }

    /// The losses of samples whose targets are numbers. A last axis of size 1 that one side lacks is
    /// added or dropped as Keras does; where that changes the predictions, Keras loses sight of the
    /// logits behind them.
    fn dense(&mut self, kind: LossKind) -> Result<ValueId, TrainError> {
        let LossInputs { targets, mut prediction, mut logits, .. } = *self.inputs;
        let mut targets = self.as_float(targets)?;
        let (given, wanted) = (self.dims(targets), self.dims(prediction));
        let ends_in_one = |dims: &[Dim]| dims.last() == Some(&Dim::Known(1));
        if given.len() + 1 == wanted.len() && ends_in_one(&wanted) {
            if given.len() == 1 {
                targets = self.with_last(targets, true)?;
            } else {
                (prediction, logits) = (self.with_last(prediction, false)?, None);
            }
        } else if given.len() == wanted.len() + 1 && ends_in_one(&given) {
            if wanted.len() == 1 {
                (prediction, logits) = (self.with_last(prediction, true)?, None);
            } else {
                targets = self.with_last(targets, false)?;
            }
        }
        // Keras would take the mean over the batch for the loss of each of its rows.
        if wanted.len() < 2 {
            return Err(self.misfit(
                "predictions with an axis beside the rows; give the output one (keepdims=True, or \
                 Reshape((1,)))",
            ));
        }
        if !self.graph.ty(prediction).accepts(self.graph.ty(targets)) {
            return Err(self.misfit(match given.len() + 1 == wanted.len() {
                true => {
                    "the shape of the predictions; for classes by number the loss is \
                     sparse_categorical_crossentropy"
                }
                false => "the shape of the predictions",
            }));
        }
        let (kind, prediction) = match (kind, logits) {
            (LossKind::BinaryCrossentropy { label_smoothing, .. }, Some(logits)) => {
                (LossKind::BinaryCrossentropy { from_logits: true, label_smoothing }, logits)
            }
            (LossKind::CategoricalCrossentropy { label_smoothing, .. }, Some(logits)) => {
                (LossKind::CategoricalCrossentropy { from_logits: true, label_smoothing }, logits)
            }
            (kind, _) => (kind, prediction),
        };
        Ok(self.add(Loss { kind }, &[targets, prediction])?)
    }

    fn as_float(&mut self, id: ValueId) -> Result<ValueId, TrainError> {
        match self.graph.ty(id).dtype {
            DType::F32 => Ok(id),
            DType::Str => Err(self.misfit("numbers; give labels a number each")),
            _ => Ok(self.add(Cast { to: DType::F32 }, &[id])?),
        }
    }

    /// The losses of samples whose targets are class ids, and which of them count.
    fn sparse(
        &mut self,
        from_logits: bool,
        ignore_class: Option<i64>,
    ) -> Result<(ValueId, Option<ValueId>), TrainError> {
        let LossInputs { mut targets, prediction, logits, .. } = *self.inputs;
        match self.graph.ty(targets).dtype {
            DType::I32 | DType::I64 => {}
            DType::Str => return Err(self.misfit("the ids of classes")),
            _ => targets = self.add(Cast { to: DType::I64 }, &[targets])?,
        }
        let (given, wanted) = (self.dims(targets), self.dims(prediction));
        if given.len() == wanted.len() && given.last() == Some(&Dim::Known(1)) {
            targets = self.with_last(targets, false)?;
        } else if given.len() + 1 != wanted.len() {
            return Err(self.misfit("an id for each row of predictions"));
        }
        let loss =
            SparseCrossentropy { from_logits: from_logits || logits.is_some(), ignore_class };
        let values = self.add(loss, &[targets, logits.unwrap_or(prediction)]);
        let values = values.map_err(|_| self.misfit("an id for each row of predictions"))?;
        let counted = match ignore_class {
            None => None,
            Some(id) => {
                let ignored = match self.graph.ty(targets).dtype {
                    DType::I32 => self.graph.constant(Tensor::scalar(id as i32)),
                    _ => self.graph.constant(Tensor::scalar(id)),
                };
                Some(self.binary(BinaryKind::NotEqual, targets, ignored)?)
            }
        };
        Ok((values, counted))
    }

    fn reduce(
        &mut self,
        mut values: ValueId,
        counted: Option<ValueId>,
        reduction: Reduction,
    ) -> Result<ValueId, TrainError> {
        let mask = match (self.inputs.mask, counted) {
            (Some(mask), Some(counted)) => {
                self.check_fits(mask, values, "mask")?;
                Some(self.binary(BinaryKind::And, mask, counted)?)
            }
            (mask, counted) => mask.or(counted),
        };
        let mut factors = None;
        if let Some(mask) = mask {
            self.check_fits(mask, values, "mask")?;
            factors = Some(self.mask_factors(mask, reduction)?);
        }
        if let Some(weights) = self.inputs.weights {
            let weights = self.fit_weights(weights, values)?;
            factors = Some(match factors {
                Some(factors) => self.binary(BinaryKind::Multiply, weights, factors)?,
                None => weights,
            });
        }
        if let Some(factors) = factors {
            values = self.binary(BinaryKind::Multiply, values, factors)?;
        }
        Ok(match reduction {
            Reduction::Mean => self.all(ReduceKind::Mean, values)?,
            Reduction::Sum => self.all(ReduceKind::Sum, values)?,
            Reduction::MeanWithSampleWeight => match factors {
                None => self.all(ReduceKind::Mean, values)?,
                Some(factors) => {
                    let (sum, weight) =
                        (self.all(ReduceKind::Sum, values)?, self.all(ReduceKind::Sum, factors)?);
                    self.divide_or_zero(sum, weight)?
                }
            },
        })
    }

    fn all(&mut self, kind: ReduceKind, values: ValueId) -> Result<ValueId, GraphError> {
        let count = self.graph.ty(values).rank();
        self.add(Reduce { kind, first: 0, count, keepdims: false }, &[values])
    }

    /// What the losses of samples are multiplied with for their mask: for a mean over the batch the
    /// inverse of the share of samples that count, so that the mean is over those alone.
    fn mask_factors(&mut self, mask: ValueId, reduction: Reduction) -> Result<ValueId, GraphError> {
        let float = self.add(Cast { to: DType::F32 }, &[mask])?;
        if reduction != Reduction::Mean {
            return Ok(float);
        }
        let one = self.graph.constant(Tensor::scalar(1.0f32));
        let share = self.all(ReduceKind::Mean, float)?;
        let factor = self.divide_or_zero(one, share)?;
        self.binary(BinaryKind::Multiply, float, factor)
    }

    /// `a / b`, and 0 where `b` is 0.
    fn divide_or_zero(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        let zero = self.graph.constant(Tensor::scalar(0.0f32));
        let one = self.graph.constant(Tensor::scalar(1.0f32));
        let is_zero = self.binary(BinaryKind::Equal, b, zero)?;
        let safe = self.add(Select, &[is_zero, one, b])?;
        let ratio = self.binary(BinaryKind::Divide, a, safe)?;
        self.add(Select, &[is_zero, zero, ratio])
    }

    fn check_fits(&self, id: ValueId, values: ValueId, what: &str) -> Result<(), TrainError> {
        let (found, values) = (self.graph.ty(id), self.graph.ty(values));
        match TensorType::new(found.dtype, &values.dims[..]).accepts(found) {
            true => Ok(()),
            false => Err(TrainError::data(
                format!("{what} of output `{}`", self.inputs.output),
                found.to_string(),
                format!("the shape of the losses, {values}"),
            )),
        }
    }

    /// Sample weights that multiply the losses: the same shape, or 1 along some axes.
    fn fit_weights(&mut self, weights: ValueId, values: ValueId) -> Result<ValueId, TrainError> {
        let mut weights = self.as_float(weights)?;
        let (given, wanted) = (self.dims(weights), self.dims(values));
        if given.len() == wanted.len() + 1 && given.last() == Some(&Dim::Known(1)) {
            weights = self.with_last(weights, false)?;
        }
        let given = self.dims(weights);
        let one_or_equal = |(a, b): (&Dim, &Dim)| *a == Dim::Known(1) || a.may_equal(b);
        if given.len() == wanted.len() && given.iter().zip(&wanted).all(one_or_equal) {
            return Ok(weights);
        }
        let found = self.graph.ty(weights).to_string();
        let mut expected = format!("the shape of the losses, {}", self.graph.ty(values));
        if given.len() == 1 {
            expected += "; give weights of rows as [rows, 1]";
        }
        let what = format!("sample weights of output `{}`", self.inputs.output);
        Err(TrainError::data(what, found, expected))
    }
}
