//! Threads that share the steps of one row.
//!
//! The first to arrive leads. Before each chunk of steps it looks who is there and announces who
//! takes part; whoever comes later waits for the next chunk, and whoever never comes is not
//! waited for. Inside a chunk the members meet after every step. They look and do not sleep: a step
//! takes less than a microsecond.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A value on a cache line of its own, and its neighbour, which processors fetch with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line<T>(T);

/// Members of the largest team.
const MAX: usize = 8;
/// How often a thread looks before it lets another one have its processor.
const LOOKS: usize = 1 << 12;

/// What members share.
#[derive(Debug, Default)]
pub(super) struct Team {
    arrived: Line<AtomicUsize>,
    /// Chunk and members, see [`Team::announce`]; 0 before the first chunk.
    plan: Line<AtomicU64>,
    /// Unmasked steps before the chunk that was announced last.
    history: AtomicUsize,
    /// Steps behind which each member is.
    taken: [Line<AtomicUsize>; MAX],
}

/// Who takes part in a chunk, and what came before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub chunk: usize,
    pub members: usize,
    /// Unmasked steps before it.
    pub unmasked: usize,
}

/// The plan after the last chunk.
const END: u64 = u64::MAX;

impl Team {
    pub fn new() -> Team {
        Team::default()
    }

    /// A number for whoever comes: the leader is 0.
    pub fn join(&self) -> usize {
        self.arrived.0.fetch_add(1, Ordering::AcqRel)
    }

    /// The leader decides on a chunk.
    pub fn announce(&self, chunk: usize, unmasked: usize) -> Plan {
        let members = self.arrived.0.load(Ordering::Acquire).clamp(1, MAX);
        self.history.store(unmasked, Ordering::Relaxed);
        self.plan.0.store((chunk as u64 + 1) * 16 + members as u64, Ordering::Release);
        Plan { chunk, members, unmasked }
    }

    /// The leader has taken the last step.
    pub fn end(&self) {
        self.plan.0.store(END, Ordering::Release);
    }

    /// Waits for a chunk from `chunk` on in which `member` takes part; `None` when all is done.
    pub fn wait_for_plan(&self, member: usize, chunk: usize) -> Option<Plan> {
        let mut plan = 0;
        wait(|| {
            plan = self.plan.0.load(Ordering::Acquire);
            plan == END || (plan / 16 > chunk as u64 && plan % 16 > member as u64)
        });
        (plan != END).then(|| Plan {
            chunk: (plan / 16) as usize - 1,
            members: (plan % 16) as usize,
            unmasked: self.history.load(Ordering::Relaxed),
        })
    }

    /// Says that `member` is behind so many steps, and waits until the others are.
    #[inline]
    pub fn meet(&self, member: usize, members: usize, steps: usize) {
        if members == 1 {
            return;
        }
        self.taken[member].0.store(steps, Ordering::Release);
        for other in (0..members).filter(|&other| other != member) {
            wait(|| self.taken[other].0.load(Ordering::Acquire) >= steps);
        }
    }
}

#[inline]
fn wait(mut ready: impl FnMut() -> bool) {
    loop {
        for _ in 0..LOOKS {
            if ready() {
                return;
            }
            std::hint::spin_loop();
        }
        std::thread::yield_now();
    }
}
