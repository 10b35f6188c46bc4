//! Element types: what moves, converts and counts in every one of them.

use half::f16;
use proptest::prelude::*;
use seqfuse::graph::{Dim, Graph, Operator, TensorType, ValueId};
use seqfuse::ops::*;
use seqfuse::{DType, Data, Model, Options, Tensor, Tensors};

fn model(
    inputs: &[(&str, TensorType)],
    build: impl FnOnce(&mut Graph, &[ValueId]) -> Vec<ValueId>,
) -> Model {
    let mut graph = Graph::new("elements");
    let add = |(name, ty): &(&str, TensorType)| graph.add_input(*name, ty.clone()).expect("unique");
    let values: Vec<ValueId> = inputs.iter().map(add).collect();
    for (index, value) in build(&mut graph, &values).into_iter().enumerate() {
        graph.add_output(format!("y{index}"), value).expect("unique");
    }
    graph.verify().expect("a valid graph");
    Model::from_graph(graph)
}

fn run(model: &Model, inputs: Tensors) -> Vec<Tensor> {
    let mut session = model.session(&Options::new().threads(2)).expect("a session");
    session.run(&inputs).expect("it runs").into_iter().map(|(_, tensor)| tensor).collect()
}

fn numbers(dtype: DType, shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let numbers = Tensor::new(shape, (0..count).map(|i| i as f32).collect::<Vec<_>>());
    numbers.expect("the count fits").cast(dtype).expect("numbers convert")
}

#[test]
fn elements_of_every_type_move() {
    for &dtype in DType::ALL {
        let ty = TensorType::new(dtype, vec![Dim::symbol("rows"), Dim::Known(3)]);
        let model = model(&[("x", ty)], |graph, values| {
            let x = values[0];
            let index = graph.constant(Tensor::new([2], vec![1i64, 0]).expect("fits"));
            let along = graph.constant(Tensor::new([2, 1], vec![2i64, 1]).expect("fits"));
            let like = graph.constant(Tensor::zeros(DType::F32, [2, 2, 3]));
            let truth = graph.constant(Tensor::new([3], vec![true, false, true]).expect("fits"));
            let axis = AxisSlice { axis: 1, start: Some(2), stop: None, step: -2 };
            let turned = graph.add_one("r", Reverse { axis: 0 }, &[x]).expect("fits");
            let mut add = |op: Box<dyn Operator>, inputs: &[ValueId]| {
                let inputs = inputs.iter().map(|id| Some(*id)).collect();
                graph.add_node(op.name(), op.into(), inputs).expect("it fits")[0]
            };
            vec![
                add(Box::new(Transpose { permutation: vec![1, 0] }), &[x]),
                add(Box::new(Slice { axes: vec![axis] }), &[x]),
                add(Box::new(Concat { axis: 1 }), &[x, turned]),
                add(Box::new(Take { axis: 0 }), &[x, index]),
                add(Box::new(TakeAlongAxis { axis: 1 }), &[x, along]),
                add(Box::new(Expand), &[x, like]),
                add(Box::new(Tile { repeats: vec![1, 2] }), &[x]),
                add(Box::new(Pad { before: vec![0, 1], after: vec![0, 0] }), &[x]),
                add(Box::new(Select), &[truth, x, turned]),
                add(Box::new(Reshape::to(vec![Dim::Known(3), Dim::Known(2)])), &[x]),
            ]
        });
        let empty = if dtype == DType::Str { 99.0 } else { 0.0 };
        let expected: [(&[usize], &[f32]); 10] = [
            (&[3, 2], &[0., 3., 1., 4., 2., 5.]),
            (&[2, 2], &[2., 0., 5., 3.]),
            (&[2, 6], &[0., 1., 2., 3., 4., 5., 3., 4., 5., 0., 1., 2.]),
            (&[2, 3], &[3., 4., 5., 0., 1., 2.]),
            (&[2, 1], &[2., 4.]),
            (&[2, 2, 3], &[0., 1., 2., 3., 4., 5., 0., 1., 2., 3., 4., 5.]),
            (&[2, 6], &[0., 1., 2., 0., 1., 2., 3., 4., 5., 3., 4., 5.]),
            (&[2, 4], &[empty, 0., 1., 2., empty, 3., 4., 5.]),
            (&[2, 3], &[0., 4., 2., 3., 1., 5.]),
            (&[3, 2], &[0., 1., 2., 3., 4., 5.]),
        ];
        let outputs = run(&model, [("x", numbers(dtype, &[2, 3]))].into());
        for ((shape, values), found) in expected.into_iter().zip(outputs) {
            let want = Tensor::new(shape, values.to_vec()).expect("fits");
            let mut want = want.cast(dtype).expect("numbers convert");
            if let Data::Str(texts) = want.data_mut() {
                let padding = texts.iter_mut().filter(|text| *text == "99.0");
                padding.for_each(String::clear);
            }
            assert_eq!(found, want, "{dtype}");
        }
    }
}

