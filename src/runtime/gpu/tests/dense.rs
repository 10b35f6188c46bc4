use super::*;

#[test]
fn embedding_gathers_rows_and_makes_the_mask() {
    let Some(device) = device(false) else { return };
    for (count, width) in [(0, 3), (1, 1), (7, 5), (300, 17)] {
        let vocabulary = 11;
        let table = Numbers(1).take(vocabulary * width, 1.0);
        let ids: Vec<i32> = (0..count).map(|i| (i * 7 % vocabulary) as i32).collect();
        let mut weights = WeightsBuilder::new(&device);
        let refs = weights.push("table", &[&table]).unwrap();
        let mut layout = Layout::default();
        let at = layout.input(&ids);
        let (output, mask) = (layout.region(count * width), layout.region(count));
        let mut recorder = Recorder::new(&device);
        let op = Embedding {
            count: count as u32,
            width: width as u32,
            vocabulary: vocabulary as u32,
            table: refs[0],
            ids: at,
            output,
            mask: Some(mask),
        };
        recorder.embedding("embedding", &op).unwrap();
        let weights = weights.finish(&device).unwrap();
        let results = [(output, count * width), (mask, count)];
        let found = run(&device, &weights, recorder.finish(), &layout, &results).unwrap();
        let rows = ids.iter().flat_map(|&id| &table[id as usize * width..][..width]);
        assert_eq!(found[0], rows.copied().collect::<Vec<_>>());
        let bits: Vec<u32> = found[1].iter().map(|value| value.to_bits()).collect();
        assert_eq!(bits, ids.iter().map(|&id| u32::from(id != 0)).collect::<Vec<_>>());
    }
}

