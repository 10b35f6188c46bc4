// One element of the output a thread, neighbouring threads neighbouring filters (operands:
// conv.wgsl). Workgroup: 256 x 1 x 1.

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = (group.y * p.row_width + group.x) * 256u + lane;
    if index >= p.positions * p.filters {
        return;
    }
    let height = axis_of(p.height);
    let width = axis_of(p.width);
    let f = index % p.filters;
    let j = index / p.filters % width.outputs;
    let line = index / p.filters / width.outputs;
    let i = line % height.outputs;
    let b = line / height.outputs;
    let first = p.x + f / p.columns * p.depth;
    let taps = height.taps * width.taps;

    var sum = bias_of(f);
    for (var u = 0u; u < height.taps; u++) {
        let row = element_of(height, i, u);
        if row == NONE { continue; }
        for (var v = 0u; v < width.taps; v++) {
            let column = element_of(width, j, v);
            if column == NONE { continue; }
            let x = first + ((b * height.len + row) * width.len + column) * p.inputs;
            for (var d = 0u; d < p.depth; d++) {
                sum += float(arena[x + d]) * weight_of(u * width.taps + v, d, f, taps);
            }
        }
    }
    arena[p.output + index] = bits(finish(sum));
}
