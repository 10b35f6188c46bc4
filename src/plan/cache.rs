//! Keeps what was planned for the sizes used last.

/// The most recently used entries by the sizes they were made for, up to a limit.
#[derive(Debug)]
pub struct PlanCache<T> {
    entries: Vec<(Vec<usize>, T)>,
    limit: usize,
}

impl<T> PlanCache<T> {
    /// An empty cache of at most `limit` entries (0 counts as 1).
    pub fn new(limit: usize) -> PlanCache<T> {
        PlanCache { entries: Vec::new(), limit: limit.max(1) }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry used last.
    pub fn latest(&self) -> Option<&T> {
        self.entries.last().map(|(_, entry)| entry)
    }

    /// All entries, the one used last at the end.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// The entry for `sizes`, made by `make` if it is not there; the least recently used one goes
    /// when the cache is full. Finding an entry does not allocate.
    ///
    /// # Errors
    /// What `make` returns.
    pub fn get_or_make<E>(
        &mut self,
        sizes: &[usize],
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<&mut T, E> {
        match self.entries.iter().position(|(key, _)| key == sizes) {
            Some(index) => self.entries[index..].rotate_left(1),
            None => {
                let made = make()?;
                if self.entries.len() >= self.limit {
                    self.entries.remove(0);
                }
                self.entries.push((sizes.to_vec(), made));
            }
        }
        let last = self.entries.len() - 1;
        Ok(&mut self.entries[last].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_entry_goes() {
        let mut cache = PlanCache::new(2);
        let mut made = Vec::new();
        for sizes in [[1], [2], [1], [3], [1], [2]] {
            let entry = cache.get_or_make(&sizes, || {
                made.push(sizes[0]);
                Ok::<_, ()>(sizes[0])
            });
            assert_eq!(entry, Ok(&mut sizes[0].clone()));
        }
        assert_eq!(made, [1, 2, 3, 2]);
    }
}
