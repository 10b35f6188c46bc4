//! Against ONNX Runtime, whose shared library is loaded from `ORT_DYLIB_PATH`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::environment::Environment;
use ort::session::Session as OrtSession;
use ort::value::{DynTensorValueType, DynValue, Tensor as OrtTensor, TensorElementType};

use super::VerifyArgs;
use super::compare::{Report, Tolerance};
use super::reference::{self, LENGTHS, random_inputs};
use crate::Model;
use crate::cli::error::CliError;
use crate::cli::inputs;
use crate::formats::onnx;
use crate::graph::{Data, Tensor};
use crate::runtime::{Options, Tensors};

/// Runs a model here and in ONNX Runtime and compares outputs, or with `--nodes` every value of the
/// main graph until the first that differs.
pub(super) fn compare(args: &VerifyArgs, tolerance: Tolerance) -> Result<Report, CliError> {
    let path = &args.model.model;
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("onnx")) {
        let what = "`--against ort` compares .onnx models; for others use `reference` or an .npz";
        return Err(CliError::usage(what));
    }
    let options = args.device.options();
    let model = args.model.open()?;
    let given = args.input.as_deref().map(|path| inputs::read(path, model.graph())).transpose()?;
    let runtime = Runtime::load(args.device.threads.map(usize::from))?;
    let given = match given {
        Some(given) => vec![given],
        None => {
            let lengths = LENGTHS.iter().map(|&length| random_inputs(model.graph(), length));
            lengths.collect::<Result<_, _>>()?
        }
    };
    if args.nodes {
        let bytes = crate::cli::common::read_bytes(path)?;
        return values(&runtime, path, bytes, &options, &given, tolerance);
    }
    let mut report = Report::new(tolerance, OTHER);
    let (given, found) = first(&given, |given| Ok(reference::run(&model, &options, given)?))?;
    let expected = runtime.run(path, given, &[])?;
    for (name, found) in found.iter() {
        let absent = || CliError::failed(format!("ONNX Runtime gives no output `{name}`"));
        report.add(name, found, expected.get(name).ok_or_else(absent)?);
    }
    Ok(report)
}

/// The name of the other side, in messages.
const OTHER: &str = "ONNX Runtime";

/// Compares every value of the model in `bytes`, run here, with that of the model in the file `path`, run
/// there, in the order of the file's nodes, to the first that differs.
fn values(
    runtime: &Runtime,
    path: &Path,
    bytes: Vec<u8>,
    options: &Options,
    given: &[Tensors],
    tolerance: Tolerance,
) -> Result<Report, CliError> {
    let (given, (names, found)) = first(given, |given| {
        let (model, names) = with_values(path, bytes.clone(), given)?;
        Ok((names, reference::run(&model, options, given)?))
    })?;
    let expected = runtime.run(path, given, &names)?;
    let mut report = Report::new(tolerance, OTHER).by_largest();
    for name in &names {
        if let (Some(found), Some(expected)) = (found.get(name), expected.get(name)) {
            report.add(name, found, expected);
            if report.first_mismatch().is_some() {
                break;
            }
        }
    }
    match report.is_empty() {
        true => Err(CliError::failed("the model computes no value that both sides can give")),
        false => Ok(report),
    }
}

