//! Operators on elements: arithmetic, comparison, logic, functions of one value, conversion, and
//! the activations of `keras.ops.nn`.

use serde_json::Value;

use super::{Operand, promote};
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::Call;
use crate::formats::keras::layers::axes::position;
use crate::graph::{DType, ValueId};
use crate::ops::{Activate, Activation, AxisSlice, BinaryKind, Slice, Softmax, Unary, UnaryKind};

/// One of them, with its options.
#[derive(Clone, Debug)]
pub enum Elementwise {
    /// Of two tensors.
    Binary(BinaryKind),
    /// Of one tensor.
    Unary(UnaryKind),
    /// An activation; one of rows sees this axis.
    Activate(Activation, i64),
    /// Softmax over an axis, or its logarithm.
    Softmax {
        /// The axis.
        axis: i64,
        /// Whether the logarithm is meant.
        log: bool,
    },
    /// Another element type, or the same.
    Cast(Option<DType>),
}

impl Elementwise {
    /// The operator of that class, if it is one of these.
    ///
    /// # Errors
    /// If an option does not have the form that Keras gives it.
    pub fn parse(class: &str, options: &Options<'_>) -> Result<Option<Elementwise>, FormatError> {
        if let Some(kind) = binary_kind(class) {
            return Ok(Some(Elementwise::Binary(kind)));
        }
        if let Some(kind) = unary_kind(class) {
            return Ok(Some(Elementwise::Unary(kind)));
        }
        if let Some(activation) = activation(class, options)? {
            let axis = match class {
                "Glu" | "Sparsemax" => options.i64_or("axis", -1)?,
                _ => -1,
            };
            return Ok(Some(Elementwise::Activate(activation, axis)));
        }
        match class {
            "Softmax" | "LogSoftmax" => {
                let axis = options.i64_or("axis", -1)?;
                Ok(Some(Elementwise::Softmax { axis, log: class == "LogSoftmax" }))
            }
            "Cast" => dtype(options).map(|to| Some(Elementwise::Cast(Some(to)))),
            "ConvertToTensor" => {
                for option in ["sparse", "ragged"] {
                    options.only(option, &Value::Bool(false), "use a dense tensor")?;
                }
                Ok(Some(Elementwise::Cast(optional_dtype(options)?)))
            }
            _ => Ok(None),
        }
    }

    /// Adds the operator to the Graph.
    ///
    /// # Errors
    /// If the arguments do not suit it.
    pub fn call(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        if let Elementwise::Binary(kind) = self {
            let a = Operand::take(call, 0, "x1")?;
            let b = Operand::take(call, 1, "x2")?;
            return binary(call, *kind, a, b);
        }
        let x = call.tensor(0, "x")?.value;
        match *self {
            Elementwise::Unary(kind) => unary(call, kind, x),
            Elementwise::Activate(activation, axis) => {
                // Of these only `tanh` is a function of `keras.ops.numpy`, which takes integers.
                let x = if activation == Activation::Tanh { call.cast(x, DType::F32)? } else { x };
                if activation.is_elementwise() {
                    return call.add(Activate { activation }, &[x]);
                }
                let rank = call.ty(x).rank();
                let axis =
                    position(axis, rank).ok_or_else(|| call.bad_axes("axis", &[axis], rank))?;
                match activation {
                    Activation::Glu => gated(call, x, axis),
                    _ => rows(call, activation, x, axis),
                }
            }
            Elementwise::Softmax { axis, log } => {
                let rank = call.ty(x).rank();
                let axis =
                    position(axis, rank).ok_or_else(|| call.bad_axes("axis", &[axis], rank))?;
                call.add(Softmax { axis, log }, &[x])
            }
            Elementwise::Cast(Some(to)) => call.cast(x, to),
            Elementwise::Cast(None) => Ok(x),
            Elementwise::Binary(_) => Ok(x),
        }
    }
}

fn binary_kind(class: &str) -> Option<BinaryKind> {
    Some(match class {
        "Add" => BinaryKind::Add,
        "Subtract" => BinaryKind::Subtract,
        "Multiply" => BinaryKind::Multiply,
        "Divide" | "TrueDivide" => BinaryKind::Divide,
        "Maximum" => BinaryKind::Maximum,
        "Minimum" => BinaryKind::Minimum,
        "Power" => BinaryKind::Power,
        "FloorDivide" => BinaryKind::FloorDivide,
        "Mod" => BinaryKind::Modulo,
        "Equal" => BinaryKind::Equal,
        "NotEqual" => BinaryKind::NotEqual,
        "Less" => BinaryKind::Less,
        "LessEqual" => BinaryKind::LessEqual,
        "Greater" => BinaryKind::Greater,
        "GreaterEqual" => BinaryKind::GreaterEqual,
        "LogicalAnd" => BinaryKind::And,
        "LogicalOr" => BinaryKind::Or,
        "LogicalXor" => BinaryKind::Xor,
        _ => return None,
    })
}

