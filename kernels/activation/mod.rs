//! Activation functions: every one that Keras 3 has, with Keras's defaults.

mod cpu;
pub mod math;
pub mod reference;
#[cfg(test)]
mod tests;

use crate::isa::Isa;

/// α of SELU (Klambauer et al. 2017, arXiv:1706.02515).
pub(crate) const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
/// λ of SELU.
pub(crate) const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// An activation function, its arguments included.
///
/// Where Keras's formula gives `-inf · 0`, a NaN, for an argument of -inf (SiLU, GELU, Mish,
/// HardSilu), these give the limit, 0; Softsign gives ±1 at infinities. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// x.
    Linear,
    /// max(x, 0).
    Relu,
    /// Keras's `relu` with arguments: x above `threshold`, there at least 0 and at most
    /// `max_value`; `negative_slope · (x - threshold)` elsewhere.
    BoundedRelu {
        /// The slope below the threshold.
        negative_slope: f32,
        /// The largest result.
        max_value: Option<f32>,
        /// From where on x passes.
        threshold: f32,
    },
    /// x, below 0 times a slope.
    LeakyRelu {
        /// The slope below 0; 0.2 by default.
        negative_slope: f32,
    },
    /// min(max(x, 0), 6).
    Relu6,
    /// x, below 0 α (exp(x / α) - 1).
    Celu {
        /// α, 1 by default.
        alpha: f32,
    },
    /// x, below 0 α (exp(x) - 1).
    Elu {
        /// α, 1 by default.
        alpha: f32,
    },
    /// λ x, below 0 λ α (exp(x) - 1), with the constants of Klambauer et al.
    Selu,
    /// ln(1 + exp(x)).
    Softplus,
    /// x / (1 + |x|).
    Softsign,
    /// (x + √(x² + b)) / 2.
    Squareplus {
        /// b, 4 by default.
        b: f32,
    },
    /// x drawn towards 0 by a threshold, and 0 within it.
    SoftShrink {
        /// The threshold, 0.5 by default.
        threshold: f32,
    },
    /// x, and 0 where |x| is at most a threshold.
    HardShrink {
        /// The threshold, 0.5 by default.
        threshold: f32,
    },
    /// 0 up to -1, (x + 1)² / 4 up to 1, then x.
    SparsePlus,
    /// (x + 1) / 2 within 0..=1.
    SparseSigmoid,
    /// x σ(x), also called Swish.
    Silu,
    /// x Φ(x), Φ the normal distribution.
    Gelu {
        /// Whether the form with tanh is meant; no by default.
        approximate: bool,
    },
    /// tanh(x).
    Tanh,
    /// x - tanh(x).
    TanhShrink,
    /// x above a threshold, else a value.
    Threshold {
        /// The threshold.
        threshold: f32,
        /// What stands for x up to the threshold.
        value: f32,
    },
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// exp(x).
    Exponential,
    /// x / 6 + 1/2 within 0..=1.
    HardSigmoid,
    /// x / 5 + 1/2 within 0..=1: what `hard_sigmoid` was before Keras 3.
    LegacyHardSigmoid,
    /// x times [`HardSigmoid`](Activation::HardSigmoid).
    HardSilu,
    /// x within -1..=1.
    HardTanh,
    /// x tanh(ln(1 + exp(x))).
    Mish,
    /// -ln(1 + exp(-x)).
    LogSigmoid,
    /// exp(x) over the sum of its row.
    Softmax,
    /// The logarithm of [`Softmax`](Activation::Softmax).
    LogSoftmax,
    /// Sparse probabilities of a row (Martins and Astudillo 2016), with Keras's threshold, which is
    /// higher than theirs where more than one value is left.
    Sparsemax,
    /// The first half of a row times the sigmoid of its second half.
    Glu,
}

