//! Element-wise operators as WGSL expressions, and chains of them as one generated kernel.
//!
//! An operator says with [`Expression`] what it makes of an element of each operand. Steps that
//! follow each other and give values of one shape become one kernel: operands are read once, what
//! only the chain takes is never written.

use super::body::{Body, Reach};
use super::lowering::{Lowering, words};
use super::strides::{broadcast, merge};
use super::table;
use super::view::eight;
use crate::graph::{DType, Graph, Node, Tensor, ValueId};
use crate::plan::{Operand, Place, Step};
use crate::runtime::RunError;
use crate::runtime::gpu::{Dispatch, Parameters, Shader};

/// Dimensions that the kernels count, after neighbours that every operand steps through alike have
/// become one.
pub const MAX_RANK: usize = 8;
/// Operands of a kernel: what goes into its parameters.
const LOADS: usize = 12;
/// Results of a kernel.
const STORES: usize = 4;
/// Operators of a kernel.
const LENGTH: usize = 32;

/// What an operator makes of an element, in WGSL: `{0}` stands for the element of input 0, an f32, an
/// i32 (of an i64 too) or a bool. Inputs that it does not name are not read.
#[derive(Clone, Debug)]
pub struct Expression {
    pub(super) text: String,
    pub(super) fails: Option<String>,
}

impl Expression {
    /// An expression.
    pub fn new(text: impl Into<String>) -> Expression {
        Expression { text: text.into(), fails: None }
    }

    /// The same, with a condition under which words of 32 bits cannot give the result, or there is
    /// none: the processor runs the stage then.
    #[must_use]
    pub fn failing(mut self, condition: impl Into<String>) -> Expression {
        self.fails = Some(condition.into());
        self
    }

    fn reads(&self, slot: usize) -> bool {
        let name = format!("{{{slot}}}");
        self.text.contains(&name) || self.fails.as_ref().is_some_and(|text| text.contains(&name))
    }
}

/// An f32 as a WGSL literal; none for NaN and infinities.
pub fn literal(value: f32) -> Option<String> {
    value.is_finite().then(|| format!("{value:?}f"))
}

/// The types of a node's inputs and of its output.
pub fn types(graph: &Graph, node: &Node) -> (Vec<Option<DType>>, Option<DType>) {
    let ty = |id: ValueId| graph.ty(id).dtype;
    (node.inputs.iter().map(|id| id.map(ty)).collect(), node.outputs.first().copied().map(ty))
}

/// Refuses a value of more dimensions than the kernels count.
///
/// # Errors
/// The reason.
pub fn check_rank(graph: &Graph, node: &Node) -> Result<(), String> {
    let values = node.inputs.iter().flatten().chain(&node.outputs);
    match values.map(|id| graph.ty(*id).rank()).max() {
        Some(rank) if rank > MAX_RANK => {
            Err(format!("it has {rank} dimensions, at most {MAX_RANK} are possible"))
        }
        _ => Ok(()),
    }
}

struct Load<'a> {
    operand: &'a Operand,
    dtype: DType,
    reach: Reach,
    /// The step and slot that name it.
    at: (usize, usize),
}

/// A chain of steps as a kernel.
struct Chain<'a> {
    steps: &'a [Step],
    shape: &'a [usize],
    loads: Vec<Load<'a>>,
    /// The value of each step: its type and the line that makes it.
    lines: Vec<(DType, String)>,
    fails: Vec<String>,
    /// The steps whose results are written, and where to.
    stores: Vec<(usize, &'a Operand)>,
}

/// What is known of a stage beside its steps.
pub trait Uses {
    /// The value whose elements a value shows, through views of this stage.
    fn root(&self, id: ValueId) -> ValueId;
    /// Whether step `last` is not the last to take a value.
    fn outlives(&self, root: ValueId, last: usize) -> bool;
}

/// How many of `steps`, the first of which is number `first` of the stage, one kernel runs: 0 if the
/// first is not element-wise.
pub fn chain_length(graph: &Graph, uses: &impl Uses, steps: &[Step], first: usize) -> usize {
    let mut length = 0;
    while length < steps.len().min(LENGTH)
        && Chain::new(graph, uses, &steps[..=length], first).is_some()
    {
        length += 1;
    }
    length
}

