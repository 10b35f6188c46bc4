//! The static memory plan: which values share which buffer.
//!
//! All lifetimes are known beforehand, so the largest values are placed first, and smaller ones go
//! where they fit between them (the order "greedy by size" of Pisarchyk and Lee, "Efficient memory
//! management for deep neural net inference", 2020).

/// Names a buffer of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferId(pub(crate) usize);

impl BufferId {
    /// The position in the stage's list of buffers.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What needs room: `bytes` from step `first` to step `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub first: usize,
    pub last: usize,
    pub bytes: usize,
}

/// A buffer for each lifetime, and the sizes of all buffers in bytes. No two lifetimes that meet
/// share a buffer.
pub(super) fn assign(lifetimes: &[Lifetime]) -> (Vec<BufferId>, Vec<usize>) {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&index| {
        let own = lifetimes[index];
        (std::cmp::Reverse(own.bytes), own.first, index)
    });
    let mut buffers: Vec<Taken> = Vec::new();
    let mut chosen = vec![BufferId(0); lifetimes.len()];
    for index in order {
        let own = lifetimes[index];
        // Buffers come in falling size: the last that is free is the smallest.
        let free = buffers.iter().rposition(|buffer| buffer.is_free(own));
        let id = free.unwrap_or_else(|| {
            buffers.push(Taken { bytes: own.bytes, times: Vec::new() });
            buffers.len() - 1
        });
        buffers[id].take(own);
        chosen[index] = BufferId(id);
    }
    (chosen, buffers.into_iter().map(|buffer| buffer.bytes).collect())
}

/// When a buffer is in use: steps from and to, in order, none of which meet.
struct Taken {
    bytes: usize,
    times: Vec<(usize, usize)>,
}

impl Taken {
    /// The position of the first use that ends at or after the start of another.
    fn at(&self, own: Lifetime) -> usize {
        self.times.partition_point(|&(_, last)| last < own.first)
    }

    fn is_free(&self, own: Lifetime) -> bool {
        self.times.get(self.at(own)).is_none_or(|&(first, _)| own.last < first)
    }

    fn take(&mut self, own: Lifetime) {
        self.times.insert(self.at(own), (own.first, own.last));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lifetime(first: usize, last: usize, bytes: usize) -> Lifetime {
        Lifetime { first, last, bytes }
    }

    #[test]
    fn a_buffer_serves_again_after_its_value() {
        let (chosen, sizes) =
            assign(&[lifetime(0, 1, 10), lifetime(2, 3, 100), lifetime(4, usize::MAX, 7)]);
        assert_eq!((chosen[0], chosen[1], chosen[2]), (BufferId(0), BufferId(0), BufferId(0)));
        assert_eq!(sizes, [100]);
    }

    #[test]
    fn a_small_value_that_lives_long_keeps_out_of_large_buffers() {
        let (_, sizes) = assign(&[
            lifetime(0, 1, 100),
            lifetime(2, usize::MAX, 1),
            lifetime(4, 5, 100),
            lifetime(0, 6, 20),
        ]);
        assert_eq!(sizes, [100, 20, 1]);
    }

    #[test]
    fn a_nodes_input_and_output_meet() {
        let (chosen, _) = assign(&[lifetime(0, 1, 4), lifetime(1, 2, 4)]);
        assert_ne!(chosen[0], chosen[1]);
    }

    proptest! {
        #[test]
        fn lifetimes_that_meet_never_share(
            drawn in prop::collection::vec((0usize..20, 0usize..8, 0usize..50), 0..40),
        ) {
            let lifetimes: Vec<Lifetime> =
                drawn.iter().map(|&(first, more, bytes)| lifetime(first, first + more, bytes)).collect();
            let (chosen, sizes) = assign(&lifetimes);
            for (i, a) in lifetimes.iter().enumerate() {
                prop_assert!(sizes[chosen[i].0] >= a.bytes);
                for (j, b) in lifetimes.iter().enumerate().skip(i + 1) {
                    let meet = a.first <= b.last && b.first <= a.last;
                    prop_assert!(!(meet && chosen[i] == chosen[j]), "{a:?} and {b:?}");
                }
            }
        }
    }
}
