//! Models written in one format after another keep every bit of what they hold.
//!
//! `SEQFUSE_CASES=lstm,masks/` converts the fixtures whose `family/name` contains one of these only.
//! With `SEQFUSE_PYTHON` naming a Python that has TensorFlow, real Keras loads what is written:
//!
//! ```text
//! SEQFUSE_PYTHON=python3 cargo test --test convert
//! ```

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use seqfuse::formats::keras::StoredType;
use seqfuse::formats::npz;
use seqfuse::{Data, Format, Model, Options, ReadOptions, Tensor, Tensors};
use serde_json::{Value, json};

use common::cases::{all, fixtures, options};

fn wanted(name: &str) -> bool {
    match std::env::var("SEQFUSE_CASES") {
        Ok(parts) => parts.split(',').any(|part| name.contains(part)),
        Err(_) => true,
    }
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("{case} has no {key}"))
}

fn label(case: &Value) -> String {
    format!("{}/{}", text(case, "family"), text(case, "name"))
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

/// A tensor's elements with floats as their bits, so that equal means equal to the bit.
fn bits(tensor: &Tensor) -> Bits {
    let numbers = match tensor.data() {
        Data::F32(values) => values.iter().map(|value| u64::from(value.to_bits())).collect(),
        Data::I32(values) => values.iter().map(|&value| value as u64).collect(),
        Data::I64(values) => values.iter().map(|&value| value as u64).collect(),
        Data::Bool(values) => values.iter().map(|&value| u64::from(value)).collect(),
        Data::Str(_) => Vec::new(),
        other => panic!("a Keras model holds no {}", other.dtype()),
    };
    let texts = match tensor.data() {
        Data::Str(texts) => texts.clone(),
        _ => Vec::new(),
    };
    (tensor.shape().to_vec(), numbers, texts)
}

/// Shape, numbers and texts.
type Bits = (Vec<usize>, Vec<u64>, Vec<String>);

/// What is in a model's files, under names that do not depend on the order.
fn contents(model: &Model) -> BTreeMap<String, Bits> {
    let document = model.document().expect("it was read from a file");
    let mut contents = BTreeMap::new();
    for saved in &document.variables {
        let variable = model.graph().variable(saved.variable);
        let name = format!("{} at {}, {}", variable.name, saved.path, saved.trainable);
        contents.insert(name, bits(&variable.value));
    }
    for (path, value) in &document.optimizer {
        contents.insert(format!("optimizer/{path}"), bits(value));
    }
    for (path, value) in &document.extras {
        contents.insert(format!("extra {path}"), bits(value));
    }
    contents
}

fn outputs(model: &Model, inputs: &Tensors) -> Result<Vec<(String, Tensor)>, String> {
    let mut session = model.session(&Options::default()).map_err(|error| chain(&error))?;
    let outputs = session.run(inputs).map_err(|error| chain(&error))?;
    Ok(outputs.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect())
}

fn same(step: &str, a: &Model, b: &Model, inputs: &Tensors) -> Result<(), String> {
    let (before, after) = (a.document().expect("a file"), b.document().expect("a file"));
    let equal = |what: &str, equal: bool| match equal {
        true => Ok(()),
        false => Err(format!("{step}: {what} is not what it was")),
    };
    equal("the configuration", before.config == after.config)?;
    equal("the compile settings", before.compile_config == after.compile_config)?;
    equal("a vocabulary", before.assets == after.assets)?;
    equal("a stored type", before.stored == after.stored)?;
    let (old, new) = (contents(a), contents(b));
    let names: Vec<_> = old.keys().filter(|name| !new.contains_key(*name)).collect();
    equal(&format!("the list of tensors ({names:?})"), old.keys().eq(new.keys()))?;
    let changed: Vec<_> = old.keys().filter(|name| old[*name] != new[*name]).collect();
    equal(&format!("a tensor ({changed:?})"), changed.is_empty())?;
    for ((name, old), (other, new)) in outputs(a, inputs)?.iter().zip(&outputs(b, inputs)?) {
        equal(&format!("output {name}"), name == other && bits(old) == bits(new))?;
    }
    Ok(())
}

fn write(model: &Model, format: Format) -> Result<Vec<u8>, String> {
    let written = model.to_bytes(format).map_err(|error| chain(&error))?;
    let again = model.to_bytes(format).map_err(|error| chain(&error))?;
    match written.bytes == again.bytes {
        true => Ok(written.bytes),
        false => Err(format!("{format:?}: the same model gives other bytes")),
    }
}

fn reread(model: &Model, format: Format) -> Result<Model, String> {
    let bytes = write(model, format)?;
    let read = Model::from_bytes_with(&bytes, format, &options());
    read.map_err(|error| format!("{format:?}: {}", chain(&error)))
}

fn case_inputs(case: &Value) -> Tensors {
    let arrays = common::npz::read(&case_file(case, "npz"));
    let arrays = arrays.into_iter();
    arrays.filter_map(|(name, array)| Some((name.strip_prefix("in/")?.to_owned(), array))).collect()
}

fn case_file(case: &Value, extension: &str) -> PathBuf {
    fixtures().join(label(case)).with_added_extension(extension)
}

fn check(case: &Value) -> Result<(), String> {
    let inputs = case_inputs(case);
    let first = Model::open_with(case_file(case, "keras"), &options());
    let first = first.map_err(|error| chain(&error))?;
    let named = reread(&first, Format::Safetensors)?;
    same("safetensors", &first, &named, &inputs)?;
    let again = reread(&named, Format::Keras)?;
    same("keras", &first, &again, &inputs)?;
    legacy(&first, &inputs)?;
    let described = reread(&first, Format::Description)?;
    let parameters = |model: &Model| model.document().expect("a file").variables.clone();
    if parameters(&described) != parameters(&first) {
        return Err("json: other variables".to_owned());
    }
    Ok(())
}

/// Whether an error names what the legacy form cannot say.
fn refused_in_h5(error: &seqfuse::FormatError) -> bool {
    let text = error.to_string();
    ["models or wrappers share", "a model of the class", "Ellipsis"]
        .iter()
        .any(|part| text.contains(part))
}

/// The legacy form keeps tensors to the bit as well. It has no place for assets, so that a vocabulary
/// comes back in the configuration.
fn legacy(first: &Model, inputs: &Tensors) -> Result<(), String> {
    let written = match first.to_bytes(Format::Hdf5) {
        Ok(written) => written,
        Err(error) if refused_in_h5(&error) => return Ok(()),
        Err(error) => return Err(format!("h5: {}", chain(&error))),
    };
    let read = Model::from_bytes_with(&written.bytes, Format::Hdf5, &options());
    let read = read.map_err(|error| format!("h5: {}", chain(&error)))?;
    let tensors = |model: &Model| {
        let of_layers = |name: &String| !name.starts_with("extra ");
        let contents = contents(model).into_iter().filter(|(name, _)| of_layers(name));
        contents.collect::<BTreeMap<_, _>>()
    };
    if tensors(&read) != tensors(first) {
        return Err("h5: a tensor is not what it was".to_owned());
    }
    let (before, after) = (outputs(first, inputs)?, outputs(&read, inputs)?);
    let equal = |((name, old), (other, new)): (&(String, Tensor), &(String, Tensor))| {
        name == other && bits(old) == bits(new)
    };
    match before.iter().zip(&after).all(equal) {
        true => Ok(()),
        false => Err("h5: an output is not what it was".to_owned()),
    }
}

#[test]
fn a_round_trip_keeps_every_bit() {
    let cases: Vec<Value> = all().into_iter().filter(|case| wanted(&label(case))).collect();
    let check = |case: &Value| Some(format!("{}: {}", label(case), check(case).err()?));
    let failed: Vec<String> = cases.iter().filter_map(check).collect();
    assert!(!cases.is_empty());
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn compiled_models_come_with_the_state_of_their_optimizer() {
    let model = Model::open(fixtures().join("compiled/rmsprop.keras")).expect("opens");
    let document = model.document().expect("it was read from a file");
    // Iteration, learning rate, and three slots for each of five weights.
    assert_eq!(document.optimizer.len(), 2 + 3 * 5);
    assert!(document.compile_config.is_some());
}

/// A Dense model whose weights a safetensors file stores in `dtype`.
fn dense_in(dtype: &str, kernel: &[u8], bias: &[u8]) -> Vec<u8> {
    let config = common::broken::dense().to_string();
    let end = kernel.len() + bias.len();
    let header = json!({
        "__metadata__": {"format": "keras", "config": config},
        "head/kernel": {"dtype": dtype, "shape": [4, 3], "data_offsets": [0, kernel.len()]},
        "head/bias": {"dtype": dtype, "shape": [3], "data_offsets": [kernel.len(), end]},
    });
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), kernel, bias].concat()
}