fn unary_kind(class: &str) -> Option<UnaryKind> {
    Some(match class {
        "Negative" => UnaryKind::Negative,
        "Absolute" => UnaryKind::Absolute,
        "Square" => UnaryKind::Square,
        "Sqrt" => UnaryKind::Sqrt,
        "Rsqrt" => UnaryKind::Rsqrt,
        "Exp" => UnaryKind::Exp,
        "Log" => UnaryKind::Log,
        "Sin" => UnaryKind::Sin,
        "Cos" => UnaryKind::Cos,
        "Erf" => UnaryKind::Erf,
        "Floor" => UnaryKind::Floor,
        "Ceil" => UnaryKind::Ceil,
        "Sign" => UnaryKind::Sign,
        "Tan" => UnaryKind::Tan,
        "Arcsin" => UnaryKind::Asin,
        "Arccos" => UnaryKind::Acos,
        "Arctan" => UnaryKind::Atan,
        "Sinh" => UnaryKind::Sinh,
        "Cosh" => UnaryKind::Cosh,
        "Arcsinh" => UnaryKind::Asinh,
        "Arccosh" => UnaryKind::Acosh,
        "Arctanh" => UnaryKind::Atanh,
        "Log1p" => UnaryKind::Log1p,
        "Expm1" => UnaryKind::Expm1,
        "Log2" => UnaryKind::Log2,
        "Log10" => UnaryKind::Log10,
        "Fabs" => UnaryKind::Absolute,
        "LogicalNot" => UnaryKind::Not,
        _ => return None,
    })
}

fn activation(class: &str, options: &Options<'_>) -> Result<Option<Activation>, FormatError> {
    let number = |option: &str, default: f64| options.f64_or(option, default).map(|x| x as f32);
    let needed = |option: &str| {
        let number = options.optional_f64(option)?;
        number.map(|x| x as f32).ok_or_else(|| options.bad(option, "a number"))
    };
    Ok(Some(match class {
        "Relu" => Activation::Relu,
        "Relu6" => Activation::Relu6,
        "Sigmoid" => Activation::Sigmoid,
        "SparseSigmoid" => Activation::SparseSigmoid,
        "Softplus" => Activation::Softplus,
        "Softsign" => Activation::Softsign,
        "SoftShrink" => Activation::SoftShrink { threshold: number("threshold", 0.5)? },
        "SparsePlus" => Activation::SparsePlus,
        "Silu" => Activation::Silu,
        "Squareplus" => Activation::Squareplus { b: number("b", 4.0)? },
        "LogSigmoid" => Activation::LogSigmoid,
        "LeakyRelu" => Activation::LeakyRelu { negative_slope: number("negative_slope", 0.2)? },
        "HardSigmoid" => Activation::HardSigmoid,
        "HardSilu" => Activation::HardSilu,
        "Elu" => Activation::Elu { alpha: number("alpha", 1.0)? },
        "Selu" => Activation::Selu,
        "Gelu" => Activation::Gelu { approximate: options.bool_or("approximate", true)? },
        "Celu" => Activation::Celu { alpha: number("alpha", 1.0)? },
        "Glu" => Activation::Glu,
        "Tanh" => Activation::Tanh,
        "TanhShrink" => Activation::TanhShrink,
        "HardTanh" => Activation::HardTanh,
        "HardShrink" => Activation::HardShrink { threshold: number("threshold", 0.5)? },
        "Threshold" => Activation::Threshold {
            threshold: needed("threshold")?,
            value: needed("default_value")?,
        },
        "Sparsemax" => Activation::Sparsemax,
        _ => return Ok(None),
    }))
}

fn dtype(options: &Options<'_>) -> Result<DType, FormatError> {
    optional_dtype(options)?.ok_or_else(|| options.bad("dtype", "the name of an element type"))
}

