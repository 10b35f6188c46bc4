//! A model's weights on a device: packed and uploaded once, shared by all its Sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use half::f16;

use super::buffer::{WeightRef, Weights, WeightsBuilder};
use super::device::{GpuDevice, lock};
use super::error::GpuError;
use crate::graph::Tensor;
use crate::plan::WeightId;

/// What a model has on the GPU; kept in the model's [`crate::plan::PackCache`].
#[derive(Debug, Default)]
pub struct ModelWeights(Mutex<[Option<Arc<DeviceWeights>>; 2]>);

impl ModelWeights {
    /// The model's weights on `device`. Those on another device, such as one that was lost, go
    /// with the last Session that uses them.
    ///
    /// Where `half`, kernels and tables are kept as f16, beside those that are not.
    pub fn on(&self, device: &Arc<GpuDevice>, half: bool) -> Arc<DeviceWeights> {
        let mut kept = lock(&self.0);
        let kept = &mut kept[usize::from(half)];
        match &*kept {
            Some(weights) if Arc::ptr_eq(&weights.device, device) => weights.clone(),
            _ => {
                let device = device.clone();
                let weights = Arc::new(DeviceWeights { device, half, store: Mutex::default() });
                *kept = Some(weights.clone());
                weights
            }
        }
    }
}

/// A model's weights on one device.
#[derive(Debug)]
pub struct DeviceWeights {
    pub(super) device: Arc<GpuDevice>,
    /// Whether kernels and tables are kept as f16.
    pub(super) half: bool,
    store: Mutex<Store>,
}

impl DeviceWeights {
    /// The weights, locked against other Sessions of the model that plan at the same time.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    /// How many different weights were packed.
    pub fn len(&self) -> usize {
        self.store().packed.len()
    }

    /// Whether none was packed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How weights were packed, and from what.
type Key = (&'static str, Vec<WeightId>);

/// Packed weights: where they lie, and those that are still to be uploaded.
#[derive(Debug, Default)]
pub struct Store {
    packed: HashMap<Key, Packed>,
    uploaded: Vec<wgpu::Buffer>,
    pending: Option<WeightsBuilder>,
}

#[derive(Debug)]
struct Packed {
    refs: Vec<WeightRef>,
    /// Keeps constants alive, by whose address the key names them.
    _sources: Vec<Arc<Tensor>>,
}

impl Store {
    /// Where the weights packed as `form` from `sources` lie; packs them if they are not there. The
    /// parts numbered in `half` are kept as f16.
    ///
    /// # Errors
    /// If they do not fit the device, or `pack` fails.
    pub fn get(
        &mut self,
        device: &GpuDevice,
        what: &str,
        form: &'static str,
        sources: &[(WeightId, Option<Arc<Tensor>>)],
        half: &[usize],
        pack: impl FnOnce(&[Option<&Tensor>]) -> Result<Vec<Vec<f32>>, GpuError>,
    ) -> Result<Vec<WeightRef>, GpuError> {
        let key = (form, sources.iter().map(|(id, _)| *id).collect());
        if let Some(found) = self.packed.get(&key) {
            return Ok(found.refs.clone());
        }
        let tensors: Vec<_> = sources.iter().map(|(_, tensor)| tensor.as_deref()).collect();
        let mut parts = pack(&tensors)?;
        for (_, part) in parts.iter_mut().enumerate().filter(|(at, _)| half.contains(at)) {
            *part = halves(what, part)?;
        }
        let parts: Vec<&[f32]> = parts.iter().map(Vec::as_slice).collect();
        let first = self.uploaded.len();
        let pending = self.pending.get_or_insert_with(|| WeightsBuilder::after(device, first));
        let mut refs = pending.push(what, &parts)?;
        refs.iter_mut().enumerate().for_each(|(at, own)| own.half = half.contains(&at));
        let kept = sources.iter().filter_map(|(_, tensor)| tensor.clone()).collect();
        self.packed.insert(key, Packed { refs: refs.clone(), _sources: kept });
        Ok(refs)
    }

    /// Uploads what is not there yet, and gives all buffers.
    ///
    /// # Errors
    /// If the device has no memory for them; they are tried again the next time.
    pub fn upload(&mut self, device: &GpuDevice) -> Result<Arc<Weights>, GpuError> {
        if let Some(pending) = &self.pending {
            self.uploaded.extend(pending.upload(device)?);
            self.pending = None;
        }
        if self.uploaded.is_empty() {
            // Calls without weights bind the first buffer all the same.
            self.uploaded = WeightsBuilder::new(device).upload(device)?;
        }
        Ok(Arc::new(Weights { buffers: self.uploaded.clone() }))
    }
}

/// Words that hold the elements as f16, two each, carried as `f32`.
///
/// # Errors
/// If an element is above the largest f16.
pub(super) fn halves(what: &str, elements: &[f32]) -> Result<Vec<f32>, GpuError> {
    let largest = elements.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    if largest > f16::MAX.to_f32() {
        return Err(GpuError::Limit {
            what: format!("the largest weight of {what}"),
            needed: largest as u64,
            limit: "largest f16",
            available: f16::MAX.to_f32() as u64,
        });
    }
    let bits =
        |element: Option<&f32>| u32::from(f16::from_f32(element.copied().unwrap_or(0.0)).to_bits());
    let word = |pair: &[f32]| f32::from_bits(bits(pair.first()) | bits(pair.get(1)) << 16);
    Ok(elements.chunks(2).map(word).collect())
}
