//! Where the values of a planned stage lie in the arena.

use super::error::GpuError;
use super::recorder::NONE;
use crate::plan::{BufferId, Operand, Place, StagePlan};

/// Words between the starts of regions: 256 bytes.
const ALIGNMENT: u64 = 64;

/// A value from outside that is written into the arena before each run: by the host, or, where it is
/// the same in every run, by a copy on the device.
#[derive(Debug)]
pub struct Uploaded {
    /// Where it is found.
    pub place: Place,
    /// What errors call it.
    pub name: String,
    /// The first word.
    pub offset: u32,
    /// The Embedding that takes it as ids, by name, and the size of its vocabulary.
    pub embedding: Option<(String, usize)>,
    /// The elements as words, where their type has another size.
    pub words: Vec<u32>,
}

/// The regions of the arena: the plan's buffers, then values from outside and ids, each alone.
///
/// Every element takes a word, whatever its type: an i64 as an i32, a truth value as 0 or 1.
#[derive(Debug)]
pub struct Arena {
    buffers: Vec<u32>,
    words: u64,
    uploads: Vec<Uploaded>,
}

impl Arena {
    /// The regions of the plan's buffers.
    ///
    /// # Errors
    /// If they are larger than 32-bit offsets reach.
    pub fn new(plan: &StagePlan) -> Result<Arena, GpuError> {
        let mut sizes = vec![0; plan.buffers.len()];
        let mut grow = |id: BufferId, words: usize| {
            if let Some(size) = sizes.get_mut(id.index()) {
                *size = words.max(*size);
            }
        };
        for step in &plan.steps {
            for operand in step.inputs.iter().chain(&step.outputs).flatten() {
                if let Place::Buffer(id) = operand.place {
                    grow(id, operand.len);
                }
            }
            if let Some((id, bytes)) = step.workspace {
                grow(id, bytes.div_ceil(4));
            }
        }
        let mut arena = Arena { buffers: Vec::new(), words: 0, uploads: Vec::new() };
        for words in sizes {
            let offset = arena.reserve(words)?;
            arena.buffers.push(offset);
        }
        Ok(arena)
    }

    /// A region of its own, of `words` words.
    ///
    /// # Errors
    /// If it would end beyond what 32-bit offsets reach.
    pub fn reserve(&mut self, words: usize) -> Result<u32, GpuError> {
        let offset = self.words.next_multiple_of(ALIGNMENT);
        let end = offset.saturating_add(words as u64);
        match u32::try_from(offset) {
            Ok(offset) if end < u64::from(NONE) => {
                self.words = end;
                Ok(offset)
            }
            _ => Err(GpuError::Limit {
                what: "the arena of all values of a run".to_owned(),
                needed: end,
                limit: "words of 32-bit offsets",
                available: u64::from(NONE) - 1,
            }),
        }
    }

    /// The region of a buffer of the plan.
    pub fn buffer(&self, id: BufferId) -> Option<u32> {
        self.buffers.get(id.index()).copied()
    }

    /// The region of an operand; values from outside get one at the first call. `name` is what
    /// errors call it.
    ///
    /// # Errors
    /// If the arena grows beyond what 32-bit offsets reach.
    pub fn place(&mut self, operand: &Operand, name: &str) -> Result<u32, GpuError> {
        if let Place::Buffer(id) = operand.place {
            let missing = || GpuError::arguments(name, "the plan has no such buffer");
            return self.buffer(id).ok_or_else(missing);
        }
        let found = self.uploads.iter().find(|upload| upload.place.is(&operand.place));
        if let Some(upload) = found {
            return Ok(upload.offset);
        }
        let offset = self.reserve(operand.len)?;
        self.uploads.push(Uploaded {
            place: operand.place.clone(),
            name: name.to_owned(),
            offset,
            embedding: None,
            words: Vec::new(),
        });
        Ok(offset)
    }

    /// Notes that the value at `offset`, if it comes from outside, is the ids of an Embedding.
    pub fn mark_ids(&mut self, offset: u32, node: &str, vocabulary: usize) {
        let upload = self.uploads.iter_mut().find(|upload| upload.offset == offset);
        if let Some(upload) = upload {
            upload.embedding.get_or_insert_with(|| (node.to_owned(), vocabulary));
        }
    }

    /// What is to be in the arena before each run.
    pub fn into_uploads(self) -> Vec<Uploaded> {
        self.uploads
    }
}
