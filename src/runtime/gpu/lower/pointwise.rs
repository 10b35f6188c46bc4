//! Element-wise operators as WGSL expressions, and chains of them as one generated kernel.
//!
//! An operator says with [`Expression`] what it makes of an element of each operand. Steps that
//! follow each other and give values of one shape become one kernel: operands are read once, what
//! only the chain takes is never written.

use std::fmt::Write;

#[cfg(test)]
use super::lowering::GpuOp;
use super::lowering::{Lowering, words};
use super::table;
use super::view::eight;
use crate::graph::{DType, Graph, Node, Tensor, ValueId};
use crate::plan::{Operand, Place, Step};
use crate::runtime::RunError;
use crate::runtime::gpu::{Dispatch, Parameters, Shader, WeightRef};
use seqfuse_kernels::wgsl;

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
    text: String,
    fails: Option<String>,
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

/// How a kernel finds an operand's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// One element, among the parameters.
    Word,
    /// In the arena, at the result's index or by strides.
    Arena { flat: bool },
    /// In the weights.
    Weights { flat: bool },
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

    fn is_strided(load: &Load<'_>) -> bool {
        matches!(load.reach, Reach::Arena { flat: false } | Reach::Weights { flat: false })
    }

    fn shader(&self) -> Shader {
        let loads: Vec<(DType, Reach)> =
            self.loads.iter().map(|load| (load.dtype, load.reach)).collect();
        let stores: Vec<usize> = self.stores.iter().map(|(step, _)| *step).collect();
        shader(&loads, &self.lines, &self.fails, &stores)
    }

    fn record(&self, lowering: &mut Lowering<'a>) -> Result<(), RunError> {
        let last = self.steps.len() - 1;
        let fixed: Vec<&Operand> = self
            .loads
            .iter()
            .filter(|load| matches!(load.reach, Reach::Weights { .. }))
            .map(|load| load.operand)
            .collect();
        let mut weights: Vec<WeightRef> = match fixed.is_empty() {
            true => Vec::new(),
            false => lowering.plain_operands(&fixed)?,
        };
        let buffer = weights.first().map_or(0, |weight| weight.buffer);
        let mut weights = weights.drain(..);
        let count: usize = self.shape.iter().product();
        let mut bases = Vec::with_capacity(self.loads.len());
        let mut regions = Vec::new();
        for load in &self.loads {
            bases.push(match load.reach {
                Reach::Word => word_of(lowering, load.operand)?,
                Reach::Weights { .. } => weights.next().map_or(0, |weight| weight.offset),
                Reach::Arena { .. } => {
                    lowering.step = self.steps.get(load.at.0);
                    let offset = lowering.arena(load.at.1)?;
                    regions.push((offset, load.operand.len as u64));
                    offset
                }
            });
        }
        let mut outputs = Vec::with_capacity(self.stores.len());
        for (step, operand) in &self.stores {
            lowering.step = self.steps.get(*step);
            let (offset, _) = lowering.result()?;
            regions.push((offset, operand.len as u64));
            outputs.push(offset);
        }
        lowering.step = self.steps.get(last);
        let strided: Vec<&Operand> = self
            .loads
            .iter()
            .filter(|load| Self::is_strided(load))
            .map(|load| load.operand)
            .collect();
        let strides = strided.iter().map(|operand| broadcast(&operand.shape, self.shape));
        let (shape, strides) = merge(self.shape, strides.collect());
        if shape.len() > MAX_RANK {
            let reason = format!("at most {MAX_RANK} dimensions are possible");
            return Err(lowering.refuse(reason));
        }
        let status = match self.fails.is_empty() {
            true => 0,
            false => lowering.recorder.checked(lowering.label()),
        };
        let elements = lowering.size(count)?;
        let mut parameters = Parameters::new().word(elements).word(shape.len() as u32).word(status);
        parameters = parameters.aligned(eight(&shape));
        parameters = parameters.aligned(bases).aligned(outputs);
        for strides in strides {
            parameters = parameters.aligned(eight(&strides));
        }
        let mut call = Dispatch::new(self.shader(), parameters, count.div_ceil(256) as u64);
        call.weights = buffer;
        call.regions = regions;
        lowering.dispatch(call)
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
    let shader = shader(&loads, &lines, &[], &[0]);
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

/// The strides with which an operand of shape `from` is read in a result of shape `to`: 0 where it
/// repeats.
pub fn broadcast(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; to.len()];
    let mut stride = 1;
    let front = to.len().saturating_sub(from.len());
    for axis in (front..to.len()).rev() {
        let size = from[axis - front];
        if size != 1 {
            strides[axis] = stride;
        }
        stride *= size;
    }
    strides
}

/// Leaves out axes of size 1, and makes one of neighbours that all strides step through alike.
pub fn merge<T: Stride>(shape: &[usize], strides: Vec<Vec<T>>) -> (Vec<usize>, Vec<Vec<T>>) {
    let mut sizes: Vec<usize> = Vec::new();
    let mut merged: Vec<Vec<T>> = vec![Vec::new(); strides.len()];
    for (axis, &size) in shape.iter().enumerate().filter(|(_, size)| **size != 1) {
        let joins = sizes.last().is_some()
            && strides.iter().zip(&merged).all(|(own, merged)| {
                merged.last().is_some_and(|last| *last == own[axis].times(size))
            });
        match sizes.last_mut().filter(|_| joins) {
            Some(last) => {
                *last *= size;
                for (own, merged) in strides.iter().zip(&mut merged) {
                    if let Some(last) = merged.last_mut() {
                        *last = own[axis];
                    }
                }
            }
            None => {
                sizes.push(size);
                strides.iter().zip(&mut merged).for_each(|(own, merged)| merged.push(own[axis]));
            }
        }
    }
    (sizes, merged)
}

