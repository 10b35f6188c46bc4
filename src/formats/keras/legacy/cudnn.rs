//! Weights in older layouts, brought into that of today: cuDNN's, which Keras 2 wrote for
//! `CuDNNLSTM` and `CuDNNGRU`, and Keras 1's with an array for each gate.
//!
//! Shapes tell them apart, so that files without a configuration are converted too: the bias of
//! cuDNN's layers counts twice as many elements as that of a plain layer, for the weights that act
//! on the input and those that act on the state. What is known of the layouts is
//! `tf_keras.src.saving.legacy.hdf5_format.preprocess_weights_for_loading`.

use super::file::{LayerWeights, StoredWeight};
use crate::formats::FormatError;
use crate::formats::keras::weights::damaged;
use crate::graph::Tensor;

/// Converts all weights that are in an older layout; `keras1` says that Keras 1 wrote them.
///
/// # Errors
/// If a weight is not of floating point, or has more elements than its shape says.
pub fn convert(layers: &mut [LayerWeights], keras1: bool) -> Result<(), FormatError> {
    for layer in layers {
        if keras1 {
            join_gates(&mut layer.weights)?;
            drop_axis(&mut layer.weights)?;
        }
        for start in 0..layer.weights.len().saturating_sub(2) {
            if let Some([kernel, recurrent, bias, ..]) = layer.weights.get_mut(start..) {
                from_cudnn(kernel, recurrent, bias)?;
            }
        }
    }
    Ok(())
}

/// Converts a kernel `[features, gates · units]`, a recurrent kernel `[units, gates · units]` and a
/// bias `[2 · gates · units]`, if these three are of such shapes.
fn from_cudnn(
    kernel: &mut StoredWeight,
    recurrent: &mut StoredWeight,
    bias: &mut StoredWeight,
) -> Result<(), FormatError> {
    let (&[features, columns], &[units, width], &[biases]) =
        (kernel.value.shape(), recurrent.value.shape(), bias.value.shape())
    else {
        return Ok(());
    };
    let gates = [4usize, 3].into_iter().find(|gates| units.checked_mul(*gates) == Some(width));
    let Some(gates) = gates.filter(|_| units > 0) else { return Ok(()) };
    if columns != width || width.checked_mul(2) != Some(biases) {
        return Ok(());
    }
    // Each gate's kernel lies as [units, features] in the memory of a [features, units] one.
    let turned = by_gate(values(kernel)?, gates, features, units, |row, column| {
        (column * features + row) / units * width + (column * features + row) % units
    });
    let turned = turned.ok_or_else(|| damaged(&kernel.path, "it is shorter than its shape"))?;
    kernel.value = tensor(kernel, vec![features, columns], turned)?;
    let turned =
        by_gate(values(recurrent)?, gates, units, units, |row, column| column * width + row);
    let turned = turned.ok_or_else(|| damaged(&recurrent.path, "it is shorter than its shape"))?;
    recurrent.value = tensor(recurrent, vec![units, width], turned)?;
    bias.value = if gates == 3 {
        // GRU keeps both halves apart.
        tensor(bias, vec![2, width], values(bias)?.to_vec())?
    } else {
        let (input, state) = values(bias)?.split_at(width);
        let sum = input.iter().zip(state).map(|(a, b)| a + b).collect();
        tensor(bias, vec![width], sum)?
    };
    Ok(())
}

/// A matrix `[rows, gates · columns]` whose gate block takes at (row, column) the element of the
/// old block at the offset that `from` gives, `None` where there is none.
fn by_gate(
    old: &[f32],
    gates: usize,
    rows: usize,
    columns: usize,
    from: impl Fn(usize, usize) -> usize,
) -> Option<Vec<f32>> {
    let mut new = Vec::with_capacity(old.len());
    for row in 0..rows {
        for gate in 0..gates {
            for column in 0..columns {
                new.push(*old.get(gate * columns + from(row, column))?);
            }
        }
    }
    Some(new)
}

