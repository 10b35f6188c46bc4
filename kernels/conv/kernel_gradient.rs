//! The gradient of the kernel: for each tap the product of the inputs that it met, transposed, and
//! the gradients of the windows that they were in.
//!
//! The factors are views of the input and the gradient as they stand. Where a window is one run of
//! memory and has few features, its taps are taken together, since windows may overlap as rows of
//! a view; only then is a line copied, if padding stands around it.
//!
//! Images are dealt out to parts that the shape alone decides, whose sums are added in order.

use super::{Axis, ConvShape};
use crate::matmul::{Matrix, add_parts, add_product_on};
use crate::{Cpu, DisjointMut, Isa};
use std::ops::Range;

/// Tasks that suffice to share the work out.
const ENOUGH: usize = 16;
/// The values that all parts of the gradient together may take, if there are several.
const ROOM: usize = 1 << 20;
/// Multiplications that are worth a part of their own.
const WORTH_A_PART: usize = 1 << 17;
/// Columns of a block of a product, and features of a strip of a depthwise gradient.
const COLUMNS: usize = 256;
/// Input features from which on each tap is a product of its own.
const WIDE: usize = 64;
/// Features that a depthwise gradient sums side by side.
const STRIP: usize = 64;

/// How the work is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// Parts that the lines of all images are dealt out to.
    parts: usize,
    /// Lines of output, of all images.
    lines: usize,
    /// Whether the taps of a line are taken together.
    windowed: bool,
    /// The length of a line with its padding, where it must be copied.
    padded: usize,
    /// Products that a part's result is cut into along the taps.
    runs: usize,
    /// The same along the columns.
    across: usize,
}

impl Cut {
    fn new(shape: &ConvShape) -> Cut {
        let ConvShape { batch, height, width, inputs, groups, transposed, .. } = *shape;
        let (window, steps) = (width.window, width.outputs());
        let windowed = groups == 1
            && !transposed
            && window.input_dilation == 1
            && window.dilation == 1
            && window.size > 1
            && inputs < WIDE;
        let needed = steps.saturating_sub(1) * window.stride + window.size;
        let inside = window.padding_sizes(width.len).0 == 0 && needed <= width.len;
        let padded = if windowed && !inside { needed * inputs } else { 0 };
        let runs = match (is_depthwise(shape), windowed) {
            (true, _) => 1,
            (_, true) => height.window.size,
            (_, false) => shape.taps(),
        };
        let across = tap_matrix(shape).columns.div_ceil(COLUMNS).max(1);
        let lines = batch * height.outputs();
        let work = lines * steps * shape.kernel_len();
        let parts = ENOUGH
            .div_ceil(runs * across)
            .min(ROOM / shape.kernel_len().max(1))
            .min(work / WORTH_A_PART)
            .clamp(1, lines.max(1));
        Cut { parts, lines, windowed, padded, runs, across }
    }

    fn tasks(&self) -> usize {
        self.parts * self.runs * self.across
    }
}

fn is_depthwise(shape: &ConvShape) -> bool {
    shape.is_depthwise() && !shape.transposed
}

/// What stands in the kernel for each tap: a matrix with so many rows (of one group) and columns
/// (of all groups).
struct TapMatrix {
    rows: usize,
    columns: usize,
}

fn tap_matrix(shape: &ConvShape) -> TapMatrix {
    match shape.transposed {
        false => TapMatrix { rows: shape.inputs / shape.groups, columns: shape.filters },
        true => TapMatrix { rows: shape.filters / shape.groups, columns: shape.inputs },
    }
}

/// How many values [`kernel_gradient`] needs to work in.
pub(super) fn kernel_gradient_len(shape: &ConvShape) -> usize {
    let cut = Cut::new(shape);
    let sums = if cut.parts > 1 { cut.parts * shape.kernel_len() } else { 0 };
    sums + cut.tasks() * cut.padded
}

