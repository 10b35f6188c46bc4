// out[i] = a[i] OP b[i] over a shape of up to 4 dimensions; strides of 0 broadcast.
// OP: 0 add, 1 subtract, 2 multiply, 3 divide, 4 maximum, 5 minimum.
//
// Bindings: 0 arena (f32), 1 weights (f32), 2 parameters. b lies in the weights when
// B_IN_WEIGHTS. The output is contiguous and may be `a` or `b` where that is contiguous too.
// Workgroup: 256 x 1 x 1, one element a thread.

struct Params {
    shape: vec4<u32>,
    a_strides: vec4<u32>,
    b_strides: vec4<u32>,
    count: u32,
    a: u32,
    b: u32,
    output: u32,
    row_width: u32, // workgroups in one row of the grid
}

@group(0) @binding(0) var<storage, read_write> arena: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

override OP: u32 = 0u;
override B_IN_WEIGHTS: bool = false;

fn apply(x: f32, y: f32) -> f32 {
    switch OP {
        case 1u: { return x - y; }
        case 2u: { return x * y; }
        case 3u: { return x / y; }
        case 4u: { return max(x, y); }
        case 5u: { return min(x, y); }
        default: { return x + y; }
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.count {
        return;
    }
    var rest = i;
    var at: vec4<u32>;
    at.w = rest % p.shape.w;
    rest /= p.shape.w;
    at.z = rest % p.shape.z;
    rest /= p.shape.z;
    at.y = rest % p.shape.y;
    at.x = rest / p.shape.y;
    let x = arena[p.a + dot(at, p.a_strides)];
    let b = p.b + dot(at, p.b_strides);
    if B_IN_WEIGHTS {
        arena[p.output + i] = apply(x, weights[b]);
    } else {
        arena[p.output + i] = apply(x, arena[b]);
    }
}
