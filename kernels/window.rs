//! Windows that slide along an axis: what convolution and pooling share.

use std::ops::Range;

/// What stands in front of and behind the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Nothing: only whole windows count.
    Valid,
    /// As much as gives `ceil(len / stride)` windows, an odd one behind.
    Same,
    /// In front only, so that a window sees no later input.
    Causal,
    /// So many elements.
    Explicit {
        /// In front.
        before: usize,
        /// Behind.
        after: usize,
    },
}

/// The windows along one axis. Sizes are at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// Elements of a window: its taps.
    pub size: usize,
    /// From a window to the next.
    pub stride: usize,
    /// From a tap to the next.
    pub dilation: usize,
    /// From an input element to the next, with gaps between that are padding: the stride of the
    /// convolution that a transposed one turns round.
    pub input_dilation: usize,
    /// What stands around the input.
    pub padding: Padding,
}

/// The taps of one window that meet the input: `first`, `first + step`, … (`count` of them) meet
/// the elements `input`, `input + input_step`, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// The first tap.
    pub first: usize,
    /// How many there are.
    pub count: usize,
    /// From a tap to the next.
    pub step: usize,
    /// The element that the first one meets.
    pub input: usize,
    /// From that to the next one's.
    pub input_step: usize,
}

impl Window {
    /// A window of one tap, which gives back the axis.
    pub const UNIT: Window =
        Window { size: 1, stride: 1, dilation: 1, input_dilation: 1, padding: Padding::Valid };

    /// From the first tap to the last.
    pub fn reach(&self) -> usize {
        self.dilation * (self.size - 1)
    }

    /// The length of an axis of `len` elements with the gaps between them.
    fn spread(&self, len: usize) -> usize {
        (len * self.input_dilation).saturating_sub(self.input_dilation - 1)
    }

    /// The padding in front of and behind an axis of `len` elements.
    pub fn padding_sizes(&self, len: usize) -> (usize, usize) {
        match self.padding {
            Padding::Valid => (0, 0),
            Padding::Causal => (self.reach(), 0),
            Padding::Explicit { before, after } => (before, after),
            Padding::Same => {
                let len = self.spread(len);
                let last = len.div_ceil(self.stride).saturating_sub(1) * self.stride;
                let total = (last + self.reach() + 1).saturating_sub(len);
                (total / 2, total - total / 2)
            }
        }
    }

    /// The windows over an axis of `len` elements.
    pub fn outputs(&self, len: usize) -> usize {
        if self.padding == Padding::Same {
            return self.spread(len).div_ceil(self.stride);
        }
        let (before, after) = self.padding_sizes(len);
        // An axis without elements still takes its last gap off.
        let padded = before + len * self.input_dilation + after;
        match padded.checked_sub(self.input_dilation + self.reach()) {
            Some(room) => room / self.stride + 1,
            None => 0,
        }
    }

    /// How many windows lie between two that the same taps may meet.
    pub(crate) fn period(&self) -> usize {
        self.input_dilation / gcd(self.stride, self.input_dilation)
    }

    /// From the first input element of a window to that of the window [`period`](Self::period)
    /// further on.
    pub(crate) fn period_input(&self) -> usize {
        self.stride / gcd(self.stride, self.input_dilation)
    }

    /// How many taps lie between two that meet elements at the same time.
    pub(crate) fn tap_period(&self) -> usize {
        self.input_dilation / gcd(self.dilation, self.input_dilation)
    }

    /// The taps of window `index` over an axis of `len` elements that meet the input rather than
    /// its padding.
    #[inline(always)]
    pub fn taps(&self, len: usize, index: usize) -> Taps {
        let Window { size, stride, dilation, input_dilation, .. } = *self;
        let before = self.padding_sizes(len).0;
        let at = index * stride;
        let inside = taps_inside(size, dilation, before, self.spread(len), at);
        if input_dilation == 1 {
            let Range { start: first, end } = inside;
            let input = (at + first * dilation).saturating_sub(before);
            return Taps { first, count: end - first, step: 1, input, input_step: dilation };
        }
        let step = self.tap_period();
        let meets =
            |tap: usize| (at + tap * dilation).abs_diff(before).is_multiple_of(input_dilation);
        let end = inside.end.min(inside.start + step);
        let Some(first) = (inside.start..end).find(|&tap| meets(tap)) else {
            return Taps { first: 0, count: 0, step, input: 0, input_step: 1 };
        };
        let input = (at + first * dilation - before) / input_dilation;
        let input_step = dilation * step / input_dilation;
        Taps { first, count: (inside.end - first).div_ceil(step), step, input, input_step }
    }

