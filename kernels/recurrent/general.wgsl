// One direction of a recurrent layer in every form that the LSTM and GRU kernels do not have: a plain
// cell, activations of its own for each place, clipping, peepholes, coupled gates, weights that are
// computed. One dispatch runs all time steps; a workgroup takes one row of the batch. The products of
// the inputs of all steps with the kernel are computed before, by one matrix product.
//
//   plain:  h' = candidate(x.W + h.R + b)
//   LSTM:   i = gate(.. + pi c)   f = gate(.. + pf c), or 1 - i   g = candidate(..)
//           c' = f c + i g        h' = gate(.. + po c') shown(c')
//   GRU:    as in gru.wgsl
//
// Gates stand in Keras's order, [gate][unit]. Masks and outputs are those of recurrent.wgsl.
//
// Goes after the prelude, ELEMENTWISE and the functions of one f32 `gate`, `candidate` and `shown`.
//
// Bindings: 0 arena, 1 weights, 2 parameters. Workgroup: 256 threads, each of which takes units 256
// apart.

struct Params {
    row_width: u32,
    batch: u32,
    time: u32,
    products: u32,       // [batch, time, GATES UNITS]
    kernel: u32,         // [UNITS, GATES UNITS]
    bias: u32,           // [GATES UNITS], for a GRU with RESET_AFTER [2, 3 UNITS]; NONE: zeros
    peepholes: u32,      // [3, UNITS] of i, f, o; NONE: zeros
    mask: u32,           // [batch, time], NONE: every step counts
    initial_h: u32,      // [batch, UNITS], NONE: zeros
    initial_c: u32,
    sequence: u32,       // the outputs, NONE where nobody wants them
    sequence_stride: u32,
    last: u32,
    last_stride: u32,
    final_h: u32,
    final_c: u32,
    scratch: u32,        // 4 UNITS words for each workgroup, where STATE_IN_ARENA
    backward: u32,       // 1: time runs from the end
    zero_for_mask: u32,  // 1: masked steps of the sequence are zero
}

const PLAIN: u32 = 0u;
const LSTM: u32 = 1u;
const GRU: u32 = 2u;
const THREADS: u32 = 256u;

override CELL: u32 = 0u;
override UNITS: u32 = 4u;
override RESET_AFTER: bool = false;
override COUPLED: bool = false;
override KERNEL_FROM_ARENA: bool = false;
override BIAS_FROM_ARENA: bool = false;
override PEEPHOLES_FROM_ARENA: bool = false;
override STATE_IN_ARENA: bool = false;
override STATE_WORDS: u32 = 16u; // 4 UNITS, or 1 where STATE_IN_ARENA

// Planes of UNITS: 0 and 1 h of even and odd steps, 2 c or r h, 3 z.
var<workgroup> state: array<f32, STATE_WORDS>;

fn load_state(row: u32, plane: u32, unit: u32) -> f32 {
    let at = plane * UNITS + unit;
    if STATE_IN_ARENA { return float(arena[p.scratch + row * 4u * UNITS + at]); }
    return state[at];
}

fn store_state(row: u32, plane: u32, unit: u32, value: f32) {
    let at = plane * UNITS + unit;
    if STATE_IN_ARENA {
        arena[p.scratch + row * 4u * UNITS + at] = bits(value);
    } else {
        state[at] = value;
    }
}

fn state_barrier() {
    if STATE_IN_ARENA {
        storageBarrier();
    }
    workgroupBarrier();
}

fn gates() -> u32 {
    if CELL == LSTM { return 4u; }
    if CELL == GRU { return 3u; }
    return 1u;
}

fn kernel_at(k: u32, column: u32) -> f32 {
    let at = p.kernel + k * gates() * UNITS + column;
    if KERNEL_FROM_ARENA { return float(arena[at]); }
    return float(weights[at]);
}

fn bias_at(column: u32) -> f32 {
    if p.bias == NONE { return 0.0; }
    if BIAS_FROM_ARENA { return float(arena[p.bias + column]); }
    return float(weights[p.bias + column]);
}

fn peephole(which: u32, unit: u32) -> f32 {
    if p.peepholes == NONE { return 0.0; }
    let at = p.peepholes + which * UNITS + unit;
    if PEEPHOLES_FROM_ARENA { return float(arena[at]); }
    return float(weights[at]);
}

fn initial(offset: u32, at: u32) -> f32 {
    if offset == NONE { return 0.0; }
    return float(arena[offset + at]);
}

// The share of the input and of the bias in a gate of a unit.
fn input_part(row: u32, t: u32, column: u32) -> f32 {
    let at = (row * p.time + t) * gates() * UNITS + column;
    return float(arena[p.products + at]) + bias_at(column);
}

// The product of a plane of the state with a column of the kernel.
fn product(row: u32, plane: u32, column: u32) -> f32 {
    var sum = 0.0;
    for (var k = 0u; k < UNITS; k++) {
        sum += load_state(row, plane, k) * kernel_at(k, column);
    }
    return sum;
}