#[test]
fn every_type_converts_to_every_other_as_the_host_does() {
    let samples = [0.0, 1.0, -1.0, 2.5, 127.5, 200.0, 40_000.0, 3e9, 1e19, -3e9];
    let sample = Tensor::new([samples.len()], samples.to_vec()).expect("fits");
    for &from in DType::ALL {
        let given = sample.cast(from).expect("numbers convert");
        for &to in DType::ALL {
            // Texts of fractions are no integers.
            let Ok(expected) = given.cast(to) else {
                assert!(from == DType::Str && to.is_int(), "{from} to {to}");
                continue;
            };
            let ty = TensorType::new(from, vec![Dim::symbol("n")]);
            let model = model(&[("x", ty)], |graph, values| {
                vec![graph.add_one("cast", Cast { to }, values).expect("it converts")]
            });
            let found = run(&model, [("x", given.clone())].into()).remove(0);
            assert_eq!(found, expected, "{from} to {to}");
        }
    }
}

#[test]
fn a_text_that_is_no_number_is_told() {
    let ty = TensorType::new(DType::Str, vec![Dim::symbol("n")]);
    let model = model(&[("x", ty)], |graph, values| {
        vec![graph.add_one("number", Cast { to: DType::I64 }, values).expect("it converts")]
    });
    let mut session = model.session(&Options::new()).expect("a session");
    let error = session.run(&[("x", Tensor::from(["12", "many"]))].into()).expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("`number`") && text.contains("\"many\" at position 1"), "{text}");
}

#[test]
fn texts_are_equal_or_not() {
    let ty = |sizes: &[usize]| TensorType::known(DType::Str, sizes);
    let model = model(&[("a", ty(&[2, 1])), ("b", ty(&[3]))], |graph, values| {
        [BinaryKind::Equal, BinaryKind::NotEqual]
            .map(|kind| graph.add_one(kind.name(), Binary { kind }, values).expect("it compares"))
            .into()
    });
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let a = Tensor::new([2, 1], texts(&["x", "y"])).expect("fits");
    let b = Tensor::new([3], texts(&["y", "x", ""])).expect("fits");
    let outputs = run(&model, [("a", a), ("b", b)].into());
    let equal = vec![false, true, false, true, false, false];
    let unequal = equal.iter().map(|truth| !truth).collect::<Vec<bool>>();
    assert_eq!(outputs[0], Tensor::new([2, 3], equal).expect("fits"));
    assert_eq!(outputs[1], Tensor::new([2, 3], unequal).expect("fits"));
}

#[test]
fn operators_refuse_the_types_that_they_have_no_kernel_for_by_name() {
    let mut graph = Graph::new("refused");
    for &dtype in DType::ALL {
        let x = graph.add_input(dtype.to_string(), TensorType::known(dtype, &[2])).expect("unique");
        let mut refused = |op: Box<dyn Operator>, inputs: &[ValueId], allowed: &[DType]| {
            let name = op.name();
            let inputs = inputs.iter().map(|id| Some(*id)).collect();
            match graph.add_node(name, op.into(), inputs) {
                Ok(_) => assert!(allowed.contains(&dtype), "{name} takes {dtype}"),
                Err(error) => {
                    assert!(!allowed.contains(&dtype), "{name}: {error}");
                    assert!(error.to_string().contains(&format!("is {dtype}")), "{error}");
                }
            }
        };
        use DType::{Bool, F32, F64, I32, I64, Str, U64};
        let numbers = [F32, F64, I32, I64, U64];
        let binary = |kind| Box::new(Binary { kind });
        let unary = |kind| Box::new(Unary { kind });
        let reduce = |kind| Box::new(Reduce { kind, first: 0, count: 1, keepdims: false });
        refused(binary(BinaryKind::Add), &[x, x], &numbers);
        refused(binary(BinaryKind::Divide), &[x, x], &numbers);
        refused(binary(BinaryKind::Less), &[x, x], &numbers);
        refused(binary(BinaryKind::Equal), &[x, x], &[F32, F64, I32, I64, U64, Bool, Str]);
        refused(binary(BinaryKind::ShiftLeft), &[x, x], &[I32, I64, U64]);
        refused(binary(BinaryKind::Xor), &[x, x], &[Bool]);
        refused(unary(UnaryKind::Sign), &[x], &[F32, F64, I32, I64]);
        refused(unary(UnaryKind::Exp), &[x], &[F32, F64]);
        refused(unary(UnaryKind::BitNot), &[x], &[I32, I64, U64]);
        refused(reduce(ReduceKind::Sum), &[x], &numbers);
        refused(reduce(ReduceKind::Mean), &[x], &[F32, I32, I64]);
        refused(Box::new(ArgReduce { largest: true, axis: 0 }), &[x], &[F32, I32, I64, U64]);
    }
}

