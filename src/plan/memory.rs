//! The static memory plan: which values share which buffer.

/// Names a buffer of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferId(pub(crate) usize);

impl BufferId {
    /// The position in the stage's list of buffers.
    pub fn index(self) -> usize {
        self.0
    }
}

/// Hands out buffers step by step and takes them back when their value is used no more.
#[derive(Debug, Default)]
pub(super) struct Allocator {
    sizes: Vec<usize>,
    free: Vec<BufferId>,
}

impl Allocator {
    /// A buffer of at least `bytes`: the smallest free one that is large enough, else the largest
    /// free one, made larger, else a new one.
    pub(super) fn take(&mut self, bytes: usize) -> BufferId {
        let fitting = |id: &BufferId| (self.sizes[id.0] < bytes, self.sizes[id.0].abs_diff(bytes));
        let best = (0..self.free.len()).min_by_key(|&index| fitting(&self.free[index]));
        match best {
            Some(index) => {
                let id = self.free.swap_remove(index);
                self.sizes[id.0] = self.sizes[id.0].max(bytes);
                id
            }
            None => {
                self.sizes.push(bytes);
                BufferId(self.sizes.len() - 1)
            }
        }
    }

    /// Takes a buffer back.
    pub(super) fn give(&mut self, id: BufferId) {
        debug_assert!(!self.free.contains(&id), "a buffer is given back once");
        self.free.push(id);
    }

    /// The sizes of all buffers, in bytes.
    pub(super) fn finish(self) -> Vec<usize> {
        self.sizes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_buffer_serves_again_and_the_best_fit_is_taken() {
        let mut allocator = Allocator::default();
        let (small, large) = (allocator.take(10), allocator.take(100));
        allocator.give(large);
        allocator.give(small);
        assert_eq!(allocator.take(8), small);
        assert_eq!(allocator.take(120), large);
        assert_eq!(allocator.finish(), [10, 120]);
    }
}