/// A number of elements from one index to the next.
pub trait Stride: Copy + PartialEq {
    /// That of an axis in front of one of `size`, if their elements follow each other.
    fn times(self, size: usize) -> Self;
}

impl Stride for usize {
    fn times(self, size: usize) -> usize {
        self.saturating_mul(size)
    }
}

impl Stride for i64 {
    fn times(self, size: usize) -> i64 {
        self.saturating_mul(size as i64)
    }
}

fn wgsl_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "f32",
        DType::Bool => "bool",
        _ => "i32",
    }
}

/// The text of the kernel.
fn shader(
    loads: &[(DType, Reach)],
    lines: &[(DType, String)],
    fails: &[String],
    stores: &[usize],
) -> Shader {
    let is_strided = |reach: &Reach| {
        matches!(reach, Reach::Arena { flat: false } | Reach::Weights { flat: false })
    };
    let strided = loads.iter().filter(|(_, reach)| is_strided(reach)).count();
    let mut text = String::new();
    let mut add = |line: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{line}");
    };
    add("struct Params { row_width: u32, count: u32, rank: u32, status: u32,");
    add("    shape: array<vec4<u32>, 2>,");
    let vectors = |count: usize| count.div_ceil(4);
    if !loads.is_empty() {
        add(&format!("    bases: array<vec4<u32>, {}>,", vectors(loads.len())));
    }
    add(&format!("    outputs: array<vec4<u32>, {}>,", vectors(stores.len()).max(1)));
    for k in 0..strided {
        add(&format!("    strides{k}: array<vec4<u32>, 2>,"));
    }
    add("}\n@compute @workgroup_size(256)");
    add(
        "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {",
    );
    add("    let i = (group.y * p.row_width + group.x) * 256u + lane;");
    add("    if i >= p.count { return; }");
    if strided > 0 {
        (0..strided).for_each(|k| add(&format!("    var at{k} = 0u;")));
        add("    var rest = i;");
        add("    for (var d = p.rank; d > 0u; d--) {");
        add("        let k = d - 1u;");
        add("        let size = p.shape[k / 4u][k % 4u];");
        add("        let at = rest % size;");
        add("        rest /= size;");
        for k in 0..strided {
            add(&format!("        at{k} += at * p.strides{k}[k / 4u][k % 4u];"));
        }
        add("    }");
    }
    let mut next = 0;
    for (k, (dtype, reach)) in loads.iter().enumerate() {
        let base = format!("p.bases[{}][{}]", k / 4, k % 4);
        let mut index = |flat: bool| match flat {
            true => "i".to_owned(),
            false => {
                next += 1;
                format!("at{}", next - 1)
            }
        };
        let word = match *reach {
            Reach::Word => base,
            Reach::Arena { flat } => format!("arena[{base} + {}]", index(flat)),
            Reach::Weights { flat } => format!("weights[{base} + {}]", index(flat)),
        };
        let value = match dtype {
            DType::F32 => format!("float({word})"),
            DType::Bool => format!("{word} != 0u"),
            _ => format!("signed({word})"),
        };
        add(&format!("    let x{k}: {} = {value};", wgsl_type(*dtype)));
    }
    for (k, (dtype, line)) in lines.iter().enumerate() {
        add(&format!("    let v{k}: {} = {line};", wgsl_type(*dtype)));
    }
    for fails in fails {
        add(&format!("    if {fails} {{ atomicMax(&status[p.status], 1u); }}"));
    }
    for (k, step) in stores.iter().enumerate() {
        let word = match lines.get(*step).map(|(dtype, _)| *dtype) {
            Some(DType::F32) => format!("bits(v{step})"),
            Some(DType::Bool) => format!("word_of(v{step})"),
            _ => format!("bitcast<u32>(v{step})"),
        };
        add(&format!("    arena[p.outputs[{}][{}] + i] = {word};", k / 4, k % 4));
    }
    add("}");
    Shader::new("elementwise", &[wgsl::ELEMENTWISE, &text])
}

/// A kernel of one expression, for the test that validates texts; the first operand is flat, others
/// lie in the weights or among the parameters.
#[cfg(test)]
pub fn sample(expression: &Expression, inputs: &[DType], to: DType) -> Shader {
    let reaches = [
        Reach::Arena { flat: true },
        Reach::Weights { flat: false },
        Reach::Word,
        Reach::Arena { flat: false },
    ];
    let loads: Vec<(DType, Reach)> = inputs.iter().copied().zip(reaches).collect();
    let name = |mut text: String| {
        (0..inputs.len()).for_each(|k| text = text.replace(&format!("{{{k}}}"), &format!("x{k}")));
        text
    };
    let fails: Vec<String> = expression.fails.clone().into_iter().map(name).collect();
    let lines = [(to, name(expression.text.clone()))];
    shader(&loads, &lines, &fails, &[0])
}

/// Samples for every type of the inputs for which `expression` gives one; the result has the type
/// `to`, or that of the inputs.
#[cfg(test)]
pub fn samples<T: GpuOp>(op: &T, slots: usize, to: Option<DType>) -> Vec<Shader> {
    let mut found = Vec::new();
    for dtype in [DType::F32, DType::I32, DType::I64, DType::Bool] {
        let result = to.unwrap_or(dtype);
        if let Some(expression) = op.expression(&vec![Some(dtype); slots], result) {
            found.push(sample(&expression, &vec![dtype; slots], result));
        }
    }
    found
}
