//! The recurrent kernel and its transpose, packed for one call, and the product of a step.
//!
//! Training changes the kernel at every step of the optimizer, so it is packed inside the call: once
//! for all time steps. A [`Group`] is a run of gates that one product computes.

use crate::Cpu;
use crate::isa::{Isa, Kernel, Simd};
use crate::recurrent::panels::{PanelsView, Rows, Tiles, product};

/// Gates of the cell with most of them.
pub(crate) const MAX_GATES: usize = 4;

/// A run of gates whose recurrent products have the same left factor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Group {
    pub first: usize,
    pub count: usize,
}

/// The groups of a cell, in the order of its gates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Groups {
    groups: [Group; MAX_GATES],
    count: usize,
}

impl Groups {
    /// Cuts `gates` gates: each by itself where each has a left factor of its own, else the last
    /// one where it waits for the others, else none.
    pub fn new(gates: usize, each: bool, last_waits: bool) -> Groups {
        let mut groups = Groups { groups: [Group::default(); MAX_GATES], count: 0 };
        let mut first = 0;
        while first < gates {
            let count = match (each, last_waits) {
                (true, _) => 1,
                (false, true) if first == 0 => gates - 1,
                (false, _) => gates - first,
            };
            groups.groups[groups.count] = Group { first, count };
            groups.count += 1;
            first += count;
        }
        groups
    }

    pub fn all(&self) -> &[Group] {
        &self.groups[..self.count]
    }
}

/// How a product's result is laid out.
#[derive(Clone, Copy, Debug)]
struct Shape {
    depth: usize,
    /// Vectors of a row of the result.
    vectors: usize,
    /// Vectors of a panel.
    width: usize,
    panels: usize,
}

impl Shape {
    fn new(depth: usize, vectors: usize) -> Shape {
        // The widest panels fill the registers best, unless much of the last one is empty.
        let empty = |width: usize| vectors.next_multiple_of(width) - vectors;
        let width = match vectors {
            0 => 1,
            1..=4 => vectors,
            _ if empty(3) < empty(4) => 3,
            _ => 4,
        };
        Shape { depth, vectors, width, panels: vectors.div_ceil(width) }
    }

    fn len(&self, lanes: usize) -> usize {
        self.panels * self.depth * self.width * lanes
    }
}

/// A packed matrix for each group.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    isa: Isa,
    parts: [Option<(Shape, &'a [f32])>; MAX_GATES],
}

/// Which matrix is packed: the kernel, or its transpose for the way back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// `[units, count * units]` of a group, its gates padded to whole vectors.
    Forward,
    /// `[count * units, units]` of a group.
    Backward,
}

fn shape(isa: Isa, way: Way, group: Group, units: usize) -> Shape {
    let vectors = units.div_ceil(isa.lanes());
    match way {
        Way::Forward => Shape::new(units, group.count * vectors),
        Way::Backward => Shape::new(group.count * units, vectors),
    }
}

/// Values of memory that the packed groups take.
pub(crate) fn packed_len(isa: Isa, way: Way, groups: &Groups, units: usize) -> usize {
    groups.all().iter().map(|&group| shape(isa, way, group, units).len(isa.lanes())).sum()
}