/// Joins the arrays for each gate that Keras 1 stored. Their names end in `_W_i`, `_U_i`, `_b_i`:
/// kernel, recurrent kernel and bias of the gate i. The order of LSTM's gates was i c f o and is
/// i f c o; GRU's is z r h.
fn join_gates(weights: &mut Vec<StoredWeight>) -> Result<(), FormatError> {
    const LSTM: [&str; 4] = ["i", "c", "f", "o"];
    const GRU: [&str; 3] = ["z", "r", "h"];
    let is = |weights: &[StoredWeight], start: usize, gates: &[&str]| {
        gates.iter().enumerate().all(|(gate, letter)| {
            ["W", "U", "b"].iter().enumerate().all(|(part, kind)| {
                let name = weights.get(start + 3 * gate + part).map(|weight| bare(&weight.name));
                name.is_some_and(|name| name.ends_with(&format!("_{kind}_{letter}")))
            })
        })
    };
    let mut start = 0;
    while start < weights.len() {
        let order: &[usize] = if is(weights, start, &LSTM) {
            &[0, 2, 1, 3]
        } else if is(weights, start, &GRU) {
            &[0, 1, 2]
        } else {
            start += 1;
            continue;
        };
        let arrays: Vec<StoredWeight> =
            weights.splice(start..start + 3 * order.len(), []).collect();
        for part in (0..3).rev() {
            let parts = order.iter().filter_map(|gate| arrays.get(3 * gate + part));
            weights.insert(start, side_by_side(parts.collect())?);
        }
        start += 3;
    }
    Ok(())
}

/// A name without TensorFlow's `:0` and without the groups in front of it.
fn bare(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or(name);
    name.rsplit('/').next().unwrap_or(name)
}

/// Arrays of as many rows, one beside the other; vectors one after the other.
fn side_by_side(parts: Vec<&StoredWeight>) -> Result<StoredWeight, FormatError> {
    let Some(first) = parts.first() else {
        return Err(damaged("", "a gate has no weights"));
    };
    let shape = first.value.shape().to_vec();
    let unlike = || damaged(&first.path, "the arrays of its layer's gates have other shapes");
    let (rows, columns) = match shape[..] {
        [columns] => (1, columns),
        [rows, columns] => (rows, columns),
        _ => return Err(unlike()),
    };
    if parts.iter().any(|part| part.value.shape() != shape) {
        return Err(unlike());
    }
    let mut joined = Vec::new();
    for row in 0..rows {
        for part in &parts {
            let row = values(part)?.get(row * columns..(row + 1) * columns);
            joined.extend_from_slice(row.ok_or_else(unlike)?);
        }
    }
    let width = columns * parts.len();
    let shape = if shape.len() == 1 { vec![width] } else { vec![rows, width] };
    let value = tensor(first, shape, joined)?;
    Ok(StoredWeight { name: first.name.clone(), path: first.path.clone(), value })
}