#[test]
fn weights_go_back_in_the_type_that_they_were_stored_in() {
    for (dtype, ty, size) in
        [("F16", StoredType::F16, 2), ("BF16", StoredType::Bf16, 2), ("F64", StoredType::F64, 8)]
    {
        // Exponents are kept small, mantissas use every bit.
        let raw = |count: usize| -> Vec<u8> {
            let byte = |i: usize| if i % size == size - 1 { 0x3e } else { (i * 89 % 251) as u8 };
            (0..count * size).map(byte).collect()
        };
        let (kernel, bias) = (raw(12), raw(3));
        let file = dense_in(dtype, &kernel, &bias);
        let model = Model::from_bytes(&file, Format::Safetensors).expect("reads");
        let archived = reread(&model, Format::Keras).expect("writes and reads .keras");
        let stored = &archived.document().expect("a file").stored;
        assert!(stored.values().all(|stored| stored.ty == ty), "{dtype}: {stored:?}");
        assert_eq!(stored.len(), 2, "{dtype}");
        let written = write(&archived, Format::Safetensors).expect("writes");
        let both = [bias, kernel].concat();
        assert!(written.ends_with(&both), "{dtype}: the weights have changed");
        let legacy = model.to_bytes(Format::Hdf5).expect("writes .h5");
        // Keras reads no bfloat16 from this form.
        let told = legacy.left_out.iter().any(|line| line.contains("bfloat16"));
        assert_eq!(told, ty == StoredType::Bf16, "{dtype}: {:?}", legacy.left_out);
        let read = Model::from_bytes(&legacy.bytes, Format::Hdf5).expect("reads .h5");
        assert_eq!(contents(&read), contents(&model), "{dtype}");
        if ty != StoredType::Bf16 {
            let written = write(&read, Format::Safetensors).expect("writes");
            assert!(written.ends_with(&both), "{dtype}: the weights have changed in .h5");
        }
    }
}

