// out[i] = a[i] OP b[i] over a shape of up to 4 dimensions; strides of 0 broadcast.
// OP: 0 add, 1 subtract, 2 multiply, 3 divide, 4 maximum, 5 minimum, of f32; 6 equal,
// 7 not equal, 8 less, 9 at most, 10 greater, 11 at least, of f32 or, with INTEGERS, of i32, giving
// words of 0 and 1; 12 and, 13 or, 14 exclusive or, of words that are 0 or not.
//
// Bindings: 0 arena, 1 weights (both words of any type), 2 parameters. b lies in the weights when
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

@group(0) @binding(0) var<storage, read_write> arena: array<u32>;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

override OP: u32 = 0u;
override B_IN_WEIGHTS: bool = false;
override INTEGERS: bool = false;

fn arithmetic(x: f32, y: f32) -> f32 {
    switch OP {
        case 1u: { return x - y; }
        case 2u: { return x * y; }
        case 3u: { return x / y; }
        case 4u: { return max(x, y); }
        case 5u: { return min(x, y); }
        default: { return x + y; }
    }
}

fn compare(less: bool, equal: bool, greater: bool) -> bool {
    switch OP {
        case 6u: { return equal; }
        case 7u: { return !equal; }
        case 8u: { return less; }
        case 9u: { return less || equal; }
        case 10u: { return greater; }
        default: { return greater || equal; }
    }
}

fn logical(x: bool, y: bool) -> bool {
    switch OP {
        case 12u: { return x && y; }
        case 13u: { return x || y; }
        default: { return x != y; }
    }
}

fn apply(a: u32, b: u32) -> u32 {
    if OP >= 12u {
        return select(0u, 1u, logical(a != 0u, b != 0u));
    }
    let x = bitcast<f32>(a);
    let y = bitcast<f32>(b);
    if OP < 6u {
        return bitcast<u32>(arithmetic(x, y));
    }
    if INTEGERS {
        let i = bitcast<i32>(a);
        let j = bitcast<i32>(b);
        return select(0u, 1u, compare((i < j), i == j, (i > j)));
    }
    return select(0u, 1u, compare((x < y), x == y, (x > y)));
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
