//! Reading models that are built here, message by message.

use super::proto::{
    AttributeKind, AttributeProto, Dimension, DimensionValue, FunctionProto, GraphProto,
    ModelProto, NodeProto, OperatorSetId, ShapeProto, TensorProto, TensorTypeProto, TypeKind,
    TypeProto, ValueInfo,
};
use super::*;
use crate::graph::{DType, Data, Dim, Tensor, VariableKind};
use crate::{Model, Options};

mod symbolic;

fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let (input, output) = (names(inputs), names(outputs));
    NodeProto { op_type: op_type.to_owned(), input, output, ..NodeProto::default() }
}

fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

fn int(name: &str, i: i64) -> AttributeProto {
    let (name, r#type) = (name.to_owned(), AttributeKind::Int as i32);
    AttributeProto { name, i, r#type, ..AttributeProto::default() }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let (name, r#type, ints) = (name.to_owned(), AttributeKind::Ints as i32, ints.to_vec());
    AttributeProto { name, ints, r#type, ..AttributeProto::default() }
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let (name, dims, float_data) = (name.to_owned(), dims.to_vec(), values.to_vec());
    TensorProto { name, dims, data_type: 1, float_data, ..TensorProto::default() }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto {
        name: name.to_owned(),
        dims: vec![values.len() as i64],
        data_type: 7,
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

/// An input or output; a size is a number or a name, `?` for none.
fn value(name: &str, elem_type: i32, sizes: &[&str]) -> ValueInfo {
    let dim = |size: &&str| Dimension {
        value: match (size.parse(), *size) {
            (Ok(size), _) => Some(DimensionValue::Value(size)),
            (_, "?") => None,
            (_, name) => Some(DimensionValue::Param(name.to_owned())),
        },
    };
    let shape = Some(ShapeProto { dim: sizes.iter().map(dim).collect() });
    let kind = TypeKind::Tensor(TensorTypeProto { elem_type, shape });
    ValueInfo { name: name.to_owned(), r#type: Some(TypeProto { value: Some(kind) }) }
}

fn opset(domain: &str, version: i64) -> OperatorSetId {
    OperatorSetId { domain: domain.to_owned(), version }
}

fn model(graph: GraphProto) -> ModelProto {
    let opset_import = vec![opset("", 17)];
    ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..ModelProto::default() }
}

fn graph_of(model: &ModelProto) -> Result<Graph, OnnxError> {
    let graph = read(model.encode_to_vec(), None)?;
    assert_eq!(graph.verify(), Ok(()));
    Ok(graph)
}

fn run(graph: Graph, inputs: &[(&str, Tensor)]) -> Vec<Tensor> {
    let mut session = Model::from_graph(graph).session(&Options::default()).expect("a session");
    let inputs = inputs.iter().cloned().collect();
    let outputs = session.run(&inputs).expect("it runs");
    outputs.into_iter().map(|(_, tensor)| tensor).collect()
}

fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::new(shape, values.to_vec()).expect("as many elements as the shape has")
}

/// `Shape → Gather → Unsqueeze → Concat → Reshape` around a matrix product, as PyTorch exports it.
fn reshaping() -> GraphProto {
    GraphProto {
        node: vec![
            node("Shape", &["x"], &["sizes"]),
            with(node("Gather", &["sizes", "zero"], &["batch"]), int("axis", 0)),
            node("Mul", &["batch", "two"], &["rows"]),
            node("Unsqueeze", &["rows", "axes"], &["list"]),
            with(node("Concat", &["list", "rest"], &["shape"]), int("axis", 0)),
            node("Reshape", &["x", "shape"], &["y"]),
            node("MatMul", &["y", "w"], &["z"]),
        ],
        initializer: vec![
            TensorProto { dims: vec![], ..integers("zero", &[0]) },
            TensorProto { dims: vec![], ..integers("two", &[2]) },
            integers("axes", &[0]),
            integers("rest", &[-1]),
            floats("w", &[2, 1], &[1.0, 10.0]),
        ],
        input: vec![value("x", 1, &["batch", "4"])],
        output: vec![value("z", 1, &["?", "1"])],
        ..GraphProto::default()
    }
}

#[test]
fn shape_arithmetic_leaves_a_reshape_to_symbolic_sizes() {
    let graph = graph_of(&model(reshaping())).expect("it is read");
    let ops: Vec<_> = graph.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(ops, ["reshape", "mat_mul"]);
    let batch = Dim::symbol("batch");
    let reshaped = graph.ty(graph.nodes()[0].outputs[0]);
    assert_eq!(reshaped.dims, [Dim::from(2) * batch, Dim::from(2)]);
    let x = tensor(&[1, 4], &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(run(graph, &[("x", x)]), [tensor(&[2, 1], &[21.0, 43.0])]);
}

#[test]
fn sizes_become_data_where_data_are_computed_of_them() {
    let graph = GraphProto {
        node: vec![
            node("Shape", &["x"], &["sizes"]),
            with(node("Cast", &["sizes"], &["floats"]), int("to", 1)),
            node("Mul", &["floats", "factor"], &["y"]),
        ],
        initializer: vec![floats("factor", &[], &[0.5])],
        input: vec![value("x", 1, &["a", "3"])],
        output: vec![value("y", 1, &["2"])],
        ..GraphProto::default()
    };
    let graph = graph_of(&model(graph)).expect("it is read");
    let mut session = Model::from_graph(graph).session(&Options::default()).expect("a session");
    for rows in [5, 2] {
        let x = Tensor::zeros(DType::F32, [rows, 3]);
        let outputs = session.run(&[("x", x)].into()).expect("it runs");
        assert_eq!(outputs.get("y"), Some(&tensor(&[2], &[rows as f32 / 2.0, 1.5])));
    }
}

#[test]
fn nodes_of_constants_are_computed_while_the_file_is_read() {
    let graph = GraphProto {
        node: vec![
            with(
                node("Constant", &[], &["one"]),
                AttributeProto { f: 1.0, ..int("value_float", 0) },
            ),
            node("Add", &["one", "half"], &["more"]),
            node("Tanh", &["more"], &["bent"]),
            node("Add", &["x", "bent"], &["y"]),
        ],
        initializer: vec![floats("half", &[], &[0.5])],
        input: vec![value("x", 1, &["2"])],
        output: vec![value("y", 1, &["2"])],
        ..GraphProto::default()
    };
    let mut model = model(graph);
    if let Some(graph) = &mut model.graph {
        graph.node[0].attribute[0].r#type = AttributeKind::Float as i32;
    }
    let graph = graph_of(&model).expect("it is read");
    assert_eq!(graph.nodes().len(), 1);
    let bent = 1.5f32.tanh();
    let y = &run(graph, &[("x", tensor(&[2], &[0.0, 1.0]))])[0];
    let y = y.as_f32().expect("floats");
    assert!((y[0] - bent).abs() < 1e-6 && (y[1] - 1.0 - bent).abs() < 1e-6, "{y:?}");
}

#[test]
fn initializers_with_dimensions_are_parameters_under_their_names() {
    let graph = graph_of(&model(reshaping())).expect("it is read");
    let variables: Vec<_> = graph.variables().iter().map(|v| (&v.name[..], v.kind)).collect();
    assert_eq!(variables, [("w", VariableKind::Parameter)]);
    let layers: Vec<_> = graph.layers().iter().map(|l| (&l.name[..], &l.class[..])).collect();
    assert_eq!(layers, [("y", "Reshape"), ("z", "MatMul")]);
    assert_eq!(graph.layers()[1].connected_to, ["y"]);
    assert_eq!(graph.layers()[1].variables.len(), 1);
}

#[test]
fn gemm_honours_its_factors_and_transposes() {
    let factors = [("alpha", 0.5f32), ("beta", 2.0)].map(|(name, f)| AttributeProto {
        f,
        r#type: AttributeKind::Float as i32,
        ..int(name, 0)
    });
    let gemm = with(node("Gemm", &["a", "b", "c"], &["y"]), int("transA", 1));
    let gemm = factors.into_iter().fold(with(gemm, int("transB", 1)), with);
    let graph = GraphProto {
        node: vec![gemm],
        initializer: vec![
            floats("b", &[1, 2], &[1.0, 2.0]),
            floats("c", &[3, 1], &[1.0, 2.0, 3.0]),
        ],
        input: vec![value("a", 1, &["2", "3"])],
        output: vec![value("y", 1, &["3", "1"])],
        ..GraphProto::default()
    };
    let graph = graph_of(&model(graph)).expect("it is read");
    let a = tensor(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(run(graph, &[("a", a)]), [tensor(&[3, 1], &[6.5, 10.0, 13.5])]);
}

#[test]
fn integers_are_divided_towards_zero() {
    let graph = GraphProto {
        node: vec![node("Div", &["a", "b"], &["y"])],
        input: vec![value("a", 7, &["n"]), value("b", 7, &["n"])],
        output: vec![value("y", 7, &["n"])],
        ..GraphProto::default()
    };
    let graph = graph_of(&model(graph)).expect("it is read");
    let list = |values: [i64; 4]| Tensor::new([4], values.to_vec()).expect("four");
    let inputs = [("a", list([7, -7, 7, -6])), ("b", list([2, 2, -2, 3]))];
    assert_eq!(run(graph, &inputs), [list([3, -3, -3, -2])]);
}

#[test]
fn functions_are_read_in_place_of_their_calls() {
    let attribute = AttributeProto { ref_attr_name: "order".to_owned(), ..ints("perm", &[]) };
    let function = FunctionProto {
        name: "TurnAndAdd".to_owned(),
        domain: "custom".to_owned(),
        input: vec!["p".to_owned(), "q".to_owned()],
        output: vec!["r".to_owned()],
        attribute: vec!["order".to_owned()],
        node: vec![
            with(node("Transpose", &["p"], &["turned"]), attribute),
            node("Add", &["turned", "q"], &["r"]),
        ],
        opset_import: vec![opset("", 17)],
        ..FunctionProto::default()
    };
    let call = with(node("TurnAndAdd", &["x", "b"], &["y"]), ints("order", &[1, 0]));
    let graph = GraphProto {
        node: vec![NodeProto { domain: "custom".to_owned(), ..call }],
        initializer: vec![floats("b", &[2], &[10.0, 20.0])],
        input: vec![value("x", 1, &["2", "1"])],
        output: vec![value("y", 1, &["1", "2"])],
        ..GraphProto::default()
    };
    let mut model = model(graph);
    model.opset_import.push(opset("custom", 1));
    model.functions.push(function);
    let graph = graph_of(&model).expect("it is read");
    assert_eq!(
        run(graph, &[("x", tensor(&[2, 1], &[1.0, 2.0]))]),
        [tensor(&[1, 2], &[11.0, 22.0])]
    );
}

#[test]
fn nodes_out_of_order_are_sorted_and_circles_are_refused() {
    let mut graph = reshaping();
    graph.node.reverse();
    assert!(graph_of(&model(graph)).is_ok());
    let mut graph = reshaping();
    graph.node[0].input[0] = "z".to_owned();
    let error = graph_of(&model(graph)).expect_err("a circle").to_string();
    assert!(error.contains("in a circle: sizes, batch"), "{error}");
}

#[test]
fn what_an_operator_does_not_look_at_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut GraphProto)| {
        let mut graph = reshaping();
        change(&mut graph);
        graph_of(&model(graph)).expect_err("it is refused").to_string()
    };
    let attribute = refused(&|graph| graph.node[6].attribute.push(int("speed", 3)));
    assert_eq!(attribute, "node 'z' (MatMul): attribute 'speed' is not known in opset 17");
    let input = refused(&|graph| graph.node[6].input.push("x".to_owned()));
    assert_eq!(input, "node 'z' (MatMul): input 2 ('x') is one too many");
    let output = refused(&|graph| graph.node[6].output.push("more".to_owned()));
    assert_eq!(output, "node 'z' (MatMul): output 1 ('more') is not given by this operator");
    let operator = refused(&|graph| graph.node[6].op_type = "MatMulTwice".to_owned());
    assert_eq!(operator, "node 'z' (MatMulTwice): the operator is not supported in opset 17");
    let wrong = refused(&|graph| graph.node[4].attribute[0] = ints("axis", &[0]));
    let expected = "node 'shape' (Concat): attribute 'axis' is ints [0], expected an int";
    assert_eq!(wrong, expected);
    let absent = refused(&|graph| graph.node[6].input[1] = "nowhere".to_owned());
    assert!(absent.contains("input 'nowhere' is defined by no node"), "{absent}");
}

#[test]
fn a_shape_that_is_data_waits_for_the_run() {
    let graph = GraphProto {
        node: vec![
            node("Reshape", &["x", "shape"], &["y"]),
            node("Shape", &["y"], &["sizes"]),
            with(node("Gather", &["sizes", "zero"], &["rows"]), int("axis", 0)),
            node("Mul", &["rows", "two"], &["twice"]),
        ],
        initializer: vec![
            TensorProto { dims: vec![], ..integers("zero", &[0]) },
            TensorProto { dims: vec![], ..integers("two", &[2]) },
        ],
        input: vec![value("x", 1, &["6"]), value("shape", 7, &["2"])],
        output: vec![value("y", 1, &["?", "?"]), value("twice", 7, &[])],
        ..GraphProto::default()
    };
    let graph = graph_of(&model(graph)).expect("it is read");
    let mut session = Model::from_graph(graph).session(&Options::default()).expect("a session");
    let x = tensor(&[6], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    for (asked, rows) in [([2i64, 3], 2i64), ([-1, 1], 6), ([0, -1], 6)] {
        let shape = Tensor::new([2], asked.to_vec()).expect("two");
        let outputs = session.run(&[("x", x.clone()), ("shape", shape)].into()).expect("it runs");
        let shape = outputs.get("y").map(|y| y.shape().to_vec());
        assert_eq!(shape, Some(vec![rows as usize, 6 / rows as usize]));
        assert_eq!(outputs.get("twice"), Some(&Tensor::scalar(2 * rows)));
    }
    let shape = Tensor::new([2], vec![4i64, 4]).expect("two");
    let error = session.run(&[("x", x), ("shape", shape)].into()).expect_err("16 are not 6");
    assert!(error.to_string().contains('y'), "{error}");
}

fn body(name: &str, graph: GraphProto) -> AttributeProto {
    let (name, r#type) = (name.to_owned(), AttributeKind::Graph as i32);
    AttributeProto { name, g: Some(Box::new(graph)), r#type, ..AttributeProto::default() }
}

/// `x + by` in a subgraph that sees both from around it.
fn adding(by: &str) -> GraphProto {
    GraphProto {
        node: vec![node("Add", &["x", by], &["sum"])],
        output: vec![value("sum", 1, &["2"])],
        ..GraphProto::default()
    }
}

fn choosing() -> GraphProto {
    let choice = with(node("If", &["c"], &["y"]), body("then_branch", adding("p")));
    GraphProto {
        node: vec![with(choice, body("else_branch", adding("q")))],
        initializer: vec![floats("p", &[2], &[1.0, 2.0]), floats("q", &[], &[10.0])],
        input: vec![value("x", 1, &["2"]), value("c", 9, &[])],
        output: vec![value("y", 1, &["2"])],
        ..GraphProto::default()
    }
}

#[test]
fn a_branch_is_chosen_by_the_run() {
    let graph = graph_of(&model(choosing())).expect("it is read");
    let x = tensor(&[2], &[1.0, 1.0]);
    for (condition, expected) in [(true, [2.0, 3.0]), (false, [11.0, 11.0])] {
        let inputs = [("x", x.clone()), ("c", Tensor::scalar(condition))];
        assert_eq!(run(graph.clone(), &inputs), [tensor(&[2], &expected)]);
    }
}

#[test]
fn a_branch_whose_condition_is_known_stands_alone() {
    let mut chosen = choosing();
    chosen.input.pop();
    let condition = TensorProto { data_type: 9, int32_data: vec![1], ..floats("c", &[], &[]) };
    chosen.initializer.push(condition);
    let graph = graph_of(&model(chosen)).expect("it is read");
    let ops: Vec<_> = graph.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(ops, ["add"]);
    assert_eq!(run(graph, &[("x", tensor(&[2], &[1.0, 1.0]))]), [tensor(&[2], &[2.0, 3.0])]);
}

/// `x · w` of rows without their axis of size 1 where `c`, which takes rows of any other size; else `x`.
fn written_for_other_sizes() -> GraphProto {
    let giving = |node: Vec<NodeProto>, output: &str| GraphProto {
        node,
        output: vec![value(output, 1, &["?", "?"])],
        ..GraphProto::default()
    };
    let squeezed = giving(vec![node("Squeeze", &["x", "one"], &["s"])], "s");
    let same = giving(vec![node("Identity", &["x"], &["t"])], "t");
    let inner = with(node("If", &["is_one"], &["r"]), body("then_branch", squeezed));
    let product = giving(
        vec![
            node("Shape", &["x"], &["shape"]),
            node("Gather", &["shape", "one"], &["width"]),
            node("Equal", &["width", "one"], &["is_one"]),
            with(inner, body("else_branch", same.clone())),
            node("Gemm", &["r", "w"], &["product"]),
        ],
        "product",
    );
    let outer = with(node("If", &["c"], &["y"]), body("then_branch", product));
    GraphProto {
        node: vec![with(outer, body("else_branch", same))],
        initializer: vec![floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]), integers("one", &[1])],
        input: vec![value("x", 1, &["rows", "width"]), value("c", 9, &[])],
        output: vec![value("y", 1, &["?", "?"])],
        ..GraphProto::default()
    }
}

#[test]
fn a_branch_that_the_sizes_of_a_run_never_take_need_not_fit_them() {
    let graph = graph_of(&model(written_for_other_sizes())).expect("it is read");
    let (narrow, wide) = (tensor(&[2, 1], &[5.0, 6.0]), tensor(&[1, 2], &[1.0, 1.0]));
    let given = |x: &Tensor, c: bool| [("x", x.clone()), ("c", Tensor::scalar(c))];
    assert_eq!(run(graph.clone(), &given(&narrow, false)), std::slice::from_ref(&narrow));
    assert_eq!(run(graph.clone(), &given(&wide, false)), std::slice::from_ref(&wide));
    assert_eq!(run(graph.clone(), &given(&wide, true)), [tensor(&[1, 2], &[4.0, 6.0])]);
    let mut session = Model::from_graph(graph).session(&Options::default()).expect("a session");
    let inputs = given(&narrow, true).into_iter().collect();
    let mut error: &dyn std::error::Error = &session.run(&inputs).expect_err("Gemm takes a matrix");
    while let Some(cause) = error.source() {
        error = cause;
    }
    assert!(error.to_string().contains("(Gemm)"), "{error}");
}

#[test]
fn a_loop_carries_values_and_stacks_what_each_round_gives() {
    // y = (y + w) · 2 each round, with every sum kept; a second state grows by one element a round.
    let inner = GraphProto {
        node: vec![
            node("Add", &["before", "w"], &["sum"]),
            node("Mul", &["sum", "two"], &["after"]),
            with(node("Concat", &["grown", "one"], &["longer"]), int("axis", 0)),
            node("Identity", &["go"], &["go_on"]),
        ],
        initializer: vec![floats("two", &[], &[2.0]), floats("one", &[1], &[1.0])],
        input: vec![
            value("round", 7, &[]),
            value("go", 9, &[]),
            value("before", 1, &["2"]),
            value("grown", 1, &["?"]),
        ],
        output: vec![
            value("go_on", 9, &[]),
            value("after", 1, &["2"]),
            value("longer", 1, &["?"]),
            value("sum", 1, &["2"]),
        ],
        ..GraphProto::default()
    };
    let outputs = ["y", "grown_to", "sums"];
    let graph = GraphProto {
        node: vec![with(node("Loop", &["n", "", "x", "seed"], &outputs), body("body", inner))],
        initializer: vec![floats("w", &[2], &[1.0, 0.0]), floats("seed", &[1], &[5.0])],
        input: vec![value("x", 1, &["2"]), value("n", 7, &[])],
        output: vec![
            value("y", 1, &["2"]),
            value("grown_to", 1, &["?"]),
            value("sums", 1, &["?", "2"]),
        ],
        ..GraphProto::default()
    };
    let graph = graph_of(&model(graph)).expect("it is read");
    let inputs = [("x", tensor(&[2], &[0.0, 1.0])), ("n", Tensor::scalar(3i64))];
    let expected = [
        tensor(&[2], &[14.0, 8.0]),
        tensor(&[4], &[5.0, 1.0, 1.0, 1.0]),
        tensor(&[3, 2], &[1.0, 1.0, 3.0, 2.0, 7.0, 4.0]),
    ];
    assert_eq!(run(graph, &inputs), expected);
}

#[test]
fn a_scan_walks_its_sequence_either_way() {
    let inner = GraphProto {
        node: vec![
            node("Add", &["sum", "step"], &["next"]),
            node("Identity", &["next"], &["seen"]),
        ],
        input: vec![value("sum", 1, &["2"]), value("step", 1, &["2"])],
        output: vec![value("next", 1, &["2"]), value("seen", 1, &["2"])],
        ..GraphProto::default()
    };
    let scan = with(node("Scan", &["zero", "x"], &["total", "sums"]), int("num_scan_inputs", 1));
    let scan = with(scan, ints("scan_input_directions", &[1]));
    let graph = GraphProto {
        node: vec![with(scan, body("body", inner))],
        initializer: vec![floats("zero", &[2], &[0.0, 0.0])],
        input: vec![value("x", 1, &["time", "2"])],
        output: vec![value("total", 1, &["2"]), value("sums", 1, &["time", "2"])],
        ..GraphProto::default()
    };
    let graph = graph_of(&model(graph)).expect("it is read");
    let x = tensor(&[3, 2], &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
    let sums = tensor(&[3, 2], &[3.0, 30.0, 5.0, 50.0, 6.0, 60.0]);
    assert_eq!(run(graph, &[("x", x)]), [tensor(&[2], &[6.0, 60.0]), sums]);
}

#[test]
fn half_precision_is_computed_in_single_precision_between_casts() {
    let half = |value: f32| i32::from(half::f16::from_f32(value).to_bits());
    let weight = TensorProto {
        data_type: 10,
        int32_data: vec![half(0.5), half(-2.0)],
        ..floats("w", &[2], &[])
    };
    let graph = GraphProto {
        node: vec![node("Mul", &["x", "w"], &["y"])],
        initializer: vec![weight],
        input: vec![value("x", 10, &["2"])],
        output: vec![value("y", 10, &["2"])],
        ..GraphProto::default()
    };
    let graph = graph_of(&model(graph)).expect("it is read");
    let halves = |a: f32, b: f32| {
        Tensor::new([2], vec![half::f16::from_f32(a), half::f16::from_f32(b)]).expect("two")
    };
    assert_eq!(run(graph, &[("x", halves(3.0, 1.5))]), [halves(1.5, -3.0)]);
}

#[test]
fn every_element_type_is_read_from_its_field_and_from_raw_bytes() {
    let numbers = Tensor::new([2], Data::F64(vec![3.0, 100.0])).expect("two");
    let words = vec![3, 100];
    for (number, ty) in [(2, DType::U8), (3, DType::I8), (4, DType::U16), (5, DType::I16)] {
        let expected = numbers.cast(ty).expect("it fits");
        let field = TensorProto { int32_data: words.clone(), ..floats("t", &[2], &[]) };
        let raw = Some(expected.data().to_le_bytes().expect("numbers").into());
        let raw = TensorProto { raw_data: raw, ..floats("t", &[2], &[]) };
        for proto in [field, raw] {
            let proto = TensorProto { data_type: number, ..proto };
            assert_eq!(tensor::read(&proto, &Folder::default()).expect("read"), expected);
        }
    }
    let wide = TensorProto { uint64_data: vec![1, u64::MAX], ..floats("t", &[2], &[]) };
    let wide = TensorProto { data_type: 13, ..wide };
    let read = tensor::read(&wide, &Folder::default()).expect("read");
    assert_eq!(read, Tensor::new([2], vec![1, u64::MAX]).expect("two"));
}
