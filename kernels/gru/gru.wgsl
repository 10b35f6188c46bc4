// GRU over a whole sequence in one dispatch (operands and masks: recurrent.wgsl).
//
//   z = sigma(x.Wz + h.Rz + bz)   r = sigma(x.Wr + h.Rr + br)
//   reset after:   n = act(x.Wh + bh + r (h.Rh + ch))
//   reset before:  n = act(x.Wh + bh + (r h).Rh)
//   h' = z h + (1 - z) n
//
// sigma is the recurrent activation, act the activation. The projected inputs have the gates'
// columns in Keras's order, [z | r | h] of UNITS each, biases added. The packed recurrent
// weights of a direction are Keras's recurrent kernel [UNITS][3 UNITS] and then the recurrent
// bias [3 UNITS] (zeros where the layer has none).
//
// State planes, reset after: 0 and 1 h of even and odd steps. Reset before: 0 h, 1 r h, 2 z.

@group(0) @binding(1) var<storage, read> weights: array<u32>;

override RESET_AFTER: bool = true;

// Element `at` of a direction's weights; f16 in pairs where HALF.
fn weight_at(tile: Tile, at: u32) -> f32 {
    let first = p.recurrent[tile.direction];
    if HALF {
        return unpack2x16float(weights[first + at / 2u])[at % 2u];
    }
    return bitcast<f32>(weights[first + at]);
}

// Adds (h.Rz, h.Rr, h.Rh, 0), or with `candidate` (0, 0, (r h).Rh, 0), over the slice's part of
// the hidden size.
fn accumulate(
    tile: Tile, plane: u32, unit: u32, slice: u32, candidate: bool,
    sums: ptr<function, array<vec4<f32>, 4>>,
) {
    let length = (UNITS + SPLIT - 1u) / SPLIT;
    let end = min((slice + 1u) * length, UNITS);
    for (var k = slice * length; k < end; k++) {
        let at = unit + k * 3u * UNITS;
        var w = vec4<f32>();
        if RESET_AFTER || !candidate {
            w.x = weight_at(tile, at);
            w.y = weight_at(tile, at + UNITS);
        }
        if RESET_AFTER || candidate {
            w.z = weight_at(tile, at + 2u * UNITS);
        }
        if p.rows == 1u {
            (*sums)[0] += load_state(tile, plane, 0u, k) * w;
        } else {
            for (var r = 0u; r < ROWS; r++) {
                (*sums)[r] += load_state(tile, plane, r, k) * w;
            }
        }
    }
}

// What the sums start from: (z, r, recurrent bias of h, x.Wh + bh), biases added.
fn start(tile: Tile, r: u32, t: u32, unit: u32) -> vec4<f32> {
    let bias = 3u * UNITS * UNITS + unit;
    return vec4<f32>(
        load_projected(tile, r, t, unit) + weight_at(tile, bias),
        load_projected(tile, r, t, UNITS + unit) + weight_at(tile, bias + UNITS),
        weight_at(tile, bias + 2u * UNITS),
        load_projected(tile, r, t, 2u * UNITS + unit),
    );
}

// The new state of one unit of one row, from its update gate and the candidate's sum.
fn update(
    tile: Tile, step: u32, plane: u32, target_plane: u32, r: u32, unit: u32, z: f32, sum: f32,
    live: u32, seen: u32,
) {
    var h = load_state(tile, plane, r, unit);
    if ((live >> r) & 1u) != 0u {
        h = z * h + (1.0 - z) * activate(ACTIVATION, ACTIVATION_ALPHA, sum);
    }
    store_state(tile, target_plane, r, unit, h);
    store_sequence(tile, r, step, unit, step_output(r, live, seen, h));
}

// Ends one of the passes over the hidden size for one unit of one row.
fn finish(
    tile: Tile, step: u32, plane: u32, candidate: bool, r: u32, unit: u32, sums: vec4<f32>,
    live: u32, seen: u32,
) {
    if candidate {
        let z = load_state(tile, 2u, r, unit);
        update(tile, step, 0u, 0u, r, unit, z, sums.z + sums.w, live, seen);
        return;
    }
    let z = activate(RECURRENT_ACTIVATION, RECURRENT_ALPHA, sums.x);
    let reset = activate(RECURRENT_ACTIVATION, RECURRENT_ALPHA, sums.y);
    if RESET_AFTER {
        update(tile, step, plane, 1u - plane, r, unit, z, sums.w + reset * sums.z, live, seen);
    } else {
        store_state(tile, 1u, r, unit, reset * load_state(tile, 0u, r, unit));
        store_state(tile, 2u, r, unit, z);
    }
}

// One pass of all units over the hidden size. Every thread of the workgroup comes here.
fn run_pass(
    tile: Tile, thread: u32, step: u32, plane: u32, candidate: bool, live: u32, seen: u32,
) {
    let lanes = THREADS / SPLIT;
    let lane = thread % lanes;
    let slice = thread / lanes;
    let t = time_of(tile, step);
    for (var first_unit = 0u; first_unit < UNITS; first_unit += lanes) {
        let unit = first_unit + lane;
        let works = unit < UNITS && slice < SPLIT;
        var sums: array<vec4<f32>, 4>;
        if works {
            if slice == 0u {
                for (var r = 0u; r < tile.rows; r++) {
                    sums[r] = start(tile, r, t, unit);
                }
            }
            accumulate(tile, plane, unit, slice, candidate, &sums);
        }
        if SPLIT == 1u {
            if works {
                for (var r = 0u; r < tile.rows; r++) {
                    finish(tile, step, plane, candidate, r, unit, sums[r], live, seen);
                }
            }
        } else {
            if works {
                for (var r = 0u; r < tile.rows; r++) {
                    partials[(slice * ROWS + r) * lanes + lane] = sums[r];
                }
            }
            workgroupBarrier();
            if works {
                for (var r = slice; r < tile.rows; r += SPLIT) {
                    var total = partials[r * lanes + lane];
                    for (var s = 1u; s < SPLIT; s++) {
                        total += partials[(s * ROWS + r) * lanes + lane];
                    }
                    finish(tile, step, plane, candidate, r, unit, total, live, seen);
                }
            }
            workgroupBarrier();
        }
    }
    state_barrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let tile = tile_of(group);
    if tile.rows == 0u {
        return;
    }
    for (var i = thread; i < ROWS * UNITS; i += THREADS) {
        let r = i / UNITS;
        let unit = i % UNITS;
        var h = 0.0;
        if r < tile.rows {
            h = initial(p.initial_h[tile.direction], tile.first + r, unit);
        }
        store_state(tile, 0u, r, unit, h);
        store_state(tile, 1u, r, unit, h);
        store_state(tile, 2u, r, unit, 0.0);
    }
    state_barrier();

    var plane = 0u;
    var live = 0u;
    var seen = 0u;
    for (var step = 0u; step < p.time; step++) {
        live = live_rows(tile, time_of(tile, step));
        if RESET_AFTER {
            run_pass(tile, thread, step, plane, false, live, seen);
            plane = 1u - plane;
        } else {
            run_pass(tile, thread, step, 0u, false, live, seen);
            run_pass(tile, thread, step, 1u, true, live, seen);
        }
        seen |= live;
    }
    store_results(tile, thread, plane, 2u, live, seen);
}
