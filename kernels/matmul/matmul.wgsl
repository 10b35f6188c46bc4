// Matrix product for many rows (see bindings.wgsl for the operands).
//
// Workgroup: 16 x 16 threads compute a 64 x 64 tile of C, 4 x 4 elements a thread. Slices of A
// and B, 16 wide along the inner dimension, pass through 8 KiB of workgroup memory. Grid:
// x tiles of columns, y tiles of rows, z matrices of the batch.

const TILE: u32 = 64u;
const DEPTH: u32 = 16u;

var<workgroup> a_tile: array<f32, 1024>; // [DEPTH][TILE]: A transposed
var<workgroup> b_tile: array<f32, 1024>; // [DEPTH][TILE]

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first_row = group.y * TILE;
    let first_column = group.x * TILE;
    var sums: array<vec4<f32>, 4>;
    for (var start = 0u; start < p.inner; start += DEPTH) {
        for (var i = lane; i < TILE * DEPTH; i += 256u) {
            // Neighbouring threads read neighbouring elements: along k in A, along columns in B.
            let a_row = i / DEPTH;
            let a_k = i % DEPTH;
            a_tile[a_k * TILE + a_row] = load_a(group.z, first_row + a_row, start + a_k);
            b_tile[i] = load_b(group.z, start + i / TILE, first_column + i % TILE);
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            // Columns 16 apart, so that the threads of a row read neighbouring words.
            let at = k * TILE + local.x;
            let b = vec4<f32>(b_tile[at], b_tile[at + 16u], b_tile[at + 32u], b_tile[at + 48u]);
            let row = k * TILE + local.y * 4u;
            sums[0] += a_tile[row] * b;
            sums[1] += a_tile[row + 1u] * b;
            sums[2] += a_tile[row + 2u] * b;
            sums[3] += a_tile[row + 3u] * b;
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r++) {
        for (var c = 0u; c < 4u; c++) {
            let row = first_row + local.y * 4u + r;
            store_c(group.z, row, first_column + local.x + c * 16u, sums[r][c]);
        }
    }
}
