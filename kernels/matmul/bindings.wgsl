// C[b] = activation(A[b] . B[b] + bias), A `[rows, inner]`, B `[inner, columns]`,
// bias `[columns]` or none; b runs over a batch of matrices (1 for a dense layer). This part is
// shared by the kernels for many rows (matmul.wgsl) and for few (matmul_rows.wgsl).
//
// Bindings: 0 arena (f32), 1 weights (words), 2 parameters. B lies in the weights, there as f16 in
// pairs where B_HALF, or in the arena when B_IN_ARENA; the bias lies in the weights. Offsets count
// words, strides elements.

struct Params {
    rows: u32,
    inner: u32,
    columns: u32,
    a: u32,
    b: u32,
    bias: u32,     // NONE: no bias
    c: u32,
    a_stride: u32, // from one row of A to the next
    b_stride: u32,
    c_stride: u32,
    a_batch: u32,  // from one matrix to the next
    b_batch: u32,
    c_batch: u32,
}

const NONE: u32 = 0xffffffffu;

@group(0) @binding(0) var<storage, read_write> arena: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

override KIND: u32 = 0u;
override ALPHA: f32 = 0.0;
override B_IN_ARENA: bool = false;
override B_HALF: bool = false;

fn load_a(batch: u32, row: u32, k: u32) -> f32 {
    if row < p.rows && k < p.inner {
        return arena[p.a + batch * p.a_batch + row * p.a_stride + k];
    }
    return 0.0;
}

fn load_b(batch: u32, k: u32, column: u32) -> f32 {
    if k < p.inner && column < p.columns {
        let i = batch * p.b_batch + k * p.b_stride + column;
        if B_IN_ARENA {
            return arena[p.b + i];
        }
        if B_HALF {
            return unpack2x16float(weights[p.b + i / 2u])[i % 2u];
        }
        return bitcast<f32>(weights[p.b + i]);
    }
    return 0.0;
}

fn store_c(batch: u32, row: u32, column: u32, sum: f32) {
    if row < p.rows && column < p.columns {
        var value = sum;
        if p.bias != NONE {
            value += bitcast<f32>(weights[p.bias + column]);
        }
        arena[p.c + batch * p.c_batch + row * p.c_stride + column] = activate(KIND, ALPHA, value);
    }
}
