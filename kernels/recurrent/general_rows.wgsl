// Activations of rows, such as softmax, which see all units of a gate at a time (operands:
// general.wgsl). A step goes in phases, each of all units: sums, activations, states. One thread
// activates a row. Planes of the state: 0 h, 1 c, 2 to 6 what is activated.

const SOFTMAX: u32 = 1u;
const LOG_SOFTMAX: u32 = 2u;
const SPARSEMAX: u32 = 3u;

// Which of them an activation is; 0 for an activation of elements.
override GATE_ROWS: u32 = 0u;
override CANDIDATE_ROWS: u32 = 0u;
override SHOWN_ROWS: u32 = 0u;

fn largest_of(row: u32, plane: u32) -> f32 {
    var largest = load_state(row, plane, 0u);
    for (var u = 1u; u < UNITS; u++) {
        largest = maximum(largest, load_state(row, plane, u));
    }
    return largest;
}

// The next unit in falling order of values after unit `place` of value `above`; equal ones by number.
fn next_of(row: u32, plane: u32, above: f32, place: u32) -> u32 {
    var found = NONE;
    var best = 0.0;
    for (var u = 0u; u < UNITS; u++) {
        let x = load_state(row, plane, u);
        let after = place == NONE || x < above || (x == above && u > place);
        if after && (found == NONE || x > best) {
            found = u;
            best = x;
        }
    }
    return found;
}

// The threshold of sparsemax (Martins and Astudillo 2016) as Keras takes it: for the k values of the
// support, in falling order, the sum of all partial sums up to it.
fn threshold_of_row(row: u32, plane: u32) -> f32 {
    var place = NONE;
    var above = 0.0;
    var sum = 0.0;
    var sums = 0.0;
    var threshold = 0.0;
    for (var k = 1u; k <= UNITS; k++) {
        place = next_of(row, plane, above, place);
        if place == NONE { break; }
        above = load_state(row, plane, place);
        sum += above;
        if above > (sum - 1.0) / f32(k) {
            sums += sum;
            threshold = (sums - 1.0) / f32(k);
        }
    }
    return threshold;
}

fn activate_row(row: u32, plane: u32, kind: u32) {
    if kind == SPARSEMAX {
        let threshold = threshold_of_row(row, plane);
        for (var u = 0u; u < UNITS; u++) {
            store_state(row, plane, u, maximum(load_state(row, plane, u) - threshold, 0.0));
        }
        return;
    }
    let largest = largest_of(row, plane);
    var sum = 0.0;
    for (var u = 0u; u < UNITS; u++) {
        sum += exp(load_state(row, plane, u) - largest);
    }
    let logarithm = log(sum);
    for (var u = 0u; u < UNITS; u++) {
        let x = load_state(row, plane, u) - largest;
        store_state(row, plane, u, select(exp(x) / sum, x - logarithm, kind == LOG_SOFTMAX));
    }
}

// Activates a plane of sums as a gate, a candidate or what is shown of c; threads that all come here
// and wait before and after. `turn` spreads rows over threads.
fn activate_plane(row: u32, thread: u32, plane: u32, turn: u32, kind: u32, place: u32) {
    if kind != 0u {
        if thread == turn { activate_row(row, plane, kind); }
        return;
    }
    for (var u = thread; u < UNITS; u += THREADS) {
        let x = load_state(row, plane, u);
        switch place {
            case 0u: { store_state(row, plane, u, gate(x)); }
            case 1u: { store_state(row, plane, u, candidate(x)); }
            default: { store_state(row, plane, u, shown(x)); }
        }
    }
}
fn activate_gate(row: u32, thread: u32, plane: u32) {
    activate_plane(row, thread, plane, plane, GATE_ROWS, 0u);
}
fn activate_candidate(row: u32, thread: u32, plane: u32) {
    activate_plane(row, thread, plane, plane, CANDIDATE_ROWS, 1u);
}