/// Keras's names, each with its defaults; the first of several names is the one that
/// [`Activation::name`] gives.
const NAMES: [(&str, Activation); 31] = [
    ("linear", Activation::Linear),
    ("relu", Activation::Relu),
    ("leaky_relu", Activation::LeakyRelu { negative_slope: 0.2 }),
    ("relu6", Activation::Relu6),
    ("celu", Activation::Celu { alpha: 1.0 }),
    ("elu", Activation::Elu { alpha: 1.0 }),
    ("selu", Activation::Selu),
    ("softplus", Activation::Softplus),
    ("softsign", Activation::Softsign),
    ("squareplus", Activation::Squareplus { b: 4.0 }),
    ("soft_shrink", Activation::SoftShrink { threshold: 0.5 }),
    ("hard_shrink", Activation::HardShrink { threshold: 0.5 }),
    ("sparse_plus", Activation::SparsePlus),
    ("sparse_sigmoid", Activation::SparseSigmoid),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("gelu", Activation::Gelu { approximate: false }),
    ("tanh", Activation::Tanh),
    ("tanh_shrink", Activation::TanhShrink),
    ("sigmoid", Activation::Sigmoid),
    ("exponential", Activation::Exponential),
    ("hard_sigmoid", Activation::HardSigmoid),
    ("hard_silu", Activation::HardSilu),
    ("hard_swish", Activation::HardSilu),
    ("hard_tanh", Activation::HardTanh),
    ("mish", Activation::Mish),
    ("log_sigmoid", Activation::LogSigmoid),
    ("softmax", Activation::Softmax),
    ("log_softmax", Activation::LogSoftmax),
    ("sparsemax", Activation::Sparsemax),
    ("glu", Activation::Glu),
];

impl Activation {
    /// The activation that Keras 3 calls `name`, with Keras's default arguments. `threshold` is
    /// not among them: it has no defaults, so its name alone means nothing.
    pub fn from_keras(name: &str) -> Option<Activation> {
        NAMES.iter().find(|(known, _)| *known == name).map(|&(_, activation)| activation)
    }

    /// Keras's name of the function, whatever its arguments.
    pub fn name(self) -> &'static str {
        match self {
            Activation::BoundedRelu { .. } => "relu",
            Activation::Threshold { .. } => "threshold",
            Activation::LegacyHardSigmoid => "hard_sigmoid",
            _ => {
                let same = |other: &Activation| {
                    std::mem::discriminant(other) == std::mem::discriminant(&self)
                };
                NAMES.iter().find(|(_, known)| same(known)).map_or("", |(name, _)| name)
            }
        }
    }

    /// Whether each result depends on one value only; the others need [`apply_rows`].
    ///
    /// [`apply_rows`]: Activation::apply_rows
    pub fn is_elementwise(self) -> bool {
        !matches!(
            self,
            Activation::Softmax | Activation::LogSoftmax | Activation::Sparsemax | Activation::Glu
        )
    }

    /// How many values a row of `width` values gives: half of it for GLU, else all.
    pub fn output_width(self, width: usize) -> usize {
        if self == Activation::Glu { width / 2 } else { width }
    }

    /// Applies an element-wise activation in place, within 3 ulp of the exact function.
    ///
    /// # Panics
    /// If the activation works on rows.
    pub fn apply(self, isa: Isa, data: &mut [f32]) {
        assert!(self.is_elementwise(), "{} works on rows: call apply_rows", self.name());
        cpu::apply(self, isa, data);
    }

    /// Applies any activation to rows of `width` values, in place. The result of GLU stands in
    /// the first [`output_width`](Activation::output_width) values of each row.
    ///
    /// # Panics
    /// If `data` is not a whole number of rows, or a row of GLU has an odd width.
    pub fn apply_rows(self, isa: Isa, data: &mut [f32], width: usize) {
        if self.is_elementwise() {
            return cpu::apply(self, isa, data);
        }
        if data.is_empty() {
            return;
        }
        assert!(
            width > 0 && data.len().is_multiple_of(width),
            "{}: {} values are not rows of {width}",
            self.name(),
            data.len()
        );
        assert!(
            self != Activation::Glu || width.is_multiple_of(2),
            "glu: a row of {width} values has no two halves"
        );
        cpu::apply_rows(self, isa, data, width);
    }
}
