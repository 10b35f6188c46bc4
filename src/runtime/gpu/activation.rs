//! Element-wise activations as the kernels number them.

/// The function of an [`Activation`]. The numbers are those of `activate` in
/// `kernels/activation/functions.wgsl`; the formulas are Keras 3's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs)] // The names are Keras's.
pub enum ActivationKind {
    Linear = 0,
    Relu = 1,
    Sigmoid = 2,
    Tanh = 3,
    HardSigmoid = 4,
    /// `clip(0.2 x + 0.5, 0, 1)`, Keras's hard_sigmoid before version 3.
    HardSigmoidKeras2 = 5,
    /// `alpha` is the scale of the negative part.
    Elu = 6,
    Selu = 7,
    Softplus = 8,
    Softsign = 9,
    Silu = 10,
    /// The exact form, by the error function.
    Gelu = 11,
    /// The tanh form.
    GeluTanh = 12,
    Exponential = 13,
    Relu6 = 14,
    /// `alpha` is the negative slope.
    LeakyRelu = 15,
    Mish = 16,
    LogSigmoid = 17,
    HardSilu = 18,
    HardTanh = 19,
    TanhShrink = 20,
    /// `alpha` is the threshold.
    SoftShrink = 21,
    /// `alpha` is the threshold.
    HardShrink = 22,
    /// `alpha` is the scale.
    Celu = 23,
    /// `alpha` is `b`.
    Squareplus = 24,
    SparsePlus = 25,
    SparseSigmoid = 26,
}

impl ActivationKind {
    /// Every function.
    pub const ALL: [ActivationKind; 27] = {
        use ActivationKind::*;
        [
            Linear,
            Relu,
            Sigmoid,
            Tanh,
            HardSigmoid,
            HardSigmoidKeras2,
            Elu,
            Selu,
            Softplus,
            Softsign,
            Silu,
            Gelu,
            GeluTanh,
            Exponential,
            Relu6,
            LeakyRelu,
            Mish,
            LogSigmoid,
            HardSilu,
            HardTanh,
            TanhShrink,
            SoftShrink,
            HardShrink,
            Celu,
            Squareplus,
            SparsePlus,
            SparseSigmoid,
        ]
    };

    /// Keras's default of the function's parameter, 0 where it has none.
    pub fn default_alpha(self) -> f32 {
        match self {
            ActivationKind::LeakyRelu => 0.2,
            ActivationKind::Elu | ActivationKind::Celu => 1.0,
            ActivationKind::SoftShrink | ActivationKind::HardShrink => 0.5,
            ActivationKind::Squareplus => 4.0,
            _ => 0.0,
        }
    }
}

/// An element-wise activation with its parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activation {
    /// The function.
    pub kind: ActivationKind,
    /// The function's parameter; functions without one ignore it.
    pub alpha: f32,
}

impl Activation {
    /// The identity.
    pub const LINEAR: Activation = Activation { kind: ActivationKind::Linear, alpha: 0.0 };
    /// `1 / (1 + exp(-x))`.
    pub const SIGMOID: Activation = Activation { kind: ActivationKind::Sigmoid, alpha: 0.0 };
    /// The hyperbolic tangent.
    pub const TANH: Activation = Activation { kind: ActivationKind::Tanh, alpha: 0.0 };
}

impl From<ActivationKind> for Activation {
    fn from(kind: ActivationKind) -> Activation {
        Activation { kind, alpha: kind.default_alpha() }
    }
}
