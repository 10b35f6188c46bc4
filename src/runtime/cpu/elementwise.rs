//! Elementwise operators: arithmetic, comparison, logic, conversion.

use bytemuck::{AnyBitPattern, NoUninit};
use seqfuse_kernels::elementwise::{
    self as kernels, Arithmetic, Bitwise, Comparison, Elements, ElementsMut, IntegerUnary, Logical,
    Tensor,
};
use seqfuse_kernels::layout::MAX_RANK;

use super::layout::{Moved, by_size};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::graph::DType;
use crate::ops::{Binary, BinaryKind, Cast, Unary, UnaryKind};
use crate::plan::Operand;
use crate::runtime::RunError;

/// Which family of kernels computes a binary operator.
#[derive(Clone, Copy, Debug)]
enum Family {
    Arithmetic(Arithmetic),
    Comparison(Comparison),
    Logical(Logical),
    Bitwise(Bitwise),
}

fn family(kind: BinaryKind) -> Family {
    match kind {
        BinaryKind::Add => Family::Arithmetic(Arithmetic::Add),
        BinaryKind::Subtract => Family::Arithmetic(Arithmetic::Sub),
        BinaryKind::Multiply => Family::Arithmetic(Arithmetic::Mul),
        BinaryKind::Divide => Family::Arithmetic(Arithmetic::Div),
        BinaryKind::Maximum => Family::Arithmetic(Arithmetic::Max),
        BinaryKind::Minimum => Family::Arithmetic(Arithmetic::Min),
        BinaryKind::Power => Family::Arithmetic(Arithmetic::Pow),
        BinaryKind::FloorDivide => Family::Arithmetic(Arithmetic::FloorDiv),
        BinaryKind::Modulo => Family::Arithmetic(Arithmetic::Mod),
        BinaryKind::Remainder => Family::Arithmetic(Arithmetic::Rem),
        BinaryKind::BitAnd => Family::Bitwise(Bitwise::And),
        BinaryKind::BitOr => Family::Bitwise(Bitwise::Or),
        BinaryKind::BitXor => Family::Bitwise(Bitwise::Xor),
        BinaryKind::ShiftLeft => Family::Bitwise(Bitwise::ShiftLeft),
        BinaryKind::ShiftRight => Family::Bitwise(Bitwise::ShiftRight),
        BinaryKind::Equal => Family::Comparison(Comparison::Equal),
        BinaryKind::NotEqual => Family::Comparison(Comparison::NotEqual),
        BinaryKind::Less => Family::Comparison(Comparison::Less),
        BinaryKind::LessEqual => Family::Comparison(Comparison::LessEqual),
        BinaryKind::Greater => Family::Comparison(Comparison::Greater),
        BinaryKind::GreaterEqual => Family::Comparison(Comparison::GreaterEqual),
        BinaryKind::And => Family::Logical(Logical::And),
        BinaryKind::Or => Family::Logical(Logical::Or),
        BinaryKind::Xor => Family::Logical(Logical::Xor),
    }
}

fn tensor<'a, T: AnyBitPattern>(env: &'a Env<'_>, operand: &'a Operand) -> Tensor<'a, T> {
    Tensor { values: env.get(operand), shape: &operand.shape }
}

impl CpuOp for Binary {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (a, b, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        if a.shape.len().max(b.shape.len()) > MAX_RANK {
            return Err(lowering.refuse(format!("at most {MAX_RANK} dimensions are possible")));
        }
        let name = lowering.graph.node(lowering.step.node).name.clone();
        let op_name = self.kind.name();
        match (family(self.kind), a.ty.dtype) {
            (Family::Arithmetic(op), dtype) => call(y, move |env, out| {
                let result = match dtype {
                    DType::I32 => arithmetic::<i32>(env, op, &a, &b, out, y),
                    DType::I64 => arithmetic::<i64>(env, op, &a, &b, out, y),
                    DType::U64 => arithmetic::<u64>(env, op, &a, &b, out, y),
                    DType::F64 => arithmetic::<f64>(env, op, &a, &b, out, y),
                    _ => arithmetic::<f32>(env, op, &a, &b, out, y),
                };
                result.map_err(|undefined| RunError::Unsupported {
                    node: name.clone(),
                    op: op_name,
                    device: "cpu",
                    reason: undefined.to_string(),
                })
            }),
            (Family::Comparison(op), dtype) => call(y, move |env, out| {
                match dtype {
                    DType::I32 => compare::<i32>(env, op, &a, &b, out, y),
                    DType::I64 => compare::<i64>(env, op, &a, &b, out, y),
                    DType::U64 => compare::<u64>(env, op, &a, &b, out, y),
                    DType::F64 => compare::<f64>(env, op, &a, &b, out, y),
                    DType::Bool => compare::<u8>(env, op, &a, &b, out, y),
                    _ => compare::<f32>(env, op, &a, &b, out, y),
                }
                Ok(())
            }),
            (Family::Bitwise(op), dtype) => call(y, move |env, out| {
                match dtype {
                    DType::I32 => bitwise::<i32>(env, op, &a, &b, out, y),
                    DType::U64 => bitwise::<u64>(env, op, &a, &b, out, y),
                    _ => bitwise::<i64>(env, op, &a, &b, out, y),
                }
                Ok(())
            }),
            (Family::Logical(op), _) => call(y, move |env, out| {
                let out = out.get_mut::<u8>(y.len);
                kernels::logical(env.cpu, op, tensor(env, &a), tensor(env, &b), out);
                Ok(())
            }),
        }
    }
}

