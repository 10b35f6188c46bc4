// Embedding: out[n, :] = table[ids[n], :] for ids i32 `[count]` and a table `[vocabulary, width]`;
// on request also the mask (ids[n] != 0) as u32 `[count]`.
//
// An id outside 0..vocabulary gives a row of zeros and sets status[p.status] to
// 0xffffffff - n; atomicMax keeps the first such n, whatever the order of the threads.
//
// Bindings: 0 arena (words: ids and mask are integers), 1 weights (the table), 2 parameters,
// 3 status. Workgroup: 256 x 1 x 1, one element of the output a thread.

struct Params {
    count: u32,
    width: u32,
    vocabulary: u32,
    ids: u32,
    table: u32,
    output: u32,
    mask: u32,      // NONE: no mask is asked for
    status: u32,
    row_width: u32, // workgroups in one row of the grid
}

override HALF: bool = false;  // the table is f16 in pairs

const NONE: u32 = 0xffffffffu;

@group(0) @binding(0) var<storage, read_write> arena: array<u32>;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;
@group(0) @binding(3) var<storage, read_write> status: array<atomic<u32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.count * p.width {
        return;
    }
    let n = i / p.width;
    let column = i % p.width;
    let id = arena[p.ids + n];
    // A negative id is a large unsigned number.
    let known = id < p.vocabulary;
    var value = 0u;
    if known {
        let at = id * p.width + column;
        if HALF {
            value = bitcast<u32>(unpack2x16float(weights[p.table + at / 2u])[at % 2u]);
        } else {
            value = weights[p.table + at];
        }
    }
    arena[p.output + i] = value;
    if column == 0u {
        if !known {
            atomicMax(&status[p.status], 0xffffffffu - n);
        }
        if p.mask != NONE {
            arena[p.mask + n] = select(0u, 1u, id != 0u);
        }
    }
}
