//! Plans: a Graph cut into stages, each specialised by concrete sizes.
//!
//! A [`Program`] is made once for a Graph: it knows the stages. A [`StagePlan`] is one stage for
//! concrete sizes: a schedule, a place for every value, and the sizes of the buffers. It holds
//! nothing of a device; each runtime lowers it to its own kernels.

mod cache;
mod memory;
mod packing;
mod specialize;
mod stages;

pub use cache::PlanCache;
pub use memory::BufferId;
pub use packing::{PackCache, WeightId};
pub use specialize::{NodeShapes, Operand, Place, PlanError, StagePlan, Step};
pub use stages::{Program, Stage, StagePlace};
