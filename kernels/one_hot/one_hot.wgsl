// out[o, d, c] = ON where classes[o, c] is d, else 0: classes [outer, inner], out [outer, depth, inner].
//
// Bindings: 0 arena, 2 parameters. Workgroup: 256 x 1 x 1, one element of the output a thread.

struct Params {
    row_width: u32,
    count: u32,
    depth: u32,
    inner: u32,
    classes: u32,
    output: u32,
    on: u32,
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.count {
        return;
    }
    let row = i / p.inner;
    let wanted = arena[p.classes + row / p.depth * p.inner + i % p.inner];
    arena[p.output + i] = select(0u, p.on, wanted == row % p.depth);
}
