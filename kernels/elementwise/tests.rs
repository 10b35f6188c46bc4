//! Broadcasting against plain index arithmetic, and the rules of each operator as TensorFlow
//! has them.

use super::*;
use crate::activation::{Activation, reference};
use crate::fixtures::{Bits, each_isa, integers, numbers};
use crate::layout::reference::broadcast_to;
use crate::layout::{MAX_RANK, element_count};
use crate::{Cpu, Isa, Pool};
use half::f16;

type Function = fn(f32) -> f32;
type Binary = fn(f32, f32) -> f32;

/// Pairs of shapes: equal, scalar, bias, column, crossed, empty, of rank 8, and large.
const SHAPES: &[(&[usize], &[usize])] = &[
    (&[], &[]),
    (&[1], &[17]),
    (&[33], &[33]),
    (&[40_000], &[40_000]),
    (&[2, 3, 16], &[16]),
    (&[16], &[2, 3, 16]),
    (&[700, 50], &[700, 1]),
    (&[5, 1, 4], &[1, 7, 1]),
    (&[3, 1], &[1, 15]),
    (&[2, 0, 3], &[3]),
    (&[0], &[1]),
    (&[1, 2, 1, 3, 1, 2, 1, 5], &[2, 1, 2, 3, 1, 1, 2, 5]),
    (&[3, 4, 5], &[]),
];

fn out_shape(shapes: &[&[usize]]) -> Vec<usize> {
    let mut out = [0; MAX_RANK];
    let rank = broadcast_shape(shapes, &mut out).expect("the shapes fit");
    out[..rank].to_vec()
}

fn check<A: Copy, R: Bits + Default + PartialEq + std::fmt::Debug>(
    (lhs, rhs): (Tensor<A>, Tensor<A>),
    want: impl Fn(A, A) -> R,
    call: impl Fn(Cpu, Tensor<A>, Tensor<A>, &mut [R]),
) {
    let shape = out_shape(&[lhs.shape, rhs.shape]);
    let left = broadcast_to(lhs.values, lhs.shape, &shape);
    let right = broadcast_to(rhs.values, rhs.shape, &shape);
    let want: Vec<R> = left.iter().zip(&right).map(|(&a, &b)| want(a, b)).collect();
    for (isa, got) in each_isa(|cpu| {
        let mut out = vec![R::default(); want.len()];
        call(cpu, lhs, rhs, &mut out);
        out
    }) {
        assert!(got == want, "{isa:?} {:?} and {:?}", lhs.shape, rhs.shape);
    }
}

#[test]
fn operands_broadcast_as_in_numpy() {
    for &(a, b) in SHAPES {
        let x = numbers(element_count(a), 1);
        let y = numbers(element_count(b), 2);
        let pair = (Tensor { values: &x, shape: a }, Tensor { values: &y, shape: b });
        let ops: [(Arithmetic, Binary); 5] = [
            (Arithmetic::Add, |a, b| a + b),
            (Arithmetic::Sub, |a, b| a - b),
            (Arithmetic::Mul, |a, b| a * b),
            (Arithmetic::Div, |a, b| a / b),
            (Arithmetic::Max, f32::max),
        ];
        for (op, want) in ops {
            check(pair, want, |cpu, lhs, rhs, out| {
                arithmetic(cpu, op, lhs, rhs, out).expect("floats are always defined");
            });
        }
        check(
            pair,
            |a, b| u8::from(a < b),
            |cpu, lhs, rhs, out| {
                compare(cpu, Comparison::Less, lhs, rhs, out);
            },
        );
        let x: Vec<u8> = integers(element_count(a), 3, 3).iter().map(|&v| v as u8).collect();
        let y: Vec<u8> = integers(element_count(b), 4, 3).iter().map(|&v| v as u8).collect();
        let pair = (Tensor { values: &x[..], shape: a }, Tensor { values: &y[..], shape: b });
        check(
            pair,
            |a, b| u8::from(a != 0 && b != 0),
            |cpu, lhs, rhs, out| {
                logical(cpu, Logical::And, lhs, rhs, out);
            },
        );
    }
}

#[test]
fn assigning_changes_the_left_operand_in_place() {
    for &(a, b) in SHAPES {
        if !broadcasts_to(b, a) {
            continue;
        }
        let x = numbers(element_count(a), 1);
        let y = numbers(element_count(b), 2);
        let (lhs, rhs) = (Tensor { values: &x[..], shape: a }, Tensor { values: &y[..], shape: b });
        check(
            (lhs, rhs),
            |a, b| a * b,
            |cpu, lhs, rhs, out| {
                out.copy_from_slice(lhs.values);
                arithmetic_assign(cpu, Arithmetic::Mul, out, a, rhs).expect("floats are defined");
            },
        );
    }
}

