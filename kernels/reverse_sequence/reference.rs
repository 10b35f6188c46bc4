//! The plain definition, element by element.

use super::ReverseSequenceCall;
use crate::layout::Index;

/// The sequences, turned around; every length must be one that a sequence has.
pub fn reverse_sequence<T: Copy, I: Index>(call: ReverseSequenceCall<T, I>) -> Vec<T> {
    let ReverseSequenceCall { x, lengths, outer, first, middle, second, inner, time_first } = call;
    let mut out = x.to_vec();
    let place = |o, f, m, s, i| (((o * first + f) * middle + m) * second + s) * inner + i;
    for (sequence, length) in lengths.iter().enumerate() {
        let length = length.widen() as usize;
        for (time, turned) in (0..length).zip((0..length).rev()) {
            for o in 0..outer {
                for m in 0..middle {
                    for i in 0..inner {
                        let (to, from) = match time_first {
                            true => {
                                (place(o, time, m, sequence, i), place(o, turned, m, sequence, i))
                            }
                            false => {
                                (place(o, sequence, m, time, i), place(o, sequence, m, turned, i))
                            }
                        };
                        out[to] = x[from];
                    }
                }
            }
        }
    }
    out
}
