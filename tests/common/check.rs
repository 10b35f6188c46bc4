//! Runs a model on a fixture's arrays and compares what it gives with what Keras gave.

use std::collections::BTreeMap;

use seqfuse::{Data, Model, Options, Session, Tensor, Tensors};
use serde_json::Value;

/// Absolute plus relative.
const TOLERANCE: f32 = 1e-5;

/// The arrays of a case: `in/NAME`, `out/0`, `layer/NAME`, and `in@2/NAME` of a second call.
pub type Arrays = BTreeMap<String, Tensor>;

/// The text under `key`.
pub fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("{case} has no {key}"))
}

/// Whether SEQFUSE_CASES asks for the case.
pub fn wanted(name: &str) -> bool {
    match std::env::var("SEQFUSE_CASES") {
        Ok(parts) => parts.split(',').any(|part| name.contains(part)),
        Err(_) => true,
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

/// What differs between two tensors by more than the tolerance of the CPU.
pub fn difference(name: &str, found: &Tensor, expected: &Tensor) -> Result<(), String> {
    difference_within(TOLERANCE, name, found, expected)
}

/// What differs between two tensors by more than `tolerance`, absolute plus relative.
pub fn difference_within(
    tolerance: f32,
    name: &str,
    found: &Tensor,
    expected: &Tensor,
) -> Result<(), String> {
    if found.shape() != expected.shape() {
        return Err(format!("{name}: shape {:?}, not {:?}", found.shape(), expected.shape()));
    }
    let exact = |equal: bool| if equal { Ok(()) } else { Err(format!("{name}: other values")) };
    match (found.data(), expected.data()) {
        (Data::F32(found), Data::F32(expected)) => {
            for (at, (&a, &b)) in found.iter().zip(expected).enumerate() {
                let close = a == b || (a - b).abs() <= tolerance * (1.0 + b.abs());
                if !(close || a.is_nan() && b.is_nan()) {
                    return Err(format!("{name}: element {at} is {a}, not {b}"));
                }
            }
            Ok(())
        }
        // Narrow integers are held in wider types.
        (Data::I32(a), Data::I64(b)) => {
            exact(a.iter().map(|&a| i64::from(a)).eq(b.iter().copied()))
        }
        (Data::I64(a), Data::I32(b)) => {
            exact(b.iter().map(|&b| i64::from(b)).eq(a.iter().copied()))
        }
        (found, expected) if found.dtype() == expected.dtype() => exact(found == expected),
        (found, expected) => Err(format!("{name}: {}, not {}", found.dtype(), expected.dtype())),
    }
}

/// Runs call `suffix` of a case: "" for the first, "@2" for the second on the same Session.
pub fn run_call(
    session: &mut Session,
    arrays: &Arrays,
    inputs: &[Value],
    suffix: &str,
) -> Result<Tensors, String> {
    let mut tensors = Tensors::new();
    for input in inputs {
        let name = text(input, "name");
        let array = arrays.get(&format!("in{suffix}/{name}")).ok_or("an input is missing")?;
        tensors.insert(name, array.clone());
    }
    session.run(&tensors).map_err(|error| chain(&error))
}

/// Runs and compares one call.
pub fn check_call(
    session: &mut Session,
    arrays: &Arrays,
    inputs: &[Value],
    suffix: &str,
) -> Result<(), String> {
    check_call_within(TOLERANCE, session, arrays, inputs, suffix)
}

/// Runs and compares one call within `tolerance`.
pub fn check_call_within(
    tolerance: f32,
    session: &mut Session,
    arrays: &Arrays,
    inputs: &[Value],
    suffix: &str,
) -> Result<(), String> {
    let outputs = run_call(session, arrays, inputs, suffix)?;
    let count = arrays.keys().filter(|key| key.starts_with(&format!("out{suffix}/"))).count();
    if outputs.len() != count {
        return Err(format!("{} outputs, not {count}", outputs.len()));
    }
    for (index, (name, found)) in outputs.iter().enumerate() {
        let expected = arrays.get(&format!("out{suffix}/{index}")).ok_or("an output is missing")?;
        let name = format!("output{suffix} {index} ({name})");
        difference_within(tolerance, &name, found, expected)?;
    }
    Ok(())
}

/// Compares all calls of a case on one Session within `tolerance`.
pub fn check_calls_within(
    tolerance: f32,
    session: &mut Session,
    arrays: &Arrays,
    inputs: &[Value],
) -> Result<(), String> {
    check_call_within(tolerance, session, arrays, inputs, "")?;
    for call in 2.. {
        let suffix = format!("@{call}");
        if !arrays.keys().any(|key| key.starts_with(&format!("in{suffix}/"))) {
            break;
        }
        check_call_within(tolerance, session, arrays, inputs, &suffix)?;
    }
    Ok(())
}

/// Compares all calls of a case on one Session, and the layers that it names.
pub fn check_model(
    model: &Model,
    arrays: &Arrays,
    case: &Value,
    options: &Options,
) -> Result<(), String> {
    model.graph().verify().map_err(|error| error.to_string())?;
    let inputs = case["inputs"].as_array().expect("a list of inputs");
    let mut session = model.session(options).map_err(|error| chain(&error))?;
    check_calls_within(TOLERANCE, &mut session, arrays, inputs)?;
    for layer in case["layers"].as_array().into_iter().flatten() {
        let name = layer.as_str().ok_or("a layer's name is no text")?;
        let options = options.clone().outputs([name]);
        let mut session = model.session(&options).map_err(|error| chain(&error))?;
        let outputs = run_call(&mut session, arrays, inputs, "")?;
        let (_, found) = outputs.at(0).ok_or("the layer gives nothing")?;
        let expected = arrays.get(&format!("layer/{name}")).ok_or("the layer is missing")?;
        difference(name, found, expected)?;
    }
    Ok(())
}
