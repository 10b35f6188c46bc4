// Convolution over two axes, and its transpose; a sequence has a first axis of one element.
//
//   out[b, i, j, f] = finish(bias[f] + sum over taps and features of x kernel)
//
// Tap t of window i meets element (i stride + t dilation - before) / input_dilation of an axis, if
// that has no rest and there is such an element. The kernel is [taps.., depth, filters], or, where
// it is that of a transposed convolution, [taps.., filters, depth] with its taps in reverse order.
//
// Goes after the prelude, ELEMENTWISE and `fn finish(x: f32) -> f32`, the activation. This part is
// shared by the kernels for narrow groups (conv_elements.wgsl) and wide ones (conv_tiles.wgsl).
//
// Bindings: 0 arena, 1 weights, 2 parameters.

struct Axis {
    len: u32,
    outputs: u32,
    taps: u32,
    stride: u32,
    dilation: u32,
    input_dilation: u32,
    before: u32,
    rest: u32,
}

struct Params {
    row_width: u32,
    positions: u32,  // batch x outputs
    inputs: u32,     // features of x
    filters: u32,
    depth: u32,      // features of a group
    columns: u32,    // filters of a group
    x: u32,
    kernel: u32,
    bias: u32,       // NONE: zeros
    output: u32,
    height: array<vec4<u32>, 2>, // len, outputs, taps, stride; dilation, input_dilation, before
    width: array<vec4<u32>, 2>,
}

override KERNEL_FROM_ARENA: bool = false;
override KERNEL_HALF: bool = false; // the kernel among the weights is f16
override BIAS_FROM_ARENA: bool = false;
override TRANSPOSED: bool = false;

fn axis_of(words: array<vec4<u32>, 2>) -> Axis {
    let a = words[0];
    let b = words[1];
    return Axis(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w);
}

// The element that a tap of a window meets; NONE where it is padding.
fn element_of(axis: Axis, window: u32, tap: u32) -> u32 {
    let place = window * axis.stride + tap * axis.dilation;
    if place < axis.before { return NONE; }
    let element = (place - axis.before) / axis.input_dilation;
    let whole = element * axis.input_dilation == place - axis.before;
    return select(NONE, element, whole && element < axis.len);
}

fn weight_at(index: u32) -> f32 {
    if KERNEL_FROM_ARENA { return float(arena[p.kernel + index]); }
    if KERNEL_HALF { return half_weight(p.kernel, index); }
    return float(weights[p.kernel + index]);
}

fn bias_of(filter_index: u32) -> f32 {
    if p.bias == NONE { return 0.0; }
    if BIAS_FROM_ARENA { return float(arena[p.bias + filter_index]); }
    return float(weights[p.bias + filter_index]);
}

// A weight of filter `f`, of a tap counted over both axes and a feature of the filter's group.
fn weight_of(tap: u32, feature: u32, f: u32, taps: u32) -> f32 {
    if TRANSPOSED {
        return weight_at(((taps - 1u - tap) * p.filters + f) * p.depth + feature);
    }
    return weight_at((tap * p.depth + feature) * p.filters + f);
}