/// Records the kernel of a chain that [`chain_length`] found.
///
/// # Errors
/// If sizes are beyond what the device counts, or weights do not fit it.
pub fn lower<'a>(
    lowering: &mut Lowering<'a>,
    uses: &impl Uses,
    steps: &'a [Step],
    first: usize,
) -> Result<(), RunError> {
    let Some(chain) = Chain::new(lowering.graph, uses, steps, first) else {
        return Err(lowering.refuse("it has no element-wise kernel".to_owned()));
    };
    chain.record(lowering)
}

impl<'a> Chain<'a> {
    fn new(graph: &Graph, uses: &impl Uses, steps: &'a [Step], first: usize) -> Option<Chain<'a>> {
        let shape = &steps.first()?.outputs.first()?.as_ref()?.shape[..];
        let (lines, fails) = (Vec::new(), Vec::new());
        let mut chain = Chain { steps, shape, loads: Vec::new(), lines, fails, stores: Vec::new() };
        let mut made: Vec<ValueId> = Vec::new();
        // Sizes that are equal in this run alone do not count, so that all runs have the same chains.
        let dims = |step: &Step| {
            let output = graph.node(step.node).outputs.first();
            output.map(|id| &graph.ty(*id).dims)
        };
        let own = steps.first().and_then(dims);
        for (index, step) in steps.iter().enumerate() {
            let node = graph.node(step.node);
            let expression = table::expression(graph, node)?;
            let output = step.outputs.first()?.as_ref()?;
            if output.shape != shape || dims(step) != own || node.outputs.len() != 1 {
                return None;
            }
            let (mut text, mut fails) = (expression.text.clone(), expression.fails.clone());
            for (slot, operand) in step.inputs.iter().enumerate() {
                if !expression.reads(slot) {
                    continue;
                }
                let (operand, id) = (operand.as_ref()?, node.inputs[slot]?);
                let made_by = made.iter().position(|own| *own == uses.root(id));
                let name = match made_by {
                    Some(step) if operand.shape == shape => format!("v{step}"),
                    // Another shape of a value that is not written yet.
                    Some(_) => return None,
                    None => {
                        let flat = graph.ty(id).dims == graph.ty(node.outputs[0]).dims;
                        format!("x{}", chain.load(operand, flat, (index, slot)))
                    }
                };
                text = text.replace(&format!("{{{slot}}}"), &name);
                fails = fails.map(|fails| fails.replace(&format!("{{{slot}}}"), &name));
            }
            chain.lines.push((output.ty.dtype, text));
            chain.fails.extend(fails);
            made.push(node.outputs[0]);
        }
        for (index, (step, id)) in steps.iter().zip(&made).enumerate() {
            if uses.outlives(*id, first + steps.len() - 1) {
                chain.stores.push((index, step.outputs.first()?.as_ref()?));
            }
        }
        let fits = chain.loads.len() <= LOADS && chain.stores.len() <= STORES;
        (fits && !chain.overwrites()).then_some(chain)
    }

    /// The number of the load of an operand.
    fn load(&mut self, operand: &'a Operand, flat: bool, at: (usize, usize)) -> usize {
        let reach = match &operand.place {
            Place::Variable(_) | Place::Constant(_) if operand.len == 1 => Reach::Word,
            Place::Variable(_) | Place::Constant(_) => Reach::Weights { flat },
            _ => Reach::Arena { flat },
        };
        let same = |load: &Load<'_>| {
            load.reach == reach
                && load.operand.place.is(&operand.place)
                && load.operand.shape == operand.shape
                && load.dtype == operand.ty.dtype
        };
        self.loads.iter().position(same).unwrap_or_else(|| {
            self.loads.push(Load { operand, dtype: operand.ty.dtype, reach, at });
            self.loads.len() - 1
        })
    }

    /// Whether a result goes where an operand lies that other threads read at another place: their
    /// buffers are one where the chain's later steps end what its first ones take.
    fn overwrites(&self) -> bool {
        self.stores.iter().any(|(_, store)| {
            self.loads
                .iter()
                .any(|load| load.operand.place.is(&store.place) && load.operand.shape != self.shape)
        })
    }

    fn shader(&self) -> Shader {
        let loads: Vec<(DType, Reach)> =
            self.loads.iter().map(|load| (load.dtype, load.reach)).collect();
        let stores: Vec<usize> = self.stores.iter().map(|(step, _)| *step).collect();
        Body { loads: &loads, lines: &self.lines, fails: &self.fails, stores: &stores }.shader()
    }

