// What every kernel that an operator brings along begins with. Such a kernel declares
// `struct Params { row_width: u32, ... }` (the workgroups in one row of the grid) and `main`.
//
// Values are words, whatever their type: the bits of an f32, an i32 (an i64 too), 0 or 1 for a
// truth value. Where NaN matters its bits are looked at: a driver may take it that there is none.

@group(0) @binding(0) var<storage, read_write> arena: array<u32>;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;
@group(0) @binding(3) var<storage, read_write> status: array<atomic<u32>>;

const NONE: u32 = 0xffffffffu;
const NAN_BITS: u32 = 0x7fc00000u;
const INF_BITS: u32 = 0x7f800000u;

fn float(word: u32) -> f32 { return bitcast<f32>(word); }
fn signed(word: u32) -> i32 { return bitcast<i32>(word); }
fn bits(x: f32) -> u32 { return bitcast<u32>(x); }
fn word_of(x: bool) -> u32 { return select(0u, 1u, x); }
fn is_nan(word: u32) -> bool { return (word & 0x7fffffffu) > INF_BITS; }
fn is_infinite(word: u32) -> bool { return (word & 0x7fffffffu) == INF_BITS; }

// Element `i` of weights that are f16, two in a word, from word `first` on.
fn half_weight(first: u32, i: u32) -> f32 { return unpack2x16float(weights[first + i / 2u])[i % 2u]; }
