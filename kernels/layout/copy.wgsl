// Copies words between strided views of up to 8 dimensions: slices, concatenation (one copy an
// operand), transposition, broadcasting (a stride of 0) and reversal (a negative stride). Where PADDED,
// puts a value around: out[at] = x[at - before], or the value where that is outside of x.
//
// Bindings: 0 arena, 1 weights (read where FROM_WEIGHTS), 2 parameters. Source and destination may
// not overlap. Workgroup: 256 x 1 x 1, one word of the output a thread.

struct Params {
    row_width: u32,
    count: u32,
    rank: u32,
    input: u32,     // of the element at index 0, 0, ...
    output: u32,
    value: u32,     // where PADDED: where the value lies, or itself where VALUE_IS_WORD
    shape: array<vec4<u32>, 2>,          // of the output
    input_strides: array<vec4<u32>, 2>,  // two's complement: adding one wraps to the right place
    output_strides: array<vec4<u32>, 2>,
    sizes: array<vec4<u32>, 2>,          // where PADDED: of x
    before: array<vec4<u32>, 2>,
}

override FROM_WEIGHTS: bool = false;
override PADDED: bool = false;
override VALUE_IS_WORD: bool = false;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.count {
        return;
    }
    var rest = i;
    var source = p.input;
    var place = p.output;
    var inside = true;
    for (var d = p.rank; d > 0u; d--) {
        let k = d - 1u;
        let size = p.shape[k / 4u][k % 4u];
        let at = rest % size;
        rest /= size;
        place += at * p.output_strides[k / 4u][k % 4u];
        // In front of the first element it is a large number.
        let inner = at - p.before[k / 4u][k % 4u];
        source += inner * p.input_strides[k / 4u][k % 4u];
        inside = inside && (!PADDED || inner < p.sizes[k / 4u][k % 4u]);
    }
    var word = p.value;
    if inside {
        if FROM_WEIGHTS {
            word = weights[source];
        } else {
            word = arena[source];
        }
    } else if !VALUE_IS_WORD {
        word = arena[p.value];
    }
    arena[place] = word;
}
