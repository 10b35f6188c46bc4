// out[i] = activation(in[i]), i < count. May run in place (out = in).
//
// Bindings: 0 arena (f32), 2 parameters. Workgroup: 256 x 1 x 1, one element a thread; the grid
// is two-dimensional, since one dimension holds at most 65535 workgroups.

struct Params {
    count: u32,
    input: u32,
    output: u32,
    row_width: u32, // workgroups in one row of the grid
}

@group(0) @binding(0) var<storage, read_write> arena: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

override KIND: u32 = 0u;
override ALPHA: f32 = 0.0;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i < p.count {
        arena[p.output + i] = activate(KIND, ALPHA, arena[p.input + i]);
    }
}
