//! The activations of recurrent operators: names with parameters taken from lists.

use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::Call;
use crate::formats::onnx::error::Problem;
use crate::ops::{Activation, ScaledActivation};

/// Functions by name, with the defaults of their parameters alpha and beta: those of the operators of the
/// same name.
const FUNCTIONS: [(&str, &[f32]); 11] = [
    ("Affine", &[1.0, 0.0]),
    ("Elu", &[1.0]),
    ("HardSigmoid", &[0.2, 0.5]),
    ("LeakyRelu", &[0.01]),
    ("Relu", &[]),
    ("ScaledTanh", &[1.0, 1.0]),
    ("Sigmoid", &[]),
    ("Softplus", &[]),
    ("Softsign", &[]),
    ("Tanh", &[]),
    ("ThresholdedRelu", &[1.0]),
];

/// The activations of all directions in order, as many as the `defaults` for each direction.
///
/// # Errors
/// If there are others than that, or more parameters than functions that take them.
pub fn activations(
    call: &mut Call<'_>,
    defaults: &[&'static str],
    directions: usize,
) -> Result<Vec<ScaledActivation>, Problem> {
    let count = defaults.len() * directions;
    let names =
        call.attributes.strings("activations")?.unwrap_or_else(|| defaults.repeat(directions));
    if names.len() != count {
        return Err(bad("activations", format!("{names:?}"), format!("{count} functions")));
    }
    let mut alphas = call.attributes.floats("activation_alpha")?.unwrap_or_default().iter();
    let mut betas = call.attributes.floats("activation_beta")?.unwrap_or_default().iter();
    let mut found = Vec::with_capacity(count);
    for name in names {
        let row = FUNCTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((known, defaults)) = row else {
            let known: Vec<&str> = FUNCTIONS.iter().map(|(known, _)| *known).collect();
            return Err(bad("activations", format!("{name:?}"), known.join(", ")));
        };
        let parameter = |lists: &mut std::slice::Iter<'_, f32>, index: usize| {
            let default = defaults.get(index)?;
            Some(lists.next().copied().unwrap_or(*default))
        };
        let alpha = parameter(&mut alphas, 0).unwrap_or(1.0);
        let beta = parameter(&mut betas, 1).unwrap_or(0.0);
        found.push(scaled(known, alpha, beta));
    }
    for (list, name) in [(alphas, "activation_alpha"), (betas, "activation_beta")] {
        if list.len() > 0 {
            let expected = "one value for each function that takes one";
            return Err(bad(name, format!("{} values too long", list.len()), expected));
        }
    }
    Ok(found)
}

fn scaled(name: &str, alpha: f32, beta: f32) -> ScaledActivation {
    let plain = ScaledActivation::plain;
    let unit = |slope, offset, function| ScaledActivation {
        scale: slope,
        offset,
        ..ScaledActivation::plain(function)
    };
    match name {
        "Affine" => unit(alpha, beta, Activation::Linear),
        "Elu" => plain(Activation::Elu { alpha }),
        "HardSigmoid" if (alpha, beta) == (0.2, 0.5) => plain(Activation::LegacyHardSigmoid),
        "HardSigmoid" => {
            let (negative_slope, max_value, threshold) = (0.0, Some(1.0), 0.0);
            unit(alpha, beta, Activation::BoundedRelu { negative_slope, max_value, threshold })
        }
        "LeakyRelu" => plain(Activation::LeakyRelu { negative_slope: alpha }),
        "Relu" => plain(Activation::Relu),
        "ScaledTanh" => ScaledActivation { factor: alpha, ..unit(beta, 0.0, Activation::Tanh) },
        "Sigmoid" => plain(Activation::Sigmoid),
        "Softplus" => plain(Activation::Softplus),
        "Softsign" => plain(Activation::Softsign),
        "ThresholdedRelu" => plain(Activation::Threshold { threshold: alpha, value: 0.0 }),
        _ => plain(Activation::Tanh),
    }
}