#[test]
fn selection_broadcasts_three_operands() {
    let shapes: &[[&[usize]; 3]] = &[
        [&[4, 5], &[4, 5], &[4, 5]],
        [&[4, 1], &[4, 33], &[1]],
        [&[33], &[1], &[4, 33]],
        [&[7, 40], &[], &[]],
        [&[2, 1, 3], &[1, 5, 1], &[2, 5, 3]],
        [&[1], &[2, 9], &[9]],
        [&[0], &[1], &[1]],
    ];
    for &[c, t, f] in shapes {
        let shape = out_shape(&[c, t, f]);
        let condition: Vec<u8> =
            integers(element_count(c), 1, 2).iter().map(|&v| v as u8 * 9).collect();
        let (x, y) = (integers(element_count(t), 2, 99), integers(element_count(f), 3, 99));
        let (cs, xs, ys) = (
            broadcast_to(&condition, c, &shape),
            broadcast_to(&x, t, &shape),
            broadcast_to(&y, f, &shape),
        );
        let want: Vec<i64> =
            (0..cs.len()).map(|i| if cs[i] != 0 { xs[i] } else { ys[i] }).collect();
        for (_, got) in each_isa(|cpu| {
            let mut out = vec![-1; want.len()];
            let condition = Tensor { values: &condition, shape: c };
            let (on_true, on_false) =
                (Tensor { values: &x, shape: t }, Tensor { values: &y, shape: f });
            select(cpu, condition, on_true, on_false, &mut out);
            out
        }) {
            assert_eq!(got, want, "{c:?} {t:?} {f:?}");
        }
    }
}

/// The results of an operator on two lists.
fn pairwise<T: Number + Bits + Default>(op: Arithmetic, a: &[T], b: &[T]) -> Vec<T> {
    let mut results = each_isa(|cpu| {
        let mut out = vec![T::default(); a.len()];
        let (lhs, rhs) =
            (Tensor { values: a, shape: &[a.len()] }, Tensor { values: b, shape: &[b.len()] });
        arithmetic(cpu, op, lhs, rhs, &mut out).expect("the operands are defined");
        out
    });
    let (_, first) = results.remove(0);
    for (_, other) in results {
        assert!(first.iter().zip(&other).all(|(a, b)| a.bits() == b.bits()));
    }
    first
}

#[test]
fn divisions_round_and_leave_over_as_in_tensorflow() {
    let (a, b) = ([-7, 7, -7, 7, 6, i32::MIN], [3, -3, -3, 3, 3, -1]);
    assert_eq!(pairwise(Arithmetic::FloorDiv, &a, &b), [-3, -3, 2, 2, 2, i32::MIN]);
    assert_eq!(pairwise(Arithmetic::Mod, &a, &b), [2, -2, -1, 1, 0, 0]);
    assert_eq!(pairwise(Arithmetic::Div, &a, &b), [-2, -2, 2, 2, 2, i32::MIN]);
    assert_eq!(pairwise(Arithmetic::Rem, &a, &b), [-1, 1, -1, 1, 0, 0]);
    let (a, b) = ([-7.0, 7.0, -7.0, 7.0, 6.0, 5.0, 5.5], [3.0, -3.0, -3.0, 3.0, 3.0, 0.0, -2.0]);
    let down = pairwise(Arithmetic::FloorDiv, &a, &b);
    assert_eq!(down, [-3.0, -3.0, 2.0, 2.0, 2.0, f32::INFINITY, -3.0]);
    let over = pairwise(Arithmetic::Mod, &a, &b);
    assert_eq!(over[..5], [2.0, -2.0, -1.0, 1.0, 0.0]);
    assert!(over[5].is_nan() && over[6] == -0.5);
}

#[test]
fn powers_and_extrema_follow_tensorflow() {
    let powers = pairwise(Arithmetic::Pow, &[2, -2, 3, 0, 10], &[3, 3, 0, 0, 12]);
    assert_eq!(powers, [8, -8, 1, 1, -727_379_968]);
    let nan = f32::NAN;
    let powers =
        pairwise(Arithmetic::Pow, &[2.0, -8.0, 0.0, nan, 1.0], &[0.5, 3.0, -1.0, 0.0, nan]);
    assert_eq!(powers, [2.0f32.sqrt(), -512.0, f32::INFINITY, 1.0, 1.0]);
    for op in [Arithmetic::Max, Arithmetic::Min] {
        let got = pairwise(op, &[nan, 1.0, nan], &[1.0, nan, nan]);
        assert!(got.iter().all(|v| v.is_nan()), "{op:?}");
    }
}