#[test]
fn a_vocabulary_that_is_given_travels_into_every_format() {
    let tokens = ["", "[UNK]", "film", "good", "dull"].map(str::to_owned).to_vec();
    let options = ReadOptions { vocabulary: Some(tokens), ..ReadOptions::default() };
    let texts: Tensors = [(
        "text",
        Tensor::new([2, 1], vec!["a GOOD film".to_owned(), "dull".to_owned()]).expect("two texts"),
    )]
    .into();
    let file = fixtures().join("compiled/text_int.keras");
    let model = Model::open_with(&file, &options).expect("opens");
    let plain = Model::open(&file).expect("opens");
    let expected = outputs(&model, &texts).expect("runs");
    assert_ne!(expected, outputs(&plain, &texts).expect("runs"));
    for format in [Format::Keras, Format::Safetensors] {
        let again = reread(&model, format).expect("writes and reads");
        assert_eq!(outputs(&again, &texts).expect("runs"), expected, "{format:?}");
    }
    let described = reread(&model, Format::Description).expect("writes and reads");
    let config = &described.document().expect("a file").config;
    assert!(config.to_string().contains(r#""vocabulary":["","[UNK]","film","good","dull"]"#));
}

#[test]
fn what_a_format_cannot_say_is_refused_by_name() {
    let mut config = common::broken::dense();
    config["config"]["layers"][1]["config"]["activation"] = "hard_sigmoid_keras2".into();
    let weights = common::broken::dense_weights(&[("0", &[4, 3]), ("1", &[3])]);
    let file = common::broken::keras(&config.to_string(), weights);
    // Readers of old files make this name; those that do not know it refuse it themselves.
    if let Ok(model) = Model::from_bytes(&file, Format::Keras) {
        for format in [Format::Keras, Format::Hdf5] {
            let error = model.to_bytes(format).expect_err("Keras 3 has no such function");
            assert!(error.to_string().contains("hard_sigmoid"), "{error}");
            assert!(error.to_string().contains("'head'"), "{error}");
        }
        assert!(model.to_bytes(Format::Safetensors).is_ok());
    }
    let model = Model::open(fixtures().join("compiled/adam.keras")).expect("opens");
    let description = model.to_bytes(Format::Description).expect("writes");
    assert!(description.left_out.iter().any(|line| line.contains("weights")));
    assert!(description.left_out.iter().any(|line| line.contains("optimizer")));
    assert!(model.to_bytes(Format::Keras).expect("writes").left_out.is_empty());
    let error = Model::from_graph(model.graph().clone()).to_bytes(Format::Keras);
    assert!(error.expect_err("no configuration").to_string().contains("graph of operators"));
}

#[test]
fn a_model_can_be_saved_over_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.keras");
    std::fs::copy(fixtures().join("compiled/adam.keras"), &path).expect("copies");
    let model = Model::open(&path).expect("opens");
    assert_eq!(model.save(&path).expect("saves"), Vec::<String>::new());
    let again = Model::open(&path).expect("opens again");
    assert_eq!(contents(&model), contents(&again));
    assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 1);
    let error = model.save(folder.path().join("model.onnx")).expect_err("not built yet");
    assert!(error.to_string().contains("ONNX"), "{error}");
    let error = model.save(folder.path().join("missing/model.keras")).expect_err("no folder");
    assert!(error.to_string().contains("cannot be written"), "{error}");
}

