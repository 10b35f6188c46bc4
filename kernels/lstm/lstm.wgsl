// LSTM over a whole sequence in one dispatch (operands and masks: recurrent.wgsl; the walk:
// steps.wgsl).
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

const GATE_COUNT: u32 = 4u;

fn has_two_passes() -> bool { return false; }

// The four gates' weights of a unit for unit `k` of the state; f16 in pairs where HALF.
fn weight_at(tile: Tile, k: u32, unit: u32, part: u32) -> vec4<f32> {
    let first = p.recurrent[tile.direction];
    let at = k * UNITS + unit;
    if HALF {
        let both = weights[first + at / 2u];
        let own = select(both.xy, both.zw, at % 2u == 1u);
        return vec4<f32>(unpack2x16float(own.x), unpack2x16float(own.y));
    }
    return bitcast<vec4<f32>>(weights[first + at]);
}

// What the sums start from: the four gates' inputs.
fn start(tile: Tile, r: u32, t: u32, unit: u32) -> vec4<f32> {
    return vec4<f32>(
        load_projected(tile, r, t, 4u * unit),
        load_projected(tile, r, t, 4u * unit + 1u),
        load_projected(tile, r, t, 4u * unit + 2u),
        load_projected(tile, r, t, 4u * unit + 3u),
    );
}

// The gates' activations and the new states of one unit of one row.
fn finish(
    tile: Tile, step: u32, plane: u32, part: u32, r: u32, unit: u32, gates: vec4<f32>,
    live: u32, seen: u32,
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