#[test]
fn the_first_id_out_of_range_is_named_with_its_position() {
    let Some(device) = device(false) else { return };
    let table = Numbers(1).take(10 * 4, 1.0);
    for (bad, position) in [(10, 700), (-1, 3), (i32::MIN, 999), (i32::MAX, 0)] {
        let mut weights = WeightsBuilder::new(&device);
        let refs = weights.push("table", &[&table]).unwrap();
        let mut ids = vec![9i32; 1000];
        ids[position] = bad;
        ids[999] = bad;
        let mut layout = Layout::default();
        let at = layout.input(&ids);
        let output = layout.region(4000);
        let mut recorder = Recorder::new(&device);
        let good = layout.input(&[0i32, 1]);
        let other = layout.region(8);
        for (label, count, ids, output) in
            [("words", 2, good, other), ("characters", 1000, at, output)]
        {
            let table = refs[0];
            let op = Embedding { count, width: 4, vocabulary: 10, table, ids, output, mask: None };
            recorder.embedding(label, &op).unwrap();
        }
        let weights = weights.finish(&device).unwrap();
        let result = run(&device, &weights, recorder.finish(), &layout, &[(output, 4000)]);
        match result {
            Err(GpuError::IdOutOfRange { what, position: found, id, vocabulary }) => {
                assert_eq!(
                    (what.as_str(), found, id, vocabulary),
                    ("characters", position, bad, 10)
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn matrix_products_of_ragged_sizes() {
    let Some(device) = device(true) else { return };
    let shapes = [
        [0, 3, 4],
        [1, 1, 1],
        [1, 0, 5],
        [1, 300, 130],
        [3, 17, 65],
        [4, 64, 64],
        [16, 16, 3],
        [17, 15, 63],
        [64, 16, 64],
        [65, 33, 129],
        [200, 100, 70],
    ];
    for sizes in shapes {
        let [rows, inner, columns] = sizes;
        for with_bias in [false, true] {
            let mut numbers = Numbers(7);
            let a = numbers.take(rows * inner, 1.0);
            let b = numbers.take(inner * columns, 1.0);
            let bias = numbers.take(columns, 1.0);
            let mut weights = WeightsBuilder::new(&device);
            let refs = weights.push("dense", &[&b, &bias]).unwrap();
            let mut layout = Layout::default();
            let (at, c) = (layout.input(&a), layout.region(rows * columns));
            let from_arena = layout.input(&b);
            let sizes_u32 = [rows as u32, inner as u32, columns as u32];
            let [m, k, n] = sizes_u32;
            let mut op = MatMul::dense(m, k, n, at, refs[0], c);
            op.activation = ActivationKind::Relu.into();
            op.bias = with_bias.then_some(refs[1]);
            let weights = weights.finish(&device).unwrap();
            let bias = with_bias.then_some(&bias[..]);
            let expected = reference::matmul(&a, &b, bias, sizes);
            let expected: Vec<f64> = expected.into_iter().map(|x| x.max(0.0)).collect();
            for b in [op.b, BMatrix::Arena(from_arena)] {
                op.b = b;
                let mut recorder = Recorder::new(&device);
                recorder.matmul("dense", &op).unwrap();
                let results = [(c, rows * columns)];
                let found = run(&device, &weights, recorder.finish(), &layout, &results).unwrap();
                assert_close(&format!("{sizes:?} {b:?}"), &found[0], &expected);
            }
        }
    }
}

#[test]
fn batched_matrix_products_with_strides() {
    let Some(device) = device(false) else { return };
    let (batch, rows, inner, columns) = (3usize, 5usize, 7usize, 9usize);
    let mut numbers = Numbers(3);
    // Rows of `a` are 2 words longer than they need to be.
    let a = numbers.take(batch * rows * (inner + 2), 1.0);
    let b = numbers.take(batch * inner * columns, 1.0);
    let mut layout = Layout::default();
    let (a_at, b_at) = (layout.input(&a), layout.input(&b));
    let c = layout.region(batch * rows * columns);
    let weights = WeightsBuilder::new(&device).finish(&device).unwrap();
    let op = MatMul {
        batch: batch as u32,
        rows: rows as u32,
        inner: inner as u32,
        columns: columns as u32,
        a: a_at,
        b: BMatrix::Arena(b_at),
        bias: None,
        c,
        strides: [inner as u32 + 2, columns as u32, columns as u32],
        batch_strides: [
            (rows * (inner + 2)) as u32,
            (inner * columns) as u32,
            (rows * columns) as u32,
        ],
        activation: Activation::LINEAR,
    };
    let mut recorder = Recorder::new(&device);
    recorder.matmul("batched", &op).unwrap();
    let results = [(c, batch * rows * columns)];
    let found = run(&device, &weights, recorder.finish(), &layout, &results).unwrap();
    let mut expected = Vec::new();
    for i in 0..batch {
        let rows_of_a = a[i * rows * (inner + 2)..][..rows * (inner + 2)].chunks(inner + 2);
        let tight: Vec<f32> = rows_of_a.flat_map(|row| &row[..inner]).copied().collect();
        let b = &b[i * inner * columns..][..inner * columns];
        expected.extend(reference::matmul(&tight, b, None, [rows, inner, columns]));
    }
    assert_close("batched", &found[0], &expected);
}

#[test]
fn activations_follow_keras_and_stay_in_range() {
    let Some(device) = device(false) else { return };
    let mut x: Vec<f32> = (-400..=400).map(|i| i as f32 / 40.0).collect();
    x.extend([1e-6, -1e-6, 1e-3, 0.05, 0.0999, 0.1, -0.0501, 30.0, -30.0, 80.0, -80.0]);
    let large = [100.0, -100.0, 1e4, -1e4, 1e30, -1e30, f32::MAX, f32::MIN];
    let weights = WeightsBuilder::new(&device).finish(&device).unwrap();
    for kind in ActivationKind::ALL {
        let alpha = f64::from(kind.default_alpha());
        let mut layout = Layout::default();
        let (at, large_at) = (layout.input(&x), layout.input(&large));
        let output = layout.region(x.len());
        let mut recorder = Recorder::new(&device);
        recorder.activation("a", kind.into(), x.len() as u32, at, output).unwrap();
        recorder.activation("b", kind.into(), large.len() as u32, large_at, large_at).unwrap();
        let results = [(output, x.len()), (large_at, large.len())];
        let found = run(&device, &weights, recorder.finish(), &layout, &results).unwrap();
        let expected: Vec<f64> =
            x.iter().map(|&x| reference::activate(kind, alpha, f64::from(x))).collect();
        assert_close(&format!("{kind:?}"), &found[0], &expected);
        assert!(found[1].iter().all(|y| !y.is_nan()), "{kind:?}: {:?}", found[1]);
        let range = match kind {
            ActivationKind::Tanh | ActivationKind::Softsign => -1.0..=1.0,
            ActivationKind::Sigmoid => 0.0..=1.0,
            _ => continue,
        };
        assert!(found.iter().flatten().all(|y| range.contains(y)), "{kind:?}");
    }
}
