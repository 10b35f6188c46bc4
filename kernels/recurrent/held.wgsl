// Where a thread of the LSTM and GRU kernels finds the recurrent weights of its unit and slice. Of
// the LENGTH terms of the slice the first IN_REGISTERS are kept in registers for the whole sequence,
// the next IN_WORKGROUP in workgroup memory, and the others are read at every step. What is kept
// asks for one unit a thread, UNITS <= THREADS / SPLIT, and STRIDE = SPLIT * LENGTH: a slice may
// end behind the last unit, where states and kept weights are zero.
//
// Weights are kept in groups of GATE_COUNT words: those of a term, or, where HALF, of two terms as
// f16, the first in the low halves; LENGTH, IN_REGISTERS and IN_WORKGROUP are even then.
//
// What is kept in registers is written for its number of terms and rows, since a compiler keeps in
// registers only what no computed index reaches: `struct Registers`, `fn keep` and
// `fn add_kept` (the runtime's gpu/unrolled.rs).

override LENGTH: u32 = 4u;
override IN_REGISTERS: u32 = 0u;
override IN_WORKGROUP: u32 = 0u;
override HELD_WORDS: u32 = 1u; // words of IN_WORKGROUP terms of all threads, or 1

// [group][gate][thread], so that neighbouring threads read neighbouring words.
var<workgroup> held: array<u32, HELD_WORDS>;

fn weight_or_zero(tile: Tile, k: u32, unit: u32) -> vec4<f32> {
    if k >= UNITS || unit >= UNITS {
        return vec4<f32>();
    }
    return weight_at(tile, k, unit, ALL);
}

// The words of the group that begins with unit `k` of the state.
fn group_at(tile: Tile, k: u32, unit: u32) -> vec4<u32> {
    let w = weight_or_zero(tile, k, unit);
    if HALF {
        let next = weight_or_zero(tile, k + 1u, unit);
        return vec4<u32>(
            pack2x16float(vec2<f32>(w.x, next.x)),
            pack2x16float(vec2<f32>(w.y, next.y)),
            pack2x16float(vec2<f32>(w.z, next.z)),
            pack2x16float(vec2<f32>(w.w, next.w)),
        );
    }
    return bitcast<vec4<u32>>(w);
}

// The weights of a term of a group: 0, or, where HALF, 0 or 1.
fn weights_of(group: vec4<u32>, term: u32) -> vec4<f32> {
    if HALF {
        return vec4<f32>(
            unpack2x16float(group.x)[term],
            unpack2x16float(group.y)[term],
            unpack2x16float(group.z)[term],
            unpack2x16float(group.w)[term],
        );
    }
    return bitcast<vec4<f32>>(group);
}

// Fills the thread's part of workgroup memory, which no other thread reads.
fn keep_in_workgroup(tile: Tile, thread: u32, first: u32, unit: u32) {
    let terms = select(1u, 2u, HALF);
    for (var term = 0u; term < IN_WORKGROUP; term += terms) {
        let group = group_at(tile, first + IN_REGISTERS + term, unit);
        let at = term / terms * GATE_COUNT * THREADS + thread;
        for (var gate = 0u; gate < GATE_COUNT; gate++) {
            held[at + gate * THREADS] = group[gate];
        }
    }
}

// The weights of a term kept in workgroup memory, counted from the first there.
fn kept_in_workgroup(thread: u32, term: u32) -> vec4<f32> {
    let terms = select(1u, 2u, HALF);
    let at = term / terms * GATE_COUNT * THREADS + thread;
    var group = vec4<u32>(held[at], held[at + THREADS], held[at + 2u * THREADS], 0u);
    if GATE_COUNT == 4u {
        group.w = held[at + 3u * THREADS];
    }
    return weights_of(group, term % terms);
}

// The weights of the term for unit `k` of the state, which is not kept in registers; the thread's
// slice begins at unit `first`.
fn weight_for(
    tile: Tile, thread: u32, first: u32, k: u32, unit: u32, part: u32,
) -> vec4<f32> {
    if IN_WORKGROUP > 0u {
        let term = k - first - IN_REGISTERS;
        if term < IN_WORKGROUP {
            return kept_in_workgroup(thread, term);
        }
    }
    return weight_at(tile, k, unit, part);
}
