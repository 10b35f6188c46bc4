// A tensor with some elements changed: out[i] is x[i], and after it, in order, every update that goes
// there. Each thread looks for the updates of its own element, so that equal indices act in the order in
// which they stand. FORM:
// 0 scatter_elements: x [outer..., axis, inner...] of up to 8 dimensions, indices and updates of at most
//   its sizes but along the axis;
// 1 scatter_nd: x [places, inner], indices [count, depth] over `shape`, updates [count, inner].
// KIND: 0 replace, 1 add, 2 multiply, 3 maximum, 4 minimum, of f32 or, where INTEGERS, of i32.
// Where WIDE, sums and products that leave 32 bits set the status; an index outside does always.
//
// Bindings: 0 arena, 2 parameters, 3 status. Workgroup: 256 x 1 x 1, one element of the output a thread.

struct Params {
    row_width: u32,
    total: u32,     // elements of x
    count: u32,     // tuples, or the updates' size along the axis
    rank: u32,      // of x, or the depth of a tuple
    axis: u32,
    inner: u32,
    x: u32,
    indices: u32,
    updates: u32,
    output: u32,
    status: u32,
    shape: array<vec4<u32>, 2>,
    sizes: array<vec4<u32>, 2>,  // of indices and updates
}

override FORM: u32 = 0u;
override KIND: u32 = 0u;
override INTEGERS: bool = false;
override WIDE: bool = false;

fn outside() { atomicMax(&status[p.status], 1u); }

fn combine(a: u32, b: u32) -> u32 {
    if KIND == 0u { return b; }
    if INTEGERS {
        let i = signed(a);
        let j = signed(b);
        if WIDE && ((KIND == 1u && add_leaves(i, j)) || (KIND == 2u && multiply_leaves(i, j))) { outside(); }
        switch KIND {
            case 1u: { return a + b; }
            case 2u: { return a * b; }
            case 3u: { return bitcast<u32>(max(i, j)); }
            default: { return bitcast<u32>(min(i, j)); }
        }
    }
    let x = float(a);
    let y = float(b);
    switch KIND {
        case 1u: { return bits(x + y); }
        case 2u: { return bits(x * y); }
        case 3u: { return bits(maximum(x, y)); }
        default: { return bits(minimum(x, y)); }
    }
}

fn fitted(word: u32, size: u32) -> u32 {
    return select(word, word + size, signed(word) < 0i);
}

fn elements(i: u32, first: u32) -> u32 {
    var word = first;
    var rest = i;
    var stride = 1u;
    var base = 0u;
    var step = 0u;
    var own = 0u;
    var among = true;
    for (var d = p.rank; d > 0u; d--) {
        let k = d - 1u;
        let at = rest % p.shape[k / 4u][k % 4u];
        rest /= p.shape[k / 4u][k % 4u];
        let size = p.sizes[k / 4u][k % 4u];
        if k == p.axis {
            step = stride;
            own = at;
        } else {
            among = among && at < size;
            base += at * stride;
        }
        stride *= size;
    }
    if !among { return word; }
    let size = p.shape[p.axis / 4u][p.axis % 4u];
    for (var u = 0u; u < p.count; u++) {
        let index = fitted(arena[p.indices + base + u * step], size);
        if index >= size { outside(); }
        if index == own { word = combine(word, arena[p.updates + base + u * step]); }
    }
    return word;
}

fn tuples(i: u32, first: u32) -> u32 {
    var word = first;
    let own = i / p.inner;
    for (var u = 0u; u < p.count; u++) {
        var place = 0u;
        for (var d = 0u; d < p.rank; d++) {
            let size = p.shape[d / 4u][d % 4u];
            let index = fitted(arena[p.indices + u * p.rank + d], size);
            if index >= size { outside(); }
            place = place * size + index;
        }
        if place == own { word = combine(word, arena[p.updates + u * p.inner + i % p.inner]); }
    }
    return word;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.total {
        return;
    }
    let first = arena[p.x + i];
    if FORM == 0u {
        arena[p.output + i] = elements(i, first);
    } else {
        arena[p.output + i] = tuples(i, first);
    }
}
