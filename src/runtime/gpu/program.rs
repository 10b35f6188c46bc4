//! Programs: lists of calls on the device, replayed run after run.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use super::buffer::{Weights, Workspace, create};
use super::device::GpuDevice;
use super::error::GpuError;
use super::pipeline::PARAMETER_BYTES;
use super::recorder::{Calls, CheckKind};

/// How long to wait for a callback, each time, once the device is idle.
const CALLBACK_WAIT: Duration = Duration::from_millis(10);
/// How many times to wait for it.
const CALLBACK_TRIES: u32 = 1000;

/// What a device that poisons fills the arena with: a NaN, and a number far above all sizes.
const POISON: u32 = 0x7fc0_dead;

/// Words to write into the arena before a run.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    /// The first word.
    pub offset: u32,
    /// Words as bytes, a multiple of 4.
    pub bytes: &'a [u8],
}

/// Words to read from the arena after a run.
#[derive(Debug)]
pub struct Output<'a> {
    /// The first word.
    pub offset: u32,
    /// Where they go, as bytes, a multiple of 4.
    pub bytes: &'a mut [u8],
}

/// A list of calls for concrete sizes, with its parameters on the device. Making one for other
/// sizes compiles no pipeline that was compiled before and allocates one small buffer. Programs
/// share [`Weights`], and may share a [`Workspace`] where they run in turn.
#[derive(Debug)]
pub struct Program {
    device: Arc<GpuDevice>,
    weights: Arc<Weights>,
    calls: Calls,
    parameters: wgpu::Buffer,
    constants: Option<Constants>,
    bound: Option<Bound>,
}

/// Words that are the same in every run. The arena is used for other values between two runs, so that
/// they are copied into it from a buffer of their own.
#[derive(Debug)]
struct Constants {
    buffer: wgpu::Buffer,
    /// First words in the buffer and in the arena, and numbers of words.
    copies: Vec<[u64; 3]>,
}

/// Bind groups, one for each buffer of weights, and the buffers that they bind.
#[derive(Debug)]
struct Bound {
    arena: wgpu::Buffer,
    status: wgpu::Buffer,
    groups: Vec<wgpu::BindGroup>,
}