/// The element type that the option `dtype` names, if it does.
///
/// # Errors
/// If it names another than those that are computed in.
pub fn optional_dtype(options: &Options<'_>) -> Result<Option<DType>, FormatError> {
    Ok(Some(match options.optional_str("dtype")? {
        Some("float32") => DType::F32,
        Some("int32") => DType::I32,
        Some("int64") => DType::I64,
        Some("bool") => DType::Bool,
        Some(_) => return Err(options.unsupported("dtype", "use float32, int32, int64 or bool")),
        None => return Ok(None),
    }))
}

fn binary(
    call: &mut Call<'_>,
    kind: BinaryKind,
    a: Operand,
    b: Operand,
) -> Result<ValueId, FormatError> {
    let operand = match kind {
        kind if kind.is_logical() => DType::Bool,
        // Constants become tensors before types are compared, so that a number is no weaker there.
        kind if kind.gives_bool() => promote(a.strong(call), b.strong(call)).dtype(),
        BinaryKind::Divide => DType::F32,
        _ => promote(a.level(call), b.level(call)).dtype(),
    };
    let operand = match (kind, operand) {
        (BinaryKind::Modulo | BinaryKind::FloorDivide, DType::Bool) => DType::I32,
        _ => operand,
    };
    // Arithmetic of truth values is none in TensorFlow either, and the order of two means nothing.
    let (a, b) = (a.value(call, operand)?, b.value(call, operand)?);
    let compared = kind.gives_bool() && !kind.is_logical();
    if compared
        && operand == DType::Bool
        && !matches!(kind, BinaryKind::Equal | BinaryKind::NotEqual)
    {
        let (a, b) = (call.cast(a, DType::I32)?, call.cast(b, DType::I32)?);
        return call.binary(kind, a, b);
    }
    call.binary(kind, a, b)
}

fn unary(call: &mut Call<'_>, kind: UnaryKind, x: ValueId) -> Result<ValueId, FormatError> {
    let dtype = call.ty(x).dtype;
    let x = match (kind, dtype) {
        (UnaryKind::Not, _) => call.cast(x, DType::Bool)?,
        (UnaryKind::Absolute, DType::Bool) => return Ok(x),
        (UnaryKind::Square, DType::Bool | DType::I32 | DType::I64) => {
            let to = if dtype == DType::Bool { DType::I32 } else { dtype };
            let x = call.cast(x, to)?;
            return call.binary(BinaryKind::Multiply, x, x);
        }
        (UnaryKind::Negative | UnaryKind::Absolute, DType::I32 | DType::I64) => {
            let zero = Operand::Int(0).value(call, dtype)?;
            let negative = call.binary(BinaryKind::Subtract, zero, x)?;
            return match kind {
                UnaryKind::Negative => Ok(negative),
                _ => call.binary(BinaryKind::Maximum, x, negative),
            };
        }
        (UnaryKind::Sign, DType::I32 | DType::I64) => {
            // Every sign is a number of `f32`.
            let float = call.float(x)?;
            let sign = call.unary(UnaryKind::Sign, float)?;
            return call.cast(sign, dtype);
        }
        (UnaryKind::Rsqrt | UnaryKind::Erf, _) => x,
        _ => call.cast(x, DType::F32)?,
    };
    call.add(Unary { kind }, &[x])
}

/// An activation of rows along `axis`.
fn rows(
    call: &mut Call<'_>,
    activation: Activation,
    x: ValueId,
    axis: usize,
) -> Result<ValueId, FormatError> {
    let mut order: Vec<usize> = (0..call.ty(x).rank()).collect();
    if let Some(last) = order.len().checked_sub(1) {
        order.swap(axis, last);
    }
    let turned = call.transpose(x, &order)?;
    let y = call.add(Activate { activation }, &[turned])?;
    // Swapping two axes undoes itself.
    call.transpose(y, &order)
}

/// GLU: the first half of an axis times the sigmoid of its second half (Dauphin et al. 2017).
fn gated(call: &mut Call<'_>, x: ValueId, axis: usize) -> Result<ValueId, FormatError> {
    let size = call.ty(x).dims.get(axis).and_then(|dim| dim.known());
    let Some(half) = size.filter(|size| size % 2 == 0).map(|size| (size / 2) as i64) else {
        return Err(call.bad("x", call.ty(x), format!("an even size of axis {axis}")));
    };
    let part = |start, stop| Slice { axes: vec![AxisSlice { axis, start, stop, step: 1 }] };
    let values = call.add(part(None, Some(half)), &[x])?;
    let gates = call.add(part(Some(half), None), &[x])?;
    let gates = call.add(Activate { activation: Activation::Sigmoid }, &[gates])?;
    call.binary(BinaryKind::Multiply, values, gates)
}
