//! The gates of cells with Keras's default activations, as quotients whose division waits.
//!
//! A cell multiplies and adds its gates; done on the fractions, two divisions serve where the gates
//! one by one would take four or five, and division is what a processor does slowest. Numerators
//! are at most as large as their denominators, which lie in 1..=2, so that neither overflows and a
//! product of gates never leaves its range.

use crate::activation::math;
use crate::isa::Simd;

/// `numerator / denominator`, the latter in 1..=2.
#[derive(Clone, Copy)]
pub(crate) struct Fraction {
    pub over: f32,
    pub under: f32,
}

/// The logistic function: with z = exp(-|x|) it is 1 / (1 + z) or z / (1 + z).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(x: f32) -> Fraction {
    let z = exp_of_less::<S>(x.abs());
    Fraction { over: if x < 0.0 { z } else { 1.0 }, under: 1.0 + z }
}

/// The logistic function, and the numerator of 1 less it.
#[inline(always)]
pub(crate) fn sigmoid_and_rest<S: Simd>(x: f32) -> (Fraction, f32) {
    let z = exp_of_less::<S>(x.abs());
    let negative = x < 0.0;
    let value = Fraction { over: if negative { z } else { 1.0 }, under: 1.0 + z };
    (value, if negative { 1.0 } else { z })
}

/// The hyperbolic tangent: with e = exp(-2|x|) - 1 it is -e / (2 + e).
#[inline(always)]
pub(crate) fn tanh<S: Simd>(x: f32) -> Fraction {
    let e = math::exp_m1_negative::<S>(-2.0 * x.abs());
    Fraction { over: (-e).copysign(x), under: 2.0 + e }
}

/// e^-x for x >= 0, within 2 ulp; above 87 as at 87, 1.6e-38. Cut before the sign is turned, which a
/// multiply-add does for nothing, the smaller of two values is one instruction.
#[inline(always)]
fn exp_of_less<S: Simd>(x: f32) -> f32 {
    math::exp_normal::<S>(-(if 87.0 < x { 87.0 } else { x }))
}

/// The next c of an LSTM, `σ(f) c + σ(i) φ(g)`.
#[inline(always)]
pub(crate) fn lstm_c<S: Simd>([i, f, g]: [f32; 3], c: f32) -> f32 {
    let (i, f, g) = (sigmoid::<S>(i), sigmoid::<S>(f), tanh::<S>(g));
    let under = i.under * g.under;
    S::fma(f.over * c, under, (i.over * g.over) * f.under) / (under * f.under)
}

/// The next h of an LSTM, `σ(o) φ(c)`.
#[inline(always)]
pub(crate) fn lstm_h<S: Simd>(o: f32, c: f32) -> f32 {
    let (o, shown) = (sigmoid::<S>(o), tanh::<S>(c));
    (o.over * shown.over) / (o.under * shown.under)
}

/// `z h + (1 - z) φ(candidate)`, from the sum of z.
#[inline(always)]
pub(crate) fn blend<S: Simd>(z: f32, candidate: f32, h: f32) -> f32 {
    let ((z, rest), g) = (sigmoid_and_rest::<S>(z), tanh::<S>(candidate));
    S::fma(z.over * h, g.under, rest * g.over) / (z.under * g.under)
}

/// The value of a sigmoid times another.
#[inline(always)]
pub(crate) fn gated<S: Simd>(sum: f32, value: f32) -> f32 {
    let gate = sigmoid::<S>(sum);
    gate.over * value / gate.under
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::isa::Kernel;

    struct Each<'a>(&'a mut [[f32; 2]]);

    impl Kernel for Each<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, _: S) {
            for [a, b] in self.0 {
                let ((gate, rest), shown) = (sigmoid_and_rest::<S>(*a), tanh::<S>(*b));
                assert!(gate.over >= 0.0 && gate.over <= gate.under && rest <= gate.under);
                assert!(shown.over.abs() <= shown.under);
                (*a, *b) = (gate.over / gate.under, shown.over / shown.under);
            }
        }
    }

    /// Units in the last place between a value and the exact one.
    fn ulps(value: f32, exact: f64) -> f64 {
        let near = exact.abs() as f32;
        let ulp = f64::from(f32::from_bits(near.to_bits() + 1)) - f64::from(near);
        (f64::from(value) - exact).abs() / ulp
    }

    #[test]
    fn gates_are_within_three_ulp() {
        let x: Vec<f32> = (-870_000..=870_000).map(|i| i as f32 * 1e-4).collect();
        for isa in Isa::available() {
            let mut values: Vec<[f32; 2]> = x.iter().map(|&x| [x, x]).collect();
            isa.run(Each(&mut values));
            for (&x, [sigmoid, tanh]) in x.iter().zip(values) {
                let wide = f64::from(x);
                let off = ulps(sigmoid, 1.0 / (1.0 + (-wide).exp()));
                assert!(off <= 3.0, "{isa:?}: the sigmoid of {x} is {sigmoid}, {off} ulp off");
                let off = ulps(tanh, wide.tanh());
                assert!(off <= 3.0, "{isa:?}: the tangent of {x} is {tanh}, {off} ulp off");
            }
        }
    }

    #[test]
    fn gates_take_what_is_not_finite() {
        for isa in Isa::available() {
            let infinite = f32::INFINITY;
            let mut values = [[infinite; 2], [-infinite; 2], [f32::NAN; 2], [-1e4, -1e4]];
            isa.run(Quotients(&mut values));
            assert_eq!(values[0], [1.0, 1.0]);
            assert!(values[1][0] < 2e-38 && values[1][1] == -1.0, "{:?}", values[1]);
            assert!(values[2].iter().all(|value| value.is_nan()));
            assert!(values[3][0] < 2e-38 && values[3][1] == -1.0, "{:?}", values[3]);
        }
    }

    /// The same without a look at the fractions, which a NaN fails.
    struct Quotients<'a>(&'a mut [[f32; 2]]);

    impl Kernel for Quotients<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, _: S) {
            for [a, b] in self.0 {
                let (gate, shown) = (sigmoid::<S>(*a), tanh::<S>(*b));
                (*a, *b) = (gate.over / gate.under, shown.over / shown.under);
            }
        }
    }
}