/// Writes the gradient of the kernel to `dk`.
pub(super) fn kernel_gradient(
    cpu: Cpu,
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    dk: &mut [f32],
    workspace: &mut [f32],
) {
    if dk.is_empty() || x.is_empty() || dy.is_empty() {
        return dk.fill(0.0);
    }
    let cut = Cut::new(shape);
    let (lines, workspace) = workspace.split_at_mut(cut.tasks() * cut.padded);
    let lines = DisjointMut::new(lines);
    let compute = |sums: &mut [f32]| {
        let sums = DisjointMut::new(sums);
        cpu.pool.for_each(cut.tasks(), &|task| {
            // SAFETY: each task has a line of its own.
            let line = unsafe { lines.slice(task * cut.padded..(task + 1) * cut.padded) };
            let (part, rest) = (task / (cut.runs * cut.across), task % (cut.runs * cut.across));
            let (run, left) = (rest / cut.across, rest % cut.across * COLUMNS);
            let columns = left..tap_matrix(shape).columns.min(left + COLUMNS);
            let step = cut.lines.div_ceil(cut.parts);
            let own = (part * step).min(cut.lines)..cut.lines.min((part + 1) * step);
            let start = part * shape.kernel_len();
            let isa = cpu.isa;
            let task = Task { isa, shape, x, dy, sums, start, lines: own, columns };
            match (is_depthwise(shape), cut.windowed) {
                (true, _) => task.depthwise(),
                (_, true) => task.windows(run, line),
                (_, false) => task.tap(run),
            }
        });
    };
    if cut.parts == 1 {
        return compute(dk);
    }
    let sums = &mut workspace[..cut.parts * shape.kernel_len()];
    compute(sums);
    add_parts(cpu, sums, dk);
}

/// A piece of one part's gradient.
struct Task<'a> {
    isa: Isa,
    shape: &'a ConvShape,
    x: &'a [f32],
    dy: &'a [f32],
    /// The gradients of all parts.
    sums: DisjointMut<'a, f32>,
    /// Where the part's begins.
    start: usize,
    /// The part's lines of output.
    lines: Range<usize>,
    /// The columns of the result.
    columns: Range<usize>,
}

/// Where a tap meets the input: windows `window`, `window + window_step`, … (`count` of them) meet
/// the elements `input`, `input + input_step`, ….
struct Meetings {
    window: usize,
    window_step: usize,
    input: usize,
    input_step: usize,
    count: usize,
}

impl Meetings {
    fn new(axis: &Axis, tap: usize) -> Option<Meetings> {
        let Axis { len, window } = *axis;
        let before = window.padding_sizes(len).0;
        let gap = window.input_dilation;
        let at = tap * window.dilation;
        let low = before.saturating_sub(at).div_ceil(window.stride);
        // The last place that holds an element.
        let last = (len.checked_sub(1)? * gap + before).checked_sub(at)? / window.stride;
        let last = last.min(axis.outputs().checked_sub(1)?);
        let period = window.period();
        let first = (low..low + period)
            .find(|&index| (index * window.stride + at - before).is_multiple_of(gap))?;
        let count = last.checked_sub(first)? / period + 1;
        let input = (first * window.stride + at - before) / gap;
        let input_step = window.period_input();
        Some(Meetings { window: first, window_step: period, input, input_step, count })
    }
}

/// The element that tap `tap` of window `index` meets, if it is none of the padding.
fn meets(axis: &Axis, index: usize, tap: usize) -> Option<usize> {
    let window = axis.window;
    let before = window.padding_sizes(axis.len).0;
    let place = (index * window.stride + tap * window.dilation).checked_sub(before)?;
    let element = place / window.input_dilation;
    (place.is_multiple_of(window.input_dilation) && element < axis.len).then_some(element)
}

