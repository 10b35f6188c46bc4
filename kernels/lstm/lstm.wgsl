// LSTM over a whole sequence in one dispatch (operands and masks: recurrent.wgsl).
//
//   i = sigma(x.Wi + h.Ri + bi)   f = sigma(...)   o = sigma(...)   g = act(x.Wc + h.Rc + bc)
//   c' = f c + i g                h' = o act(c')
//
// sigma is the recurrent activation, act the activation. Columns are gate-interleaved: column
// 4 u + (0, 1, 2, 3) of the projected inputs is gate i, f, c, o of unit u, and the packed
// recurrent kernel holds vec4(i, f, c, o) at [k][u], so that neighbouring threads read
// neighbouring 16 bytes. The bias is part of the projection.
//
// State planes: 0 and 1 h of even and odd steps, 2 c.

@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;

// The four gates' weights of a unit for unit `k` of the state; f16 in pairs where HALF.
fn weight_at(tile: Tile, k: u32, unit: u32) -> vec4<f32> {
    let first = p.recurrent[tile.direction];
    let at = k * UNITS + unit;
    if HALF {
        let both = weights[first + at / 2u];
        let own = select(both.xy, both.zw, at % 2u == 1u);
        return vec4<f32>(unpack2x16float(own.x), unpack2x16float(own.y));
    }
    return bitcast<vec4<f32>>(weights[first + at]);
}

// Adds h . R over the slice's part of the hidden size to the gates of `unit`.
fn accumulate(
    tile: Tile, plane: u32, unit: u32, slice: u32, sums: ptr<function, array<vec4<f32>, 4>>,
) {
    let length = (UNITS + SPLIT - 1u) / SPLIT;
    let end = min((slice + 1u) * length, UNITS);
    if p.rows == 1u {
        var sum = (*sums)[0];
        for (var k = slice * length; k < end; k++) {
            sum += load_state(tile, plane, 0u, k) * weight_at(tile, k, unit);
        }
        (*sums)[0] = sum;
    } else {
        for (var k = slice * length; k < end; k++) {
            let w = weight_at(tile, k, unit);
            for (var r = 0u; r < ROWS; r++) {
                (*sums)[r] += load_state(tile, plane, r, k) * w;
            }
        }
    }
}

// The gates' activations and the new states of one unit of one row.
fn finish(
    tile: Tile, step: u32, plane: u32, r: u32, unit: u32, gates: vec4<f32>, live: u32, seen: u32,
) {
    var h = load_state(tile, plane, r, unit);
    if ((live >> r) & 1u) != 0u {
        let i = activate(RECURRENT_ACTIVATION, RECURRENT_ALPHA, gates.x);
        let f = activate(RECURRENT_ACTIVATION, RECURRENT_ALPHA, gates.y);
        let g = activate(ACTIVATION, ACTIVATION_ALPHA, gates.z);
        let o = activate(RECURRENT_ACTIVATION, RECURRENT_ALPHA, gates.w);
        let c = f * load_state(tile, 2u, r, unit) + i * g;
        h = o * activate(ACTIVATION, ACTIVATION_ALPHA, c);
        store_state(tile, 2u, r, unit, c);
    }
    store_state(tile, 1u - plane, r, unit, h);
    store_sequence(tile, r, step, unit, step_output(r, live, seen, h));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let tile = tile_of(group);
    if tile.rows == 0u {
        return;
    }
    let lanes = THREADS / SPLIT;
    let lane = thread % lanes;
    let slice = thread / lanes;

    for (var i = thread; i < ROWS * UNITS; i += THREADS) {
        let r = i / UNITS;
        let unit = i % UNITS;
        var h = 0.0;
        var c = 0.0;
        if r < tile.rows {
            h = initial(p.initial_h[tile.direction], tile.first + r, unit);
            c = initial(p.initial_c[tile.direction], tile.first + r, unit);
        }
        store_state(tile, 0u, r, unit, h);
        store_state(tile, 1u, r, unit, h);
        store_state(tile, 2u, r, unit, c);
    }
    state_barrier();

    var plane = 0u;
    var live = 0u;
    var seen = 0u;
    for (var step = 0u; step < p.time; step++) {
        let t = time_of(tile, step);
        live = live_rows(tile, t);
        for (var first_unit = 0u; first_unit < UNITS; first_unit += lanes) {
            let unit = first_unit + lane;
            let works = unit < UNITS && slice < SPLIT;
            var sums: array<vec4<f32>, 4>;
            if works {
                if slice == 0u {
                    for (var r = 0u; r < tile.rows; r++) {
                        sums[r] = vec4<f32>(
                            load_projected(tile, r, t, 4u * unit),
                            load_projected(tile, r, t, 4u * unit + 1u),
                            load_projected(tile, r, t, 4u * unit + 2u),
                            load_projected(tile, r, t, 4u * unit + 3u),
                        );
                    }
                }
                accumulate(tile, plane, unit, slice, &sums);
            }
            if SPLIT == 1u {
                if works {
                    for (var r = 0u; r < tile.rows; r++) {
                        finish(tile, step, plane, r, unit, sums[r], live, seen);
                    }
                }
            } else {
                if works {
                    for (var r = 0u; r < tile.rows; r++) {
                        partials[(slice * ROWS + r) * lanes + lane] = sums[r];
                    }
                }
                workgroupBarrier();
                // Each slice of the threads finishes its share of the rows.
                if works {
                    for (var r = slice; r < tile.rows; r += SPLIT) {
                        var gates = partials[r * lanes + lane];
                        for (var s = 1u; s < SPLIT; s++) {
                            gates += partials[(s * ROWS + r) * lanes + lane];
                        }
                        finish(tile, step, plane, r, unit, gates, live, seen);
                    }
                }
                workgroupBarrier();
            }
        }
        state_barrier();
        plane = 1u - plane;
        seen |= live;
    }
    store_results(tile, thread, plane, 2u, live, seen);
}
