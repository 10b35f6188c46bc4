//! Operands of operators, and the type that Keras computes in for two of them.

use serde_json::Value;

use crate::formats::FormatError;
use crate::formats::keras::layers::{Arg, Call};
use crate::graph::{DType, Data, Tensor, ValueId};

/// An operand: a tensor, or a number of Python's, whose type gives way to a tensor's.
#[derive(Clone, Copy, Debug)]
pub enum Operand {
    /// A tensor.
    Value(ValueId),
    /// Python's `int`.
    Int(i64),
    /// Python's `float`.
    Float(f64),
    /// Python's `bool`.
    Bool(bool),
}

/// The types of Keras's promotion lattice that occur here, each below those that it gives way to
/// (`keras.src.backend.common.dtypes`): the least upper bound of two is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Truth values.
    Bool,
    /// A Python `int`.
    WeakInt,
    /// 32-bit integers.
    I32,
    /// 64-bit integers.
    I64,
    /// A Python `float`.
    WeakFloat,
    /// 32-bit floating point.
    F32,
    /// Text, which no operator here takes, and types that no layer gives.
    Str,
}

impl Level {
    fn of(dtype: DType) -> Level {
        match dtype {
            DType::Bool => Level::Bool,
            DType::I32 => Level::I32,
            DType::I64 => Level::I64,
            DType::F32 => Level::F32,
            _ => Level::Str,
        }
    }

    /// The element type that stands for it.
    pub fn dtype(self) -> DType {
        match self {
            Level::Bool => DType::Bool,
            Level::WeakInt | Level::I32 => DType::I32,
            Level::I64 => DType::I64,
            Level::WeakFloat | Level::F32 => DType::F32,
            Level::Str => DType::Str,
        }
    }
}

impl Operand {
    /// Takes the argument at `position`, or of that name.
    ///
    /// # Errors
    /// If it is absent, or neither a tensor nor a number.
    pub fn take(call: &mut Call<'_>, position: usize, name: &str) -> Result<Operand, FormatError> {
        match call.take(position, name) {
            Some(arg) => Operand::from_arg(call, arg, name),
            None => Err(call.refuse(format!("argument '{name}' is missing"))),
        }
    }

    /// What an argument stands for.
    ///
    /// # Errors
    /// If it is neither a tensor nor a number.
    pub fn from_arg(call: &mut Call<'_>, arg: Arg, name: &str) -> Result<Operand, FormatError> {
        let number = match arg {
            Arg::Tensor(tensor) => return Ok(Operand::Value(tensor.value)),
            Arg::Array(array) => return Ok(Operand::Value(call.constant(array))),
            Arg::Const(Value::Bool(truth)) => Some(Operand::Bool(truth)),
            Arg::Const(value) => match value.as_i64() {
                Some(number) => Some(Operand::Int(number)),
                None => crate::formats::keras::json::number(&value).map(Operand::Float),
            },
            _ => None,
        };
        number.ok_or_else(|| {
            call.refuse(format!("argument '{name}' is neither a tensor nor a number"))
        })
    }

    /// Its place in the lattice, a number of Python's below tensors of its kind.
    pub fn level(self, call: &Call<'_>) -> Level {
        match self {
            Operand::Value(value) => Level::of(call.ty(value).dtype),
            Operand::Int(_) => Level::WeakInt,
            Operand::Float(_) => Level::WeakFloat,
            Operand::Bool(_) => Level::Bool,
        }
    }

    /// Its place once it has become a tensor, where operators do that first.
    pub fn strong(self, call: &Call<'_>) -> Level {
        Level::of(self.level(call).dtype())
    }

    /// It as a tensor of type `to`.
    ///
    /// # Errors
    /// If it is text, or a number that the type does not hold.
    pub fn value(self, call: &mut Call<'_>, to: DType) -> Result<ValueId, FormatError> {
        let int = match self {
            Operand::Value(value) => return call.cast(value, to),
            Operand::Int(number) => Some(number),
            Operand::Bool(truth) => Some(i64::from(truth)),
            // Every i64 has its neighbours in f64; beyond 2^53 a Python float is no integer's.
            Operand::Float(x) if x.fract() == 0.0 && x.abs() < 9.0e15 => Some(x as i64),
            Operand::Float(_) => None,
        };
        let data = match (to, self, int) {
            (DType::F32, Operand::Float(x), _) => Some(Data::F32(vec![x as f32])),
            (DType::F32, _, Some(number)) => Some(Data::F32(vec![number as f32])),
            (DType::I32, _, Some(number)) => {
                i32::try_from(number).ok().map(|number| Data::I32(vec![number]))
            }
            (DType::I64, _, Some(number)) => Some(Data::I64(vec![number])),
            (DType::Bool, Operand::Float(x), _) => Some(Data::Bool(vec![x != 0.0])),
            (DType::Bool, _, Some(number)) => Some(Data::Bool(vec![number != 0])),
            _ => None,
        };
        let tensor = data.and_then(|data| Tensor::new(Vec::new(), data).ok());
        match tensor {
            Some(tensor) => Ok(call.constant(tensor)),
            None => Err(call.refuse(format!("{self:?} is no number of type {to}"))),
        }
    }
}