impl Task<'_> {
    /// Where row 0 of a tap's matrix, counted over both axes, begins.
    fn tap_start(&self, tap: usize) -> usize {
        let place = if self.shape.transposed { self.shape.taps() - 1 - tap } else { tap };
        let TapMatrix { rows, columns } = tap_matrix(self.shape);
        self.start + place * rows * columns
    }

    /// Fills the task's columns of some rows with 0.
    fn clear(&self, start: usize, rows: usize) {
        let width = tap_matrix(self.shape).columns;
        for row in 0..rows {
            let at = start + row * width;
            // SAFETY: these columns are this task's, and no other part of them is alive.
            unsafe { self.sums.slice(at + self.columns.start..at + self.columns.end) }.fill(0.0);
        }
    }

    /// Calls `visit` with where the gradients of each line of output begin and where the line of
    /// the input begins that the tap of the first axis meets.
    fn each_line(&self, tap: usize, mut visit: impl FnMut(usize, usize)) {
        let ConvShape { height, width, inputs, filters, .. } = *self.shape;
        let (lines, steps) = (height.outputs(), width.outputs());
        for line in self.lines.clone() {
            if let Some(row) = meets(&height, line % lines, tap) {
                let from = (line / lines * height.len + row) * width.len * inputs;
                visit(line * steps * filters, from);
            }
        }
    }

    /// One tap, as products of the rows that it met.
    fn tap(&self, tap: usize) {
        let ConvShape { width, inputs, filters, groups, transposed, .. } = *self.shape;
        let TapMatrix { rows, columns } = tap_matrix(self.shape);
        let start = self.tap_start(tap);
        self.clear(start, rows);
        let taps = width.window.size;
        let Some(meetings) = Meetings::new(&width, tap % taps) else { return };
        let Meetings { window, window_step, input, input_step, count } = meetings;
        let group_columns = columns / groups;
        self.each_line(tap / taps, |dy, x| {
            let inputs = (&self.x[x + input * inputs..], input_step * inputs);
            let windows = (&self.dy[dy + window * filters..], window_step * filters);
            let (left, right) = if transposed { (windows, inputs) } else { (inputs, windows) };
            // A block of columns may begin and end within a group.
            let (first, last) =
                (self.columns.start / group_columns, (self.columns.end - 1) / group_columns);
            for group in first..=last {
                let from = self.columns.start.max(group * group_columns);
                let to = self.columns.end.min((group + 1) * group_columns);
                let (x, x_stride) = (&left.0[group * rows..], left.1);
                let (w, w_stride) = (&right.0[from..], right.1);
                let x = Matrix { start: x.as_ptr(), row_stride: 1, column_stride: x_stride };
                let w = Matrix { start: w.as_ptr(), row_stride: w_stride, column_stride: 1 };
                let y = self.sums.start_of(start + from);
                // SAFETY: the last meeting lies inside the line and its output, whose lengths were
                // checked against the shape; the columns written are this task's.
                unsafe {
                    add_product_on(self.isa, (rows, count, to - from), x, w, y, columns, true)
                };
            }
        });
    }

    /// All taps of one line of the kernel, as products of whole windows.
    fn windows(&self, tap: usize, padded: &mut [f32]) {
        let ConvShape { width, inputs, filters, .. } = *self.shape;
        let taps = width.window.size;
        let start = self.tap_start(tap * taps);
        self.clear(start, taps * inputs);
        let before = width.window.padding_sizes(width.len).0 * inputs;
        padded.fill(0.0);
        self.each_line(tap, |dy, x| {
            let line = &self.x[x..x + width.len * inputs];
            let line = match padded.is_empty() {
                true => line,
                false => {
                    let start = before.min(padded.len());
                    let room = &mut padded[start..];
                    let len = line.len().min(room.len());
                    room[..len].copy_from_slice(&line[..len]);
                    &padded[..]
                }
            };
            let dy = &self.dy[dy + self.columns.start..];
            let column_stride = width.window.stride * inputs;
            let x = Matrix { start: line.as_ptr(), row_stride: 1, column_stride };
            let w = Matrix { start: dy.as_ptr(), row_stride: filters, column_stride: 1 };
            let y = self.sums.start_of(start + self.columns.start);
            let size = (taps * inputs, width.outputs(), self.columns.len());
            // SAFETY: the last window ends inside the line or, padded, at its end (`Cut::new`);
            // the gradients are as many as windows; the columns written are this task's.
            unsafe { add_product_on(self.isa, size, x, w, y, filters, true) };
        });
    }

    /// All taps of each feature on its own.
    fn depthwise(&self) {
        let ConvShape { width, inputs, filters, .. } = *self.shape;
        let multiplier = filters / inputs;
        let taps = width.window.size;
        for tap in 0..self.shape.taps() {
            let start = self.tap_start(tap);
            self.clear(start, 1);
            let Some(meetings) = Meetings::new(&width, tap % taps) else { continue };
            for left in self.columns.clone().step_by(STRIP) {
                let count = STRIP.min(self.columns.end - left);
                let mut sums = [0.0; STRIP];
                self.each_line(tap / taps, |dy, x| {
                    for index in 0..meetings.count {
                        let window = meetings.window + index * meetings.window_step;
                        let input = meetings.input + index * meetings.input_step;
                        let dy = &self.dy[dy + window * filters + left..][..count];
                        let x = &self.x[x + input * inputs..][..inputs];
                        if multiplier == 1 {
                            let pairs = dy.iter().zip(&x[left..left + count]);
                            let pairs = sums.iter_mut().zip(pairs);
                            pairs.for_each(|(sum, (&dy, &x))| *sum += dy * x);
                        } else {
                            for (i, (sum, &dy)) in sums.iter_mut().zip(dy).enumerate() {
                                *sum += dy * x[(left + i) / multiplier];
                            }
                        }
                    }
                });
                // SAFETY: these columns are this task's, and no other part of them is alive.
                let out = unsafe { self.sums.slice(start + left..start + left + count) };
                out.copy_from_slice(&sums[..count]);
            }
        }
    }
}
