// Element-wise activations, prepended to every kernel that applies one.
//
// `activate(kind, alpha, x)`: `kind` is an override constant of the kernel, so that the driver
// keeps one branch of the switch. The numbers are those of `ActivationKind` in
// `src/runtime/gpu/activation.rs`. Formulas are those of keras.activations (Keras 3); `alpha` is
// the negative slope of leaky_relu, the scale of elu and celu, the threshold of soft_shrink and
// hard_shrink, and the `b` of squareplus.
//
// Every exponential takes an argument <= 0 where the function allows it, so that large inputs
// overflow to nothing: sigmoid stays in [0, 1] and tanh in [-1, 1].

fn stable_sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}

// tanh(x) = sign(x) (1 - e) / (1 + e), e = exp(-2|x|). Below 0.1 the difference 1 - e loses
// digits, so the Taylor series takes over (its next term is below 4e-10 there).
fn stable_tanh(x: f32) -> f32 {
    let a = abs(x);
    let e = exp(-2.0 * a);
    let large = (1.0 - e) / (1.0 + e);
    let q = x * x;
    let small = a * (1.0 + q * (-0.33333334 + q * (0.13333334 - q * 0.053968254)));
    let magnitude = min(select(large, small, a < 0.1), 1.0);
    return select(magnitude, -magnitude, x < 0.0);
}

// exp(x) - 1 for x <= 0, without losing the digits of a small x.
fn expm1_negative(x: f32) -> f32 {
    let small = x * (1.0 + x * (0.5 + x * (0.16666667 + x * 0.041666668)));
    return select(exp(x) - 1.0, small, x > -0.05);
}

// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).
fn stable_softplus(x: f32) -> f32 {
    let e = exp(-abs(x));
    let small = e * (1.0 - e * (0.5 - e * 0.33333334));
    return max(x, 0.0) + select(log(1.0 + e), small, e < 0.01);
}

// The error function by Abramowitz and Stegun 7.1.26: absolute error at most 1.5e-7.
fn erf_approximation(x: f32) -> f32 {
    let a = abs(x);
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let poly = t * (0.2548296 + t * (-0.28449672 + t * (1.4214138 + t * (-1.4531521 + t * 1.0614054))));
    let y = 1.0 - poly * exp(-min(a * a, 80.0));
    return select(y, -y, x < 0.0);
}

fn activate(kind: u32, alpha: f32, x: f32) -> f32 {
    switch kind {
        case 1u: { return max(x, 0.0); }                                    // relu
        case 2u: { return stable_sigmoid(x); }
        case 3u: { return stable_tanh(x); }
        case 4u: { return clamp(x / 6.0 + 0.5, 0.0, 1.0); }                 // hard_sigmoid
        case 5u: { return clamp(0.2 * x + 0.5, 0.0, 1.0); }                 // hard_sigmoid before Keras 3
        case 6u: { return select(alpha * expm1_negative(min(x, 0.0)), x, x >= 0.0); } // elu
        case 7u: {                                                          // selu
            return 1.050701 * select(1.6732632 * expm1_negative(min(x, 0.0)), x, x >= 0.0);
        }
        case 8u: { return stable_softplus(x); }
        case 9u: { return x / (1.0 + abs(x)); }                             // softsign
        case 10u: { return x * stable_sigmoid(x); }                         // silu
        case 11u: { return 0.5 * x * (1.0 + erf_approximation(x * 0.70710677)); } // gelu
        case 12u: {                                                         // gelu, tanh form
            let c = clamp(x, -20.0, 20.0);
            return 0.5 * x * (1.0 + stable_tanh(0.7978846 * (c + 0.044715 * c * c * c)));
        }
        case 13u: { return exp(x); }                                        // exponential
        case 14u: { return clamp(x, 0.0, 6.0); }                            // relu6
        case 15u: { return select(alpha * x, x, x >= 0.0); }                // leaky_relu
        case 16u: { return x * stable_tanh(stable_softplus(x)); }           // mish
        case 17u: { return -stable_softplus(-x); }                          // log_sigmoid
        case 18u: { return x * clamp(x / 6.0 + 0.5, 0.0, 1.0); }            // hard_silu
        case 19u: { return clamp(x, -1.0, 1.0); }                           // hard_tanh
        case 20u: { return x - stable_tanh(x); }                            // tanh_shrink
        case 21u: {                                                         // soft_shrink
            return select(select(0.0, x + alpha, x < -alpha), x - alpha, x > alpha);
        }
        case 22u: { return select(0.0, x, abs(x) > alpha); }                // hard_shrink
        case 23u: { return max(x, 0.0) + alpha * expm1_negative(min(x, 0.0) / alpha); } // celu
        case 24u: {                                                         // squareplus
            let root = select(sqrt(x * x + alpha), abs(x), abs(x) > 1e15);
            return select(0.5 * (x + root), 0.5 * alpha / (root - x), x < 0.0);
        }
        case 25u: {                                                         // sparse_plus
            return select(select(0.25 * (x + 1.0) * (x + 1.0), x, x >= 1.0), 0.0, x <= -1.0);
        }
        case 26u: { return clamp(0.5 * (x + 1.0), 0.0, 1.0); }              // sparse_sigmoid
        default: { return x; }                                              // 0: linear
    }
}
