//! What is folded: the start, the step and the end of each reduction.

/// A reduction. A short run of values is folded in the type itself, side by side with others;
/// the runs are then folded in `Total`, so that long sums lose few digits.
pub trait Fold {
    type Value: Copy + Send + Sync;
    type Total: Copy;
    const START: Self::Value;
    const START_TOTAL: Self::Total;
    fn step(run: Self::Value, value: Self::Value) -> Self::Value;
    fn join(total: Self::Total, run: Self::Value) -> Self::Total;
    fn end(total: Self::Total) -> Self::Value;
}

/// A number that can be summed, multiplied and ordered. Integers wrap around as in TensorFlow; an
/// extremum with a NaN among the values is NaN.
pub trait Number: Copy + Send + Sync + private::Folds {}

impl Number for f32 {}
impl Number for f64 {}
impl Number for i32 {}
impl Number for i64 {}
impl Number for u64 {}

/// Keeps the folds out of the interface.
pub(super) mod private {
    use super::Fold;

    pub trait Folds: Sized {
        type Sum: Fold<Value = Self>;
        type Prod: Fold<Value = Self>;
        type Max: Fold<Value = Self>;
        type Min: Fold<Value = Self>;
    }
}

macro_rules! fold {
    ($name:ident, $value:ty, $total:ty, $start:expr, $step:expr, $join:expr) => {
        pub struct $name;
        impl Fold for $name {
            type Value = $value;
            type Total = $total;
            const START: $value = $start;
            const START_TOTAL: $total = $start as $total;
            #[inline(always)]
            fn step(run: $value, value: $value) -> $value {
                $step(run, value)
            }
            #[inline(always)]
            fn join(total: $total, run: $value) -> $total {
                $join(total, run)
            }
            #[inline(always)]
            fn end(total: $total) -> $value {
                total as $value
            }
        }
    };
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    crate::lanes::larger(a, b)
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if (a < b) | a.is_nan() { a } else { b }
}

#[inline(always)]
fn larger_f64(a: f64, b: f64) -> f64 {
    if (a > b) | a.is_nan() { a } else { b }
}

#[inline(always)]
fn smaller_f64(a: f64, b: f64) -> f64 {
    if (a < b) | a.is_nan() { a } else { b }
}

fold!(SumF32, f32, f64, 0.0, |a: f32, b| a + b, |a: f64, b: f32| a + f64::from(b));
fold!(ProdF32, f32, f32, 1.0, |a: f32, b| a * b, |a: f32, b| a * b);
fold!(MaxF32, f32, f32, f32::NEG_INFINITY, larger, larger);
fold!(MinF32, f32, f32, f32::INFINITY, smaller, smaller);
fold!(SumF64, f64, f64, 0.0, |a: f64, b| a + b, |a: f64, b: f64| a + b);
fold!(ProdF64, f64, f64, 1.0, |a: f64, b| a * b, |a: f64, b| a * b);
fold!(MaxF64, f64, f64, f64::NEG_INFINITY, larger_f64, larger_f64);
fold!(MinF64, f64, f64, f64::INFINITY, smaller_f64, smaller_f64);
fold!(SumI32, i32, i32, 0, i32::wrapping_add, i32::wrapping_add);
fold!(ProdI32, i32, i32, 1, i32::wrapping_mul, i32::wrapping_mul);
fold!(MaxI32, i32, i32, i32::MIN, i32::max, i32::max);
fold!(MinI32, i32, i32, i32::MAX, i32::min, i32::min);
fold!(SumI64, i64, i64, 0, i64::wrapping_add, i64::wrapping_add);
fold!(ProdI64, i64, i64, 1, i64::wrapping_mul, i64::wrapping_mul);
fold!(MaxI64, i64, i64, i64::MIN, i64::max, i64::max);
fold!(MinI64, i64, i64, i64::MAX, i64::min, i64::min);
fold!(SumU64, u64, u64, 0, u64::wrapping_add, u64::wrapping_add);
fold!(ProdU64, u64, u64, 1, u64::wrapping_mul, u64::wrapping_mul);
fold!(MaxU64, u64, u64, u64::MIN, u64::max, u64::max);
fold!(MinU64, u64, u64, u64::MAX, u64::min, u64::min);
fold!(Any, u8, u8, 0, |a, b| a | u8::from(b != 0), |a, b| a | b);
fold!(All, u8, u8, 1, |a, b| a & u8::from(b != 0), |a, b| a & b);

macro_rules! folds {
    ($value:ty, $sum:ident, $prod:ident, $max:ident, $min:ident) => {
        impl private::Folds for $value {
            type Sum = $sum;
            type Prod = $prod;
            type Max = $max;
            type Min = $min;
        }
    };
}
folds!(f32, SumF32, ProdF32, MaxF32, MinF32);
folds!(f64, SumF64, ProdF64, MaxF64, MinF64);
folds!(i32, SumI32, ProdI32, MaxI32, MinI32);
folds!(i64, SumI64, ProdI64, MaxI64, MinI64);
folds!(u64, SumU64, ProdU64, MaxU64, MinU64);
