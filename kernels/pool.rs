//! A fork-join pool of threads: [`Pool::for_each`] runs a closure for every block of a problem.
//!
//! One call owns the workers at a time. A call that finds them taken (from another thread, or from
//! inside a block) runs its blocks itself: this can never deadlock, and results do not depend on
//! who takes a block.

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a thread looks for news before it sleeps: longer than the gap between two kernels of
/// one plan, short enough that an idle process uses no processor time.
const SPIN: Duration = Duration::from_micros(100);
/// The same where there are more threads than processors, so that looking keeps others from work.
const SHORT_SPIN: Duration = Duration::from_micros(2);
/// How often a thread looks between two looks at the clock.
const LOOKS: usize = 32;

/// Threads that share the blocks of one kernel call at a time.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// What the caller and the workers see. Counters that different threads write stand on lines of
/// their own.
#[derive(Debug)]
struct Shared {
    /// Whether some call owns the workers.
    taken: AtomicBool,
    /// How long a thread looks for news.
    spin: Duration,
    /// The job that workers may enter; null between calls.
    job: Line<AtomicPtr<Job<'static>>>,
    /// Counts calls (and the shutdown), so that a worker can look for news without the lock.
    generation: Line<AtomicU64>,
    /// Workers that are inside a job, or about to look whether there is one.
    active: Line<AtomicUsize>,
    /// Workers that sleep, or are about to.
    sleepers: Line<AtomicUsize>,
    /// Whether the pool is being dropped.
    shutdown: AtomicBool,
    /// Held from the last look for news to the sleep.
    bed: Mutex<()>,
    started: Condvar,
}

/// A value on a cache line of its own, and its neighbour, which processors fetch with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line<T>(T);

/// Shares of a call's blocks at most; with more threads, several begin with the same one.
const MAX_SHARES: usize = 8;