impl Program {
    /// Uploads the parameters of `calls`.
    ///
    /// # Errors
    /// If the device has no memory for them, or a call names weights that are not there.
    pub fn new(
        device: Arc<GpuDevice>,
        weights: Arc<Weights>,
        calls: Calls,
    ) -> Result<Program, GpuError> {
        if let Some(call) =
            calls.calls.iter().find(|call| call.weights as usize >= weights.buffers.len())
        {
            let message = format!("there is no buffer {} of weights", call.weights);
            return Err(GpuError::arguments(&call.label, message));
        }
        let stride = (PARAMETER_BYTES / 4) as usize;
        let mut words = vec![0u32; calls.calls.len() * stride];
        for (slot, call) in words.chunks_exact_mut(stride).zip(&calls.calls) {
            let used = slot.iter_mut().zip(&call.parameters);
            used.for_each(|(to, from)| *to = *from);
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        // A group is bound where there is no call too.
        let size = words.len().max(stride) as u64;
        let parameters = create(&device, "call parameters", size, usage)?;
        device.scoped("upload call parameters", || {
            device.queue.write_buffer(&parameters, 0, bytemuck::cast_slice(&words));
        })?;
        Ok(Program { device, weights, calls, parameters, constants: None, bound: None })
    }

    /// The same program with words that stand in the arena at the beginning of every run; they are
    /// uploaded now.
    ///
    /// # Errors
    /// If the device has no memory for them, or they are no whole words.
    pub fn with_constants(mut self, constants: &[Upload<'_>]) -> Result<Program, GpuError> {
        let (mut bytes, mut copies) = (Vec::new(), Vec::new());
        for constant in constants.iter().filter(|constant| !constant.bytes.is_empty()) {
            let words = whole_words(constant.bytes.len())?;
            let to = u64::from(constant.offset);
            copies.push([bytes.len() as u64 / 4, to, words]);
            bytes.extend_from_slice(constant.bytes);
            self.calls.arena_words = self.calls.arena_words.max(to + words);
        }
        self.constants = None;
        if !copies.is_empty() {
            let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            let buffer = create(&self.device, "constants", bytes.len() as u64 / 4, usage)?;
            self.device.scoped("upload constants", || {
                self.device.queue.write_buffer(&buffer, 0, &bytes);
            })?;
            self.constants = Some(Constants { buffer, copies });
        }
        Ok(self)
    }

    /// The calls.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Uploads the inputs, runs all calls in one compute pass with one submission, and reads the
    /// outputs.
    ///
    /// # Errors
    /// If an id is outside its embedding's table, a region lies outside the arena, the device
    /// has no memory left, or it is lost. Outputs are unchanged then.
    pub fn run(
        &mut self,
        workspace: &mut Workspace,
        inputs: &[Upload<'_>],
        outputs: &mut [Output<'_>],
    ) -> Result<(), GpuError> {
        let words = self.arena_words(inputs, outputs)?;
        self.bind(workspace, words)?;
        let Some(bound) = &self.bound else { return Ok(()) };
        let checks = self.calls.checks.len() as u64;
        let read: u64 = outputs.iter().map(|output| output.bytes.len() as u64).sum();
        let staging = workspace.staging.reserve(&self.device, checks + read / 4)?;
        self.device.scoped("run a program", || {
            if self.device.poison {
                let nan = vec![POISON; words as usize];
                self.device.queue.write_buffer(&bound.arena, 0, bytemuck::cast_slice(&nan));
            }
            for input in inputs.iter().filter(|input| !input.bytes.is_empty()) {
                let offset = u64::from(input.offset) * 4;
                self.device.queue.write_buffer(&bound.arena, offset, input.bytes);
            }
            let commands = self.encode(bound, &staging, outputs);
            self.device.queue.submit([commands]);
        })?;
        self.device.dispatched.fetch_add(self.calls.len(), Ordering::Relaxed);
        if checks * 4 + read == 0 {
            return self.device.wait();
        }
        self.read(&staging, checks * 4 + read, |bytes| {
            let (status, mut rest) = bytes.split_at((checks * 4) as usize);
            if let Some(found) = status.chunks_exact(4).position(|word| word != [0; 4]) {
                return Some((found, u32::from_le_bytes(word(status, found))));
            }
            for output in outputs.iter_mut() {
                let (from, after) = rest.split_at(output.bytes.len());
                output.bytes.copy_from_slice(from);
                rest = after;
            }
            None
        })?
        .map_or(Ok(()), |(check, status)| Err(self.id_error(workspace, check, u32::MAX - status)))
    }

    /// Words of the arena that a run needs.
    fn arena_words(&self, inputs: &[Upload<'_>], outputs: &[Output<'_>]) -> Result<u64, GpuError> {
        let inputs = inputs.iter().map(|input| (input.offset, input.bytes.len()));
        let outputs = outputs.iter().map(|output| (output.offset, output.bytes.len()));
        let mut words = self.calls.arena_words;
        for (offset, bytes) in inputs.chain(outputs) {
            words = words.max(u64::from(offset) + whole_words(bytes)?);
        }
        Ok(words)
    }

    /// Binds the workspace's buffers, unless they are bound already.
    fn bind(&mut self, workspace: &mut Workspace, words: u64) -> Result<(), GpuError> {
        let arena = workspace.arena.reserve(&self.device, words)?;
        let status = workspace.status.reserve(&self.device, self.calls.checks.len() as u64)?;
        let is_bound = |bound: &Bound| bound.arena == arena && bound.status == status;
        if self.bound.as_ref().is_some_and(is_bound) {
            return Ok(());
        }
        let group = |weights: &wgpu::Buffer| {
            let parameters = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.parameters,
                offset: 0,
                size: wgpu::BufferSize::new(PARAMETER_BYTES),
            });
            let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
            self.device.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("seqfuse"),
                layout: &self.device.layout.bindings,
                entries: &[
                    entry(0, arena.as_entire_binding()),
                    entry(1, weights.as_entire_binding()),
                    entry(2, parameters),
                    entry(3, status.as_entire_binding()),
                ],
            })
        };
        let groups = self.device.scoped("bind buffers", || {
            self.weights.buffers.iter().map(group).collect::<Vec<_>>()
        })?;
        self.bound = Some(Bound { arena, status, groups });
        Ok(())
    }

