// Copies words between strided views of up to 4 dimensions: slices, concatenation (one copy an
// operand), transposition, broadcasting (a stride of 0) and reversal (a negative stride).
//
// Bindings: 0 arena (words of any type), 2 parameters. Source and destination may not overlap.
// Workgroup: 256 x 1 x 1, one word a thread.

struct Params {
    shape: vec4<u32>,
    input_strides: vec4<i32>,
    output_strides: vec4<i32>,
    count: u32,
    input: u32,     // of the element at index 0, 0, 0, 0
    output: u32,
    row_width: u32, // workgroups in one row of the grid
}

@group(0) @binding(0) var<storage, read_write> arena: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

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
    // Two's complement: adding a negative distance as an unsigned word wraps to the right place.
    let source = p.input + bitcast<u32>(dot(vec4<i32>(at), p.input_strides));
    let target_word = p.output + bitcast<u32>(dot(vec4<i32>(at), p.output_strides));
    arena[target_word] = arena[source];
}
