// GRU over a whole sequence in one dispatch (operands and masks: recurrent.wgsl; the walk:
// steps.wgsl).
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

const GATE_COUNT: u32 = 3u;

// Before the reset gate is known the candidate cannot be computed, where it acts on h.
fn has_two_passes() -> bool { return !RESET_AFTER; }

// Element `at` of a direction's weights; f16 in pairs where HALF.
fn element_at(tile: Tile, at: u32) -> f32 {
    let first = p.recurrent[tile.direction];
    if HALF {
        return unpack2x16float(weights[first + at / 2u])[at % 2u];
    }
    return bitcast<f32>(weights[first + at]);
}

// The weights (z, r, h, 0) of a unit for unit `k` of the state, of gates that a pass is for.
fn weight_at(tile: Tile, k: u32, unit: u32, part: u32) -> vec4<f32> {
    let at = unit + k * 3u * UNITS;
    var w = vec4<f32>();
    if part != CANDIDATE {
        w.x = element_at(tile, at);
        w.y = element_at(tile, at + UNITS);
    }
    if part != GATES {
        w.z = element_at(tile, at + 2u * UNITS);
    }
    return w;
}

// What the sums start from: (z, r, recurrent bias of h, x.Wh + bh), biases added.
fn start(tile: Tile, r: u32, t: u32, unit: u32) -> vec4<f32> {
    let bias = 3u * UNITS * UNITS + unit;
    return vec4<f32>(
        load_projected(tile, r, t, unit) + element_at(tile, bias),
        load_projected(tile, r, t, UNITS + unit) + element_at(tile, bias + UNITS),
        element_at(tile, bias + 2u * UNITS),
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
    tile: Tile, step: u32, plane: u32, part: u32, r: u32, unit: u32, sums: vec4<f32>,
    live: u32, seen: u32,
) {
    if part == CANDIDATE {
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
