// Softmax over the last axis of `[rows, width]`: out = exp(x - max) / sum(exp(x - max)).
//
// Bindings: 0 arena (f32), 2 parameters. Workgroup: 64 x 1 x 1, one row a workgroup. Sums are
// added in a fixed order, so results repeat to the bit. May run in place.

struct Params {
    rows: u32,
    width: u32,
    input: u32,
    output: u32,
    row_width: u32, // workgroups in one row of the grid
}

const LANES: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> arena: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

var<workgroup> partial: array<f32, LANES>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * p.row_width + group.x;
    if row >= p.rows {
        return;
    }
    let input = p.input + row * p.width;
    let output = p.output + row * p.width;

    var largest = arena[input];
    for (var i = lane; i < p.width; i += LANES) {
        largest = max(largest, arena[input + i]);
    }
    partial[lane] = largest;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            partial[lane] = max(partial[lane], partial[lane + half]);
        }
        workgroupBarrier();
    }
    largest = partial[0];
    workgroupBarrier();

    var sum = 0.0;
    for (var i = lane; i < p.width; i += LANES) {
        sum += exp(arena[input + i] - largest);
    }
    partial[lane] = sum;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            partial[lane] += partial[lane + half];
        }
        workgroupBarrier();
    }
    let scale = 1.0 / partial[0];
    for (var i = lane; i < p.width; i += LANES) {
        arena[output + i] = exp(arena[input + i] - largest) * scale;
    }
}