/// Random inputs for a described model: ids and numbers below 5, and texts.
fn made_up(model: &Model) -> Tensors {
    let graph = model.graph();
    let tensor = |input: &seqfuse::graph::Input| {
        let ty = graph.ty(input.value);
        let open = |axis: usize| if axis == 0 { 3 } else { 6 };
        let dims = ty.dims.iter().enumerate();
        let shape: Vec<usize> =
            dims.map(|(axis, dim)| dim.known().unwrap_or_else(|| open(axis))).collect();
        let count = shape.iter().product::<usize>();
        let data = match ty.dtype {
            seqfuse::DType::F32 => Data::F32((0..count).map(|i| (i % 7) as f32 * 0.1).collect()),
            seqfuse::DType::I64 => Data::I64((0..count).map(|i| (i % 5) as i64).collect()),
            seqfuse::DType::Str => Data::Str(vec!["a good film".to_owned(); count]),
            _ => Data::I32((0..count).map(|i| (i % 5) as i32).collect()),
        };
        (input.name.clone(), Tensor::new(shape, data).expect("the count fits"))
    };
    graph.inputs().iter().map(tensor).collect()
}

/// Writes a model in both of Keras's formats, and lists the files.
fn write_both(model: &Model, name: &str, folder: &Path, list: &mut Vec<Value>, entry: Value) {
    for (format, extension) in [(Format::Keras, "keras"), (Format::Hdf5, "h5")] {
        match model.to_bytes(format) {
            Ok(written) => {
                let file = format!("{name}.{extension}");
                std::fs::write(folder.join(&file), &written.bytes).expect("writes");
                let mut entry = entry.clone();
                entry["written"] = file.into();
                list.push(entry);
            }
            Err(error) => assert!(refused_in_h5(&error), "{name}: {}", chain(&error)),
        }
    }
}