#[test]
fn undefined_integer_arithmetic_is_named() {
    let pool = Pool::new(1);
    let cpu = Cpu { isa: Isa::Portable, pool: &pool };
    let lhs = Tensor { values: &[1i64, 2], shape: &[2] };
    for op in [Arithmetic::Div, Arithmetic::FloorDiv, Arithmetic::Mod, Arithmetic::Rem] {
        let rhs = Tensor { values: &[1, 0], shape: &[2] };
        let got = arithmetic(cpu, op, lhs, rhs, &mut [0; 2]);
        assert_eq!(got, Err(UndefinedArithmetic { op, position: 1, operand: 0 }));
    }
    let rhs = Tensor { values: &[-3], shape: &[] };
    let op = Arithmetic::Pow;
    let got = arithmetic_assign(cpu, op, &mut [1, 2], &[2], rhs);
    assert_eq!(got, Err(UndefinedArithmetic { op, position: 0, operand: -3 }));
    let text = got.expect_err("a negative power").to_string();
    assert!(text.contains("power -3 at position 0"), "{text}");
}

#[test]
fn a_nan_compares_as_unequal_only() {
    let x = [f32::NAN, 1.0];
    let ops = [
        (Comparison::Equal, [0, 1]),
        (Comparison::NotEqual, [1, 0]),
        (Comparison::Less, [0, 0]),
        (Comparison::LessEqual, [0, 1]),
        (Comparison::Greater, [0, 0]),
        (Comparison::GreaterEqual, [0, 1]),
    ];
    for (op, want) in ops {
        let tensor = Tensor { values: &x[..], shape: &[2] };
        for (_, got) in each_isa(|cpu| {
            let mut out = vec![9; 2];
            compare(cpu, op, tensor, tensor, &mut out);
            out
        }) {
            assert_eq!(got, want, "{op:?}");
        }
    }
}

#[test]
fn truth_values_combine_whatever_stands_for_true() {
    let (a, b) = ([0, 0, 2, 4], [0, 3, 0, 1]);
    for (op, want) in
        [(Logical::And, [0, 0, 0, 1]), (Logical::Or, [0, 1, 1, 1]), (Logical::Xor, [0, 1, 1, 0])]
    {
        let (lhs, rhs) = (Tensor { values: &a, shape: &[4] }, Tensor { values: &b, shape: &[4] });
        for (_, got) in each_isa(|cpu| {
            let mut out = vec![9; 4];
            logical(cpu, op, lhs, rhs, &mut out);
            out
        }) {
            assert_eq!(got, want, "{op:?}");
        }
    }
    let mut out = [9; 4];
    not(&a, &mut out);
    assert_eq!(out, [1, 1, 0, 0]);
}

#[test]
fn functions_of_one_number_match_the_standard_library() {
    let ops: [(Unary, Function); 15] = [
        (Unary::Neg, |x| -x),
        (Unary::Abs, f32::abs),
        (Unary::Sqrt, f32::sqrt),
        (Unary::Rsqrt, |x| 1.0 / x.sqrt()),
        (Unary::Square, |x| x * x),
        (Unary::Exp, |x| f64::from(x).exp() as f32),
        (Unary::Log, f32::ln),
        (Unary::Sin, f32::sin),
        (Unary::Cos, f32::cos),
        (Unary::Floor, f32::floor),
        (Unary::Ceil, f32::ceil),
        (Unary::Round, f32::round_ties_even),
        (Unary::Sign, |x| if x == 0.0 { 0.0 } else { x.signum() }),
        (Unary::Reciprocal, |x| 1.0 / x),
        (Unary::Activation(Activation::Relu), |x| x.max(0.0)),
    ];
    for count in [0, 1, 15, 16, 17, 40_000] {
        let mut x: Vec<f32> = numbers(count, 1).iter().map(|v| v * 20.0).collect();
        x.extend([0.5, 1.5, 2.5, -0.5, 0.0]);
        for (op, want) in ops {
            let want: Vec<f32> = x.iter().map(|&x| want(x)).collect();
            for (isa, got) in each_isa(|cpu| {
                let mut out = vec![9.0; x.len()];
                unary(cpu, op, &x, &mut out);
                let mut own = x.clone();
                unary_assign(cpu, op, &mut own);
                assert!(own.iter().zip(&out).all(|(a, b)| a.to_bits() == b.to_bits()));
                out
            }) {
                for (i, (&got, &want)) in got.iter().zip(&want).enumerate() {
                    // Two ulp of the exponential; the others are exact or the same function.
                    let near = (got - want).abs() <= 2.5e-7 * want.abs();
                    let ok = got == want || (got.is_nan() && want.is_nan());
                    assert!(ok || (op == Unary::Exp && near), "{isa:?} {op:?}({}) is {got}", x[i]);
                }
            }
        }
    }
    for (_, got) in each_isa(|cpu| {
        let mut out = vec![0.0; 1];
        unary(cpu, Unary::Sign, &[f32::NAN], &mut out);
        out
    }) {
        assert!(got[0].is_nan());
    }
}