/// Takes the second axis off kernels `[size, 1, channels, filters]`, as which Keras 1 stored those
/// of one-dimensional convolutions; Keras 1.1 stored `[filters, channels, size, 1]`.
fn drop_axis(weights: &mut [StoredWeight]) -> Result<(), FormatError> {
    for pair in 0..weights.len() {
        let filters = weights.get(pair + 1).and_then(|bias| match bias.value.shape() {
            &[filters] => Some(filters),
            _ => None,
        });
        let Some(kernel) = weights.get_mut(pair) else { continue };
        if !bare(&kernel.name).ends_with("_W") {
            continue;
        }
        let shape = kernel.value.shape().to_vec();
        match shape[..] {
            [size, 1, channels, count] if filters.is_none_or(|filters| filters == count) => {
                kernel.value =
                    tensor(kernel, vec![size, channels, count], values(kernel)?.to_vec())?;
            }
            [count, channels, size, 1] if filters == Some(count) => {
                let old = values(kernel)?;
                let at = |size_at: usize, channel: usize, filter: usize| {
                    old.get((filter * channels + channel) * size + size_at).copied()
                };
                let turned = (0..old.len())
                    .map(|i| at(i / (channels * count), i / count % channels, i % count))
                    .collect::<Option<Vec<f32>>>();
                let turned = turned.ok_or_else(|| damaged(&kernel.path, "it is cut short"))?;
                kernel.value = tensor(kernel, vec![size, channels, count], turned)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn values(weight: &StoredWeight) -> Result<&[f32], FormatError> {
    weight.value.as_f32().ok_or_else(|| FormatError::WeightType {
        path: weight.path.clone(),
        found: weight.value.dtype().to_string(),
    })
}

fn tensor(
    weight: &StoredWeight,
    shape: Vec<usize>,
    values: Vec<f32>,
) -> Result<Tensor, FormatError> {
    Tensor::new(shape, values).map_err(|error| damaged(&weight.path, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(name: &str, shape: &[usize], values: Vec<f32>) -> StoredWeight {
        let value = Tensor::new(shape.to_vec(), values).expect("the shape fits");
        StoredWeight { name: name.to_owned(), path: name.to_owned(), value }
    }

    fn count(n: usize) -> Vec<f32> {
        (0..n).map(|i| i as f32).collect()
    }

    fn converted(weights: Vec<StoredWeight>, keras1: bool) -> Vec<StoredWeight> {
        let mut layers = [LayerWeights { layer: "l".to_owned(), weights }];
        convert(&mut layers, keras1).expect("converts");
        let [layer] = layers;
        layer.weights
    }

    /// Expected values are those of `_convert_rnn_weights` of tf_keras 2.20.
    #[test]
    fn cudnn_weights_are_turned_gate_by_gate() {
        let found = converted(
            vec![
                weight("kernel:0", &[3, 8], count(24)),
                weight("recurrent_kernel:0", &[2, 8], count(16)),
                weight("bias:0", &[16], count(16)),
            ],
            false,
        );
        let kernel = [
            0.0, 9.0, 2.0, 11.0, 4.0, 13.0, 6.0, 15.0, 1.0, 16.0, 3.0, 18.0, 5.0, 20.0, 7.0, 22.0,
            8.0, 17.0, 10.0, 19.0, 12.0, 21.0, 14.0, 23.0,
        ];
        assert_eq!(found[0].value.as_f32(), Some(&kernel[..]));
        let recurrent =
            [0.0, 8.0, 2.0, 10.0, 4.0, 12.0, 6.0, 14.0, 1.0, 9.0, 3.0, 11.0, 5.0, 13.0, 7.0, 15.0];
        assert_eq!(found[1].value.as_f32(), Some(&recurrent[..]));
        let bias = [8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0];
        assert_eq!(found[2].value.as_f32(), Some(&bias[..]));
        let gru = converted(
            vec![
                weight("kernel:0", &[1, 6], count(6)),
                weight("recurrent_kernel:0", &[2, 6], count(12)),
                weight("bias:0", &[12], count(12)),
            ],
            false,
        );
        assert_eq!(gru[2].value.shape(), [2, 6]);
        assert_eq!(gru[2].value.as_f32(), Some(&count(12)[..]));
    }

    #[test]
    fn plain_weights_stay() {
        let plain = vec![
            weight("kernel:0", &[3, 8], count(24)),
            weight("recurrent_kernel:0", &[2, 8], count(16)),
            weight("bias:0", &[8], count(8)),
            weight("gru/kernel:0", &[3, 6], count(18)),
            weight("gru/recurrent_kernel:0", &[2, 6], count(12)),
            weight("gru/bias:0", &[2, 6], count(12)),
        ];
        assert_eq!(converted(plain.clone(), false), plain);
    }

    #[test]
    fn the_gates_of_keras_1_are_joined_in_todays_order() {
        let arrays = ["i", "c", "f", "o"].into_iter().enumerate().flat_map(|(gate, letter)| {
            let base = 10.0 * gate as f32;
            [
                weight(&format!("lstm_1_W_{letter}:0"), &[2, 1], vec![base, base + 1.0]),
                weight(&format!("lstm_1_U_{letter}:0"), &[1, 1], vec![base + 2.0]),
                weight(&format!("lstm_1_b_{letter}:0"), &[1], vec![base + 3.0]),
            ]
        });
        let found = converted(arrays.collect(), true);
        assert_eq!(found.len(), 3);
        let kernel = [0.0, 20.0, 10.0, 30.0, 1.0, 21.0, 11.0, 31.0];
        assert_eq!(found[0].value.as_f32(), Some(&kernel[..]));
        assert_eq!(found[1].value.as_f32(), Some(&[2.0, 22.0, 12.0, 32.0][..]));
        assert_eq!(found[2].value.as_f32(), Some(&[3.0, 23.0, 13.0, 33.0][..]));
    }

    #[test]
    fn kernels_of_keras_1_lose_their_second_axis() {
        let found = converted(
            vec![
                weight("convolution1d_1_W:0", &[2, 1, 3, 4], count(24)),
                weight("convolution1d_1_b:0", &[4], count(4)),
            ],
            true,
        );
        assert_eq!(found[0].value.shape(), [2, 3, 4]);
        assert_eq!(found[0].value.as_f32(), Some(&count(24)[..]));
        let turned = converted(
            vec![
                weight("convolution1d_1_W:0", &[2, 3, 2, 1], count(12)),
                weight("convolution1d_1_b:0", &[2], count(2)),
            ],
            true,
        );
        assert_eq!(turned[0].value.shape(), [2, 3, 2]);
        let expected = [0.0, 6.0, 2.0, 8.0, 4.0, 10.0, 1.0, 7.0, 3.0, 9.0, 5.0, 11.0];
        assert_eq!(turned[0].value.as_f32(), Some(&expected[..]));
    }
}