/// One call: it lives on the caller's stack until no worker is inside it.
///
/// Each thread has a share of neighbouring blocks, the same in every call with as many blocks, and helps
/// with the others' when its own is done: so what it wrote in one kernel of a plan is still in its
/// own caches in the next.
struct Job<'a> {
    work: &'a (dyn Fn(usize) + Sync),
    blocks: usize,
    shares: usize,
    /// The next block of each share.
    next: [Line<AtomicUsize>; MAX_SHARES],
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Pool {
    /// A pool in which `threads` threads work, the caller's among them (0 counts as 1).
    ///
    /// Where the system refuses a thread, the pool works with those that it has.
    pub fn new(threads: usize) -> Pool {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shared = Arc::new(Shared::new(if threads > processors { SHORT_SPIN } else { SPIN }));
        let workers = (1..threads)
            .map_while(|index| {
                let shared = Arc::clone(&shared);
                let builder = std::thread::Builder::new().name(format!("seqfuse-{index}"));
                builder.spawn(move || shared.worker(index)).ok()
            })
            .collect();
        Pool { shared, workers }
    }

    /// How many threads take blocks, the caller's among them.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work` once for each block in `0..blocks`, in any order and on any thread, and
    /// returns when all have ended. Does not allocate.
    ///
    /// # Panics
    /// If `work` panics, with the first panic, when every thread has left `work`; blocks that no
    /// thread had begun are left out.
    pub fn for_each(&self, blocks: usize, work: &(dyn Fn(usize) + Sync)) {
        let alone = blocks <= 1 || self.workers.is_empty();
        if alone || self.shared.taken.swap(true, Ordering::Acquire) {
            for block in 0..blocks {
                work(block);
            }
            return;
        }
        let panic = self.share(blocks, work);
        self.shared.taken.store(false, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Calls `work` with each run of `chunk` elements of `data` and its index; the last may be
    /// shorter. A `chunk` of 0 counts as 1.
    pub fn for_each_chunk<T: Send>(
        &self,
        data: &mut [T],
        chunk: usize,
        work: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        let (len, chunk) = (data.len(), chunk.max(1));
        let parts = DisjointMut::new(data);
        self.for_each(len.div_ceil(chunk), &|index| {
            let start = index * chunk;
            // SAFETY: the ranges of two indices do not overlap, and each index comes once.
            work(index, unsafe { parts.slice(start..len.min(start + chunk)) });
        });
    }

    /// Runs the blocks on the caller and on every worker that comes in time.
    fn share(&self, blocks: usize, work: &(dyn Fn(usize) + Sync)) -> Option<Box<dyn Any + Send>> {
        let job = Job::new(work, blocks, self.threads());
        let shared = &*self.shared;
        // The cast hides the job's lifetime from the workers. It is not outlived: a worker looks at
        // `job` after it has counted itself as `active`, and follows the pointer only until it
        // counts itself off; this function, which cannot unwind in between (`Job::run` catches),
        // takes the pointer away and then returns when `active` is 0. All of these are sequentially
        // consistent, so that a worker that is not counted yet finds no job any more.
        shared.job.0.store((&raw const job).cast_mut().cast(), Ordering::SeqCst);
        shared.announce();
        job.run(0);
        shared.job.0.store(std::ptr::null_mut(), Ordering::SeqCst);
        shared.wait_until_left();
        job.panic.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.shutdown.store(true, Ordering::SeqCst);
        self.shared.announce();
        for worker in self.workers.drain(..) {
            // A worker catches its blocks' panics, so there is nothing to learn from the result.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn new(spin: Duration) -> Shared {
        Shared {
            taken: AtomicBool::new(false),
            spin,
            job: Line::default(),
            generation: Line::default(),
            active: Line::default(),
            sleepers: Line::default(),
            shutdown: AtomicBool::new(false),
            bed: Mutex::new(()),
            started: Condvar::new(),
        }
    }

    /// What the thread of this number does.
    fn worker(&self, index: usize) {
        let mut seen = 0;
        while self.wait_for_news(&mut seen) {
            self.active.0.fetch_add(1, Ordering::SeqCst);
            // SAFETY: while this thread counts as active the caller keeps a job alive that was
            // still there after counting (`Pool::share`).
            if let Some(job) = unsafe { self.job.0.load(Ordering::SeqCst).as_ref() } {
                job.run(index);
            }
            self.active.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Tells all workers that there is a job, or that they shall end.
    fn announce(&self) {
        self.generation.0.fetch_add(1, Ordering::SeqCst);
        // A worker counts itself as a sleeper before its last look at the generation: either it
        // sees the new one, or it is seen here.
        if self.sleepers.0.load(Ordering::SeqCst) > 0 {
            drop(lock(&self.bed));
            self.started.notify_all();
        }
    }

    /// Waits for a generation newer than `seen`; says whether the pool is still wanted.
    fn wait_for_news(&self, seen: &mut u64) -> bool {
        let news = || self.generation.0.load(Ordering::SeqCst) != *seen;
        if !self.spin(news) {
            let mut bed = lock(&self.bed);
            self.sleepers.0.fetch_add(1, Ordering::SeqCst);
            while !news() {
                bed = self.started.wait(bed).unwrap_or_else(PoisonError::into_inner);
            }
            self.sleepers.0.fetch_sub(1, Ordering::SeqCst);
        }
        *seen = self.generation.0.load(Ordering::SeqCst);
        !self.shutdown.load(Ordering::SeqCst)
    }

    /// Waits for workers that still have a block. They have begun, so that there is nothing to
    /// sleep for; where they share this thread's processor they get it.
    fn wait_until_left(&self) {
        while !self.spin(|| self.active.0.load(Ordering::SeqCst) == 0) {
            std::thread::yield_now();
        }
    }

    /// Looks at `ready` for a while; says whether it came true.
    fn spin(&self, ready: impl Fn() -> bool) -> bool {
        let mut start = None;
        loop {
            for _ in 0..LOOKS {
                if ready() {
                    return true;
                }
                std::hint::spin_loop();
            }
            if start.get_or_insert_with(Instant::now).elapsed() >= self.spin {
                return false;
            }
        }
    }
}

impl<'a> Job<'a> {
    fn new(work: &'a (dyn Fn(usize) + Sync), blocks: usize, threads: usize) -> Job<'a> {
        let shares = threads.min(MAX_SHARES);
        let next = std::array::from_fn(|share| Line(AtomicUsize::new(share * blocks / shares)));
        Job { work, blocks, shares, next, panic: Mutex::new(None) }
    }

    /// Takes blocks until none is left, the thread's own share first; keeps the first panic and stops
    /// the others.
    fn run(&self, thread: usize) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            for share in thread..thread + self.shares {
                let share = share % self.shares;
                let end = (share + 1) * self.blocks / self.shares;
                loop {
                    let block = self.next[share].0.fetch_add(1, Ordering::Relaxed);
                    if block >= end {
                        break;
                    }
                    (self.work)(block);
                }
            }
        }));
        if let Err(panic) = result {
            for next in &self.next {
                next.0.store(self.blocks, Ordering::Relaxed);
            }
            lock(&self.panic).get_or_insert(panic);
        }
    }
}

/// A lock whose holder panicked is still good here: no state is left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mutable slice that several blocks write, each its own part.
#[derive(Clone, Copy, Debug)]
pub struct DisjointMut<'a, T> {
    start: *mut T,
    len: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: it stands for a `&mut [T]`, and `DisjointMut::slice` makes its callers promise that no
// two threads hold overlapping parts.
unsafe impl<T: Send> Send for DisjointMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for DisjointMut<'_, T> {}

impl<'a, T> DisjointMut<'a, T> {
    /// Takes the slice over for as long as blocks write it.
    pub fn new(slice: &'a mut [T]) -> Self {
        DisjointMut { start: slice.as_mut_ptr(), len: slice.len(), lifetime: PhantomData }
    }

    /// The same for `len` elements from `start` on.
    ///
    /// # Safety
    /// For as long as blocks write, they must be the caller's.
    pub(crate) unsafe fn from_raw(start: *mut T, len: usize) -> Self {
        DisjointMut { start, len, lifetime: PhantomData }
    }

    /// Where the slice starts.
    pub(crate) fn pointer(&self) -> *mut T {
        self.start
    }

    /// Where element `index` stands. Panics if it lies beyond the slice.
    pub(crate) fn start_of(&self, index: usize) -> *mut T {
        assert!(index <= self.len, "element {index} of {}", self.len);
        // SAFETY: the element lies inside the slice or just behind it.
        unsafe { self.start.add(index) }
    }

    /// The part `range`.
    ///
    /// # Panics
    /// If `range` reaches beyond the slice.
    ///
    /// # Safety
    /// While the result lives, no other part that overlaps `range` may be alive.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "part {range:?} of {}",
            self.len
        );
        // SAFETY: the range lies inside the slice, and the caller promises that it is alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pool: &Pool, blocks: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..blocks).map(|_| AtomicUsize::new(0)).collect();
        pool.for_each(blocks, &|block| {
            counts[block].fetch_add(1, Ordering::Relaxed);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_block_runs_once() {
        for threads in [0, 1, 2, 5] {
            let pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads.max(1));
            for round in 0..200 {
                for blocks in [0, 1, 2, 3, 17 + round % 3] {
                    assert_eq!(counts(&pool, blocks), vec![1; blocks]);
                }
            }
        }
    }

    #[test]
    fn chunks_cover_a_slice() {
        let pool = Pool::new(3);
        for (len, chunk) in [(0, 4), (1, 4), (4, 4), (5, 4), (1000, 7), (3, 0)] {
            let mut data = vec![0; len];
            pool.for_each_chunk(&mut data, chunk, &|index, part: &mut [usize]| {
                for (offset, value) in part.iter_mut().enumerate() {
                    *value += index * chunk.max(1) + offset + 1;
                }
            });
            assert_eq!(data, (1..=len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn concurrent_and_nested_calls_run_every_block_once() {
        let pool = Pool::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let total = AtomicUsize::new(0);
                        pool.for_each(4, &|_| {
                            pool.for_each(5, &|block| {
                                total.fetch_add(block, Ordering::Relaxed);
                            });
                        });
                        assert_eq!(total.into_inner(), 40);
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_works_on() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            for bad in [0, 3, 63] {
                let result = catch_unwind(AssertUnwindSafe(|| {
                    pool.for_each(64, &|block| {
                        std::thread::yield_now();
                        assert!(block != bad, "block {block}");
                    });
                }));
                let panic = result.expect_err("the panic must not be lost");
                assert_eq!(panic.downcast_ref::<String>(), Some(&format!("block {bad}")));
                assert_eq!(counts(&pool, 64), vec![1; 64]);
            }
        }
    }

    #[test]
    fn several_threads_take_blocks() {
        let pool = Pool::new(2);
        let together = std::sync::Barrier::new(2);
        // Ends only if two threads are inside at once.
        pool.for_each(2, &|_| {
            together.wait();
        });
    }
}
