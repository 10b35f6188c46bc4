//! A small Graph about one operator, with a loss and its gradients.

use std::sync::Arc;

use seqfuse::graph::{DType, Graph, Operator, Tensor, TensorType, ValueId, VariableKind};
use seqfuse::ops::{Binary, BinaryKind, Reduce, ReduceKind};
use seqfuse::passes::{TRAINING_STEP, differentiate};
use seqfuse::{Model, Options, Tensors};

use super::evaluate::evaluate;
use super::value::Value;

type Build = dyn Fn(&mut Builder) -> Vec<ValueId>;

/// An operator with operands, whose outputs are returned.
pub struct Case {
    /// The operator's file in `src/ops`.
    pub module: &'static str,
    pub name: String,
    pub build: Box<Build>,
}

/// What a case makes its operands with.
pub struct Builder {
    pub graph: Graph,
    random: u64,
}

impl Builder {
    pub fn new() -> Builder {
        Builder { graph: Graph::new("case"), random: 7 }
    }

    /// A number in 0..1 (splitmix64).
    pub fn number(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f64 / (1u64 << 24) as f64
    }

    fn tensor(&mut self, shape: &[usize], low: f64, high: f64) -> Tensor {
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|_| (low + (high - low) * self.number()) as f32).collect();
        Tensor::new(shape, Vec::<f32>::from_iter::<Vec<f32>>(values)).expect("the count fits")
    }

    /// A parameter, whose gradient is checked.
    pub fn within(&mut self, shape: &[usize], low: f64, high: f64) -> ValueId {
        let value = self.tensor(shape, low, high);
        self.parameter(value)
    }

    /// The same with numbers about 0.
    pub fn p(&mut self, shape: &[usize]) -> ValueId {
        self.within(shape, -1.0, 1.0)
    }

    pub fn parameter(&mut self, value: Tensor) -> ValueId {
        let name = format!("parameter{}", self.graph.variables().len());
        let kind = VariableKind::Parameter;
        let id = self.graph.add_variable(name, kind, Arc::new(value)).expect("a new name");
        self.graph.read(id)
    }

    /// A constant of numbers.
    pub fn fixed(&mut self, shape: &[usize], low: f64, high: f64) -> ValueId {
        let value = self.tensor(shape, low, high);
        self.graph.constant(value)
    }

    /// A constant of integers below `end`, half of them counted from the end if `negative`.
    pub fn integers(&mut self, shape: &[usize], end: i64, negative: bool) -> ValueId {
        let count = shape.iter().product::<usize>();
        let values: Vec<i64> = (0..count)
            .map(|index| {
                let value = (self.number() * end as f64) as i64;
                if negative && index % 2 == 1 { value - end } else { value }
            })
            .collect();
        self.graph.constant(Tensor::new(shape, values).expect("the count fits"))
    }

    /// A constant mask: `pattern` over and over.
    pub fn mask(&mut self, shape: &[usize], pattern: &[bool]) -> ValueId {
        let count = shape.iter().product::<usize>();
        let values: Vec<bool> = pattern.iter().copied().cycle().take(count).collect();
        self.graph.constant(Tensor::new(shape, values).expect("the count fits"))
    }

    /// The input that chooses random numbers.
    pub fn step(&mut self) -> ValueId {
        let ty = TensorType::known(DType::I64, &[2]);
        self.graph.add_input(TRAINING_STEP, ty).expect("a new name")
    }

    pub fn add(&mut self, op: impl Operator, inputs: &[ValueId]) -> Vec<ValueId> {
        self.graph.add("node", op, inputs).expect("the operator takes them")
    }

    pub fn node(&mut self, op: impl Operator, inputs: Vec<Option<ValueId>>) -> Vec<ValueId> {
        self.graph.add_node("node", Arc::new(op), inputs).expect("the operator takes them")
    }

    /// The sum of all elements of all values, each times a number of its own.
    fn loss(&mut self, values: &[ValueId]) -> ValueId {
        let mut total = None;
        for &value in values {
            let shape = self.graph.ty(value).shape().expect("known sizes");
            let weights = self.fixed(&shape, -1.0, 1.0);
            let product = self.add(Binary { kind: BinaryKind::Multiply }, &[value, weights])[0];
            let count = shape.len();
            let sum = Reduce { kind: ReduceKind::Sum, first: 0, count, keepdims: false };
            let sum = if count == 0 { product } else { self.add(sum, &[product])[0] };
            total = Some(match total {
                None => sum,
                Some(total) => self.add(Binary { kind: BinaryKind::Add }, &[total, sum])[0],
            });
        }
        total.expect("at least one output")
    }
}

/// A case with its loss, and the gradients of its parameters.
pub struct Built {
    graph: Graph,
    loss: ValueId,
    gradients: Vec<ValueId>,
}

/// The seed and step of all cases.
fn training_step() -> Tensor {
    Tensor::new([2], vec![11i64, 3]).expect("two numbers")
}

