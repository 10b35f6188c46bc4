// A matrix product of windows and the kernel (operands: conv.wgsl): rows are the positions of the
// output, columns the filters of a group, the inner dimension taps and features. Windows are never
// written out; their elements are looked up.
//
// Workgroup: 16 x 16 threads compute a 64 x 64 tile, 4 x 4 elements a thread. Slices, 16 wide along
// the inner dimension, pass through 8 KiB of workgroup memory. Workgroups are numbered by groups,
// then tiles of columns, then tiles of positions.

const TILE: u32 = 64u;
const DEPTH: u32 = 16u;

var<workgroup> x_tile: array<f32, 1024>;      // [DEPTH][TILE]
var<workgroup> kernel_tile: array<f32, 1024>; // [DEPTH][TILE]

// Element `k` of a window.
fn load_x(position: u32, k: u32, group: u32, height: Axis, width: Axis) -> f32 {
    let tap = k / p.depth;
    if position >= p.positions || tap >= height.taps * width.taps { return 0.0; }
    let line = position / width.outputs;
    let row = element_of(height, line % height.outputs, tap / width.taps);
    let column = element_of(width, position % width.outputs, tap % width.taps);
    if row == NONE || column == NONE { return 0.0; }
    let at = ((line / height.outputs * height.len + row) * width.len + column) * p.inputs;
    return float(arena[p.x + at + group * p.depth + k % p.depth]);
}

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let groups = p.filters / p.columns;
    let column_tiles = (p.columns + TILE - 1u) / TILE;
    let index = workgroup.y * p.row_width + workgroup.x;
    let group = index % groups;
    let first_column = index / groups % column_tiles * TILE;
    let first_position = index / groups / column_tiles * TILE;
    if first_position >= p.positions {
        return;
    }
    let height = axis_of(p.height);
    let width = axis_of(p.width);
    let taps = height.taps * width.taps;

    var sums: array<vec4<f32>, 4>;
    for (var start = 0u; start < taps * p.depth; start += DEPTH) {
        for (var i = lane; i < TILE * DEPTH; i += 256u) {
            // Neighbouring threads read neighbouring elements: along features, along filters.
            let k = i % DEPTH;
            x_tile[k * TILE + i / DEPTH] =
                load_x(first_position + i / DEPTH, start + k, group, height, width);
            let tap = (start + i / TILE) / p.depth;
            let column = first_column + i % TILE;
            var weight = 0.0;
            if tap < taps && column < p.columns {
                let feature = (start + i / TILE) % p.depth;
                weight = weight_of(tap, feature, group * p.columns + column, taps);
            }
            kernel_tile[i] = weight;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            // Columns 16 apart, so that the threads of a row read neighbouring words.
            let at = k * TILE + local.x;
            let w = vec4<f32>(
                kernel_tile[at], kernel_tile[at + 16u], kernel_tile[at + 32u], kernel_tile[at + 48u],
            );
            let row = k * TILE + local.y * 4u;
            sums[0] += x_tile[row] * w;
            sums[1] += x_tile[row + 1u] * w;
            sums[2] += x_tile[row + 2u] * w;
            sums[3] += x_tile[row + 3u] * w;
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r++) {
        for (var c = 0u; c < 4u; c++) {
            let position = first_position + local.y * 4u + r;
            let column = first_column + local.x + c * 16u;
            if position < p.positions && column < p.columns {
                let f = group * p.columns + column;
                arena[p.output + position * p.filters + f] = bits(finish(sums[r][c] + bias_of(f)));
            }
        }
    }
}
