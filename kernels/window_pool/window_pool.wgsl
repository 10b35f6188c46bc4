// The largest element or the mean of each window along two axes; a sequence has a first axis of one
// element. Padding has no part in either. A window of padding only gives -infinity or NaN; NaN in a
// window gives NaN.
//
// Goes after the prelude and ELEMENTWISE. Bindings: 0 arena, 2 parameters. Workgroup: 256 x 1 x 1,
// one element of the output a thread.

struct Params {
    row_width: u32,
    count: u32,
    features: u32,
    x: u32,
    output: u32,
    height: array<vec4<u32>, 2>, // len, outputs, taps, stride; dilation, before
    width: array<vec4<u32>, 2>,
}

override AVERAGE: bool = false;

// The element that a tap of a window meets; NONE where it is padding.
fn element_of(axis: array<vec4<u32>, 2>, window: u32, tap: u32) -> u32 {
    let place = window * axis[0].w + tap * axis[1].x;
    let element = place - axis[1].y;
    return select(element, NONE, place < axis[1].y || element >= axis[0].x);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = (group.y * p.row_width + group.x) * 256u + lane;
    if index >= p.count {
        return;
    }
    let feature = index % p.features;
    let position = index / p.features;
    let j = position % p.width[0].y;
    let i = position / p.width[0].y % p.height[0].y;
    let b = position / p.width[0].y / p.height[0].y;
    var largest = -infinity();
    var sum = 0.0;
    var count = 0u;
    for (var u = 0u; u < p.height[0].z; u++) {
        let row = element_of(p.height, i, u);
        if row == NONE { continue; }
        for (var v = 0u; v < p.width[0].z; v++) {
            let column = element_of(p.width, j, v);
            if column == NONE { continue; }
            let at = ((b * p.height[0].x + row) * p.width[0].x + column) * p.features + feature;
            let x = float(arena[p.x + at]);
            if AVERAGE { sum += x; } else { largest = maximum(largest, x); }
            count += 1u;
        }
    }
    if AVERAGE {
        largest = sum / f32(count);
        if count == 0u { largest = nan(); }
    }
    arena[p.output + index] = bits(largest);
}
