// out[i] = start + i * delta, of f32, or of i32 where INTEGERS. Where WIDE, a number that leaves 32 bits
// sets the status.
//
// Bindings: 0 arena, 2 parameters, 3 status. Workgroup: 256 x 1 x 1, one element a thread.

struct Params {
    row_width: u32,
    count: u32,
    start: u32,
    delta: u32,
    output: u32,
    status: u32,
}

override INTEGERS: bool = false;
override WIDE: bool = false;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.count {
        return;
    }
    let start = arena[p.start];
    let delta = arena[p.delta];
    if INTEGERS {
        let distance = signed(delta) * i32(i);
        if WIDE && (multiply_leaves(signed(delta), i32(i)) || add_leaves(signed(start), distance)) {
            atomicMax(&status[p.status], 1u);
        }
        arena[p.output + i] = bitcast<u32>(signed(start) + distance);
    } else {
        arena[p.output + i] = bits(float(start) + float(delta) * f32(i));
    }
}
