//! Against ONNX Runtime, whose shared library is loaded from `ORT_DYLIB_PATH`.

use std::path::Path;

use super::VerifyArgs;
use super::compare::{Report, Tolerance};
use super::reference::{self, LENGTHS, random_inputs};
use crate::Model;
use crate::cli::error::CliError;
use crate::cli::inputs;
use crate::cli::onnx_runtime::Runtime;
use crate::formats::onnx;
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

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::formats::onnx::proto::{
        Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetId, ShapeProto,
        TensorProto, TensorTypeProto, TypeKind, TypeProto, ValueInfo,
    };

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
