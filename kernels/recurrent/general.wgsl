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
// Goes after the prelude, ELEMENTWISE and the functions of one f32 `gate`, `candidate` and `shown`. This
// part is shared by the kernels for activations of elements (general_elements.wgsl) and of rows
// (general_rows.wgsl).
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
    scratch: u32,        // PLANES UNITS words for each workgroup, where STATE_IN_ARENA
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
override KERNEL_HALF: bool = false; // the kernel among the weights is f16
override BIAS_FROM_ARENA: bool = false;
override PEEPHOLES_FROM_ARENA: bool = false;
override STATE_IN_ARENA: bool = false;
override PLANES: u32 = 4u;       // rows of UNITS that the state takes
override STATE_WORDS: u32 = 16u; // PLANES UNITS, or 1 where STATE_IN_ARENA

var<workgroup> state: array<f32, STATE_WORDS>;

fn load_state(row: u32, plane: u32, unit: u32) -> f32 {
    let at = plane * UNITS + unit;
    if STATE_IN_ARENA { return float(arena[p.scratch + row * PLANES * UNITS + at]); }
    return state[at];
}

fn store_state(row: u32, plane: u32, unit: u32, value: f32) {
    let at = plane * UNITS + unit;
    if STATE_IN_ARENA {
        arena[p.scratch + row * PLANES * UNITS + at] = bits(value);
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
    let at = k * gates() * UNITS + column;
    if KERNEL_FROM_ARENA { return float(arena[p.kernel + at]); }
    if KERNEL_HALF { return half_weight(p.kernel, at); }
    return float(weights[p.kernel + at]);
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

// The product of the input and the state in `plane` with a column of the kernels.
fn sum_of(row: u32, t: u32, plane: u32, column: u32) -> f32 {
    return input_part(row, t, column) + product(row, plane, column);
}

// What a step shows of h: nothing at a masked step before the first that is not.
fn output_of(h: f32, live: bool, seen: bool) -> f32 {
    return select(0.0, h, live || (seen && p.zero_for_mask == 0u));
}

fn store_sequence(row: u32, t: u32, unit: u32, value: f32) {
    if p.sequence != NONE {
        arena[p.sequence + (row * p.time + t) * p.sequence_stride + unit] = bits(value);
    }
}

fn time_of(step: u32) -> u32 {
    return select(step, p.time - 1u - step, p.backward != 0u);
}

fn is_live(row: u32, t: u32) -> bool {
    if p.mask == NONE { return true; }
    return arena[p.mask + row * p.time + t] != 0u;
}

fn store_results(row: u32, unit: u32, h: f32, c: f32, output: f32) {
    if p.last != NONE { arena[p.last + row * p.last_stride + unit] = bits(output); }
    if p.final_h != NONE { arena[p.final_h + row * UNITS + unit] = bits(h); }
    if p.final_c != NONE { arena[p.final_c + row * UNITS + unit] = bits(c); }
}

// The walk through the steps. A form brings `run_step`, C_PLANE, where c is kept, and `next_plane`,
// where a step leaves the new h; at first h is in plane 0.
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y * p.row_width + group.x;
    if row >= p.batch {
        return;
    }
    for (var u = thread; u < UNITS; u += THREADS) {
        store_state(row, 0u, u, initial(p.initial_h, row * UNITS + u));
        store_state(row, C_PLANE, u, initial(p.initial_c, row * UNITS + u));
    }
    state_barrier();

    var plane = 0u;
    var live = false;
    var seen = false;
    for (var step = 0u; step < p.time; step++) {
        let t = time_of(step);
        live = is_live(row, t);
        seen = seen || live;
        run_step(row, thread, t, plane, live, seen);
        state_barrier();
        plane = next_plane(plane);
    }
    for (var u = thread; u < UNITS; u += THREADS) {
        let h = load_state(row, plane, u);
        store_results(row, u, h, load_state(row, C_PLANE, u), output_of(h, live, seen));
    }
}