    /// # Panics
    /// If a size that must not be 0 is 0.
    pub(crate) fn check(&self, what: &str) {
        let Window { size, stride, dilation, input_dilation, .. } = *self;
        let sizes = [size, stride, dilation, input_dilation];
        assert!(sizes.iter().all(|&size| size > 0), "{what}: a size is 0: {self:?}");
    }
}

/// The taps that lie on an axis of `len` elements, gaps among them.
#[inline(always)]
fn taps_inside(size: usize, dilation: usize, before: usize, len: usize, at: usize) -> Range<usize> {
    let start = before.saturating_sub(at).div_ceil(dilation);
    let end = (before + len).saturating_sub(at).div_ceil(dilation).min(size);
    start.min(end)..end
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// An axis and the windows along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Input elements.
    pub len: usize,
    /// The windows.
    pub window: Window,
}

impl Axis {
    /// An axis of one element, for kernels of more axes than the input has.
    pub const UNIT: Axis = Axis { len: 1, window: Window::UNIT };

    /// The windows over the axis.
    pub fn outputs(&self) -> usize {
        self.window.outputs(self.len)
    }

    /// The taps of window `index` that meet the input.
    #[inline(always)]
    pub fn taps(&self, index: usize) -> Taps {
        self.window.taps(self.len, index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows() -> Vec<Window> {
        let explicit = Padding::Explicit { before: 1, after: 4 };
        let mut found = Vec::new();
        for padding in [Padding::Valid, Padding::Same, Padding::Causal, explicit] {
            for size in 1..5 {
                for stride in 1..4 {
                    for dilation in 1..4 {
                        for input_dilation in 1..5 {
                            found.push(Window { size, stride, dilation, input_dilation, padding });
                        }
                    }
                }
            }
        }
        found
    }

    #[test]
    fn taps_are_those_whose_place_holds_an_element() {
        for window in windows() {
            for len in [0, 1, 2, 5, 9] {
                let before = window.padding_sizes(len).0;
                for index in 0..window.outputs(len) {
                    let place = |tap: usize| {
                        let at = (index * window.stride + tap * window.dilation) as isize;
                        at - before as isize
                    };
                    let up = window.input_dilation as isize;
                    let want: Vec<(usize, usize)> = (0..window.size)
                        .filter(|&tap| place(tap) >= 0 && place(tap) % up == 0)
                        .map(|tap| (tap, (place(tap) / up) as usize))
                        .filter(|&(_, input)| input < len)
                        .collect();
                    let taps = window.taps(len, index);
                    let got: Vec<(usize, usize)> = (0..taps.count)
                        .map(|i| (taps.first + i * taps.step, taps.input + i * taps.input_step))
                        .collect();
                    assert_eq!(got, want, "{window:?}, window {index} of {len} elements");
                }
            }
        }
    }

    #[test]
    fn same_padding_puts_the_odd_element_behind() {
        let window = Window { size: 2, padding: Padding::Same, ..Window::UNIT };
        assert_eq!((window.padding_sizes(5), window.outputs(5)), ((0, 1), 5));
        let strided = Window { size: 5, stride: 2, ..window };
        assert_eq!((strided.padding_sizes(6), strided.outputs(6)), ((1, 2), 3));
        // A stride beyond the window leaves input over and pads nothing.
        let sparse = Window { size: 1, stride: 3, ..window };
        assert_eq!((sparse.padding_sizes(7), sparse.outputs(7)), ((0, 0), 3));
    }

    #[test]
    fn gaps_lengthen_the_axis() {
        let padding = Padding::Explicit { before: 2, after: 2 };
        let window = Window { size: 3, input_dilation: 2, padding, ..Window::UNIT };
        assert_eq!([0, 1, 2, 7].map(|len| window.outputs(len)), [1, 3, 5, 15]);
    }
}