fn arithmetic<T: kernels::Number + AnyBitPattern + NoUninit>(
    env: &Env<'_>,
    op: Arithmetic,
    a: &Operand,
    b: &Operand,
    out: &mut Buffer,
    y: Target,
) -> Result<(), kernels::UndefinedArithmetic> {
    kernels::arithmetic::<T>(env.cpu, op, tensor(env, a), tensor(env, b), out.get_mut(y.len))
}

fn compare<T: AnyBitPattern + PartialOrd + Send + Sync>(
    env: &Env<'_>,
    op: Comparison,
    a: &Operand,
    b: &Operand,
    out: &mut Buffer,
    y: Target,
) {
    kernels::compare::<T>(env.cpu, op, tensor(env, a), tensor(env, b), out.get_mut(y.len));
}

fn bitwise<T: kernels::Bits + AnyBitPattern + NoUninit>(
    env: &Env<'_>,
    op: Bitwise,
    a: &Operand,
    b: &Operand,
    out: &mut Buffer,
    y: Target,
) {
    kernels::bitwise::<T>(env.cpu, op, tensor(env, a), tensor(env, b), out.get_mut(y.len));
}

/// The function of an integer that a kind is, where it is one.
fn of_integers(kind: UnaryKind) -> Option<IntegerUnary> {
    match kind {
        UnaryKind::Negative => Some(IntegerUnary::Neg),
        UnaryKind::Absolute => Some(IntegerUnary::Abs),
        UnaryKind::Square => Some(IntegerUnary::Square),
        UnaryKind::Sign => Some(IntegerUnary::Sign),
        _ => None,
    }
}

impl CpuOp for Unary {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        match (of_integers(self.kind), x.ty.dtype) {
            (Some(op), DType::I32) => {
                return call(y, move |env, out| {
                    kernels::unary_integer::<i32>(env.cpu, op, env.get(&x), out.get_mut(y.len));
                    Ok(())
                });
            }
            (Some(op), DType::I64) => {
                return call(y, move |env, out| {
                    kernels::unary_integer::<i64>(env.cpu, op, env.get(&x), out.get_mut(y.len));
                    Ok(())
                });
            }
            _ => {}
        }
        let op = match self.kind {
            UnaryKind::BitNot => {
                let four = x.ty.dtype == DType::I32;
                return call(y, move |env, out| {
                    match four {
                        true => {
                            kernels::bitwise_not::<i32>(env.cpu, env.get(&x), out.get_mut(y.len))
                        }
                        false => {
                            kernels::bitwise_not::<i64>(env.cpu, env.get(&x), out.get_mut(y.len))
                        }
                    }
                    Ok(())
                });
            }
            UnaryKind::Not => {
                return call(y, move |env, out| {
                    kernels::not(env.get(&x), out.get_mut(y.len));
                    Ok(())
                });
            }
            UnaryKind::Negative => kernels::Unary::Neg,
            UnaryKind::Absolute => kernels::Unary::Abs,
            UnaryKind::Square => kernels::Unary::Square,
            UnaryKind::Sqrt => kernels::Unary::Sqrt,
            UnaryKind::Rsqrt => kernels::Unary::Rsqrt,
            UnaryKind::Exp => kernels::Unary::Exp,
            UnaryKind::Log => kernels::Unary::Log,
            UnaryKind::Sin => kernels::Unary::Sin,
            UnaryKind::Cos => kernels::Unary::Cos,
            UnaryKind::Erf => kernels::Unary::Erf,
            UnaryKind::Floor => kernels::Unary::Floor,
            UnaryKind::Ceil => kernels::Unary::Ceil,
            UnaryKind::Round => kernels::Unary::Round,
            UnaryKind::Sign => kernels::Unary::Sign,
            UnaryKind::Tan => kernels::Unary::Tan,
            UnaryKind::Asin => kernels::Unary::Asin,
            UnaryKind::Acos => kernels::Unary::Acos,
            UnaryKind::Atan => kernels::Unary::Atan,
            UnaryKind::Sinh => kernels::Unary::Sinh,
            UnaryKind::Cosh => kernels::Unary::Cosh,
            UnaryKind::Asinh => kernels::Unary::Asinh,
            UnaryKind::Acosh => kernels::Unary::Acosh,
            UnaryKind::Atanh => kernels::Unary::Atanh,
            UnaryKind::Log1p => kernels::Unary::Log1p,
            UnaryKind::Expm1 => kernels::Unary::Expm1,
            UnaryKind::Log2 => kernels::Unary::Log2,
            UnaryKind::Log10 => kernels::Unary::Log10,
        };
        let is_wide = x.ty.dtype == DType::F64;
        call(y, move |env, out| {
            match is_wide {
                true => kernels::unary_f64(env.cpu, op, env.get(&x), out.get_mut(y.len)),
                false => kernels::unary(env.cpu, op, env.get(&x), out.get_mut(y.len)),
            }
            Ok(())
        })
    }
}

