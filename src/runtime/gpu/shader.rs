//! WGSL modules that operators bring along, and how a call of one is put together.

use std::borrow::Cow;

use seqfuse_kernels::wgsl;

use super::error::GpuError;
use super::pipeline::PipelineKey;
use super::recorder::Recorder;

/// A WGSL module with its name. Two of the same text are one pipeline, so that the text says
/// everything that a pipeline is compiled for: types, expressions and widths, never lengths.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shader {
    name: &'static str,
    text: Cow<'static, str>,
}

impl Shader {
    /// A complete module.
    pub const fn fixed(name: &'static str, text: &'static str) -> Shader {
        Shader { name, text: Cow::Borrowed(text) }
    }

    /// A complete module in parts.
    pub fn joined(name: &'static str, parts: &[&str]) -> Shader {
        Shader { name, text: Cow::Owned(parts.concat()) }
    }

    /// The shared bindings and functions ([`wgsl::PRELUDE`]), and after them `parts`, which declare
    /// `struct Params`, beginning with `row_width: u32`, and the entry point `main`.
    pub fn new(name: &'static str, parts: &[&str]) -> Shader {
        Shader::joined(name, &[&[wgsl::PRELUDE], parts].concat())
    }

    /// The kernel's name, for labels and errors.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The module.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The words of a call's parameters, in the order of the fields of `Params`. Those of a kernel of
/// [`Shader::new`] begin with the width of the grid's rows, which [`Recorder::dispatch`] writes.
#[derive(Clone, Debug)]
pub struct Parameters(Vec<u32>);

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters::new()
    }
}

impl Parameters {
    /// Nothing but the place of `row_width`.
    pub fn new() -> Parameters {
        Parameters(vec![0])
    }

    /// A field of type `u32`.
    #[must_use]
    pub fn word(mut self, word: u32) -> Parameters {
        self.0.push(word);
        self
    }

    /// A field of type `i32`.
    #[must_use]
    pub fn signed(self, word: i32) -> Parameters {
        self.word(word.cast_unsigned())
    }

    /// A field of type `f32`.
    #[must_use]
    pub fn float(self, value: f32) -> Parameters {
        self.word(value.to_bits())
    }

    /// A field of type `array<vec4<u32>, N>` or, for two's complement, of `vec4<i32>`, which begins
    /// at a multiple of 4 words: `words`, filled up with zeros to a multiple of 4.
    #[must_use]
    pub fn aligned(mut self, words: impl IntoIterator<Item = u32>) -> Parameters {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.0.extend(words);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// One call of an operator's own kernel.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The kernel.
    pub shader: Shader,
    /// Values of its override constants.
    pub constants: Vec<(&'static str, u32)>,
    /// The buffer of weights that it reads, 0 if none.
    pub weights: u32,
    /// Its parameters.
    pub parameters: Parameters,
    /// How many workgroups there are, in one row; they are spread over two dimensions where one has
    /// too few, so that a workgroup's number is `group.y * p.row_width + group.x`.
    pub workgroups: u64,
    /// Regions of the arena that it touches: the first word and the number of words.
    pub regions: Vec<(u32, u64)>,
    /// About how many rounds the loops of a thread make together.
    pub rounds: u64,
}

impl Dispatch {
    /// A call without weights and constants.
    pub fn new(shader: Shader, parameters: Parameters, workgroups: u64) -> Dispatch {
        let (constants, regions) = (Vec::new(), Vec::new());
        Dispatch { shader, constants, weights: 0, parameters, workgroups, regions, rounds: 0 }
    }

    /// Notes that the loops of a thread make about `rounds` rounds together.
    #[must_use]
    pub fn rounds(self, rounds: u64) -> Dispatch {
        Dispatch { rounds, ..self }
    }

    /// Notes that it touches `words` words from `offset` on.
    #[must_use]
    pub fn touching(mut self, offset: u32, words: u64) -> Dispatch {
        self.regions.push((offset, words));
        self
    }
}

impl Recorder<'_> {
    /// Records a call of an operator's own kernel; one of no workgroups is left out.
    ///
    /// # Errors
    /// If sizes are beyond what the device counts, or the kernel cannot be compiled.
    pub fn dispatch(&mut self, label: &str, op: Dispatch) -> Result<(), GpuError> {
        for (offset, words) in op.regions {
            self.touch(label, offset, words)?;
        }
        self.check_rounds(label, op.rounds)?;
        let workgroups = u32::try_from(op.workgroups).map_err(|_| GpuError::Limit {
            what: label.to_owned(),
            needed: op.workgroups,
            limit: "workgroups counted in 32 bits",
            available: u32::MAX.into(),
        })?;
        let grid = self.flat_grid(label, workgroups)?;
        let mut parameters = op.parameters.0;
        if let Some(width) = parameters.first_mut() {
            *width = grid[0];
        }
        let mut key = PipelineKey::of(op.shader);
        for (name, value) in op.constants {
            key = key.with(name, value);
        }
        self.call(label, &key, op.weights, parameters, grid)
    }
}