#[test]
fn the_error_function_is_within_one_ulp_and_never_beyond_one() {
    for count in [0, 1, 15, 16, 17, 40_000] {
        let mut x: Vec<f32> = numbers(count, 2).iter().map(|v| v * 4.0).collect();
        x.extend([0.0, 1e-30, 1e-3, 0.499_999_97, 0.5, -0.5, 3.9, 30.0, f32::INFINITY]);
        for (isa, got) in each_isa(|cpu| {
            let mut out = vec![9.0; x.len()];
            unary(cpu, Unary::Erf, &x, &mut out);
            out
        }) {
            for (&x, &got) in x.iter().zip(&got) {
                // The reference loses digits to its own difference near 0: there erf is linear.
                let want = match x.abs() < 1e-5 {
                    true => f64::from(x) * std::f64::consts::FRAC_2_SQRT_PI,
                    false => reference::erf(f64::from(x)),
                };
                let ulp = f64::from(f32::EPSILON) * want.abs();
                assert!((f64::from(got) - want).abs() <= 1.01 * ulp, "{isa:?} erf({x}) is {got}");
                assert!(got.abs() <= 1.0);
            }
        }
    }
    for (_, got) in each_isa(|cpu| {
        let mut out = vec![0.0; 2];
        unary(cpu, Unary::Erf, &[f32::NAN, -0.0], &mut out);
        out
    }) {
        assert!(got[0].is_nan() && got[1].to_bits() == (-0.0_f32).to_bits());
    }
}

#[test]
fn functions_of_one_integer_wrap() {
    let x = [i32::MIN, -3, 0, 5];
    for (op, want) in [
        (IntegerUnary::Neg, [i32::MIN, 3, 0, -5]),
        (IntegerUnary::Abs, [i32::MIN, 3, 0, 5]),
        (IntegerUnary::Square, [0, 9, 0, 25]),
        (IntegerUnary::Sign, [-1, -1, 0, 1]),
    ] {
        for (_, got) in each_isa(|cpu| {
            let mut out = vec![9; 4];
            unary_integer(cpu, op, &x, &mut out);
            out
        }) {
            assert_eq!(got, want, "{op:?}");
        }
    }
}

#[test]
fn casts_cut_saturate_wrap_and_tell_truth() {
    macro_rules! check {
        ($from:ident $x:expr => $to:ident $want:expr) => {
            let want = $want;
            each_isa(|cpu| {
                let mut got = [want[0]; 8];
                cast(cpu, Elements::$from(&$x), ElementsMut::$to(&mut got[..want.len()]));
                assert_eq!(got[..want.len()], want, "{:?}", cpu.isa);
                Vec::<u8>::new()
            });
        };
    }
    let x = [2.7, -2.7, 3e9, -3e9, f32::NAN, 0.0];
    check!(F32 x => I32 [2, -2, i32::MAX, i32::MIN, 0, 0]);
    check!(F32 x[..4] => I64 [2, -2, 3_000_000_000, -3_000_000_000]);
    check!(F32 x => Bool [1, 1, 1, 1, 1, 0]);
    check!(F32 x => U8 [2, 0, 255, 0, 0, 0]);
    check!(I64 [(1 << 40) + 5, -1] => I32 [5, -1]);
    check!(I64 [-3, 16_777_217] => F32 [-3.0, 16_777_216.0]);
    check!(I32 [-3] => I64 [-3]);
    check!(I32 [-3, 0] => Bool [1, 0]);
    check!(Bool [7, 0] => F32 [1.0, 0.0]);
    check!(Bool [1, 0] => I64 [1, 0]);
    check!(U64 [u64::MAX, 1 << 63] => F64 [2f64.powi(64), 2f64.powi(63)]);
    check!(U64 [u64::MAX] => I64 [-1]);
    check!(F64 [2e19, -1.0] => U64 [u64::MAX, 0]);
    check!(I16 [200, -129] => I8 [-56, 127]);
    let half = |x| f16::from_f32(x);
    check!(F32 [1.0, 1e6, 2051.0] => F16 [half(1.0), f16::INFINITY, half(2052.0)]);
    check!(F16 [half(-2.5), f16::NAN] => I32 [-2, 0]);
    check!(F16 [half(-2.5), f16::NAN, f16::ZERO] => Bool [1, 1, 0]);
}