impl<'a> Packed<'a> {
    /// Packs `kernel` `[units, gates * units]` into `memory` of [`packed_len`] values.
    pub fn new(
        cpu: Cpu<'_>,
        way: Way,
        groups: &Groups,
        (units, gates): (usize, usize),
        kernel: &[f32],
        memory: &'a mut [f32],
    ) -> Packed<'a> {
        let lanes = cpu.isa.lanes();
        let mut parts = [None; MAX_GATES];
        let mut memory = memory;
        for (part, &group) in parts.iter_mut().zip(groups.all()) {
            let shape = shape(cpu.isa, way, group, units);
            let (own, rest) = memory.split_at_mut(shape.len(lanes));
            memory = rest;
            let panel_len = shape.depth * shape.width * lanes;
            cpu.pool.for_each_chunk(own, panel_len, &|panel, out| {
                let vectors = panel * shape.width..(panel + 1) * shape.width;
                let source = Source { kernel, units, columns: gates * units, lanes };
                match way {
                    Way::Forward => source.panel(group, vectors, out),
                    Way::Backward => source.transposed_panel(group, vectors, out),
                }
            });
            *part = Some((shape, &*own));
        }
        Packed { isa: cpu.isa, parts }
    }

    /// Adds the product of `rows` and the matrix of group `index` to `out`, whose rows are
    /// `out_stride` apart; rows that are not active are left as they are.
    pub fn add_product(&self, index: usize, rows: Rows<'_>, out: &mut [f32], out_stride: usize) {
        let Some((shape, data)) = self.parts[index] else { return };
        let Shape { depth, vectors, width, panels } = shape;
        if depth == 0 || !rows.active.contains(&true) {
            return;
        }
        let panels = PanelsView {
            isa: self.isa,
            depth,
            count: panels,
            vectors: width,
            backward: false,
            data,
        };
        let tiles = InPlace { rows: out, stride: out_stride, vectors, width };
        self.isa.run(AddProduct { rows, panels, tiles });
    }
}

/// The matrix that is packed.
struct Source<'a> {
    kernel: &'a [f32],
    units: usize,
    columns: usize,
    lanes: usize,
}

impl Source<'_> {
    fn panel(&self, group: Group, vectors: std::ops::Range<usize>, out: &mut [f32]) {
        let Source { kernel, units, columns, lanes } = *self;
        let each = units.div_ceil(lanes);
        let width = vectors.len() * lanes;
        for (index, vector) in vectors.enumerate() {
            let (gate, first) = (vector / each, vector % each * lanes);
            let count = if gate < group.count { lanes.min(units - first) } else { 0 };
            let from = (group.first + gate) * units + first;
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                let out = &mut out[index * lanes..][..lanes];
                let (values, rest) = out.split_at_mut(count);
                if count > 0 {
                    values.copy_from_slice(&kernel[row * columns + from..][..count]);
                }
                rest.fill(0.0);
            }
        }
    }

    fn transposed_panel(&self, group: Group, vectors: std::ops::Range<usize>, out: &mut [f32]) {
        let Source { kernel, units, columns, lanes } = *self;
        let (width, first) = (vectors.len() * lanes, vectors.start * lanes);
        for lane in 0..width {
            let column = out.iter_mut().skip(lane).step_by(width);
            if first + lane < units {
                let row = &kernel[(first + lane) * columns + group.first * units..];
                column.zip(row).for_each(|(out, &value)| *out = value);
            } else {
                column.for_each(|out| *out = 0.0);
            }
        }
    }
}

struct AddProduct<'a> {
    rows: Rows<'a>,
    panels: PanelsView<'a>,
    tiles: InPlace<'a>,
}

impl Kernel for AddProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        product(simd, &self.rows, self.panels, &mut self.tiles);
    }
}

/// Tiles that are added to what stands in the rows.
struct InPlace<'a> {
    rows: &'a mut [f32],
    stride: usize,
    /// Vectors of a row; panels may be padded beyond.
    vectors: usize,
    /// Vectors of a panel.
    width: usize,
}

impl Tiles for InPlace<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        for (vector, tile) in tile.chunks_exact_mut(S::LANES).enumerate() {
            let at = panel * self.width + vector;
            if at < self.vectors {
                let from = &self.rows[row * self.stride + at * S::LANES..];
                tile.copy_from_slice(&from[..S::LANES]);
            } else {
                tile.fill(0.0);
            }
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        let first = panel * self.width;
        for (vector, values) in tile.chunks_exact(S::LANES).enumerate() {
            if first + vector < self.vectors {
                let at = row * self.stride + (first + vector) * S::LANES;
                self.rows[at..][..S::LANES].copy_from_slice(values);
            }
        }
    }
}