#[test]
fn values_of_more_dimensions_than_kernels_count_are_refused_and_do_not_panic() {
    let ty = TensorType::known(DType::F32, &[1, 2, 1, 2, 1, 2, 1, 2, 1]);
    let order: Vec<usize> = (0..9).rev().collect();
    let axis = AxisSlice { axis: 8, start: None, stop: None, step: -1 };
    let ops: Vec<(Box<dyn Operator>, usize)> = vec![
        (Box::new(Transpose { permutation: order }), 1),
        (Box::new(Slice { axes: vec![axis] }), 1),
        (Box::new(Reverse { axis: 1 }), 1),
        (Box::new(Pad { before: vec![1; 9], after: vec![0; 9] }), 1),
        (Box::new(Crop { before: vec![0; 9], after: vec![0; 9] }), 1),
        (Box::new(Tile { repeats: vec![2; 9] }), 1),
        (Box::new(Expand), 2),
        (Box::new(Binary { kind: BinaryKind::Add }), 2),
        (Box::new(Concat { axis: 3 }), 2),
        (Box::new(Take { axis: 0 }), 2),
        (Box::new(SumTo), 2),
        (Box::new(Reduce { kind: ReduceKind::Sum, first: 1, count: 3, keepdims: true }), 1),
        (Box::new(Softmax { axis: 3, log: false }), 1),
        (Box::new(Cumsum { axis: 3 }), 1),
        (Box::new(MatMul), 2),
    ];
    for (op, count) in ops {
        let name = op.name();
        let mut graph = Graph::new("deep");
        let x = graph.add_input("x", ty.clone()).expect("unique");
        let other = match name {
            "take" => graph.constant(Tensor::new([1], vec![0i64]).expect("fits")),
            "sum_to" => graph.constant(Tensor::zeros(DType::F32, [1, 2, 1, 2, 1, 1, 1, 2, 1])),
            _ => x,
        };
        let slots = [x, other][..count].iter().map(|id| Some(*id)).collect();
        let Ok(values) = graph.add_node(name, op.into(), slots) else { continue };
        graph.add_output("y", values[0]).expect("unique");
        let mut session = Model::from_graph(graph).session(&Options::new()).expect("a session");
        let given: Tensors = [("x", Tensor::zeros(DType::F32, ty.shape().expect("known")))].into();
        if let Err(error) = session.run(&given) {
            let text = error.to_string();
            assert!(text.contains(&format!("({name}) cannot run on cpu")), "{text}");
        }
    }
}