    fn encode(
        &self,
        bound: &Bound,
        staging: &wgpu::Buffer,
        outputs: &[Output<'_>],
    ) -> wgpu::CommandBuffer {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("seqfuse") };
        let mut encoder = self.device.device.create_command_encoder(&descriptor);
        let checks = self.calls.checks.len() as u64 * 4;
        if checks > 0 {
            encoder.clear_buffer(&bound.status, 0, Some(checks));
        }
        if let Some(Constants { buffer, copies }) = &self.constants {
            for [from, to, words] in copies.iter().map(|copy| copy.map(|word| word * 4)) {
                encoder.copy_buffer_to_buffer(buffer, from, &bound.arena, to, words);
            }
        }
        if !self.calls.is_empty() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for (i, call) in self.calls.calls.iter().enumerate() {
                let Some(group) = bound.groups.get(call.weights as usize) else { continue };
                pass.set_pipeline(&call.pipeline.pipeline);
                pass.set_bind_group(0, group, &[(i as u64 * PARAMETER_BYTES) as u32]);
                let [x, y, z] = call.grid;
                pass.dispatch_workgroups(x, y, z);
            }
        }
        if checks > 0 {
            encoder.copy_buffer_to_buffer(&bound.status, 0, staging, 0, checks);
        }
        let mut at = checks;
        for output in outputs.iter().filter(|output| !output.bytes.is_empty()) {
            let (from, bytes) = (u64::from(output.offset) * 4, output.bytes.len() as u64);
            encoder.copy_buffer_to_buffer(&bound.arena, from, staging, at, bytes);
            at += bytes;
        }
        encoder.finish()
    }

    /// Waits for the device and hands over the first `bytes` of the staging buffer.
    fn read<T>(
        &self,
        staging: &wgpu::Buffer,
        bytes: u64,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, GpuError> {
        let fault = |message: String| GpuError::Driver { what: "read results".into(), message };
        let (sender, receiver) = mpsc::channel();
        self.device.scoped("map results", || {
            staging.map_async(wgpu::MapMode::Read, 0..bytes, move |mapped| {
                // The receiver outlives the wait below; a failed send has nobody to tell.
                let _ = sender.send(mapped);
            });
        })?;
        self.receive(&receiver)?.map_err(|error| fault(error.to_string()))?;
        let taken = {
            let view = staging.get_mapped_range(0..bytes).map_err(|e| fault(e.to_string()))?;
            take(&view)
        };
        staging.unmap();
        Ok(taken)
    }

    /// Waits for the device and for a callback of this program. Another thread that waits for the
    /// same device may be the one to run the callback, a little after our own wait has ended.
    fn receive<T>(&self, receiver: &mpsc::Receiver<T>) -> Result<T, GpuError> {
        for _ in 0..CALLBACK_TRIES {
            self.device.wait()?;
            if let Ok(value) = receiver.recv_timeout(CALLBACK_WAIT) {
                return Ok(value);
            }
        }
        let message = "the device is idle and has not answered".to_owned();
        Err(GpuError::Driver { what: "read results".to_owned(), message })
    }

    /// The error of an id out of range at `position`; reads the id itself from the arena.
    fn id_error(&self, workspace: &mut Workspace, check: usize, position: u32) -> GpuError {
        let (Some(check), Some(bound)) = (self.calls.checks.get(check), &self.bound) else {
            return GpuError::arguments("an embedding", "an id is out of range");
        };
        let CheckKind::Id { ids, vocabulary } = check.kind else {
            return GpuError::Unfit { what: check.label.clone() };
        };
        let id = workspace.staging.reserve(&self.device, 1).and_then(|staging| {
            let from = (u64::from(ids) + u64::from(position)) * 4;
            self.device.scoped("read an id", || {
                let mut encoder = self.device.device.create_command_encoder(&Default::default());
                encoder.copy_buffer_to_buffer(&bound.arena, from, &staging, 0, 4);
                self.device.queue.submit([encoder.finish()]);
            })?;
            self.read(&staging, 4, |bytes| i32::from_le_bytes(word(bytes, 0)))
        });
        match id {
            Err(error) => error,
            Ok(id) => GpuError::IdOutOfRange {
                what: check.label.clone(),
                position: position as usize,
                id,
                vocabulary,
            },
        }
    }
}

/// The number of words in `bytes` bytes.
fn whole_words(bytes: usize) -> Result<u64, GpuError> {
    match bytes % 4 {
        0 => Ok(bytes as u64 / 4),
        _ => {
            let message = format!("{bytes} bytes are no whole number of words");
            Err(GpuError::arguments("an input or output", message))
        }
    }
}

/// The bytes of word `i`, zeros where there is none.
fn word(bytes: &[u8], i: usize) -> [u8; 4] {
    let mut word = [0; 4];
    let from = bytes.iter().skip(i * 4);
    word.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    word
}
