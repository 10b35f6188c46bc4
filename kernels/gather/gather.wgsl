// out[i] = x[place], by indices. FORM says how the place follows:
// 0 take: x [outer, axis, inner], indices [count], out [outer, count, inner];
// 1 take_along_axis: x [outer, axis, inner], indices and out [outer, count, inner];
// 2 gather_nd: x [batch, sizes..., inner], indices [batch, count, depth], out [batch, count, inner].
// A negative index counts from the end, unless UNSIGNED; one outside sets the status.
//
// Bindings: 0 arena, 1 weights (x where FROM_WEIGHTS), 2 parameters, 3 status. Workgroup: 256 x 1 x 1,
// one element of the output a thread.

struct Params {
    row_width: u32,
    total: u32,
    count: u32,
    axis: u32,
    inner: u32,
    depth: u32,
    x: u32,
    indices: u32,
    output: u32,
    status: u32,
    sizes: array<vec4<u32>, 2>,
}

override FORM: u32 = 0u;
override FROM_WEIGHTS: bool = false;
override UNSIGNED: bool = false;

fn fitted(word: u32, size: u32) -> u32 {
    if !UNSIGNED && signed(word) < 0i { return word + size; }
    return word;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.total {
        return;
    }
    let column = i % p.inner;
    let row = i / p.inner;
    var place = 0u;
    var inside = true;
    if FORM == 2u {
        place = row / p.count;
        for (var d = 0u; d < p.depth; d++) {
            let size = p.sizes[d / 4u][d % 4u];
            let index = fitted(arena[p.indices + row * p.depth + d], size);
            inside = inside && index < size;
            place = place * size + index;
        }
    } else {
        var at = p.indices + row % p.count;
        if FORM == 1u {
            at = p.indices + i;
        }
        let index = fitted(arena[at], p.axis);
        inside = index < p.axis;
        place = row / p.count * p.axis + index;
    }
    var word = 0u;
    if inside {
        let source = p.x + place * p.inner + column;
        if FROM_WEIGHTS {
            word = weights[source];
        } else {
            word = arena[source];
        }
    } else {
        atomicMax(&status[p.status], 1u);
    }
    arena[p.output + i] = word;
}
