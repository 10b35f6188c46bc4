//! Buffers: weights, uploaded once, and a session's workspace.

use std::sync::Arc;

use super::device::GpuDevice;
use super::error::GpuError;

/// Words between the starts of weights: 256 bytes.
const WEIGHT_ALIGNMENT: usize = 64;

/// Where a weight lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeightRef {
    /// The buffer of [`Weights`].
    pub buffer: u32,
    /// The first word, a multiple of 64.
    pub offset: u32,
    /// Whether the elements are f16, two in a word.
    pub half: bool,
}

/// Collects the weights of a model for one upload.
#[derive(Debug, Default)]
pub struct WeightsBuilder {
    buffers: Vec<Vec<f32>>,
    /// How many buffers there are before these.
    first: usize,
    /// Words of a buffer at most.
    pub(super) limit: usize,
}

impl WeightsBuilder {
    /// An empty collection for `device`, whose limits decide on the number of buffers.
    pub fn new(device: &GpuDevice) -> WeightsBuilder {
        WeightsBuilder { buffers: vec![Vec::new()], ..WeightsBuilder::after(device, 0) }
    }

    /// An empty collection whose first buffer is number `first`: weights that join others.
    pub(super) fn after(device: &GpuDevice, first: usize) -> WeightsBuilder {
        let bytes =
            device.limits.max_storage_buffer_binding_size.min(device.limits.max_buffer_size);
        // Offsets are 32-bit words.
        let limit = (bytes / 4).min(u64::from(u32::MAX)) as usize;
        WeightsBuilder { buffers: Vec::new(), first, limit }
    }

    /// Adds weights that one call reads together, such as a kernel and its bias; they share a
    /// buffer. A new buffer begins where the device's limit on a binding asks for one.
    ///
    /// # Errors
    /// If they are together above the limit.
    pub fn push(&mut self, what: &str, parts: &[&[f32]]) -> Result<Vec<WeightRef>, GpuError> {
        let align = |words: usize| words.next_multiple_of(WEIGHT_ALIGNMENT);
        let needed: usize = parts.iter().map(|part| align(part.len())).sum();
        if needed > self.limit {
            return Err(GpuError::Limit {
                what: format!("the weights of {what}"),
                needed: needed as u64 * 4,
                limit: "maxStorageBufferBindingSize",
                available: self.limit as u64 * 4,
            });
        }
        if self.buffers.last().is_none_or(|last| last.len() + needed > self.limit) {
            self.buffers.push(Vec::new());
        }
        let index = self.first + self.buffers.len() - 1;
        let mut refs = Vec::with_capacity(parts.len());
        if let Some(buffer) = self.buffers.last_mut() {
            for part in parts {
                let offset = buffer.len() as u32;
                refs.push(WeightRef { buffer: index as u32, offset, half: false });
                buffer.extend_from_slice(part);
                buffer.resize(align(buffer.len()), 0.0);
            }
        }
        Ok(refs)
    }

    /// Uploads everything.
    ///
    /// # Errors
    /// If the device has no memory for it.
    pub fn finish(self, device: &GpuDevice) -> Result<Arc<Weights>, GpuError> {
        Ok(Arc::new(Weights { buffers: self.upload(device)? }))
    }

    /// Uploads everything, a buffer each.
    pub(super) fn upload(&self, device: &GpuDevice) -> Result<Vec<wgpu::Buffer>, GpuError> {
        let upload = |words: &Vec<f32>| {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
            let buffer = create(device, "weights", words.len() as u64, usage)?;
            device.scoped("upload weights", || {
                device.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
            })?;
            Ok(buffer)
        };
        self.buffers.iter().map(upload).collect()
    }
}

/// The weights of a model on a device, shared among programs.
#[derive(Debug)]
pub struct Weights {
    pub(super) buffers: Vec<wgpu::Buffer>,
}

/// What a session needs besides weights: the arena, status words and the staging buffer that
/// results are read from. All grow on demand and are kept from run to run.
#[derive(Debug)]
pub struct Workspace {
    pub(super) arena: Grown,
    pub(super) status: Grown,
    pub(super) staging: Grown,
}

/// A buffer that grows.
#[derive(Debug)]
pub(super) struct Grown {
    what: &'static str,
    usage: wgpu::BufferUsages,
    buffer: Option<wgpu::Buffer>,
    words: u64,
}

impl Grown {
    fn new(what: &'static str, usage: wgpu::BufferUsages) -> Grown {
        Grown { what, usage, buffer: None, words: 0 }
    }

    /// The buffer, with at least `words` words; what it held is lost when it grows.
    pub(super) fn reserve(
        &mut self,
        device: &GpuDevice,
        words: u64,
    ) -> Result<wgpu::Buffer, GpuError> {
        if let Some(buffer) = self.buffer.as_ref().filter(|_| self.words >= words) {
            return Ok(buffer.clone());
        }
        // The old one goes first, so that the two need not fit beside each other.
        self.buffer = None;
        self.words = 0;
        let buffer = create(device, self.what, words, self.usage)?;
        self.words = words;
        self.buffer = Some(buffer.clone());
        Ok(buffer)
    }
}

impl Default for Workspace {
    fn default() -> Workspace {
        Workspace::new()
    }
}

impl Workspace {
    /// How many bytes its buffers on the device hold.
    pub fn bytes(&self) -> usize {
        let words = self.arena.words + self.status.words + self.staging.words;
        usize::try_from(words * 4).unwrap_or(usize::MAX)
    }

    /// A workspace without buffers yet.
    pub fn new() -> Workspace {
        use wgpu::BufferUsages as Usage;
        let storage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        Workspace {
            arena: Grown::new("the arena", storage),
            status: Grown::new("status words", storage),
            staging: Grown::new("the staging buffer", Usage::MAP_READ | Usage::COPY_DST),
        }
    }
}

/// A buffer of `words` words, at least 256 bytes.
pub(super) fn create(
    device: &GpuDevice,
    what: &'static str,
    words: u64,
    usage: wgpu::BufferUsages,
) -> Result<wgpu::Buffer, GpuError> {
    let bytes = (words * 4).max(256);
    let mut limits = vec![("maxBufferSize", device.limits.max_buffer_size)];
    if usage.contains(wgpu::BufferUsages::STORAGE) {
        let binding = device.limits.max_storage_buffer_binding_size;
        limits.push(("maxStorageBufferBindingSize", binding));
    }
    for (limit, available) in limits {
        if bytes > available {
            return Err(GpuError::Limit { what: what.to_owned(), needed: bytes, limit, available });
        }
    }
    device.scoped(&format!("allocate {bytes} bytes for {what}"), || {
        device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    })
}