#[test]
fn shapes_that_do_not_fit_are_told() {
    let mut out = [0; MAX_RANK];
    assert_eq!(broadcast_shape(&[&[2, 3], &[4]], &mut out), None);
    assert_eq!(broadcast_shape(&[&[1; 9]], &mut out), None);
    assert_eq!(broadcast_shape(&[&[2, 1], &[4], &[]], &mut out), Some(2));
    assert_eq!(out[..2], [2, 4]);
    assert!(!broadcasts_to(&[2, 3], &[3]) && !broadcasts_to(&[2], &[3]));
}

/// Integers from all over a type's range, small ones and its ends among them.
fn spread(count: usize, seed: u64) -> Vec<i64> {
    let far = [i64::MIN, i64::MIN + 1, -3, -1, 0, 1, 2, 63, 64, i64::MAX - 1, i64::MAX];
    let picks = integers(count, seed, 1 << 32);
    let shifts = integers(count, seed + 1, 64);
    let pairs = picks.iter().zip(&shifts).enumerate();
    pairs
        .map(|(index, (&pick, &shift))| match index % 3 {
            0 => far[pick as usize % far.len()],
            1 => pick - (1 << 31),
            _ => (pick.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed())) >> shift,
        })
        .collect()
}

/// What integer arithmetic gives, in numbers that hold every result, and `None` where it is
/// undefined.
fn exact(op: Arithmetic, a: i128, b: i128) -> Option<i128> {
    let floor = |a: i128, b: i128| a.div_euclid(b) - i128::from(b < 0 && a.rem_euclid(b) != 0);
    Some(match op {
        Arithmetic::Add => a + b,
        Arithmetic::Sub => a - b,
        // Cut to the type, a product that wraps is the same.
        Arithmetic::Mul => a.wrapping_mul(b),
        Arithmetic::Max => a.max(b),
        Arithmetic::Min => a.min(b),
        Arithmetic::Div if b != 0 => a / b,
        Arithmetic::Rem if b != 0 => a % b,
        Arithmetic::FloorDiv if b != 0 => floor(a, b),
        Arithmetic::Mod if b != 0 => a - b * floor(a, b),
        _ => return None,
    })
}

#[test]
fn integer_arithmetic_is_that_of_wider_numbers_cut_to_the_type() {
    let ops = [
        Arithmetic::Add,
        Arithmetic::Sub,
        Arithmetic::Mul,
        Arithmetic::Div,
        Arithmetic::Max,
        Arithmetic::Min,
        Arithmetic::FloorDiv,
        Arithmetic::Mod,
        Arithmetic::Rem,
    ];
    macro_rules! check {
        ($t:ty, $count:expr) => {
            let a: Vec<$t> = spread($count, 1).iter().map(|&v| v as $t).collect();
            for op in ops {
                let b: Vec<$t> = spread($count, 9).iter().map(|&v| v as $t).collect();
                let defined = |b: &$t| exact(op, 1, (*b).into()).is_some();
                let b: Vec<$t> = b.iter().map(|b| if defined(b) { *b } else { 1 }).collect();
                let want: Vec<$t> = a
                    .iter()
                    .zip(&b)
                    .filter_map(|(&a, &b)| exact(op, a.into(), b.into()))
                    .map(|value| value as $t)
                    .collect();
                assert_eq!(pairwise(op, &a, &b), want, "{op:?}");
            }
            let exponents: Vec<$t> = (0..$count).map(|i| (i % 70) as $t).collect();
            let powers = pairwise(Arithmetic::Pow, &a, &exponents);
            for ((&a, &b), got) in a.iter().zip(&exponents).zip(powers) {
                let want = (0..b).fold(1, |power: $t, _| power.wrapping_mul(a));
                assert_eq!(got, want, "{a} to the power {b}");
            }
        };
    }
    for count in [0, 1, 15, 16, 17, 3000] {
        check!(i32, count);
        check!(i64, count);
        check!(u64, count);
    }
}

