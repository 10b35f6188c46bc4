// Matrix product for few rows (see bindings.wgsl for the operands): B is read once for every
// 4 rows, and the inner dimension is shared out among threads, so that a single row still keeps
// a workgroup busy.
//
// Workgroup: 64 columns x 4 slices. In a block of 64 along the inner dimension each slice adds
// up 16 products a column for 4 rows; the slices' sums meet in workgroup memory (4 KiB, plus
// 1 KiB for A) and are added in order. Grid: x tiles of columns, y tiles of rows, z matrices.

const ROWS: u32 = 4u;
const COLUMNS: u32 = 64u;
const SLICES: u32 = 4u;
const DEPTH: u32 = 64u;

var<workgroup> a_tile: array<f32, 256>;              // [ROWS][DEPTH]
var<workgroup> partial: array<vec4<f32>, 256>;       // [SLICES][COLUMNS], a component a row

@compute @workgroup_size(64, 4)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first_row = group.y * ROWS;
    let column = group.x * COLUMNS + local.x;
    var sum = vec4<f32>();
    for (var start = 0u; start < p.inner; start += DEPTH) {
        a_tile[lane] = load_a(group.z, first_row + lane / DEPTH, start + lane % DEPTH);
        workgroupBarrier();
        for (var i = 0u; i < DEPTH / SLICES; i++) {
            let k = local.y * (DEPTH / SLICES) + i;
            let b = load_b(group.z, start + k, column);
            sum += b * vec4<f32>(
                a_tile[k], a_tile[DEPTH + k], a_tile[2u * DEPTH + k], a_tile[3u * DEPTH + k],
            );
        }
        workgroupBarrier();
    }
    partial[local.y * COLUMNS + local.x] = sum;
    workgroupBarrier();
    // Slice `r` of the threads now finishes row `r`.
    var total = 0.0;
    for (var slice = 0u; slice < SLICES; slice++) {
        total += partial[slice * COLUMNS + local.x][local.y];
    }
    store_c(group.z, first_row + local.y, column, total);
}