    fn record(&self, lowering: &mut Lowering<'a>) -> Result<(), RunError> {
        let mut call = Dispatch::new(self.shader(), Parameters::new(), 0);
        let bases = self.bases(lowering, &mut call)?;
        let mut outputs = Vec::with_capacity(self.stores.len());
        for (step, operand) in &self.stores {
            lowering.step = self.steps.get(*step);
            let (offset, _) = lowering.result()?;
            call.regions.push((offset, operand.len as u64));
            outputs.push(offset);
        }
        lowering.step = self.steps.last();
        let strided = self.loads.iter().filter(|load| load.reach.is_strided());
        let strides = strided.map(|load| broadcast(&load.operand.shape, self.shape)).collect();
        let (shape, strides) = merge(self.shape, strides);
        if shape.len() > MAX_RANK {
            let reason = format!("at most {MAX_RANK} dimensions are possible");
            return Err(lowering.refuse(reason));
        }
        let status = match self.fails.is_empty() {
            true => 0,
            false => lowering.recorder.checked(lowering.label()),
        };
        let count: usize = self.shape.iter().product();
        let elements = lowering.size(count)?;
        call.workgroups = count.div_ceil(256) as u64;
        call.parameters = Parameters::new().word(elements).word(shape.len() as u32).word(status);
        call.parameters = call.parameters.aligned(eight(&shape)).aligned(bases).aligned(outputs);
        for strides in strides {
            call.parameters = call.parameters.aligned(eight(&strides));
        }
        lowering.dispatch(call)
    }

    /// The first word of each operand, or the word itself; notes in `call` what it reads.
    fn bases(
        &self,
        lowering: &mut Lowering<'a>,
        call: &mut Dispatch,
    ) -> Result<Vec<u32>, RunError> {
        let fixed = |load: &&Load<'a>| matches!(load.reach, Reach::Weights { .. });
        let fixed: Vec<&Operand> =
            self.loads.iter().filter(fixed).map(|load| load.operand).collect();
        let weights = match fixed.is_empty() {
            true => Vec::new(),
            false => lowering.plain_operands(&fixed)?,
        };
        call.weights = weights.first().map_or(0, |weight| weight.buffer);
        let mut weights = weights.into_iter();
        let mut bases = Vec::with_capacity(self.loads.len());
        for load in &self.loads {
            bases.push(match load.reach {
                Reach::Word => word_of(lowering, load.operand)?,
                Reach::Weights { .. } => weights.next().map_or(0, |weight| weight.offset),
                Reach::Arena { .. } => {
                    lowering.step = self.steps.get(load.at.0);
                    let offset = lowering.arena(load.at.1)?;
                    call.regions.push((offset, load.operand.len as u64));
                    offset
                }
            });
        }
        Ok(bases)
    }
}

/// Applies an expression of one f32 to `len` elements; `output` may be `input`.
///
/// # Errors
/// If sizes are beyond what the device counts.
pub fn apply(
    lowering: &mut Lowering<'_>,
    expression: &Expression,
    len: usize,
    input: u32,
    output: u32,
) -> Result<(), RunError> {
    let loads = [(DType::F32, Reach::Arena { flat: true })];
    let lines = [(DType::F32, expression.text.replace("{0}", "x0"))];
    let parameters = Parameters::new().word(lowering.size(len)?).word(0).word(0);
    let parameters = parameters.aligned(eight(&[])).aligned([input]).aligned([output]);
    let shader = Body { loads: &loads, lines: &lines, fails: &[], stores: &[0] }.shader();
    let call = Dispatch::new(shader, parameters, len.div_ceil(256) as u64);
    lowering.dispatch(call.touching(input, len as u64).touching(output, len as u64))
}

/// The word of an operand of one element that no run changes.
fn word_of(lowering: &Lowering<'_>, operand: &Operand) -> Result<u32, RunError> {
    let tensor: Option<&Tensor> = match &operand.place {
        Place::Constant(tensor) => Some(tensor),
        Place::Variable(id) => Some(&lowering.graph.variable(*id).value),
        _ => None,
    };
    let word = tensor.map(|tensor| words(lowering.label(), tensor)).transpose()?;
    Ok(word.and_then(|words| words.first().copied()).map_or(0, f32::to_bits))
}
