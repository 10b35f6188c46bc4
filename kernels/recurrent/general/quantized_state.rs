//! The layer with its state quantized on the way into the recurrent product, as ONNX Runtime's
//! `DynamicQuantizeLSTM` has it: to unsigned 8 bits, by the range of all rows at a step, 0 within it.

use super::{GeneralCall, GeneralLayer, put, start, workspace_len};
use crate::isa::Isa;

/// Runs all rows side by side: each row's own first step, then each one's second, ….
///
/// A row counts in the range with the output of its last step once more, then as zeros.
pub(super) fn forward(isa: Isa, layer: &GeneralLayer<'_>, mut call: GeneralCall<'_>) {
    let (units, columns) = (layer.units, layer.cell.gates() * layer.units);
    let GeneralCall { batch, time, .. } = call;
    let input = layer.kernel.len() / columns.max(1);
    let workspace = &mut call.workspace[..workspace_len(layer.cell, units, Some(batch))];
    let (sums, rest) = workspace.split_at_mut(2 * columns);
    let (memory, rest) = rest.split_at_mut(2 * units);
    let (output, rest) = rest.split_at_mut(units);
    let (all_h, rest) = rest.split_at_mut(batch * units);
    let (all_c, rest) = rest.split_at_mut(batch * units);
    let rounded = &mut rest[..batch * units];
    for row in 0..batch {
        start(&mut all_h[row * units..][..units], call.initial_h, row);
        start(&mut all_c[row * units..][..units], call.initial_c, row);
    }
    let mask = call.mask;
    let real = |row: usize| match mask {
        Some(mask) => mask[row * time..][..time].iter().filter(|step| **step != 0).count(),
        None => time,
    };
    output.fill(0.0);
    for index in 0..time {
        for row in 0..batch {
            let own = &mut rounded[row * units..][..units];
            match index <= real(row) {
                true => own.copy_from_slice(&all_h[row * units..][..units]),
                false => own.fill(0.0),
            }
        }
        round(rounded);
        for row in 0..batch {
            let steps = real(row);
            if index >= steps {
                let at = row * time + index;
                let kept = &all_h[row * units..][..units];
                put(
                    &mut call.sequence,
                    at,
                    if layer.zero_output_for_mask { &*output } else { kept },
                );
                continue;
            }
            let at = row * time + if layer.backward { steps - 1 - index } else { index };
            let (h, c) = (&mut all_h[row * units..][..units], &mut all_c[row * units..][..units]);
            h.copy_from_slice(&rounded[row * units..][..units]);
            layer.step(isa, &call.x[at * input..][..input], sums, h, c, memory);
            put(&mut call.sequence, at, h);
        }
    }
    for row in 0..batch {
        let (h, c) = (&all_h[row * units..][..units], &all_c[row * units..][..units]);
        put(&mut call.last, row, h);
        put(&mut call.final_h, row, h);
        put(&mut call.final_c, row, c);
    }
}

/// Each value as the nearest of the 256 that its range is cut into.
fn round(values: &mut [f32]) {
    let least = values.iter().copied().fold(0.0f32, f32::min);
    let largest = values.iter().copied().fold(0.0f32, f32::max);
    let scale = if least == largest { 1.0 } else { (largest - least) / 255.0 };
    let zero = (-least / scale).clamp(0.0, 255.0).round_ties_even();
    for value in values {
        let level = ((*value / scale).round_ties_even() + zero).clamp(0.0, 255.0);
        *value = (level - zero) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn values_come_to_the_levels_of_their_range_and_zero_stays() {
        let mut values = [-1.0, 0.0, 0.5, 1.55, 0.003];
        round(&mut values);
        let step = 2.55 / 255.0;
        for (found, level) in values.iter().zip([-100.0f32, 0.0, 50.0, 155.0, 0.0]) {
            assert!((found - level * step).abs() < 1e-6, "{values:?}");
        }
        let mut zeros = [0.0; 3];
        round(&mut zeros);
        assert_eq!(zeros, [0.0; 3]);
    }
}