fn lstm_step(row: u32, t: u32, plane: u32, u: u32) -> f32 {
    var sums = vec4<f32>(
        input_part(row, t, u),
        input_part(row, t, UNITS + u),
        input_part(row, t, 2u * UNITS + u),
        input_part(row, t, 3u * UNITS + u),
    );
    for (var k = 0u; k < UNITS; k++) {
        let w = vec4<f32>(
            kernel_at(k, u),
            kernel_at(k, UNITS + u),
            kernel_at(k, 2u * UNITS + u),
            kernel_at(k, 3u * UNITS + u),
        );
        sums += load_state(row, plane, k) * w;
    }
    let before = load_state(row, 2u, u);
    var look = vec3<f32>();
    if p.peepholes != NONE {
        look = vec3<f32>(peephole(0u, u) * before, peephole(1u, u) * before, peephole(2u, u));
    }
    let i = gate(sums.x + look.x);
    var f = 1.0 - i;
    if !COUPLED { f = gate(sums.y + look.y); }
    let c = f * before + i * candidate(sums.z);
    if p.peepholes != NONE { sums.w += look.z * c; }
    store_state(row, 2u, u, c);
    return gate(sums.w) * shown(c);
}

// A GRU's gates z and r.
fn gru_gates(row: u32, t: u32, plane: u32, u: u32) -> vec2<f32> {
    var sums = vec2<f32>(input_part(row, t, u), input_part(row, t, UNITS + u));
    if RESET_AFTER { sums += vec2<f32>(bias_at(3u * UNITS + u), bias_at(4u * UNITS + u)); }
    for (var k = 0u; k < UNITS; k++) {
        sums += load_state(row, plane, k) * vec2<f32>(kernel_at(k, u), kernel_at(k, UNITS + u));
    }
    return vec2<f32>(gate(sums.x), gate(sums.y));
}

// The new h of a GRU from its update gate and the recurrent part of its candidate.
fn gru_state(row: u32, t: u32, plane: u32, u: u32, z: f32, recurrent: f32) -> f32 {
    let n = candidate(input_part(row, t, 2u * UNITS + u) + recurrent);
    return z * load_state(row, plane, u) + (1.0 - z) * n;
}

// The new h of a unit; of a GRU without RESET_AFTER, whose planes 2 and 3 are there.
fn unit_step(row: u32, t: u32, plane: u32, u: u32) -> f32 {
    if CELL == LSTM { return lstm_step(row, t, plane, u); }
    if CELL == GRU {
        if !RESET_AFTER {
            let recurrent = product(row, 2u, 2u * UNITS + u);
            return gru_state(row, t, plane, u, load_state(row, 3u, u), recurrent);
        }
        let found = gru_gates(row, t, plane, u);
        let recurrent = bias_at(5u * UNITS + u) + product(row, plane, 2u * UNITS + u);
        return gru_state(row, t, plane, u, found.x, found.y * recurrent);
    }
    return candidate(input_part(row, t, u) + product(row, plane, u));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y * p.row_width + group.x;
    if row >= p.batch {
        return;
    }
    for (var u = thread; u < UNITS; u += THREADS) {
        store_state(row, 0u, u, initial(p.initial_h, row * UNITS + u));
        store_state(row, 2u, u, initial(p.initial_c, row * UNITS + u));
    }
    state_barrier();

    var plane = 0u;
    var live = false;
    var seen = false;
    for (var step = 0u; step < p.time; step++) {
        let t = select(step, p.time - 1u - step, p.backward != 0u);
        live = true;
        if p.mask != NONE { live = arena[p.mask + row * p.time + t] != 0u; }
        seen = seen || live;
        if CELL == GRU && !RESET_AFTER {
            for (var u = thread; u < UNITS; u += THREADS) {
                let found = gru_gates(row, t, plane, u);
                store_state(row, 2u, u, found.y * load_state(row, plane, u));
                store_state(row, 3u, u, found.x);
            }
            state_barrier();
        }
        for (var u = thread; u < UNITS; u += THREADS) {
            var h = load_state(row, plane, u);
            if live { h = unit_step(row, t, plane, u); }
            store_state(row, 1u - plane, u, h);
            if p.sequence != NONE {
                let shows = live || (seen && p.zero_for_mask == 0u);
                let at = p.sequence + (row * p.time + t) * p.sequence_stride + u;
                arena[at] = bits(select(0.0, h, shows));
            }
        }
        state_barrier();
        plane = 1u - plane;
    }
    for (var u = thread; u < UNITS; u += THREADS) {
        let h = load_state(row, plane, u);
        if p.last != NONE {
            let shows = live || (seen && p.zero_for_mask == 0u);
            arena[p.last + row * p.last_stride + u] = bits(select(0.0, h, shows));
        }
        if p.final_h != NONE { arena[p.final_h + row * UNITS + u] = bits(h); }
        if p.final_c != NONE { arena[p.final_c + row * UNITS + u] = bits(load_state(row, 2u, u)); }
    }
}
