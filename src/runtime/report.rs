//! What a Session says of itself: its device, why it was taken, and what runs where.

use super::session::StageState;
use super::stage::Backend;
use super::{Device, Placed, Placement, Session};

impl Session {
    /// The device of the last run, or that of the next one before the first:
    /// [`Device::Cpu`] or [`Device::Gpu`]. On a GPU single operators may still run on the CPU, see
    /// [`placements`](Self::placements).
    pub fn device(&self) -> Device {
        match &self.backend {
            Backend::Cpu(_) => Device::Cpu,
            #[cfg(feature = "gpu")]
            Backend::Gpu { .. } => Device::Gpu,
        }
    }

    /// What runs each node of the Graph, in the order in which they run, and what the device lacks
    /// where another runs it. Nodes of Graphs inside of a node follow it, under names that begin with
    /// its own; those of Graphs that a run builds are among them from then on.
    pub fn placements(&self) -> Vec<Placement> {
        let mut all = Vec::new();
        let mut inside = self.stages.iter().flat_map(StageState::placements);
        for placement in self.backend.device().placements(&self.program) {
            let is_host = placement.place == Some(Placed::Host);
            let name = placement.node.clone();
            all.push(placement);
            if is_host {
                let nested = inside.next().unwrap_or_default().into_iter();
                all.extend(nested.map(|Placement { node, op, place, reason }| Placement {
                    node: format!("{name}/{node}"),
                    op,
                    place,
                    reason,
                }));
            }
        }
        all
    }

    /// Why [`Device::Auto`] took the device of the last run; nothing before the
    /// first one, and where the device was asked for.
    pub fn choice(&self) -> Option<&str> {
        #[cfg(feature = "gpu")]
        if let Some(auto) = &self.auto {
            return auto.why();
        }
        None
    }

    /// What kept [`Device::Auto`] from the GPU where it is estimated to be faster:
    /// there is none, or it failed.
    pub fn fallback(&self) -> Option<&str> {
        #[cfg(feature = "gpu")]
        if let Some(auto) = &self.auto {
            return auto.warning();
        }
        None
    }
}
