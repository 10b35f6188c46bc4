//! What the machine can do, and the least time that work can take on it.

use seqfuse_kernels::Isa;
use seqfuse_kernels::limits::{Caches, fma_rate, read_rate};

use crate::graph::Work;

/// What a thread reads from memory at most when its rate is measured.
const LARGEST: usize = 256 << 20;

/// A level of memory: what it holds, and how fast all threads together read from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub name: &'static str,
    /// In bytes; of one core, where each has its own. Memory holds what it must.
    pub size: Option<usize>,
    /// In bytes a second.
    pub rate: f64,
}

/// The limits of a machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub isa: Isa,
    /// Floating point operations a second of all threads in multiply-adds.
    pub fma: f64,
    /// From the smallest to the largest.
    pub levels: [Level; 4],
    /// Whether the system told the sizes of the caches.
    pub known: bool,
}

impl Machine {
    /// Measures what `threads` threads can do; takes a fraction of a second.
    pub fn measure(isa: Isa, threads: usize) -> Machine {
        let Caches { l1, l2, l3, known } = Caches::detect();
        let threads = threads.max(1);
        let level = |name, size, bytes| Level { name, size, rate: read_rate(isa, threads, bytes) };
        // Each thread reads so much that the level above cannot hold it, and its own can.
        let shared = (l3 / 2 / threads).max(2 * l2).min(LARGEST / threads);
        let memory = (2 * l3.max(2 * l2)).min(LARGEST) / threads;
        Machine {
            isa,
            fma: fma_rate(isa, threads),
            levels: [
                level("L1", Some(l1), l1 / 2),
                level("L2", Some(l2), l2 / 2),
                level("L3", Some(l3), shared),
                level("DRAM", None, memory),
            ],
            known,
        }
    }

    /// The least time that `work` can take.
    pub fn limit(&self, work: &Work) -> Limit {
        let fits = |level: &&Level| level.size.is_none_or(|size| work.weights <= size as u64);
        let level = self.levels.iter().find(fits).unwrap_or(&self.levels[3]);
        let products = work.flops as f64 / self.fma;
        let reads = work.weight_reads as f64 / level.rate;
        Limit { ms: products.max(reads) * 1e3, is_products: products >= reads, level: level.name }
    }
}

/// The least time that work can take on a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    pub ms: f64,
    /// Whether multiply-adds take it; else reads of weights do.
    pub is_products: bool,
    /// The smallest level that holds the weights.
    pub level: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        let level = |name, size, rate| Level { name, size, rate };
        let levels = [
            level("L1", Some(1000), 8e6),
            level("L2", Some(10_000), 4e6),
            level("L3", Some(100_000), 2e6),
            level("DRAM", None, 1e6),
        ];
        Machine { isa: Isa::Portable, fma: 1e9, levels, known: true }
    }

    #[test]
    fn the_larger_of_products_and_reads_is_the_limit() {
        let work = Work { flops: 1_000_000, weights: 1000, weight_reads: 4000, nested: 0 };
        let limit = machine().limit(&work);
        assert_eq!((limit.ms, limit.is_products, limit.level), (1.0, true, "L1"));
        let limit = machine().limit(&Work { weights: 1001, weight_reads: 12_000, ..work });
        assert_eq!((limit.ms, limit.is_products, limit.level), (3.0, false, "L2"));
        let limit = machine().limit(&Work { weights: 1 << 40, weight_reads: 12_000, ..work });
        assert_eq!((limit.ms, limit.level), (12.0, "DRAM"));
        assert_eq!(machine().limit(&Work::default()).ms, 0.0);
    }
}