#[test]
fn inputs_convert_where_nothing_is_lost() {
    let model = model(
        &[
            ("wide", TensorType::known(DType::F64, &[2])),
            ("bytes", TensorType::known(DType::U8, &[2])),
            ("large", TensorType::known(DType::U64, &[1])),
        ],
        |_, values| values.to_vec(),
    );
    let mut session = model.session(&Options::new()).expect("a session");
    let given = |bytes: Tensor| -> Tensors {
        [
            ("wide", Tensor::new([2], vec![f16::from_f32(0.5), f16::ONE]).expect("fits")),
            ("bytes", bytes),
            ("large", Tensor::new([1], vec![u64::MAX]).expect("fits")),
        ]
        .into()
    };
    let outputs = session.run(&given(Tensor::new([2], vec![0, 255]).expect("fits")));
    let outputs = outputs.expect("it runs");
    assert_eq!(outputs.get("y0").map(Tensor::data), Some(&Data::F64(vec![0.5, 1.0])));
    assert_eq!(outputs.get("y1").map(Tensor::data), Some(&Data::U8(vec![0, 255])));
    assert_eq!(outputs.get("y2").map(Tensor::data), Some(&Data::U64(vec![u64::MAX])));
    let error = session.run(&given(Tensor::new([2], vec![0, 256]).expect("fits")));
    let text = error.expect_err("too large").to_string();
    assert_eq!(text, "input `bytes` holds 256 at position 1, which does not fit u8");
    let error = session.run(&given(Tensor::new([2], vec![0.0f32, 1.0]).expect("fits")));
    assert_eq!(error.expect_err("floats").to_string(), "input `bytes` is f32, expected u8");
}

/// An integer as the bits of a type that holds them.
fn wrapped(value: i128, dtype: DType) -> i128 {
    match dtype {
        DType::I8 => i128::from(value as i8),
        DType::I16 => i128::from(value as i16),
        DType::I32 => i128::from(value as i32),
        DType::I64 => i128::from(value as i64),
        DType::U8 => i128::from(value as u8),
        DType::U16 => i128::from(value as u16),
        DType::U32 => i128::from(value as u32),
        _ => i128::from(value as u64),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn integers_keep_their_lowest_bits(values in prop::collection::vec(any::<i64>(), 1..40)) {
        use DType::{I8, I16, I32, I64, U8, U16, U32, U64};
        let types = [I8, I16, I32, I64, U8, U16, U32, U64];
        let ty = TensorType::new(I64, vec![Dim::symbol("n")]);
        let model = model(&[("x", ty)], |graph, inputs| {
            types
                .iter()
                .map(|&to| {
                    let narrow = graph.add_one("cast", Cast { to }, inputs).expect("converts");
                    graph.add_one("text", Cast { to: DType::Str }, &[narrow]).expect("converts")
                })
                .collect()
        });
        let given = Tensor::new([values.len()], values.clone()).expect("fits");
        for (dtype, found) in types.into_iter().zip(run(&model, [("x", given)].into())) {
            let want = values.iter().map(|&value| wrapped(value.into(), dtype).to_string());
            prop_assert_eq!(found.data(), &Data::Str(want.collect()));
        }
    }

    #[test]
    fn narrow_arithmetic_can_be_composed_in_i64(
        pairs in prop::collection::vec((any::<i8>(), any::<i8>()), 1..40)
    ) {
        let kinds = [
            BinaryKind::Add,
            BinaryKind::Subtract,
            BinaryKind::Multiply,
            BinaryKind::BitXor,
            BinaryKind::Maximum,
        ];
        let ty = TensorType::new(DType::I8, vec![Dim::symbol("n")]);
        let model = model(&[("a", ty.clone()), ("b", ty)], |graph, inputs| {
            let wide: Vec<ValueId> = inputs
                .iter()
                .map(|id| graph.add_one("w", Cast { to: DType::I64 }, &[*id]).expect("converts"))
                .collect();
            let mut results = Vec::new();
            for kind in kinds {
                let y = graph.add_one(kind.name(), Binary { kind }, &wide).expect("fits");
                results.push(graph.add_one("n", Cast { to: DType::I8 }, &[y]).expect("converts"));
            }
            results
        });
        let side = |pick: fn(&(i8, i8)) -> i8| {
            Tensor::new([pairs.len()], pairs.iter().map(pick).collect::<Vec<i8>>()).expect("fits")
        };
        let outputs = run(&model, [("a", side(|pair| pair.0)), ("b", side(|pair| pair.1))].into());
        for (kind, found) in kinds.into_iter().zip(outputs) {
            let exact = |&(a, b): &(i8, i8)| {
                let (a, b) = (i128::from(a), i128::from(b));
                wrapped(
                    match kind {
                        BinaryKind::Add => a + b,
                        BinaryKind::Subtract => a - b,
                        BinaryKind::Multiply => a * b,
                        BinaryKind::BitXor => a ^ b,
                        _ => a.max(b),
                    },
                    DType::I8,
                ) as i8
            };
            let want: Vec<i8> = pairs.iter().map(exact).collect();
            prop_assert_eq!(found.data(), &Data::I8(want));
        }
    }
}
