//! Every `.keras` file that real Keras wrote gives what real Keras computes from it.
//!
//! `SEQFUSE_CASES=lstm,masks/` runs the cases whose `family/name` contains one of these only.

mod common;

use std::collections::BTreeMap;

use seqfuse::{Data, Model, Options, Session, Tensor, Tensors};
use seqfuse_kernels::Isa;
use serde_json::Value;

use common::cases::{all, fixtures, list, options as reading};
use common::npz;

/// Absolute plus relative.
const TOLERANCE: f32 = 1e-5;

type Arrays = BTreeMap<String, Tensor>;

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("{case} has no {key}"))
}

fn wanted(name: &str) -> bool {
    match std::env::var("SEQFUSE_CASES") {
        Ok(parts) => parts.split(',').any(|part| name.contains(part)),
        Err(_) => true,
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

fn difference(name: &str, found: &Tensor, expected: &Tensor) -> Result<(), String> {
    if found.shape() != expected.shape() {
        return Err(format!("{name}: shape {:?}, not {:?}", found.shape(), expected.shape()));
    }
    let exact = |equal: bool| if equal { Ok(()) } else { Err(format!("{name}: other values")) };
    match (found.data(), expected.data()) {
        (Data::F32(found), Data::F32(expected)) => {
            for (at, (&a, &b)) in found.iter().zip(expected).enumerate() {
                let close = a == b || (a - b).abs() <= TOLERANCE * (1.0 + b.abs());
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
fn run_call(
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

fn check_call(
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
        difference(&format!("output{suffix} {index} ({name})"), found, expected)?;
    }
    Ok(())
}

fn check(case: &Value, options: &Options) -> Result<(), String> {
    let file = fixtures().join(text(case, "family")).join(text(case, "name"));
    let arrays = npz::read(&file.with_added_extension("npz"));
    let model = Model::open_with(file.with_added_extension("keras"), &reading())
        .map_err(|error| chain(&error))?;
    model.graph().verify().map_err(|error| error.to_string())?;
    let inputs = case["inputs"].as_array().expect("a list of inputs");
    let mut session = model.session(options).map_err(|error| chain(&error))?;
    check_call(&mut session, &arrays, inputs, "")?;
    for call in 2.. {
        let suffix = format!("@{call}");
        if !arrays.keys().any(|key| key.starts_with(&format!("in{suffix}/"))) {
            break;
        }
        check_call(&mut session, &arrays, inputs, &suffix)?;
    }
    for layer in case["layers"].as_array().into_iter().flatten() {
        let name = layer.as_str().ok_or("a layer's name is no text")?;
        let options = options.clone().outputs([name]);
        let mut session = model.session(&options).map_err(|error| chain(&error))?;
        let outputs = run_call(&mut session, &arrays, inputs, "")?;
        let (_, found) = outputs.at(0).ok_or("the layer gives nothing")?;
        let expected = arrays.get(&format!("layer/{name}")).ok_or("the layer is missing")?;
        difference(name, found, expected)?;
    }
    Ok(())
}

fn check_all(check: impl Fn(&Value) -> Result<(), String>) {
    let cases = all();
    let (mut run, mut failed) = (0, Vec::new());
    for case in &cases {
        let name = format!("{}/{}", text(case, "family"), text(case, "name"));
        if wanted(&name) {
            run += 1;
            if let Err(problem) = check(case) {
                failed.push(format!("{name}: {problem}"));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {run} cases:\n{}", failed.len(), failed.join("\n"));
    assert!(run > 0, "no case is named so");
}

#[test]
fn every_fixture_gives_what_keras_gives_under_every_instruction_set() {
    for isa in Isa::available() {
        let options = Options::new().threads(1).isa(isa);
        check_all(|case| check(case, &options).map_err(|problem| format!("{isa:?}: {problem}")));
    }
}

#[test]
fn every_fixture_gives_what_keras_gives_by_the_reference_kernels() {
    check_all(|case| check(case, &Options::new().threads(1).reference(true)));
}

/// Names, shapes and bits, so that NaN equals NaN.
fn bits(tensors: &Tensors) -> Vec<(String, Vec<usize>, Vec<u64>)> {
    let of = |tensor: &Tensor| -> Vec<u64> {
        match tensor.data() {
            Data::F32(v) => v.iter().map(|x| u64::from(x.to_bits())).collect(),
            Data::I32(v) => v.iter().map(|&x| x as u64).collect(),
            Data::I64(v) => v.iter().map(|&x| x as u64).collect(),
            Data::Bool(v) => v.iter().map(|&x| u64::from(x)).collect(),
            Data::Str(v) => v.iter().map(|x| x.len() as u64).collect(),
        }
    };
    let entry =
        |(name, tensor): (&str, &Tensor)| (name.to_owned(), tensor.shape().to_vec(), of(tensor));
    tensors.iter().map(entry).collect()
}

#[test]
fn the_number_of_threads_changes_no_bit_of_any_fixture() {
    check_all(|case| {
        let file = fixtures().join(text(case, "family")).join(text(case, "name"));
        let arrays = npz::read(&file.with_added_extension("npz"));
        let inputs = case["inputs"].as_array().expect("a list of inputs");
        let model = Model::open_with(file.with_added_extension("keras"), &reading())
            .map_err(|e| chain(&e))?;
        let run = |threads| {
            let options = Options::new().threads(threads);
            let mut session = model.session(&options).map_err(|error| chain(&error))?;
            run_call(&mut session, &arrays, inputs, "").map(|outputs| bits(&outputs))
        };
        let one = run(1)?;
        match one == run(2)? && one == run(5)? {
            true => Ok(()),
            false => Err("the bits depend on the number of threads".to_owned()),
        }
    });
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let mut failed = Vec::new();
    for case in list("refused/reasons.json") {
        let (name, reason) = (text(&case, "name"), text(&case, "reason"));
        let file = fixtures().join("refused").join(format!("{name}.keras"));
        match Model::open(file) {
            Ok(_) => failed.push(format!("{name}: accepted")),
            Err(error) => {
                let line = chain(&error);
                if !line.contains(reason) {
                    failed.push(format!("{name}: {line}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