#[test]
fn real_keras_loads_what_is_written() {
    let Some(python) = std::env::var_os("SEQFUSE_PYTHON") else {
        eprintln!(
            "SKIPPED: set SEQFUSE_PYTHON to a Python with TensorFlow to let Keras load files"
        );
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let mut list = Vec::new();
    for case in all().iter().filter(|case| wanted(&label(case))) {
        let (original, arrays) = (case_file(case, "keras"), case_file(case, "npz"));
        let model = Model::open_with(&original, &options());
        let model = model.unwrap_or_else(|error| panic!("{}", chain(&error)));
        let entry = json!({"original": original, "arrays": arrays});
        write_both(&model, &label(case).replace('/', "-"), folder.path(), &mut list, entry);
    }
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for file in std::fs::read_dir(models).expect("the models are there") {
        let path = file.expect("an entry").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("UTF-8").to_owned();
        if path.extension().is_none_or(|extension| extension != "json") || !wanted(&name) {
            continue;
        }
        let tokens = ["", "[UNK]", "film", "good"].map(str::to_owned).to_vec();
        let options = ReadOptions { vocabulary: Some(tokens), ..ReadOptions::default() };
        let model = Model::open_with(&path, &options).unwrap_or_else(|error| panic!("{error}"));
        let inputs = made_up(&model);
        let mut arrays: Tensors =
            inputs.iter().map(|(name, tensor)| (format!("in/{name}"), tensor.clone())).collect();
        let outputs = outputs(&model, &inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (index, (_, tensor)) in outputs.into_iter().enumerate() {
            arrays.insert(format!("out/{index}"), tensor);
        }
        let file = folder.path().join(format!("{name}.npz"));
        std::fs::write(&file, npz::write_npz(&arrays).expect("packs")).expect("writes");
        let entry = json!({"original": null, "arrays": file});
        write_both(&model, &name, folder.path(), &mut list, entry);
    }
    std::fs::write(folder.path().join("list.json"), json!(list).to_string()).expect("writes");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/fixtures/check_written.py");
    let done = Command::new(python).arg(script).arg(folder.path()).output().expect("Python starts");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}\n{}", String::from_utf8_lossy(&done.stderr));
    eprintln!("{text}");
}

#[test]
fn h5_refuses_by_name_what_keras_would_load_as_another_model() {
    for (case, word) in [
        ("time_distributed/shared_plain", "layer 'dense', which two models or wrappers share"),
        (
            "time_distributed/shared_model",
            "layer 'words_model', which two models or wrappers share",
        ),
        (
            "time_distributed/shared_model_nested",
            "layer 'middle', which two models or wrappers share",
        ),
        ("operators/getitem", "Ellipsis (`...`) among the arguments of 'get_item_5'"),
        ("operators/more_selections", "Ellipsis (`...`) among the arguments of 'get_item_4'"),
    ] {
        let model = Model::open(fixtures().join(format!("{case}.keras"))).expect("opens");
        let refused =
            model.to_bytes(Format::Hdf5).expect_err("Keras would not read it").to_string();
        assert!(refused.contains(word) && refused.contains(".h5"), "{case}: {refused}");
    }
}

#[test]
fn weights_alone_are_not_written_under_their_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.weights.h5");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/sentiment.keras");
    let model = Model::open(model).expect("the sample opens");
    let refused = model.save(&path).expect_err("Keras reads such a name otherwise");
    assert!(refused.to_string().contains("model.weights.h5"), "{refused}");
    assert!(!path.exists());
}
