// Copies words between strided views of up to 8 dimensions: slices, concatenation (one copy an
// operand), transposition, broadcasting (a stride of 0) and reversal (a negative stride).
//
// Bindings: 0 arena, 1 weights (read where FROM_WEIGHTS), 2 parameters. Source and destination may
// not overlap. Workgroup: 256 x 1 x 1, one word a thread.

struct Params {
    row_width: u32,
    count: u32,
    rank: u32,
    input: u32,     // of the element at index 0, 0, ...
    output: u32,
    shape: array<vec4<u32>, 2>,
    input_strides: array<vec4<u32>, 2>,  // two's complement: adding one wraps to the right place
    output_strides: array<vec4<u32>, 2>,
}

override FROM_WEIGHTS: bool = false;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.count {
        return;
    }
    var rest = i;
    var source = p.input;
    var place = p.output;
    for (var d = p.rank; d > 0u; d--) {
        let k = d - 1u;
        let size = p.shape[k / 4u][k % 4u];
        let at = rest % size;
        rest /= size;
        source += at * p.input_strides[k / 4u][k % 4u];
        place += at * p.output_strides[k / 4u][k % 4u];
    }
    if FROM_WEIGHTS {
        arena[place] = weights[source];
    } else {
        arena[place] = arena[source];
    }
}
