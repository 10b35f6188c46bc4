//! Convolution over one axis or two, its transpose, and pooling of windows.

use seqfuse_kernels::wgsl;

use super::activate;
use super::lowering::{GpuOp, Lowering};
use crate::graph::{Graph, Node};
use crate::ops::{Activation, Conv, PoolKind, Window, WindowPool};
use crate::runtime::RunError;
use crate::runtime::gpu::recorder::NONE;
use crate::runtime::gpu::{Dispatch, Parameters, Shader};

/// Rows and columns of a tile (`TILE` of the kernel).
const TILE: usize = 64;
/// From so many filters of a group on a tile serves it.
const WIDE: usize = 24;

/// An axis of so many elements with its windows.
#[derive(Clone, Copy, Debug)]
struct Axis {
    len: usize,
    window: Window,
}

/// The sizes of `[batch, size.., features]` and the two axes, the first of one element for a
/// sequence.
fn axes(windows: &[Window], shape: &[usize]) -> Option<(usize, [Axis; 2], usize)> {
    let axis = |window: &Window, len| Axis { len, window: *window };
    match (windows, shape) {
        ([window], &[batch, time, features]) => {
            Some((batch, [axis(&Window::UNIT, 1), axis(window, time)], features))
        }
        ([first, second], &[batch, height, width, features]) => {
            Some((batch, [axis(first, height), axis(second, width)], features))
        }
        _ => None,
    }
}

impl Axis {
    fn outputs(&self) -> usize {
        self.window.outputs(self.len)
    }

    /// The axis with its padding, which bounds every place that a tap may have.
    fn padded(&self) -> usize {
        let (before, after) = self.window.padding_sizes(self.len);
        let len = self.len.saturating_mul(self.window.input_dilation);
        let reach = self.window.size.saturating_mul(self.window.dilation);
        before.saturating_add(len).saturating_add(after).saturating_add(reach)
    }

    /// len, outputs, taps, stride, dilation, and `rest`, then the padding in front.
    fn words(&self, lowering: &Lowering<'_>, rest: &[usize]) -> Result<[u32; 8], RunError> {
        lowering.size(self.padded())?;
        let Window { size, stride, dilation, .. } = self.window;
        let mut words = [0; 8];
        let known = [self.len, self.outputs(), size, stride.min(self.padded()), dilation];
        let before = self.window.padding_sizes(self.len).0;
        for (word, size) in words.iter_mut().zip(known.iter().chain(rest).chain([&before])) {
            *word = lowering.size(*size)?;
        }
        Ok(words)
    }
}

impl GpuOp for Conv {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        match activate::expression(self.activation) {
            Some(_) => Ok(()),
            None => activate::check(self.activation),
        }
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        let bounded =
            Activation::BoundedRelu { negative_slope: 0.1, max_value: None, threshold: 0.5 };
        let activations = [Activation::Linear, Activation::Tanh, bounded];
        let both = |activation| [true, false].map(|tiles| shader(activation, tiles));
        activations.into_iter().flat_map(both).collect()
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, kernel, (output, y)) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let filters = kernel.shape.iter().rev().nth(self.transposed.into()).copied();
        let (Some((batch, axes, inputs)), Some(filters)) = (axes(&self.windows, &x.shape), filters)
        else {
            return Err(lowering.refuse("its inputs have other ranks than its windows".to_owned()));
        };
        if y.len == 0 {
            return Ok(());
        }
        let (depth, columns) = (inputs / self.groups, filters / self.groups);
        let positions = batch * axes[0].outputs() * axes[1].outputs();
        let tiles = columns >= WIDE && depth > 0;
        let workgroups = match tiles {
            true => positions.div_ceil(TILE) * columns.div_ceil(TILE) * self.groups,
            false => y.len.div_ceil(256),
        };
        let fused = activate::expression(self.activation).is_some();
        let inside = if fused { self.activation } else { Activation::Linear };
        let mut call = Dispatch::new(shader(inside, tiles), Parameters::new(), workgroups as u64);
        let a = lowering.arena(0)?;
        let [kernel_at, bias_at] = weights(lowering, &mut call)?;
        if self.transposed {
            call.constants.push(("TRANSPOSED", 1));
        }
        let mut parameters = Parameters::new();
        for size in [positions, inputs, filters, depth, columns] {
            parameters = parameters.word(lowering.size(size)?);
        }
        parameters = parameters.word(a).word(kernel_at).word(bias_at).word(output);
        for axis in &axes {
            let gaps = [axis.window.input_dilation];
            parameters = parameters.aligned(axis.words(lowering, &gaps)?);
        }
        call.parameters = parameters;
        lowering.size(x.len.max(y.len).max(kernel.len))?;
        let [lines, taps] = axes.map(|axis| axis.window.size);
        // The round that ends a loop counts too.
        let rounds = match tiles {
            true => (lines * taps * depth).div_ceil(16) * (1 + (4 + 1) + (16 + 1)) + 30,
            false => lines * (1 + taps * (1 + depth + 1) + 1) + 1,
        };
        let call = call.touching(a, x.len as u64).touching(output, y.len as u64);
        lowering.dispatch(call.rounds(rounds as u64))?;
        if fused {
            return Ok(());
        }
        // An activation over rows sees the filters.
        activate::apply(lowering, self.activation, [y.len, filters], output, output)
    }
}

