//! Recurrent layers by the reference kernels, in `f64`, a row at a time.

use seqfuse_kernels::recurrent::reference::{self, Layer, Outputs};

use super::Buffer;
use super::lowering::{Target, narrow};
use super::recurrent::Attributes;

/// One step of a reference cell.
pub type StepFn = reference::StepFn<f64>;

/// A layer and its input.
pub struct ReferenceLayer<'a> {
    pub batch: usize,
    pub time: usize,
    pub x: &'a [f32],
    pub mask: Option<&'a [u8]>,
    pub attributes: Attributes,
    pub reset_after: bool,
    pub step: StepFn,
}

fn widen(from: &[f32]) -> Vec<f64> {
    from.iter().map(|&value| f64::from(value)).collect()
}

impl ReferenceLayer<'_> {
    /// Every row of direction `index`.
    pub fn run(
        &self,
        index: usize,
        [kernel, recurrent]: [&[f32]; 2],
        bias: Option<&[f32]>,
        initial: [Option<&[f32]>; 2],
    ) -> Vec<Outputs<f64>> {
        let (kernel, recurrent, bias) = (widen(kernel), widen(recurrent), bias.map(widen));
        let units = self.attributes.units;
        let layer = Layer {
            units,
            kernel: &kernel,
            recurrent: &recurrent,
            bias: bias.as_deref(),
            activation: self.attributes.activation,
            recurrent_activation: self.attributes.recurrent_activation,
            reset_after: self.reset_after,
            backward: index == 1 || self.attributes.backward,
            zero_output_for_mask: self.attributes.zero_output_for_mask,
        };
        let x = widen(self.x);
        let width = x.len() / self.batch.max(1);
        let rows = (0..self.batch).map(|row| {
            let state = |at: usize| match initial[at] {
                Some(values) => widen(&values[row * units..(row + 1) * units]),
                None => vec![0.0; units],
            };
            let mask = self.mask.map(|mask| &mask[row * self.time..(row + 1) * self.time]);
            let input = (&x[row * width..(row + 1) * width], self.time);
            reference::forward(&layer, self.step, input, mask, (state(0), state(1)))
        });
        rows.collect()
    }

    /// Puts the rows of direction `index` where they belong in the node's outputs.
    pub fn write(
        &self,
        index: usize,
        rows: &[Outputs<f64>],
        buffers: &mut [Buffer; 6],
        targets: &[Option<Target>; 6],
    ) {
        let (units, directions) = (self.attributes.units, self.attributes.directions);
        let width = units * directions;
        let mut put = |at: usize, place: usize, values: &[f64]| {
            if let Some(target) = targets[at] {
                narrow(
                    values,
                    &mut buffers[at].get_mut::<f32>(target.len)[place..][..values.len()],
                );
            }
        };
        for (row, outputs) in rows.iter().enumerate() {
            for step in 0..self.time {
                let place = (row * self.time + step) * width + index * units;
                put(0, place, &outputs.sequence[step * units..(step + 1) * units]);
            }
            put(1, row * width + index * units, &outputs.last);
            put(2 + 2 * index, row * units, &outputs.h);
            put(3 + 2 * index, row * units, &outputs.c);
        }
    }
}
