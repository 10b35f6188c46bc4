//! Recurrent layers in the forms that ONNX has beyond Keras.

use seqfuse_kernels::recurrent::general::{self, GeneralCall, GeneralCell, GeneralLayer};

use super::lowering::{CpuOp, Kernel, Lowering, Weights, call_many, elements_of, shape_of};
use crate::ops::{GeneralRecurrent, RecurrentCell};
use crate::plan::NodeShapes;
use crate::runtime::RunError;

fn cell(op: &GeneralRecurrent) -> GeneralCell {
    match op.cell {
        RecurrentCell::Lstm => GeneralCell::Lstm { coupled: op.coupled },
        RecurrentCell::Gru { reset_after } => GeneralCell::Gru { reset_after },
        RecurrentCell::SimpleRnn => GeneralCell::Simple,
    }
}

impl CpuOp for GeneralRecurrent {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        let batch = shape_of(node, 0).and_then(|x| x.first().copied());
        4 * general::workspace_len(cell(self), self.units, batch.filter(|_| self.quantized_state))
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let x = lowering.input(0)?;
        let &[batch, time, _] = &x.shape[..] else {
            return Err(lowering.refuse("its input does not have three dimensions".to_owned()));
        };
        let kernels = [lowering.input(Self::KERNEL)?, lowering.input(Self::KERNEL + 1)?];
        let slots =
            [Self::KERNEL + 2, Self::STATE_H, Self::STATE_H + 1, Self::PEEPHOLES, Self::MASK];
        let [bias, state_h, state_c, peepholes, mask] = slots.map(|slot| lowering.optional(slot));
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| lowering.output(index));
        let op = self.clone();
        let c_wanted = d.filter(|_| op.cell == RecurrentCell::Lstm);
        let targets = [a, b, c, d, lowering.workspace()];
        call_many(targets, move |env, [sequence, last, final_h, final_c, room]| {
            let layer = GeneralLayer {
                cell: cell(&op),
                units: op.units,
                kernel: env.get(&kernels[0]),
                recurrent_kernel: env.get(&kernels[1]),
                bias: env.optional(&bias),
                peepholes: env.optional(&peepholes),
                gate: op.gate,
                candidate: op.candidate,
                output: op.output,
                clip: op.clip,
                backward: op.backward,
                zero_output_for_mask: op.zero_output_for_mask,
                quantized_state: op.quantized_state,
            };
            let call = GeneralCall {
                batch,
                time,
                x: env.get(&x),
                mask: env.optional(&mask),
                initial_h: env.optional(&state_h),
                initial_c: env.optional(&state_c),
                sequence: elements_of(sequence, targets[0]),
                last: elements_of(last, targets[1]),
                final_h: elements_of(final_h, targets[2]),
                final_c: elements_of(final_c, c_wanted),
                workspace: elements_of(room, targets[4]).unwrap_or_default(),
            };
            general::forward(env.cpu.isa, &layer, call);
            Ok(())
        })
    }
}