/// Where kernel and bias lie; one that is computed lies in the arena.
fn weights(lowering: &mut Lowering<'_>, call: &mut Dispatch) -> Result<[u32; 2], RunError> {
    let mut at = [NONE; 2];
    let slots =
        || [1, 2].into_iter().filter(|&slot| slot == 1 || lowering.optional(slot).is_some());
    let (fixed, computed): (Vec<usize>, Vec<usize>) =
        slots().partition(|&slot| lowering.is_fixed(slot));
    let refs = match fixed.first() {
        None => Vec::new(),
        Some(1) => lowering.kernel(&fixed)?,
        Some(_) => lowering.plain(&fixed)?,
    };
    for (slot, weight) in fixed.iter().zip(refs) {
        call.weights = weight.buffer;
        at[slot - 1] = weight.offset;
        if weight.half {
            call.constants.push(("KERNEL_HALF", 1));
        }
    }
    for slot in computed {
        at[slot - 1] = lowering.arena(slot)?;
        call.constants.push((["KERNEL_FROM_ARENA", "BIAS_FROM_ARENA"][slot - 1], 1));
        call.regions.push((at[slot - 1], lowering.input(slot)?.len as u64));
    }
    Ok(at)
}

/// The kernel with an activation that works on elements.
fn shader(activation: Activation, tiles: bool) -> Shader {
    let finish = activate::function("finish", activation);
    let (name, text) = match tiles {
        true => ("conv_tiles", wgsl::CONV_TILES),
        false => ("conv_elements", wgsl::CONV_ELEMENTS),
    };
    Shader::new(name, &[wgsl::ELEMENTWISE, &finish, text])
}

impl GpuOp for WindowPool {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![pool_shader()]
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input, (output, y)) = (lowering.input(0)?, lowering.arena(0)?, lowering.result()?);
        let Some((_, axes, features)) = axes(&self.windows, &x.shape) else {
            return Err(lowering.refuse("its input has another rank than its windows".to_owned()));
        };
        let mut parameters =
            Parameters::new().word(lowering.size(y.len)?).word(lowering.size(features)?);
        parameters = parameters.word(input).word(output);
        for axis in &axes {
            parameters = parameters.aligned(axis.words(lowering, &[])?);
        }
        lowering.size(x.len)?;
        let mut call = Dispatch::new(pool_shader(), parameters, y.len.div_ceil(256) as u64)
            .touching(input, x.len as u64)
            .touching(output, y.len as u64);
        call.constants.push(("AVERAGE", (self.kind == PoolKind::Average).into()));
        let [lines, taps] = axes.map(|axis| axis.window.size);
        lowering.dispatch(call.rounds((lines * (1 + taps + 1) + 1) as u64))
    }
}

fn pool_shader() -> Shader {
    Shader::new("window_pool", &[wgsl::ELEMENTWISE, wgsl::WINDOW_POOL])
}
