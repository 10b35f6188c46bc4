//! Activation functions: every one that Keras 3 has, with Keras's defaults.

mod backward;
pub mod backward_reference;
#[cfg(test)]
mod backward_tests;
mod cpu;
pub mod math;
pub mod reference;
#[cfg(test)]
mod tests;

pub(crate) use backward::{log_softmax_row, softmax_row};

use crate::isa::Isa;
use backward::Slices;

/// α of SELU (Klambauer et al. 2017, arXiv:1706.02515).
pub(crate) const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
/// λ of SELU.
pub(crate) const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// An activation function, its arguments included.
///
/// Where Keras's formula gives `-inf · 0`, a NaN, for an argument of -inf (SiLU, GELU, Mish,
/// HardSilu), these give the limit, 0; Softsign gives ±1 at infinities. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
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

    /// Whether the derivative needs the argument; else the result alone gives it.
    ///
    /// The argument is needed where several arguments with different derivatives give one result:
    /// by functions that fall and rise (SiLU, GELU, Mish, HardSilu), by those that are flat beside
    /// a kink at which TensorFlow's gradient is not 0 (hard_tanh, the hard_sigmoid of Keras 2, a
    /// `relu` with a largest value other than 6), and by unusual arguments such as negative slopes.
    pub fn needs_input(self) -> bool {
        match self {
            Activation::Silu
            | Activation::Gelu { .. }
            | Activation::Mish
            | Activation::TanhShrink
            | Activation::HardSilu
            | Activation::HardTanh
            | Activation::LegacyHardSigmoid
            | Activation::Sparsemax
            | Activation::Glu => true,
            Activation::LeakyRelu { negative_slope } => negative_slope < 0.0,
            Activation::BoundedRelu { negative_slope, max_value, threshold } => {
                let plain = max_value.is_none_or(|max_value| max_value == 6.0);
                threshold != 0.0 || negative_slope < 0.0 || !plain
            }
            Activation::Celu { alpha } => alpha.is_nan() || alpha <= 0.0,
            Activation::Elu { alpha } => alpha.is_nan() || alpha < 0.0,
            Activation::HardShrink { threshold } => threshold < 0.0,
            Activation::Threshold { threshold, value } => value > threshold,
            _ => false,
        }
    }

    /// Writes `dx = dy · f'(x)` for an element-wise activation.
    ///
    /// `x` is read if [`needs_input`](Activation::needs_input) says so, else `y`; the other may be
    /// absent or empty. Derivatives at kinks are TensorFlow's: that of `relu` at 0 is 0, of
    /// `leaky_relu` the slope below, of `relu6` and `hard_sigmoid` 0 at both ends, of `hard_tanh`
    /// 1 at both ends, of `celu` 2 at 0.
    ///
    /// # Panics
    /// If the activation works on rows, its argument is needed and absent, or lengths differ.
    pub fn backward(self, isa: Isa, x: Option<&[f32]>, y: &[f32], dy: &[f32], dx: &mut [f32]) {
        assert!(self.is_elementwise(), "{} works on rows: call backward_rows", self.name());
        self.backward_rows(isa, x, y, dy, dx, 1);
    }

    /// The same for any activation, on rows of `width` values of x and dx; those of y and dy have
    /// [`output_width`](Activation::output_width) values.
    ///
    /// Softmax: `dx = y (dy - Σ y dy)`. Its logarithm: `dx = dy - exp(y) Σ dy`.
    ///
    /// # Panics
    /// As [`backward`](Activation::backward), or if the slices are not whole rows.
    pub fn backward_rows(
        self,
        isa: Isa,
        x: Option<&[f32]>,
        y: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        width: usize,
    ) {
        let name = self.name();
        let kept = match (self.needs_input(), x) {
            (true, x) => x.unwrap_or_else(|| panic!("{name}: its argument is needed")),
            (false, _) => y,
        };
        assert_eq!(kept.len(), dx.len(), "{name}: the length of what was kept");
        if dx.is_empty() {
            return;
        }
        assert!(width > 0 && dx.len().is_multiple_of(width), "{name}: rows of {width}");
        assert!(self != Activation::Glu || width.is_multiple_of(2), "glu: a row of {width}");
        let out = dx.len() / width * self.output_width(width);
        assert_eq!(dy.len(), out, "{name}: the gradient's length");
        let slices = Slices { kept, dy, dx };
        match (self.is_elementwise(), self.needs_input()) {
            (true, true) => backward::from_input(self, isa, slices),
            (true, false) => backward::from_output(self, isa, slices),
            (false, _) => backward::rows(self, isa, slices, width),
        }
    }
}
