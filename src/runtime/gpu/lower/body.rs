//! The WGSL of generated element-wise kernels.

use seqfuse_kernels::wgsl;

#[cfg(test)]
use super::lowering::GpuOp;
#[cfg(test)]
use super::pointwise::Expression;
use crate::graph::DType;
use crate::runtime::gpu::Shader;

/// How a kernel finds an operand's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One element, among the parameters.
    Word,
    /// In the arena.
    Arena {
        /// Whether at the result's index, and not by strides.
        flat: bool,
    },
    /// In the weights.
    Weights {
        /// The same.
        flat: bool,
    },
}

impl Reach {
    /// Whether its place follows from strides.
    pub fn is_strided(self) -> bool {
        matches!(self, Reach::Arena { flat: false } | Reach::Weights { flat: false })
    }
}

fn wgsl_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "f32",
        DType::Bool => "bool",
        _ => "i32",
    }
}

/// A kernel as WGSL.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// The types of the operands `x0`, `x1`, … and where they are.
    pub loads: &'a [(DType, Reach)],
    /// The types of the values `v0`, `v1`, … and the expressions that make them.
    pub lines: &'a [(DType, String)],
    /// Conditions that set the status.
    pub fails: &'a [String],
    /// The numbers of the values that are written.
    pub stores: &'a [usize],
}

impl Body<'_> {
    /// The module.
    pub fn shader(&self) -> Shader {
        let text = [
            self.parameters(),
            "@compute @workgroup_size(256)\n\
             fn main(@builtin(workgroup_id) group: vec3<u32>, \
             @builtin(local_invocation_index) lane: u32) {\n    \
             let i = (group.y * p.row_width + group.x) * 256u + lane;\n    \
             if i >= p.count { return; }\n"
                .to_owned(),
            self.places(),
            self.reads(),
            self.values(),
            "}\n".to_owned(),
        ];
        Shader::new("elementwise", &[wgsl::ELEMENTWISE, &text.concat()])
    }

    fn strided(&self) -> usize {
        self.loads.iter().filter(|(_, reach)| reach.is_strided()).count()
    }

    /// The declaration of the parameters.
    fn parameters(&self) -> String {
        let mut lines = vec![
            "struct Params { row_width: u32, count: u32, rank: u32, status: u32,".to_owned(),
            "    shape: array<vec4<u32>, 2>,".to_owned(),
        ];
        if !self.loads.is_empty() {
            lines.push(format!("    bases: array<vec4<u32>, {}>,", self.loads.len().div_ceil(4)));
        }
        let outputs = self.stores.len().div_ceil(4).max(1);
        lines.push(format!("    outputs: array<vec4<u32>, {outputs}>,"));
        let strides = |k| format!("    strides{k}: array<vec4<u32>, 2>,");
        lines.extend((0..self.strided()).map(strides));
        lines.join("\n") + "\n}\n"
    }

    /// Where element `i` stands in each operand that is read by strides.
    fn places(&self) -> String {
        let count = self.strided();
        if count == 0 {
            return String::new();
        }
        let starts: String = (0..count).map(|k| format!("    var at{k} = 0u;\n")).collect();
        let step = |k| format!("        at{k} += at * p.strides{k}[k / 4u][k % 4u];\n");
        let steps: String = (0..count).map(step).collect();
        format!(
            "{starts}    var rest = i;\n    \
             for (var d = p.rank; d > 0u; d--) {{\n        \
             let k = d - 1u;\n        \
             let size = p.shape[k / 4u][k % 4u];\n        \
             let at = rest % size;\n        \
             rest /= size;\n{steps}    }}\n"
        )
    }

    fn reads(&self) -> String {
        let mut next = 0;
        let read = |(k, (dtype, reach)): (usize, &(DType, Reach))| {
            let base = format!("p.bases[{}][{}]", k / 4, k % 4);
            let index = match reach.is_strided() {
                false => "i".to_owned(),
                true => {
                    next += 1;
                    format!("at{}", next - 1)
                }
            };
            let word = match reach {
                Reach::Word => base,
                Reach::Arena { .. } => format!("arena[{base} + {index}]"),
                Reach::Weights { .. } => format!("weights[{base} + {index}]"),
            };
            let value = match dtype {
                DType::F32 => format!("float({word})"),
                DType::Bool => format!("{word} != 0u"),
                _ => format!("signed({word})"),
            };
            format!("    let x{k}: {} = {value};\n", wgsl_type(*dtype))
        };
        self.loads.iter().enumerate().map(read).collect()
    }

    fn values(&self) -> String {
        let mut text = String::new();
        for (k, (dtype, line)) in self.lines.iter().enumerate() {
            text += &format!("    let v{k}: {} = {line};\n", wgsl_type(*dtype));
        }
        for fails in self.fails {
            text += &format!("    if {fails} {{ atomicMax(&status[p.status], 1u); }}\n");
        }
        for (k, step) in self.stores.iter().enumerate() {
            let word = match self.lines.get(*step).map(|(dtype, _)| *dtype) {
                Some(DType::F32) => format!("bits(v{step})"),
                Some(DType::Bool) => format!("word_of(v{step})"),
                _ => format!("bitcast<u32>(v{step})"),
            };
            text += &format!("    arena[p.outputs[{}][{}] + i] = {word};\n", k / 4, k % 4);
        }
        text
    }
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
    Body { loads: &loads, lines: &lines, fails: &fails, stores: &[0] }.shader()
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
