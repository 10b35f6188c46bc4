// Activations of elements: a unit of a step goes from its sums to its new state in one go (operands:
// general.wgsl). Planes of the state: 0 and 1 h of even and odd steps, 2 c or r h, 3 z.

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
    return candidate(sum_of(row, t, plane, u));
}

const C_PLANE: u32 = 2u;

fn next_plane(plane: u32) -> u32 { return 1u - plane; }

// A step of all units: the new h goes to the other plane.
fn run_step(row: u32, thread: u32, t: u32, plane: u32, live: bool, seen: bool) {
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
        store_sequence(row, t, u, output_of(h, live, seen));
    }
}