impl CpuOp for Cast {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y, to) = (lowering.input(0)?, lowering.result()?, self.to);
        if x.ty.dtype == DType::Str || to == DType::Str {
            return Err(lowering.refuse("text converts on the host".to_owned()));
        }
        call(y, move |env, out| {
            if x.ty.dtype == to {
                by_size!(x, same(env, &x, out));
            } else if let (Some(x), Some(out)) = (elements(env, &x), elements_mut(out, to, y.len)) {
                kernels::cast(env.cpu, x, out);
            }
            Ok(())
        })
    }
}

/// The elements of an operand by their type; `None` for text.
fn elements<'a>(env: &'a Env<'_>, x: &'a Operand) -> Option<Elements<'a>> {
    Some(match x.ty.dtype {
        DType::F32 => Elements::F32(env.get(x)),
        DType::F64 => Elements::F64(env.get(x)),
        DType::F16 => Elements::F16(env.get(x)),
        DType::I8 => Elements::I8(env.get(x)),
        DType::I16 => Elements::I16(env.get(x)),
        DType::I32 => Elements::I32(env.get(x)),
        DType::I64 => Elements::I64(env.get(x)),
        DType::U8 => Elements::U8(env.get(x)),
        DType::U16 => Elements::U16(env.get(x)),
        DType::U32 => Elements::U32(env.get(x)),
        DType::U64 => Elements::U64(env.get(x)),
        DType::Bool => Elements::Bool(env.get(x)),
        DType::Str => return None,
    })
}

/// The first `len` elements of a buffer, to be written as `dtype`; `None` for text.
fn elements_mut(out: &mut Buffer, dtype: DType, len: usize) -> Option<ElementsMut<'_>> {
    Some(match dtype {
        DType::F32 => ElementsMut::F32(out.get_mut(len)),
        DType::F64 => ElementsMut::F64(out.get_mut(len)),
        DType::F16 => ElementsMut::F16(out.get_mut(len)),
        DType::I8 => ElementsMut::I8(out.get_mut(len)),
        DType::I16 => ElementsMut::I16(out.get_mut(len)),
        DType::I32 => ElementsMut::I32(out.get_mut(len)),
        DType::I64 => ElementsMut::I64(out.get_mut(len)),
        DType::U8 => ElementsMut::U8(out.get_mut(len)),
        DType::U16 => ElementsMut::U16(out.get_mut(len)),
        DType::U32 => ElementsMut::U32(out.get_mut(len)),
        DType::U64 => ElementsMut::U64(out.get_mut(len)),
        DType::Bool => ElementsMut::Bool(out.get_mut(len)),
        DType::Str => return None,
    })
}

fn same<T: Moved>(env: &Env<'_>, x: &Operand, out: &mut Buffer) {
    out.get_mut::<T>(x.len).copy_from_slice(env.get(x));
}
