//! Tensors as JSON: nested lists of numbers.

use crate::graph::{Data, Tensor, each_data};
use crate::runtime::Tensors;

/// An object of nested lists by name, in order. Numbers are the shortest that read back to the
/// same number. JSON has no word for NaN and the infinities: they become `null`.
pub(super) fn tensors(tensors: &Tensors) -> String {
    let entries = tensors.iter().map(|(name, tensor)| {
        let mut text = format!("{}: ", string(name));
        nest(tensor.shape(), tensor, 0, tensor.len(), &mut text);
        text
    });
    format!("{{{}}}\n", entries.collect::<Vec<_>>().join(",\n "))
}

fn nest(shape: &[usize], tensor: &Tensor, from: usize, len: usize, text: &mut String) {
    let Some((&size, rest)) = shape.split_first() else {
        return element(tensor, from, text);
    };
    text.push('[');
    let step = len.checked_div(size).unwrap_or(0);
    for index in 0..size {
        if index > 0 {
            text.push_str(", ");
        }
        nest(rest, tensor, from + index * step, step, text);
    }
    text.push(']');
}

fn element(tensor: &Tensor, index: usize, text: &mut String) {
    let element = match tensor.data() {
        Data::F32(v) => v.get(index).filter(|x| x.is_finite()).map(|x| format!("{x:?}")),
        Data::F64(v) => v.get(index).filter(|x| x.is_finite()).map(|x| format!("{x:?}")),
        Data::F16(v) => v.get(index).filter(|x| x.is_finite()).map(|x| format!("{x:?}")),
        Data::Str(v) => v.get(index).map(|text| string(text)),
        other => each_data!(other, v => v.get(index).map(ToString::to_string)),
    };
    text.push_str(element.as_deref().unwrap_or("null"));
}

fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_parser_of_json_reads_it_back() {
        let values = vec![0.1f32, f32::NAN, 1e-20, -3.0, f32::INFINITY, 16_777_217.0];
        let given = Tensors::new()
            .with("a \"b\"", Tensor::new([2, 3], values).unwrap())
            .with("none", Tensor::new([2, 0], Vec::<f32>::new()).unwrap())
            .with("one", Tensor::scalar(7i64))
            .with("texts", ["a\nb", "é"]);
        let read: serde_json::Value = serde_json::from_str(&tensors(&given)).unwrap();
        assert_eq!(read["a \"b\""][0][0].as_f64().unwrap() as f32, 0.1);
        assert!(read["a \"b\""][0][1].is_null() && read["a \"b\""][1][1].is_null());
        assert_eq!(read["a \"b\""][1][2].as_f64(), Some(16_777_216.0));
        assert_eq!(read["none"], serde_json::json!([[], []]));
        assert_eq!(read["one"], 7);
        assert_eq!(read["texts"], serde_json::json!(["a\nb", "é"]));
    }
}
