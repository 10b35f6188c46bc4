// Puts a value around a tensor of up to 8 dimensions: out[at] = x[at - before], or the value where
// that is outside of x.
//
// Bindings: 0 arena, 1 weights (x where FROM_WEIGHTS), 2 parameters. Workgroup: 256 x 1 x 1, one
// element of the output a thread.

struct Params {
    row_width: u32,
    count: u32,
    rank: u32,
    input: u32,
    output: u32,
    value: u32,     // where the value lies, or itself where VALUE_IS_WORD
    shape: array<vec4<u32>, 2>,
    sizes: array<vec4<u32>, 2>,  // of x
    before: array<vec4<u32>, 2>,
}

override FROM_WEIGHTS: bool = false;
override VALUE_IS_WORD: bool = false;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.count {
        return;
    }
    var rest = i;
    var source = p.input;
    var stride = 1u;
    var inside = true;
    for (var d = p.rank; d > 0u; d--) {
        let k = d - 1u;
        let size = p.shape[k / 4u][k % 4u];
        // Before the first element it is a large number.
        let at = rest % size - p.before[k / 4u][k % 4u];
        rest /= size;
        let own = p.sizes[k / 4u][k % 4u];
        inside = inside && at < own;
        source += at * stride;
        stride *= own;
    }
    var word = p.value;
    if !VALUE_IS_WORD {
        word = arena[p.value];
    }
    if inside {
        if FROM_WEIGHTS {
            word = weights[source];
        } else {
            word = arena[source];
        }
    }
    arena[p.output + i] = word;
}