/// The first inputs that something can be done with, and what came of it: a length may be too short for
/// the model.
fn first<T>(
    given: &[Tensors],
    run: impl Fn(&Tensors) -> Result<T, CliError>,
) -> Result<(&Tensors, T), CliError> {
    let mut failed = CliError::failed("no input was tried");
    for given in given {
        match run(given) {
            Ok(found) => return Ok((given, found)),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The model, for inputs of these shapes, with every value of its main graph as an output, and their
/// names in the file's order.
fn with_values(
    path: &Path,
    bytes: Vec<u8>,
    given: &Tensors,
) -> Result<(Model, Vec<String>), CliError> {
    let named =
        |error: onnx::OnnxError| CliError::failed(format!("{}", path.display())).caused_by(&error);
    let shapes = given.iter().map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec()));
    let shapes = shapes.collect();
    let (mut graph, values) =
        onnx::read_with_values(bytes, path.parent(), &shapes).map_err(named)?;
    graph.clear_outputs();
    let mut names = Vec::with_capacity(values.len());
    for (name, value) in values {
        if graph.add_output(&name, value).is_ok() {
            names.push(name);
        }
    }
    Ok((Model::from_graph(graph), names))
}

/// ONNX Runtime, loaded.
struct Runtime {
    environment: Environment,
    threads: Option<usize>,
}

/// The library's loading is not to be done twice at a time.
fn loading() -> MutexGuard<'static, ()> {
    static LOADING: Mutex<()> = Mutex::new(());
    LOADING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runtime {
    fn load(threads: Option<usize>) -> Result<Runtime, CliError> {
        let _loading = loading();
        let Some(path) = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from) else {
            let what = "ORT_DYLIB_PATH is not set; name ONNX Runtime's shared library in it (in its \
                        Python package: onnxruntime/capi/libonnxruntime.so.*)";
            return Err(CliError::failed(what));
        };
        let failed = |error: &dyn std::error::Error| {
            let what = format!("ORT_DYLIB_PATH {}: ONNX Runtime cannot be loaded", path.display());
            CliError::failed(what).caused_by(error)
        };
        let builder = ort::init_from(&path).map_err(|error| failed(&error))?;
        let environment = builder.build().map_err(|error| failed(&error))?;
        Ok(Runtime { environment, threads })
    }

    /// Runs the model of a file; `values` names what it gives beside its outputs.
    fn run(&self, path: &Path, given: &Tensors, values: &[String]) -> Result<Tensors, CliError> {
        let failed = |error: &dyn std::error::Error| {
            CliError::failed(format!("ONNX Runtime, {}", path.display())).caused_by(error)
        };
        let open = || -> ort::Result<OrtSession> {
            let mut builder = OrtSession::builder(&self.environment)?;
            if let Some(threads) = self.threads {
                builder = builder.with_intra_threads(threads)?;
            }
            match values.is_empty() {
                true => builder.commit_from_file(path),
                false => {
                    let mut bytes = std::fs::read(path).map_err(ort::Error::wrap)?;
                    append_outputs(&mut bytes, values);
                    if let Some(folder) = path.parent().and_then(Path::to_str) {
                        let key = "session.model_external_initializers_file_folder_path";
                        let folder = if folder.is_empty() { "." } else { folder };
                        builder = builder.with_config_entry(key, folder)?;
                    }
                    builder.commit_from_memory(&bytes)
                }
            }
        };
        let mut session = open().map_err(|error| failed(&error))?;
        let inputs = given.iter().map(|(name, tensor)| Ok((name.to_owned(), to_ort(tensor)?)));
        let inputs = inputs.collect::<ort::Result<Vec<_>>>().map_err(|error| failed(&error))?;
        let outputs = session.run(inputs).map_err(|error| failed(&error))?;
        let outputs = outputs.iter().filter(|(_, value)| value.is_tensor());
        let outputs = outputs.map(|(name, value)| Ok((name.to_owned(), of_ort(value)?)));
        outputs.collect::<ort::Result<Tensors>>().map_err(|error| failed(&error))
    }
}

/// Appends outputs to the bytes of a model. Messages that follow each other in a protobuf are merged,
/// so a second graph that holds outputs alone adds them to the first.
fn append_outputs(model: &mut Vec<u8>, names: &[String]) {
    const GRAPH: u8 = 7 << 3 | 2;
    const OUTPUT: u8 = 12 << 3 | 2;
    const NAME: u8 = 1 << 3 | 2;
    let mut graph = Vec::new();
    for name in names {
        let mut value = Vec::new();
        field(&mut value, NAME, name.as_bytes());
        field(&mut graph, OUTPUT, &value);
    }
    field(model, GRAPH, &graph);
}

/// A field of bytes: its tag, their number in base 128, and they themselves.
fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    let mut len = bytes.len();
    while len >= 128 {
        out.push(len as u8 | 128);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
}

/// A tensor as ONNX Runtime takes it.
fn to_ort(tensor: &Tensor) -> ort::Result<DynValue> {
    let shape: Vec<i64> = tensor.shape().iter().map(|&size| size as i64).collect();
    macro_rules! of {
        ($($kind:ident),*) => {
            match tensor.data() {
                $(Data::$kind(values) => OrtTensor::from_array((shape, values.clone()))?.into_dyn(),)*
                Data::Str(values) => {
                    OrtTensor::from_string_array((shape, values.as_slice()))?.into_dyn()
                }
            }
        };
    }
    Ok(of!(F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool))
}