impl Built {
    pub fn new(case: &Case) -> Built {
        let mut builder = Builder::new();
        let outputs = (case.build)(&mut builder);
        let loss = builder.loss(&outputs);
        let mut graph = builder.graph;
        let ids: Vec<_> = (0..graph.variables().len()).collect();
        let wanted: Vec<ValueId> = ids
            .iter()
            .filter_map(|&index| {
                let named = |value: &ValueId| {
                    matches!(graph.value(*value).source,
                        seqfuse::graph::Source::Variable(id) if id.index() == index)
                };
                let read = graph.nodes().iter().flat_map(|node| node.inputs.iter().flatten());
                read.copied().find(named)
            })
            .collect();
        assert_eq!(wanted.len(), ids.len(), "{}: a parameter is not read", case.name);
        let gradients = differentiate(&mut graph, loss, &wanted)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let gradients: Vec<ValueId> = gradients
            .into_iter()
            .map(|gradient| gradient.unwrap_or_else(|| panic!("{}: no gradient", case.name)))
            .collect();
        graph.add_output("loss", loss).expect("a new name");
        for (index, &gradient) in gradients.iter().enumerate() {
            graph.add_output(format!("gradient{index}"), gradient).expect("a new name");
        }
        graph.verify().unwrap_or_else(|error| panic!("{}: {error}", case.name));
        Built { graph, loss, gradients }
    }

    fn variables(&self) -> Vec<Value> {
        self.graph.variables().iter().map(|variable| Value::of(&variable.value)).collect()
    }

    fn inputs(&self) -> Vec<Value> {
        self.graph.inputs().iter().map(|_| Value::of(&training_step())).collect()
    }

    /// The gradients in `f64`, by the rules.
    fn by_rules(&self) -> Vec<Vec<f64>> {
        let values = evaluate(&self.graph, &self.inputs(), &self.variables());
        let read = |id: &ValueId| match &values[id.index()] {
            Some(value) => value.f().to_vec(),
            None => match &self.graph.value(*id).source {
                seqfuse::graph::Source::Constant(tensor) => Value::of(tensor).f().to_vec(),
                _ => panic!("a gradient was not evaluated"),
            },
        };
        self.gradients.iter().map(read).collect()
    }

    /// Compares the rules with central differences of the loss.
    pub fn against_differences(&self, tolerance: f64) -> Result<(), String> {
        let (inputs, mut variables) = (self.inputs(), self.variables());
        let mut forward = self.graph.clone();
        forward.clear_outputs();
        forward.add_output("loss", self.loss).expect("the only name");
        let forward = seqfuse::passes::remove_dead(&forward).expect("a valid Graph");
        let loss = forward.outputs()[0].value;
        let at = |variables: &[Value]| {
            evaluate(&forward, &inputs, variables)[loss.index()].as_ref().expect("evaluated").f()[0]
        };
        for (index, found) in self.by_rules().into_iter().enumerate() {
            let mut expected = Vec::with_capacity(found.len());
            for element in 0..variables[index].f().len() {
                const STEP: f64 = 1e-5;
                let kept = variables[index].f()[element];
                variables[index].f_mut()[element] = kept + STEP;
                let above = at(&variables);
                variables[index].f_mut()[element] = kept - STEP;
                let below = at(&variables);
                variables[index].f_mut()[element] = kept;
                expected.push((above - below) / (2.0 * STEP));
            }
            near(&found, &expected, tolerance)
                .map_err(|error| format!("operand {index}: {error}"))?;
        }
        Ok(())
    }

    /// The loss and the gradients by the fast kernels.
    pub fn run(&self, threads: usize) -> Tensors {
        let model = Model::from_graph(self.graph.clone());
        let mut session = model.session(&Options::new().threads(threads)).expect("a session");
        let inputs = self.graph.inputs().iter().map(|input| (input.name.clone(), training_step()));
        session.run(&inputs.collect()).expect("it runs")
    }

    /// Compares the fast kernels with the same Graph in `f64`.
    pub fn against_session(&self, tolerance: f64) -> Result<(), String> {
        let outputs = self.run(2);
        for (index, expected) in self.by_rules().into_iter().enumerate() {
            let found = outputs.get(&format!("gradient{index}")).expect("an output");
            near(Value::of(found).f(), &expected, tolerance)
                .map_err(|error| format!("operand {index}: {error}"))?;
        }
        Ok(())
    }
}

/// Compares relative to the largest magnitude.
fn near(found: &[f64], expected: &[f64], tolerance: f64) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{} elements, not {}", found.len(), expected.len()));
    }
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let pairs = found.iter().zip(expected).enumerate();
    for (index, (found, expected)) in pairs {
        let off = (found - expected).abs();
        if off.is_nan() || off > tolerance * largest + 1e-12 {
            return Err(format!("element {index} is {found}, not {expected} (largest {largest})"));
        }
    }
    Ok(())
}
