//! What convolution, pooling and resizing promise at the edges: inputs that are too short, without
//! elements, or one alone.

use seqfuse::{DType, Format, Model, Options, ReadOptions, Tensor, Tensors};
use serde_json::{Value, json};

/// A description of one layer over inputs `[batch, shape..]`.
fn describe(shape: &[Option<usize>], layer: &Value) -> Vec<u8> {
    let shape = [&[None], shape].concat();
    let input = json!({"class_name": "InputLayer", "config": {"batch_shape": shape, "name": "x"}});
    let layers = [input, layer.clone()];
    json!({"class_name": "Sequential", "config": {"layers": layers}}).to_string().into_bytes()
}

fn open(shape: &[Option<usize>], layer: &Value) -> Result<Model, String> {
    let bytes = describe(shape, layer);
    let model = Model::from_bytes_with(&bytes, Format::Description, &ReadOptions::default());
    model.map_err(|error| line(&error))
}

fn line(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(line);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// The output for an input of rising numbers.
fn run(model: &Model, shape: &[usize]) -> Result<Tensor, String> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|i| i as f32 / 8.0 - 1.0).collect();
    let inputs: Tensors = [("x", Tensor::new(shape, values).expect("it fits"))].into();
    let mut session = model.session(&Options::new()).map_err(|error| line(&error))?;
    let outputs = session.run(&inputs).map_err(|error| line(&error))?;
    Ok(outputs.at(0).expect("an output").1.clone())
}

fn layer(class: &str, config: Value) -> Value {
    json!({"class_name": class, "config": config})
}

fn windows() -> Vec<Value> {
    vec![
        layer("Conv1D", json!({"filters": 4, "kernel_size": 5})),
        layer("DepthwiseConv1D", json!({"kernel_size": 3, "dilation_rate": 2})),
        layer("SeparableConv1D", json!({"filters": 4, "kernel_size": 5})),
        layer("MaxPooling1D", json!({"pool_size": 5})),
        layer("AveragePooling1D", json!({"pool_size": 5, "strides": 1})),
        layer("Cropping1D", json!({"cropping": [2, 2]})),
    ]
}

#[test]
fn an_input_that_is_shorter_than_a_window_is_refused_with_the_least_length() {
    for layer in windows() {
        let open_ended = open(&[None, Some(3)], &layer).expect("it opens");
        assert_eq!(run(&open_ended, &[2, 5, 3]).expect("it runs").shape()[1], 1, "{layer}");
        for time in [0, 1, 4] {
            let error = run(&open_ended, &[2, time, 3]).expect_err("too short");
            let least = ["at least 5 elements along axis 1", "more than 4 elements along axis 1"];
            assert!(least.iter().any(|least| error.contains(least)), "{layer}: {error}");
        }
        let error = open(&[Some(4), Some(3)], &layer).expect_err("too short");
        assert!(error.contains("elements along axis 1"), "{layer}: {error}");
    }
}

#[test]
fn padded_windows_over_no_steps_give_no_steps() {
    let same = "same";
    for layer in [
        layer("Conv1D", json!({"filters": 3, "kernel_size": 5, "padding": same})),
        layer("DepthwiseConv1D", json!({"kernel_size": 5, "padding": same})),
        layer("SeparableConv1D", json!({"filters": 3, "kernel_size": 5, "padding": same})),
        layer("Conv1DTranspose", json!({"filters": 3, "kernel_size": 5, "padding": same})),
        layer("MaxPooling1D", json!({"padding": same})),
        layer("AveragePooling1D", json!({"pool_size": 2, "padding": same})),
        layer("UpSampling1D", json!({})),
    ] {
        let model = open(&[None, Some(3)], &layer).expect("it opens");
        let output = run(&model, &[2, 0, 3]).expect("it runs");
        assert_eq!(output.shape(), [2, 0, 3], "{layer}");
        let output = run(&model, &[0, 4, 3]).expect("it runs");
        assert_eq!((output.shape()[0], output.dtype()), (0, DType::F32), "{layer}");
    }
    let transpose = layer("Conv1DTranspose", json!({"filters": 3, "kernel_size": 5, "strides": 2}));
    let model = open(&[None, Some(3)], &transpose).expect("it opens");
    // What is left of `(time - 1) * 2 + 5` steps, of which no input has a part.
    assert_eq!(run(&model, &[1, 0, 3]).expect("it runs"), Tensor::zeros(DType::F32, [1, 3, 3]));
}

#[test]
fn a_separable_convolution_may_be_causal() {
    let separable = |padding: &str| {
        let (ones, kernel_size, dilation_rate) = ("ones", 3, 2);
        layer(
            "SeparableConv1D",
            json!({
                "filters": 2, "kernel_size": kernel_size, "dilation_rate": dilation_rate,
                "padding": padding, "depthwise_initializer": ones, "pointwise_initializer": ones,
            }),
        )
    };
    let causal = open(&[None, Some(1)], &separable("causal")).expect("it opens");
    let valid = open(&[None, Some(1)], &separable("valid")).expect("it opens");
    let causal = run(&causal, &[1, 9, 1]).expect("it runs");
    let valid = run(&valid, &[1, 9, 1]).expect("it runs");
    assert_eq!((causal.shape(), valid.shape()), (&[1, 9, 2][..], &[1, 5, 2][..]));
    assert_eq!(causal.as_f32().expect("f32")[8..], *valid.as_f32().expect("f32"));
    let alone = &causal.as_f32().expect("f32")[..4];
    assert_eq!(alone, [-1.0, -1.0, -0.875, -0.875]);
}

#[test]
fn options_that_suit_nothing_are_refused_by_name() {
    for (layer, named) in [
        (layer("Conv1D", json!({"filters": 4, "kernel_size": [2, 3]})), "kernel_size"),
        (layer("Conv2D", json!({"filters": 4, "kernel_size": 2, "padding": "causal"})), "padding"),
        (
            layer(
                "Conv1D",
                json!({"filters": 4, "kernel_size": 2, "strides": 2, "dilation_rate": 2}),
            ),
            "dilation_rate",
        ),
        (layer("Conv1D", json!({"filters": 4, "kernel_size": 2, "groups": 3})), "groups"),
        (layer("DepthwiseConv1D", json!({"kernel_size": 2, "padding": "causal"})), "padding"),
        (
            layer(
                "Conv1DTranspose",
                json!({"filters": 4, "kernel_size": 2, "strides": 2, "output_padding": 2}),
            ),
            "output_padding",
        ),
        (layer("MaxPooling1D", json!({"strides": 0})), "strides"),
        (layer("ZeroPadding1D", json!({"padding": [1, 2, 3]})), "padding"),
        (layer("Cropping2D", json!({"cropping": [1, 2, 3]})), "cropping"),
        (layer("UpSampling1D", json!({"size": 0})), "size"),
    ] {
        let error = open(&[None, Some(6)], &layer).expect_err("refused");
        assert!(error.contains(named), "{layer}: {error}");
    }
    let plane = layer("MaxPooling2D", json!({}));
    let error = open(&[None, Some(6)], &plane).expect_err("refused");
    assert!(error.contains("3 dimensions, not 4"), "{error}");
}
