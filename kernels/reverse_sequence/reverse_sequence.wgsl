// Turns the first lengths[b] steps of each sequence around. x is [outer, first, middle, second, inner];
// time is the axis `second`, or `first` where TIME_FIRST, and the other that of sequences. A length that
// no sequence has sets the status.
//
// Bindings: 0 arena, 2 parameters, 3 status. Workgroup: 256 x 1 x 1, one element a thread.

struct Params {
    row_width: u32,
    count: u32,
    first: u32,
    middle: u32,
    second: u32,
    inner: u32,
    x: u32,
    lengths: u32,
    output: u32,
    status: u32,
}

override TIME_FIRST: bool = false;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.count {
        return;
    }
    var at = i / p.inner;
    let second = at % p.second;
    at /= p.second * p.middle;
    let first = at % p.first;
    let time = select(second, first, TIME_FIRST);
    let steps = select(p.second, p.first, TIME_FIRST);
    let length = arena[p.lengths + select(first, second, TIME_FIRST)];
    var source = i;
    if length > steps {
        atomicMax(&status[p.status], 1u);
    } else if time < length {
        let stride = select(p.inner, p.inner * p.second * p.middle, TIME_FIRST);
        source = i + (length - 1u - time) * stride - time * stride;
    }
    arena[p.output + i] = arena[p.x + source];
}