/// A tensor of ONNX Runtime's.
fn of_ort(value: ort::value::ValueRef<'_>) -> ort::Result<Tensor> {
    let value = value.downcast::<DynTensorValueType>()?;
    macro_rules! of {
        ($($theirs:ident => $element:ty, $kind:ident);*) => {
            match *value.data_type() {
                $(TensorElementType::$theirs => {
                    let (shape, values) = value.try_extract_tensor::<$element>()?;
                    (shape.to_vec(), Data::$kind(values.to_vec()))
                })*
                TensorElementType::String => {
                    let (shape, values) = value.try_extract_strings()?;
                    (shape.to_vec(), Data::Str(values))
                }
                other => return Err(ort::Error::new(format!("a tensor of {other}"))),
            }
        };
    }
    let (shape, data) = of!(
        Float32 => f32, F32; Float64 => f64, F64; Float16 => half::f16, F16; Int8 => i8, I8;
        Int16 => i16, I16; Int32 => i32, I32; Int64 => i64, I64; Uint8 => u8, U8;
        Uint16 => u16, U16; Uint32 => u32, U32; Uint64 => u64, U64; Bool => bool, Bool
    );
    let shape = shape.into_iter().map(|size| size.max(0) as usize).collect::<Vec<usize>>();
    Ok(Tensor::from_parts(shape, data))
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::formats::onnx::proto::{
        Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetId, ShapeProto,
        TensorProto, TensorTypeProto, TypeKind, TypeProto, ValueInfo,
    };

    #[test]
    fn appended_outputs_are_a_second_graph() {
        let mut bytes = Vec::new();
        append_outputs(&mut bytes, &["ab".to_owned()]);
        assert_eq!(bytes, [0x3a, 6, 0x62, 4, 0x0a, 2, b'a', b'b']);
        let long = "x".repeat(200);
        let mut bytes = Vec::new();
        field(&mut bytes, 0x0a, long.as_bytes());
        assert_eq!((bytes[1], bytes[2], bytes.len()), (200 - 128 + 128, 1, 203));
    }

    /// `y = tanh(x · first) · second`.
    fn two_products(second: f32) -> Vec<u8> {
        let kind = |shape: Vec<i64>| {
            let dim = |size| Dimension { value: Some(DimensionValue::Value(size)) };
            let shape = ShapeProto { dim: shape.into_iter().map(dim).collect() };
            let ty = TensorTypeProto { elem_type: 1, shape: Some(shape) };
            Some(TypeProto { value: Some(TypeKind::Tensor(ty)) })
        };
        let value = |name: &str| ValueInfo { name: name.to_owned(), r#type: kind(vec![1, 2]) };
        let weight = |name: &str, value: f32| TensorProto {
            name: name.to_owned(),
            dims: vec![2, 2],
            data_type: 1,
            float_data: vec![0.5, value, -0.25, 0.125],
            ..TensorProto::default()
        };
        let node = |op_type: &str, inputs: &[&str], output: &str| NodeProto {
            op_type: op_type.to_owned(),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        };
        let graph = GraphProto {
            name: "products".to_owned(),
            node: vec![
                node("MatMul", &["x", "first"], "inner"),
                node("Tanh", &["inner"], "bent"),
                node("MatMul", &["bent", "second"], "outer"),
                node("Relu", &["outer"], "y"),
            ],
            initializer: vec![weight("first", 1.0), weight("second", second)],
            input: vec![value("x")],
            output: vec![value("y")],
            ..GraphProto::default()
        };
        let opset_import = vec![OperatorSetId { domain: String::new(), version: 17 }];
        let model = ModelProto { ir_version: 8, opset_import, ..ModelProto::default() };
        ModelProto { graph: Some(graph), ..model }.encode_to_vec()
    }

    #[test]
    fn the_first_value_that_parts_is_named() {
        if std::env::var_os("ORT_DYLIB_PATH").is_none() {
            eprintln!("SKIPPED: ORT_DYLIB_PATH names no library of ONNX Runtime");
            return;
        }
        let runtime = Runtime::load(Some(1)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("products.onnx");
        std::fs::write(&path, two_products(1.0)).unwrap();
        let given = [Tensors::new().with("x", Tensor::new([1, 2], vec![1.0f32, -0.5]).unwrap())];
        let compared = |second: f32| {
            let (options, bytes) = (Options::new().threads(1), two_products(second));
            let tolerance = Tolerance { relative: 1e-5, absolute: 1e-5 };
            values(&runtime, &path, bytes, &options, &given, tolerance).unwrap()
        };
        assert_eq!(compared(1.0).first_mismatch(), None);
        let report = compared(1.01);
        let line = report.first_mismatch().unwrap();
        assert!(line.contains("`outer` differs at [0, 1]"), "{line}");
        let table = report.render();
        assert!(table.contains("inner") && table.contains("bent"), "{table}");
        assert!(!table.contains("\ny "), "nothing behind it is compared: {table}");
    }
}
