//! Reductions, extrema's places and running sums.

use seqfuse_kernels::wgsl;

use super::lines::{self, Fold, Lines};
use super::lowering::{GpuOp, Lowering};
use super::pointwise::types;
use crate::graph::{DType, Graph, Node};
use crate::ops::{ArgReduce, Cumsum, Reduce, ReduceKind};
use crate::runtime::RunError;
use crate::runtime::gpu::Shader;

/// What the kernel of a reduction is made of: WGSL for the start, a step, and the end.
struct Kind {
    start: &'static str,
    step: &'static str,
    end: &'static str,
    /// When a step leaves 32 bits, where that matters.
    leaves: &'static str,
}

/// The type of a value in WGSL, and how it is read from a word and written to one.
fn words(dtype: DType) -> (&'static str, &'static str, &'static str) {
    match dtype {
        DType::F32 => ("f32", "float(word)", "bits(value)"),
        DType::Bool => ("u32", "select(0u, 1u, word != 0u)", "value"),
        _ => ("i32", "signed(word)", "bitcast<u32>(value)"),
    }
}

impl Kind {
    fn new(kind: ReduceKind, dtype: DType) -> Option<Kind> {
        use DType::{Bool, F32, I32, I64};
        let fold = |start, step| Kind { start, step, end: "value", leaves: "false" };
        let wide = dtype == I64;
        Some(match (kind, dtype) {
            (ReduceKind::Sum, F32) => fold("0.0", "a + b"),
            (ReduceKind::Prod, F32) => fold("1.0", "a * b"),
            (ReduceKind::Mean, F32) => Kind { end: "value / f32(p.axis)", ..fold("0.0", "a + b") },
            (ReduceKind::Max, F32) => fold("-infinity()", "maximum(a, b)"),
            (ReduceKind::Min, F32) => fold("infinity()", "minimum(a, b)"),
            (ReduceKind::Sum, I32 | I64) => Kind {
                leaves: if wide { "add_leaves(a, b)" } else { "false" },
                ..fold("0i", "a + b")
            },
            (ReduceKind::Prod, I32 | I64) => Kind {
                leaves: if wide { "multiply_leaves(a, b)" } else { "false" },
                ..fold("1i", "a * b")
            },
            // The sum of a mean does not wrap.
            (ReduceKind::Mean, I32 | I64) => Kind {
                end: "integer_divide(value, i32(p.axis))",
                leaves: "add_leaves(a, b)",
                ..fold("0i", "a + b")
            },
            // The least i64 of an empty axis is no word.
            (ReduceKind::Max, I32) => fold("INT_MIN", "max(a, b)"),
            (ReduceKind::Min, I32) => fold("2147483647i", "min(a, b)"),
            (ReduceKind::Max, I64) => {
                Kind { leaves: "p.axis == 0u", ..fold("INT_MIN", "max(a, b)") }
            }
            (ReduceKind::Min, I64) => {
                Kind { leaves: "p.axis == 0u", ..fold("2147483647i", "min(a, b)") }
            }
            (ReduceKind::Any, Bool) => fold("0u", "a | b"),
            (ReduceKind::All, Bool) => fold("1u", "a & b"),
            _ => return None,
        })
    }

    fn shader(&self, dtype: DType, subgroup: u32) -> Shader {
        let (ty, load, store) = words(dtype);
        let Kind { start, step, end, leaves } = self;
        let text = format!(
            "alias T = {ty};\n\
             fn load(word: u32) -> T {{ return {load}; }}\n\
             fn store(value: T) -> u32 {{ return {store}; }}\n\
             fn start() -> T {{ return {start}; }}\n\
             fn step(a: T, b: T) -> T {{ return {step}; }}\n\
             fn end(value: T) -> T {{ return {end}; }}\n\
             fn leaves(a: T, b: T) -> bool {{ return {leaves}; }}\n"
        );
        let fold = Fold { name: "folded", element: "T", join: "joined" };
        lines::shader("reduce", subgroup, &[&text, wgsl::REDUCE_STEP], &[fold], wgsl::REDUCE)
    }
}

