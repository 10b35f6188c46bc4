// How often each class occurs in each row, or the sum of the weights of its places, or, where BINARY, 1
// if it does: classes [rows, width], out f32 [rows, depth]. A negative class sets the status.
//
// Bindings: 0 arena, 2 parameters, 3 status. Workgroup: 256 x 1 x 1, one element of the output a thread.

struct Params {
    row_width: u32,
    count: u32,
    depth: u32,
    width: u32,
    classes: u32,
    weights_at: u32,  // NONE: each counts 1
    output: u32,
    status: u32,
}

override BINARY: bool = false;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.count {
        return;
    }
    let row = i / p.depth * p.width;
    let wanted = i % p.depth;
    var sum = 0.0;
    for (var k = 0u; k < p.width; k++) {
        let found = arena[p.classes + row + k];
        if signed(found) < 0i {
            atomicMax(&status[p.status], 1u);
        }
        if found == wanted {
            if BINARY {
                sum = 1.0;
            } else if p.weights_at != NONE {
                sum += float(arena[p.weights_at + row + k]);
            } else {
                sum += 1.0;
            }
        }
    }
    arena[p.output + i] = bits(sum);
}
