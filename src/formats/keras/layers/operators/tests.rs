//! What operators refuse, and what fixtures do not reach.

use serde_json::{Value, json};

use super::operand::Level;
use super::{call, promote};
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::layers::{Arg, Call, LoweredTensor};
use crate::graph::{DType, Dim, Graph, Tensor, TensorType};

fn operator(class: &str, config: Value) -> LayerConfig {
    let value = json!({"class_name": class, "module": "keras.src.ops.numpy", "config": config});
    LayerConfig::parse(&value, "a test").expect("the config is of Keras's form")
}

fn dims() -> Vec<Dim> {
    vec![Dim::symbol("batch"), Dim::Known(5), Dim::Known(4)]
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// The type of what an operator gives for `x` `[batch, 5, 4]` and `more`, or its error.
fn apply_to(dtype: DType, class: &str, config: Value, more: Vec<Arg>) -> Result<String, String> {
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", TensorType::new(dtype, dims())).expect("an input");
    let mut args = vec![Arg::Tensor(LoweredTensor::plain(x))];
    args.extend(more);
    let mut site = Call::new(&mut graph, "it", args, Vec::new(), &[]);
    let outputs = call(&operator(class, config), &mut site).map_err(|error| chain(&error))?;
    site.finish().map_err(|error| error.to_string())?;
    Ok(graph.ty(outputs[0].value).to_string())
}

fn apply(class: &str, config: Value, more: Vec<Arg>) -> Result<String, String> {
    apply_to(DType::F32, class, config, more)
}

fn number(value: Value) -> Arg {
    Arg::Const(value)
}

fn slice(start: Value, stop: Value, step: Value) -> Arg {
    Arg::Slice(Box::new([start, stop, step].map(Arg::Const)))
}

#[test]
fn a_number_of_python_takes_the_type_of_the_tensor_beside_it() {
    let sum = |dtype, value| apply_to(dtype, "Add", json!({}), vec![number(value)]);
    assert_eq!(sum(DType::I64, json!(1)), Ok("i64[batch, 5, 4]".into()));
    assert_eq!(sum(DType::I32, json!(1)), Ok("i32[batch, 5, 4]".into()));
    assert_eq!(sum(DType::Bool, json!(1)), Ok("i32[batch, 5, 4]".into()));
    assert_eq!(sum(DType::I64, json!(0.5)), Ok("f32[batch, 5, 4]".into()));
    assert_eq!(sum(DType::F32, json!(1)), Ok("f32[batch, 5, 4]".into()));
    assert!(
        sum(DType::I32, json!(1_i64 << 40)).is_err_and(|error| error.contains("1099511627776"))
    );
}

#[test]
fn types_are_promoted_along_the_lattice() {
    let order = [Level::Bool, Level::WeakInt, Level::I32, Level::I64, Level::WeakFloat, Level::F32];
    for (low, a) in order.into_iter().enumerate() {
        for b in order.into_iter().skip(low) {
            assert_eq!((promote(a, b), promote(b, a)), (b, b));
        }
    }
    assert_eq!(promote(Level::I64, Level::WeakFloat).dtype(), DType::F32);
}

#[test]
fn division_and_means_of_integers_are_floating_point_and_sums_are_not() {
    let ints = |class, config, more| apply_to(DType::I32, class, config, more);
    assert_eq!(
        ints("TrueDivide", json!({}), vec![number(json!(2))]),
        Ok("f32[batch, 5, 4]".into())
    );
    assert_eq!(ints("Mean", json!({"axis": 1}), vec![]), Ok("f32[batch, 4]".into()));
    assert_eq!(ints("Sum", json!({"axis": 1}), vec![]), Ok("i32[batch, 4]".into()));
    assert_eq!(
        apply_to(DType::Bool, "Sum", json!({"axis": 1}), vec![]),
        Ok("i32[batch, 4]".into())
    );
}

#[test]
fn axes_that_are_no_neighbours_are_reduced() {
    let mean = |keepdims| apply("Mean", json!({"axis": [0, -1], "keepdims": keepdims}), vec![]);
    assert_eq!(mean(false), Ok("f32[5]".into()));
    assert_eq!(mean(true), Ok("f32[1, 5, 1]".into()));
    assert_eq!(apply("Max", json!({"axis": null}), vec![]), Ok("f32[]".into()));
    assert!(apply("Sum", json!({"axis": [1, -2]}), vec![]).is_err_and(|e| e.contains("'axis'")));
    assert!(apply("Sum", json!({"axis": 3}), vec![]).is_err_and(|e| e.contains("[3]")));
}

#[test]
fn an_index_takes_positions_slices_new_axes_and_an_ellipsis() {
    let item = |key| apply("GetItem", json!({}), vec![key]);
    let null = || Arg::Const(Value::Null);
    assert_eq!(item(number(json!(0))), Ok("f32[5, 4]".into()));
    assert_eq!(item(null()), Ok("f32[1, batch, 5, 4]".into()));
    let all = || slice(Value::Null, Value::Null, Value::Null);
    let reversed = slice(Value::Null, Value::Null, json!(-2));
    assert_eq!(item(Arg::List(vec![all(), reversed])), Ok("f32[batch, 3, 4]".into()));
    let last = Arg::List(vec![Arg::Ellipsis, number(json!(-1)), null()]);
    assert_eq!(item(last), Ok("f32[batch, 5, 1]".into()));
    assert!(item(Arg::List(vec![all(), number(json!(5))])).is_err_and(|e| e.contains("below 5")));
    assert!(item(Arg::List(vec![all(), all(), all(), all()])).is_err_and(|e| e.contains("'key'")));
    assert!(item(slice(Value::Null, Value::Null, json!(0))).is_err_and(|e| e.contains("step 0")));
    assert!(item(number(json!("a"))).is_err_and(|e| e.contains("\"a\"")));
}

#[test]
fn a_reshape_keeps_what_follows_from_open_sizes() {
    let reshape = |sizes| apply("Reshape", json!({"newshape": sizes}), vec![]);
    assert_eq!(reshape(json!([-1, 20])), Ok("f32[batch]".replace(']', ", 20]")));
    assert_eq!(reshape(json!([-1, 4])), Ok("f32[batch*5, 4]".into()));
    assert!(reshape(json!([-1, -1])).is_err_and(|e| e.contains("newshape")));
    assert!(reshape(json!([null, 20])).is_err_and(|e| e.contains("newshape")));
}

fn array(shape: &[usize]) -> Arg {
    Arg::Array(Tensor::zeros(DType::F32, shape))
}

#[test]
fn vectors_are_rows_on_the_left_and_columns_on_the_right_of_a_product() {
    let matmul = |shape: &[usize]| apply("Matmul", json!({}), vec![array(shape)]);
    assert_eq!(matmul(&[4, 7]), Ok("f32[batch, 5, 7]".into()));
    assert_eq!(matmul(&[4]), Ok("f32[batch, 5]".into()));
    assert_eq!(matmul(&[3, 1, 4, 7]), Ok("f32[3, batch, 5, 7]".into()));
    assert!(matmul(&[5, 7]).is_err_and(|e| e.contains("4 rows")));
    assert!(matmul(&[]).is_err_and(|e| e.contains("2 dimensions")));
    let of_integers = apply_to(DType::I32, "Matmul", json!({}), vec![array(&[4])]);
    assert_eq!(of_integers, Ok("f32[batch, 5]".into()));
    let integers = Arg::Array(Tensor::zeros(DType::I32, [4]));
    let of_integers = apply_to(DType::I32, "Matmul", json!({}), vec![integers]);
    assert_eq!(of_integers, Ok("i32[batch, 5]".into()));
}

#[test]
fn letters_of_subscripts_are_summed_kept_and_ordered() {
    let einsum = |subscripts: &str, more: &[&[usize]]| {
        let more = more.iter().map(|shape| array(shape)).collect();
        apply("Einsum", json!({"subscripts": subscripts}), more)
    };
    assert_eq!(einsum("btd->db", &[]), Ok("f32[4, batch]".into()));
    assert_eq!(einsum("btd,de->bte", &[&[4, 7]]), Ok("f32[batch, 5, 7]".into()));
    assert_eq!(einsum("btd, td -> b", &[&[5, 4]]), Ok("f32[batch]".into()));
    assert_eq!(einsum("btd,dhk->bhtk", &[&[4, 2, 3]]), Ok("f32[batch, 2, 5, 3]".into()));
    assert_eq!(einsum("btd,de,ef->bf", &[&[4, 7], &[7, 9]]), Ok("f32[batch, 9]".into()));
    assert_eq!(einsum("btd,x->xbtd", &[&[2]]), Ok("f32[2, batch, 5, 4]".into()));
    // Without an arrow: in the order in which the letters appear.
    assert_eq!(einsum("zyx,xa", &[&[4, 7]]), Ok("f32[batch, 5, 7]".into()));
    assert_eq!(einsum("...d,de->...e", &[&[4, 7]]), Ok("f32[batch, 5, 7]".into()));
    assert_eq!(einsum("b...,x...->x...b", &[&[2, 5, 4]]), Ok("f32[2, 5, 4, batch]".into()));
    assert_eq!(einsum("...td,xtd", &[&[3, 5, 4]]), Ok("f32[batch, 3]".into()));
    // Axes of size 1 under an ellipsis repeat, and missing ones are such.
    assert_eq!(einsum("...,...->...", &[&[2, 1, 1, 4]]), Ok("f32[2, batch, 5, 4]".into()));
    // A diagonal needs two axes of one known size.
    assert_eq!(einsum("btd,dd->btd", &[&[4, 4]]), Ok("f32[batch, 5, 4]".into()));
    assert!(einsum("btd,dee->bt", &[&[4, 2, 3]]).is_err_and(|e| e.contains("one known size")));
    assert!(einsum("btd,de->be", &[&[3, 7]]).is_err_and(|e| e.contains("one size")));
}

#[test]
fn repetition_stacking_and_splitting_give_the_shapes_of_keras() {
    let tile = |repeats| apply("Tile", json!({"repeats": repeats}), vec![]);
    assert_eq!(tile(json!(2)), Ok("f32[batch, 5, 8]".into()));
    assert_eq!(tile(json!([2, 1, 1, 3])), Ok("f32[2, batch, 5, 12]".into()));
    let repeat = |repeats, axis| apply("Repeat", json!({"repeats": repeats, "axis": axis}), vec![]);
    assert_eq!(repeat(json!(2), json!(1)), Ok("f32[batch, 10, 4]".into()));
    assert_eq!(repeat(json!([1, 0, 2, 1]), json!(-1)), Ok("f32[batch, 5, 4]".into()));
    assert!(repeat(json!([1, 2]), json!(1)).is_err_and(|e| e.contains("each of 5")));
    assert!(repeat(json!([1, 2]), json!(0)).is_err_and(|e| e.contains("each of batch")));
    let split =
        |parts, axis| apply("Split", json!({"indices_or_sections": parts, "axis": axis}), vec![]);
    assert_eq!(split(json!(2), json!(-1)), Ok("f32[batch, 5, 2]".into()));
    assert_eq!(split(json!([1, 3]), json!(1)), Ok("f32[batch, 1, 4]".into()));
    assert!(split(json!(2), json!(1)).is_err_and(|e| e.contains("5 elements")));
    assert!(split(json!(2), json!(0)).is_err_and(|e| e.contains("known size")));
    assert!(split(json!([3, 1]), json!(1)).is_err_and(|e| e.contains("ascending")));
}

#[test]
fn choices_take_the_types_of_keras() {
    let ints = |class, config, more| apply_to(DType::I32, class, config, more);
    let one_hot = |axis| ints("OneHot", json!({"num_classes": 7, "axis": axis}), vec![]);
    assert_eq!(one_hot(json!(-1)), Ok("f32[batch, 5, 4, 7]".into()));
    assert_eq!(one_hot(json!(1)), Ok("f32[batch, 7, 5, 4]".into()));
    let bounds = || json!({"x_min": 0, "x_max": 3});
    assert_eq!(ints("Clip", bounds(), vec![]), Ok("i32[batch, 5, 4]".into()));
    assert_eq!(apply_to(DType::Bool, "Clip", bounds(), vec![]), Ok("i32[batch, 5, 4]".into()));
    let choose = |a, b| ints("Where", json!({}), vec![number(a), number(b)]);
    assert_eq!(choose(json!(1), json!(0.5)), Ok("f32[batch, 5, 4]".into()));
    assert_eq!(choose(json!(1), json!(0)), Ok("i32[batch, 5, 4]".into()));
    assert!(ints("Where", json!({}), vec![]).is_err_and(|e| e.contains("x1")));
    let pair = || Arg::List(vec![number(json!(0)), number(json!(-1))]);
    let take = |axis, indices| apply("Take", json!({"axis": axis}), vec![indices]);
    assert_eq!(take(json!(1), Arg::List(vec![pair()])), Ok("f32[batch, 1, 2, 4]".into()));
    assert_eq!(take(json!(null), number(json!(-1))), Ok("f32[]".into()));
    let ragged = Arg::List(vec![pair(), Arg::List(vec![number(json!(0))])]);
    assert!(take(json!(1), ragged).is_err_and(|e| e.contains("table")));
    let arg = |config| apply("Argmax", config, vec![]);
    assert_eq!(arg(json!({"axis": 1, "keepdims": true})), Ok("i32[batch, 1, 4]".into()));
    assert_eq!(arg(json!({"axis": null})), Ok("i32[]".into()));
    let sums = apply_to(DType::Bool, "Cumsum", json!({"axis": 1}), vec![]);
    assert_eq!(sums, Ok("i32[batch, 5, 4]".into()));
}

#[test]
fn what_is_not_honoured_is_refused_by_name() {
    let einsum = |subscripts: &str| apply("Einsum", json!({"subscripts": subscripts}), vec![]);
    for subscripts in ["...a->a", "abc->aa", "abc->d", "ab..c..->a"] {
        assert!(einsum(subscripts).is_err_and(|e| e.contains("subscripts")), "{subscripts}");
    }
    assert!(einsum("ab->b").is_err_and(|e| e.contains("2 axes")));
    assert!(apply("Einops", json!({}), vec![]).is_err_and(|e| e.contains("Einops")));
    let sparse = json!({"num_classes": 3, "sparse": true});
    assert!(apply_to(DType::I32, "OneHot", sparse, vec![]).is_err_and(|e| e.contains("sparse")));
    assert!(apply("Prod", json!({"dtype": "float32"}), vec![]).is_err_and(|e| e.contains("dtype")));
    assert!(
        apply("Sum", json!({"axis": 1, "where": 2}), vec![]).is_err_and(|e| e.contains("where"))
    );
    assert!(
        apply("Exp", json!({}), vec![number(json!(2))]).is_err_and(|e| e.contains("argument 1"))
    );
    assert!(
        apply("Cast", json!({"dtype": "float16"}), vec![]).is_err_and(|e| e.contains("float16"))
    );
    assert!(apply("Squeeze", json!({"axis": 1}), vec![]).is_err_and(|e| e.contains("size 5")));
}

#[test]
fn only_an_operator_that_gives_back_its_argument_keeps_the_mask() {
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", TensorType::new(DType::F32, dims())).expect("an input");
    let mask = graph.add_input("mask", TensorType::new(DType::Bool, &dims()[..2])).expect("a mask");
    let tensor = LoweredTensor { value: x, mask: Some(mask) };
    let mut masked = |class: &str, config| {
        let mut site = Call::new(&mut graph, "it", vec![Arg::Tensor(tensor)], Vec::new(), &[]);
        call(&operator(class, config), &mut site).expect("the operator is known")[0].mask
    };
    assert_eq!(masked("Cast", json!({"dtype": "float32"})), Some(mask));
    assert_eq!(masked("Cast", json!({"dtype": "int32"})), None);
    assert_eq!(masked("Swapaxes", json!({"axis1": 1, "axis2": -2})), Some(mask));
    assert_eq!(masked("Swapaxes", json!({"axis1": 1, "axis2": 2})), None);
    assert_eq!(masked("Tanh", json!({})), None);
    assert_eq!(masked("Reshape", json!({"newshape": [-1, 5, 4]})), None);
    assert_eq!(masked("Transpose", json!({"axes": [0, 1, 2]})), None);
}
