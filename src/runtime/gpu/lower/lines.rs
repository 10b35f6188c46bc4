//! What kernels over the lines of an axis share: see `kernels/lines.wgsl`.

use seqfuse_kernels::wgsl;

use super::lowering::Lowering;
use crate::runtime::RunError;
use crate::runtime::gpu::{Dispatch, GpuDevice, Parameters, Shader};

/// Elements along an axis, for each place of the other axes.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// The product of the sizes in front.
    pub outer: usize,
    /// The size of the axis, or of several adjacent ones.
    pub axis: usize,
    /// The product of the sizes behind.
    pub inner: usize,
}

impl Lines {
    /// Lines along `count` adjacent axes from `first` on.
    pub fn along(shape: &[usize], first: usize, count: usize) -> Lines {
        let product = |sizes: Option<&[usize]>| sizes.unwrap_or_default().iter().product();
        Lines {
            outer: product(shape.get(..first)),
            axis: product(shape.get(first..first + count)),
            inner: product(shape.get(first + count..)),
        }
    }

    /// How many lines there are.
    pub fn count(&self) -> usize {
        self.outer * self.inner
    }

    /// How many threads work on a line, a power of two. Where lines stand side by side a thread takes
    /// more of one, since neighbours then read neighbours.
    pub fn threads(&self) -> usize {
        let each = if self.inner < 16 { 4 } else { 128 };
        (self.axis / each).next_power_of_two().clamp(1, 256)
    }

    /// A call of `shader`, whose parameters begin with the lines, the axis, `inner` and the threads;
    /// after them stand `words`, in the order of `Params` in `lines.wgsl`.
    ///
    /// # Errors
    /// If sizes are beyond 32 bits.
    pub fn call(
        &self,
        lowering: &Lowering<'_>,
        shader: Shader,
        words: &[u32],
    ) -> Result<Dispatch, RunError> {
        let mut parameters = Parameters::new()
            .word(lowering.size(self.count())?)
            .word(lowering.size(self.axis)?)
            .word(lowering.size(self.inner)?)
            .word(self.threads() as u32);
        for &word in words {
            parameters = parameters.word(word);
        }
        Ok(Dispatch::new(shader, parameters, self.workgroups()).rounds(self.rounds()))
    }

    /// How many workgroups work on all lines.
    pub fn workgroups(&self) -> u64 {
        self.count().div_ceil(256 / self.threads()) as u64
    }

    /// How many rounds a kernel of up to three passes over a line makes, and two folds of its threads,
    /// the round that ends each loop among them: at most 3 (n + 1) + 2 (8 + 1) for n elements a thread.
    pub fn rounds(&self) -> u64 {
        4 * (self.axis.div_ceil(self.threads()) + 8) as u64
    }

    /// How many elements all lines have.
    pub fn elements(&self) -> u64 {
        (self.count() * self.axis) as u64
    }
}

/// A fold of what the threads of a line hold.
#[derive(Clone, Copy, Debug)]
pub struct Fold {
    /// The name of the function that it becomes.
    pub name: &'static str,
    /// The type of what a thread holds.
    pub element: &'static str,
    /// The function that joins two.
    pub join: &'static str,
}

impl Fold {
    /// The sum of f32: `sum_of`.
    pub const SUM: Fold = Fold { name: "sum_of", element: "f32", join: "added" };
    /// The largest f32: `largest_of`.
    pub const LARGEST: Fold = Fold { name: "largest_of", element: "f32", join: "maximum" };

    fn text(self, subgroup: u32) -> String {
        let Fold { name, element, join } = self;
        let shuffle = match subgroup {
            0 | 1 => String::new(),
            lanes => format!(
                "for (; width < min(p.threads, {lanes}u); width *= 2u) {{\n        \
                 value = {join}(value, subgroupShuffleXor(value, width));\n    }}"
            ),
        };
        wgsl::FOLD
            .replace("$name", name)
            .replace("$element", element)
            .replace("$join", join)
            .replace("$shuffle", &shuffle)
    }
}

/// A kernel over lines with the functions of numbers: `before`, then `folds`, then `after`. The folds
/// go through subgroups of `subgroup` lanes, 0 for workgroup memory alone.
pub fn shader(
    name: &'static str,
    subgroup: u32,
    before: &[&str],
    folds: &[Fold],
    after: &str,
) -> Shader {
    let mut all = vec![wgsl::ELEMENTWISE, wgsl::LINES];
    all.extend(before);
    let folds: Vec<String> = folds.iter().map(|fold| fold.text(subgroup)).collect();
    all.extend(folds.iter().map(String::as_str));
    all.push(after);
    Shader::new(name, &all)
}

/// The lanes of a subgroup that kernels over lines may go through on `device`.
pub fn subgroup(device: &GpuDevice) -> u32 {
    device.subgroup_lanes()
}

/// Numbers of lanes that the tests of shaders look at.
#[cfg(test)]
pub const SUBGROUPS: [u32; 3] = [0, 8, 32];