#[test]
fn bits_are_combined_and_moved_by_any_count() {
    macro_rules! check {
        ($t:ty, $wide:ty) => {
            let a: Vec<$t> = spread(999, 3).iter().map(|&v| v as $t).collect();
            let b: Vec<$t> = spread(999, 5).iter().map(|&v| v as $t).collect();
            let shift = |b: $t| u32::try_from(b).ok().filter(|&b| b < <$t>::BITS);
            let rules: [(Bitwise, &dyn Fn($t, $t) -> $t); 5] = [
                (Bitwise::And, &|a, b| a & b),
                (Bitwise::Or, &|a, b| a | b),
                (Bitwise::Xor, &|a, b| a ^ b),
                (Bitwise::ShiftLeft, &|a, b| shift(b).map_or(0, |b| (<$wide>::from(a) << b) as $t)),
                (Bitwise::ShiftRight, &|a, b| {
                    (<$wide>::from(a) >> shift(b).unwrap_or(<$t>::BITS)) as $t
                }),
            ];
            for (op, rule) in rules {
                let want: Vec<$t> = a.iter().zip(&b).map(|(&a, &b)| rule(a, b)).collect();
                for (isa, got) in each_isa(|cpu| {
                    let mut out = vec![0; a.len()];
                    let shape = [a.len()];
                    let lhs = Tensor { values: &a[..], shape: &shape };
                    bitwise(cpu, op, lhs, Tensor { values: &b, shape: &shape }, &mut out);
                    out
                }) {
                    assert_eq!(got, want, "{isa:?} {op:?}");
                }
            }
            for (_, got) in each_isa(|cpu| {
                let mut out = vec![0; a.len()];
                bitwise_not(cpu, &a, &mut out);
                out
            }) {
                assert!(got.iter().zip(&a).all(|(&got, &a)| got == !a));
            }
        };
    }
    check!(i32, i128);
    check!(i64, i128);
    check!(u64, u128);
}

#[test]
fn large_unsigned_numbers_compare_as_such() {
    let (a, b) = ([u64::MAX, 1, 1 << 63], [1, u64::MAX, 1 << 63]);
    let (a, b) = (Tensor { values: &a[..], shape: &[3] }, Tensor { values: &b[..], shape: &[3] });
    for (op, want) in [
        (Comparison::Less, [0, 1, 0]),
        (Comparison::GreaterEqual, [1, 0, 1]),
        (Comparison::Equal, [0, 0, 1]),
    ] {
        for (_, got) in each_isa(|cpu| {
            let mut out = vec![9; 3];
            compare(cpu, op, a, b, &mut out);
            out
        }) {
            assert_eq!(got, want, "{op:?}");
        }
    }
}

#[test]
fn functions_of_64_bits_are_those_of_32_with_more_digits() {
    let pool = Pool::new(2);
    let cpu = Cpu { isa: Isa::detect(), pool: &pool };
    let functions = [
        Unary::Neg,
        Unary::Abs,
        Unary::Sqrt,
        Unary::Rsqrt,
        Unary::Square,
        Unary::Exp,
        Unary::Log,
        Unary::Sin,
        Unary::Cos,
        Unary::Erf,
        Unary::Floor,
        Unary::Ceil,
        Unary::Round,
        Unary::Sign,
        Unary::Reciprocal,
        Unary::Tan,
        Unary::Asin,
        Unary::Acos,
        Unary::Atan,
        Unary::Sinh,
        Unary::Cosh,
        Unary::Asinh,
        Unary::Acosh,
        Unary::Atanh,
        Unary::Log1p,
        Unary::Expm1,
        Unary::Log2,
        Unary::Log10,
    ];
    for op in functions {
        for len in [0, 1, 9, 40_000] {
            let x: Vec<f32> = (0..len).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
            let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let (mut narrow, mut out) = (vec![0.0; len], vec![0.0; len]);
            unary(cpu, op, &x, &mut narrow);
            unary_f64(cpu, op, &wide, &mut out);
            for (a, b) in narrow.iter().zip(&out) {
                let same = a.is_nan() && b.is_nan() || f64::from(*a) == *b;
                let close = (f64::from(*a) - b).abs() <= 1e-5 * (1.0 + b.abs());
                assert!(same || close, "{op:?}: {a} and {b}");
            }
        }
    }
}
