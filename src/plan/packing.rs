//! Weights in the layout that kernels want, made once and shared.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use seqfuse_kernels::Isa;

use super::Place;
use crate::graph::VariableId;

/// Names the tensor that packed weights derive from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightId {
    /// A Variable.
    Variable(VariableId),
    /// A constant, by its address, which the Graph keeps alive.
    Constant(usize),
    /// An empty slot.
    Absent,
    /// No tensor: one of several forms that the same tensors are packed in.
    Form(u8),
}

impl WeightId {
    /// The name of the tensor in `place`, if it is the same in every run.
    pub fn of(place: &Place) -> Option<WeightId> {
        match place {
            Place::Variable(id) => Some(WeightId::Variable(*id)),
            Place::Constant(tensor) => Some(WeightId::Constant(Arc::as_ptr(tensor) as usize)),
            Place::Buffer(_) | Place::Input(_) | Place::Carried(_) | Place::State(_) => None,
        }
    }
}

type Key = (TypeId, Isa, Vec<WeightId>);

/// Packed weights by type and by what they were packed from, and what devices keep of a model;
/// shared by all Sessions of the model.
#[derive(Debug, Default)]
pub struct PackCache {
    packed: Mutex<HashMap<Key, Arc<dyn Any + Send + Sync>>>,
    devices: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl PackCache {
    /// Nothing packed yet.
    pub fn new() -> PackCache {
        PackCache::default()
    }

    /// How many were packed.
    pub fn len(&self) -> usize {
        self.packed.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nothing was packed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The weights of type `T` packed from `weights` for `isa`, by `pack` if they are not there.
    pub fn get<T: Any + Send + Sync>(
        &self,
        isa: Isa,
        weights: &[WeightId],
        pack: impl FnOnce() -> T,
    ) -> Arc<T> {
        let key = (TypeId::of::<T>(), isa, weights.to_vec());
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = packed.get(&key).cloned().and_then(|any| any.downcast::<T>().ok()) {
            return found;
        }
        let made = Arc::new(pack());
        packed.insert(key, made.clone());
        made
    }

    /// The model's one value of type `T`, in which a device's runtime keeps what all Sessions
    /// share; the default one if there is none yet.
    pub fn device<T: Any + Default + Send + Sync>(&self) -> Arc<T> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = devices.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default()));
        // The key is the type, so that the second branch is never taken.
        kept.clone().downcast().unwrap_or_default()
    }
}