// Leaves the new h in plane 2 and the new c in plane 3.
fn lstm_step(row: u32, thread: u32, t: u32) {
    for (var u = thread; u < UNITS; u += THREADS) {
        let c = load_state(row, 1u, u);
        store_state(row, 2u, u, sum_of(row, t, 0u, u) + peephole(0u, u) * c);
        store_state(row, 3u, u, sum_of(row, t, 0u, UNITS + u) + peephole(1u, u) * c);
        store_state(row, 4u, u, sum_of(row, t, 0u, 2u * UNITS + u));
        store_state(row, 5u, u, sum_of(row, t, 0u, 3u * UNITS + u));
    }
    state_barrier();
    activate_gate(row, thread, 2u);
    activate_gate(row, thread, 3u);
    activate_candidate(row, thread, 4u);
    state_barrier();
    for (var u = thread; u < UNITS; u += THREADS) {
        let i = load_state(row, 2u, u);
        var f = load_state(row, 3u, u);
        if COUPLED { f = 1.0 - i; }
        let c = f * load_state(row, 1u, u) + i * load_state(row, 4u, u);
        store_state(row, 3u, u, c);
        store_state(row, 5u, u, load_state(row, 5u, u) + peephole(2u, u) * c);
        store_state(row, 6u, u, c);
    }
    state_barrier();
    activate_gate(row, thread, 5u);
    activate_plane(row, thread, 6u, 6u, SHOWN_ROWS, 2u);
    state_barrier();
    for (var u = thread; u < UNITS; u += THREADS) {
        store_state(row, 2u, u, load_state(row, 5u, u) * load_state(row, 6u, u));
    }
}

// Leaves the new h in plane 2.
fn gru_step(row: u32, thread: u32, t: u32) {
    for (var u = thread; u < UNITS; u += THREADS) {
        var z = sum_of(row, t, 0u, u);
        var r = sum_of(row, t, 0u, UNITS + u);
        if RESET_AFTER {
            z += bias_at(3u * UNITS + u);
            r += bias_at(4u * UNITS + u);
        }
        store_state(row, 2u, u, z);
        store_state(row, 3u, u, r);
    }
    state_barrier();
    activate_gate(row, thread, 2u);
    activate_gate(row, thread, 3u);
    state_barrier();
    if !RESET_AFTER {
        for (var u = thread; u < UNITS; u += THREADS) {
            store_state(row, 3u, u, load_state(row, 3u, u) * load_state(row, 0u, u));
        }
        state_barrier();
    }
    for (var u = thread; u < UNITS; u += THREADS) {
        var recurrent: f32;
        if RESET_AFTER {
            recurrent = bias_at(5u * UNITS + u) + product(row, 0u, 2u * UNITS + u);
            recurrent *= load_state(row, 3u, u);
        } else {
            recurrent = product(row, 3u, 2u * UNITS + u);
        }
        store_state(row, 4u, u, input_part(row, t, 2u * UNITS + u) + recurrent);
    }
    state_barrier();
    activate_candidate(row, thread, 4u);
    state_barrier();
    for (var u = thread; u < UNITS; u += THREADS) {
        let z = load_state(row, 2u, u);
        let h = z * load_state(row, 0u, u) + (1.0 - z) * load_state(row, 4u, u);
        store_state(row, 2u, u, h);
    }
}

// Leaves the new h in plane 2.
fn plain_step(row: u32, thread: u32, t: u32) {
    for (var u = thread; u < UNITS; u += THREADS) {
        store_state(row, 2u, u, sum_of(row, t, 0u, u));
    }
    state_barrier();
    activate_candidate(row, thread, 2u);
    state_barrier();
}

const C_PLANE: u32 = 1u;

fn next_plane(plane: u32) -> u32 { return plane; }

// A step of all units. Masked ones are computed too, and dropped: threads wait for each other inside.
fn run_step(row: u32, thread: u32, t: u32, plane: u32, live: bool, seen: bool) {
    if CELL == LSTM {
        lstm_step(row, thread, t);
    } else if CELL == GRU {
        gru_step(row, thread, t);
    } else {
        plain_step(row, thread, t);
    }
    for (var u = thread; u < UNITS; u += THREADS) {
        if live {
            store_state(row, 0u, u, load_state(row, 2u, u));
            if CELL == LSTM { store_state(row, 1u, u, load_state(row, 3u, u)); }
        }
        store_sequence(row, t, u, output_of(load_state(row, 0u, u), live, seen));
    }
}
