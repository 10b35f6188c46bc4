// The largest element or the mean of each feature over time: x `[batch, time, features]` gives
// `[batch, features]`. Steps that a mask leaves out have no part in a mean; without any it is NaN.
//
// Goes after the prelude and ELEMENTWISE. Bindings: 0 arena, 1 weights (the mask where
// FROM_WEIGHTS), 2 parameters. Workgroup: 256 threads, 32 features of one row times 8 slices of
// time. Sums are added in a fixed order, so results repeat to the bit.

struct Params {
    row_width: u32,
    groups: u32,
    time: u32,
    features: u32,
    blocks: u32,   // of 32 features
    x: u32,
    mask: u32,     // NONE: every step counts
    output: u32,
}

const LANES: u32 = 32u;
const SLICES: u32 = 8u;

override AVERAGE: bool = false;
override FROM_WEIGHTS: bool = false;

var<workgroup> partials: array<f32, 256>; // [SLICES][LANES]
var<workgroup> counts: array<u32, 256>;

fn is_kept(at: u32) -> bool {
    if p.mask == NONE { return true; }
    if FROM_WEIGHTS { return weights[p.mask + at] != 0u; }
    return arena[p.mask + at] != 0u;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = group.y * p.row_width + group.x;
    if index >= p.groups {
        return;
    }
    let row = index / p.blocks;
    let feature = index % p.blocks * LANES + thread % LANES;
    var found = 0.0;
    if !AVERAGE { found = -infinity(); }
    var count = 0u;
    if feature < p.features {
        for (var t = thread / LANES; t < p.time; t += SLICES) {
            let at = row * p.time + t;
            if is_kept(at) {
                let x = float(arena[p.x + at * p.features + feature]);
                if AVERAGE { found += x; } else { found = maximum(found, x); }
                count += 1u;
            }
        }
    }
    partials[thread] = found;
    counts[thread] = count;
    workgroupBarrier();
    if thread < LANES && feature < p.features {
        for (var slice = 1u; slice < SLICES; slice++) {
            let other = partials[slice * LANES + thread];
            if AVERAGE { found += other; } else { found = maximum(found, other); }
            count += counts[slice * LANES + thread];
        }
        if AVERAGE {
            found = found / f32(count);
            if count == 0u { found = nan(); }
        }
        arena[p.output + row * p.features + feature] = bits(found);
    }
}