fn dtype(graph: &Graph, node: &Node) -> Option<DType> {
    types(graph, node).0.first().copied().flatten()
}

impl GpuOp for Reduce {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        let kind = dtype(graph, node).and_then(|dtype| Kind::new(self.kind, dtype));
        kind.map(|_| ()).ok_or_else(|| "it has no GPU kernel for such a type".to_owned())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        use ReduceKind::*;
        let mut all = Vec::new();
        for kind in [Sum, Prod, Mean, Max, Min, Any, All] {
            for dtype in [DType::F32, DType::I32, DType::I64, DType::Bool] {
                let Some(kind) = Kind::new(kind, dtype) else { continue };
                all.extend(lines::SUBGROUPS.map(|lanes| kind.shader(dtype, lanes)));
            }
        }
        all
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input) = (lowering.input(0)?, lowering.arena(0)?);
        let (output, y) = lowering.result()?;
        let Some(kind) = Kind::new(self.kind, x.ty.dtype) else {
            return Err(lowering.refuse("it has no GPU kernel for such a type".to_owned()));
        };
        let status = match kind.leaves {
            "false" => 0,
            _ => lowering.recorder.checked(lowering.label()),
        };
        let lines = Lines::along(&x.shape, self.first, self.count);
        if kind.leaves == "p.axis == 0u" && lines.axis == 0 {
            return Err(lowering.refuse("an empty axis has no extremum of 32 bits".to_owned()));
        }
        let shader = kind.shader(x.ty.dtype, lines::subgroup(lowering.device));
        let call = lines.call(lowering, shader, &[input, output, status])?;
        lowering.dispatch(call.touching(input, x.len as u64).touching(output, y.len as u64))
    }
}

impl GpuOp for Cumsum {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        [DType::F32, DType::I32, DType::I64].map(cumsum_shader).into()
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input) = (lowering.input(0)?, lowering.arena(0)?);
        let (output, y) = lowering.result()?;
        let status = match x.ty.dtype {
            DType::I64 => lowering.recorder.checked(lowering.label()),
            _ => 0,
        };
        let lines = Lines::along(&x.shape, self.axis, 1);
        let mut call = lines.call(lowering, cumsum_shader(x.ty.dtype), &[input, output, status])?;
        // A scan of all threads for each round of the only pass: at most 1 + (8 + 1), and its end.
        call.rounds *= 3;
        lowering.dispatch(call.touching(input, x.len as u64).touching(output, y.len as u64))
    }
}

fn cumsum_shader(dtype: DType) -> Shader {
    let (ty, load, store) = words(dtype);
    let leaves = if dtype == DType::I64 { "add_leaves(a, b)" } else { "false" };
    let text = format!(
        "alias T = {ty};\n\
         fn load(word: u32) -> T {{ return {load}; }}\n\
         fn store(value: T) -> u32 {{ return {store}; }}\n\
         fn leaves(a: T, b: T) -> bool {{ return {leaves}; }}\n"
    );
    lines::shader("cumsum", 0, &[&text], &[], wgsl::CUMSUM)
}

fn arg_shader(subgroup: u32) -> Shader {
    let fold = Fold { name: "folded", element: "vec2<u32>", join: "best" };
    lines::shader("arg_reduce", subgroup, &[wgsl::ARG_STEP], &[fold], wgsl::ARG_REDUCE)
}

impl GpuOp for ArgReduce {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        lines::SUBGROUPS.map(arg_shader).into()
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input) = (lowering.input(0)?, lowering.arena(0)?);
        let (output, y) = lowering.result()?;
        let lines = Lines::along(&x.shape, self.axis, 1);
        let shader = arg_shader(lines::subgroup(lowering.device));
        let mut call = lines.call(lowering, shader, &[input, output])?;
        call.constants.push(("LARGEST", self.largest.into()));
        call.constants.push(("INTEGERS", (x.ty.dtype != DType::F32).into()));
        lowering.dispatch(call.touching(input, x.len as u64).touching(output, y.len as u64))
    }
}
