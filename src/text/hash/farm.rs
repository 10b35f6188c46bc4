//! FarmHash's `Fingerprint64`, which is its `farmhashna::Hash64` (Pike and Alakuijala, Google, 2014):
//! one formula for each range of lengths.

use super::word;

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;

/// The fingerprint of `bytes`, the same on every machine and in every version.
pub fn fingerprint64(bytes: &[u8]) -> u64 {
    match bytes.len() {
        0..=16 => up_to_16(bytes),
        17..=32 => up_to_32(bytes),
        33..=64 => up_to_64(bytes),
        _ => longer(bytes),
    }
}

fn mul(a: u64, b: u64) -> u64 {
    a.wrapping_mul(b)
}

fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum: u64, &word| sum.wrapping_add(word))
}

fn shift_mix(word: u64) -> u64 {
    word ^ (word >> 47)
}

/// Two words as one, by multiplications with `factor`.
fn mix(u: u64, v: u64, factor: u64) -> u64 {
    let a = shift_mix(mul(u ^ v, factor));
    mul(shift_mix(mul(v ^ a, factor)), factor)
}

fn factor_of(bytes: &[u8]) -> u64 {
    K2.wrapping_add(2 * bytes.len() as u64)
}

fn half_word(bytes: &[u8], at: usize) -> u64 {
    word(bytes, at) & 0xffff_ffff
}

fn up_to_16(bytes: &[u8]) -> u64 {
    let (len, factor) = (bytes.len(), factor_of(bytes));
    match len {
        8.. => {
            let a = word(bytes, 0).wrapping_add(K2);
            let b = word(bytes, len - 8);
            let c = mul(b.rotate_right(37), factor).wrapping_add(a);
            let d = mul(a.rotate_right(25).wrapping_add(b), factor);
            mix(c, d, factor)
        }
        4..8 => {
            let first = half_word(bytes, 0) << 3;
            mix(first.wrapping_add(len as u64), half_word(bytes, len - 4), factor)
        }
        _ => {
            let at = |index: usize| bytes.get(index).copied().map(u32::from);
            let (Some(a), Some(b), Some(c)) = (at(0), at(len / 2), at(len.wrapping_sub(1))) else {
                return K2;
            };
            let y = u64::from(a.wrapping_add(b << 8));
            let z = u64::from((len as u32).wrapping_add(c << 2));
            mul(shift_mix(mul(y, K2) ^ mul(z, K0)), K2)
        }
    }
}

fn up_to_32(bytes: &[u8]) -> u64 {
    let (len, factor) = (bytes.len(), factor_of(bytes));
    let a = mul(word(bytes, 0), K1);
    let b = word(bytes, 8);
    let c = mul(word(bytes, len - 8), factor);
    let d = mul(word(bytes, len - 16), K2);
    let u = sum(&[a.wrapping_add(b).rotate_right(43), c.rotate_right(30), d]);
    let v = sum(&[a, b.wrapping_add(K2).rotate_right(18), c]);
    mix(u, v, factor)
}

fn up_to_64(bytes: &[u8]) -> u64 {
    let (len, factor) = (bytes.len(), factor_of(bytes));
    let a = mul(word(bytes, 0), K2);
    let b = word(bytes, 8);
    let c = mul(word(bytes, len - 8), factor);
    let d = mul(word(bytes, len - 16), K2);
    let y = sum(&[a.wrapping_add(b).rotate_right(43), c.rotate_right(30), d]);
    let z = mix(y, sum(&[a, b.wrapping_add(K2).rotate_right(18), c]), factor);
    let e = mul(word(bytes, 16), factor);
    let f = word(bytes, 24);
    let g = mul(y.wrapping_add(word(bytes, len - 32)), factor);
    let h = mul(z.wrapping_add(word(bytes, len - 24)), factor);
    let u = sum(&[e.wrapping_add(f).rotate_right(43), g.rotate_right(30), h]);
    let v = sum(&[e, f.wrapping_add(a).rotate_right(18), g]);
    mix(u, v, factor)
}

/// What is carried from one block of 64 bytes to the next.
struct State {
    x: u64,
    y: u64,
    z: u64,
    v: [u64; 2],
    w: [u64; 2],
}

impl State {
    /// Takes in the 64 bytes from `at`. `weight` is 1 but for the last block, where it is 9.
    fn absorb(&mut self, bytes: &[u8], at: usize, factor: u64, weight: u64) {
        let State { x, y, z, v, w } = self;
        let next = |offset: usize| word(bytes, at + offset);
        *x = mul(sum(&[*x, *y, v[0], next(8)]).rotate_right(37), factor);
        *y = mul(sum(&[*y, v[1], next(48)]).rotate_right(42), factor);
        *x ^= mul(w[1], weight);
        *y = sum(&[*y, mul(v[0], weight), next(40)]);
        *z = mul(z.wrapping_add(w[0]).rotate_right(33), factor);
        *v = weak(bytes, at, mul(v[1], factor), x.wrapping_add(w[0]));
        *w = weak(bytes, at + 32, z.wrapping_add(w[1]), y.wrapping_add(next(16)));
        std::mem::swap(z, x);
    }
}

/// A fast hash of 32 bytes and two seeds.
fn weak(bytes: &[u8], at: usize, a: u64, b: u64) -> [u64; 2] {
    let [w, x, y, z] = [0, 8, 16, 24].map(|offset| word(bytes, at + offset));
    let first = a.wrapping_add(w);
    let b = sum(&[b, first, z]).rotate_right(21);
    let a = sum(&[first, x, y]);
    [a.wrapping_add(z), sum(&[b, a.rotate_right(44), first])]
}

fn longer(bytes: &[u8]) -> u64 {
    const SEED: u64 = 81;
    let y = mul(SEED, K1).wrapping_add(113);
    let mut state = State {
        x: mul(SEED, K2).wrapping_add(word(bytes, 0)),
        y,
        z: mul(shift_mix(mul(y, K2).wrapping_add(113)), K2),
        v: [0; 2],
        w: [0; 2],
    };
    // The last 64 bytes are a block of their own, which overlaps the one before.
    let left = (bytes.len() - 1) % 64;
    for block in 0..(bytes.len() - 1) / 64 {
        state.absorb(bytes, 64 * block, K1, 1);
    }
    let factor = K1.wrapping_add((state.z & 0xff) << 1);
    state.w[0] = state.w[0].wrapping_add(left as u64);
    state.v[0] = state.v[0].wrapping_add(state.w[0]);
    state.w[0] = state.w[0].wrapping_add(state.v[0]);
    state.absorb(bytes, bytes.len() - 64, factor, 9);
    let State { x, y, z, v, w } = state;
    let first = sum(&[mix(v[0], w[0], factor), mul(shift_mix(y), K0), z]);
    mix(first, mix(v[1], w[1], factor).wrapping_add(x), factor)
}
