// What the LSTM and GRU kernels share: operands, masks, states and outputs. The walk through the
// steps is in steps.wgsl, where a thread finds the recurrent weights in held.wgsl.
//
// One dispatch runs a whole recurrent layer. A workgroup takes one direction and a tile of up to
// ROWS rows of the batch, and loops over all time steps; its states live in workgroup memory (or
// in the arena, when they are too large for it), so no other workgroup has to be waited for.
// The projection of the inputs, x . W + bias, of all steps is computed before, by one matrix
// product.
//
// Bindings: 0 arena (words; floats by bitcast, the mask is an integer), 1 weights, 2 parameters.
// Grid: x and z tiles of the batch, y directions. Workgroup: THREADS threads, which are
// LANES = THREADS / SPLIT units at a time times SPLIT slices of the sum over the hidden size.
//
// Masks as in Keras (keras/src/backend/tensorflow/rnn.py): a masked step carries the states over
// and repeats the previous output, which is zero before the first unmasked step; with
// ZERO_OUTPUT_FOR_MASK it is zero at every masked step. The last output is that of the step
// processed last. The final states are the carried states.

struct Params {
    batch: u32,
    time: u32,
    rows: u32,             // rows of the batch in a tile: 1 or ROWS
    flags: u32,
    projected: vec2<u32>,  // by direction, like all the pairs: offsets into the arena or NONE
    initial_h: vec2<u32>,  // [batch, UNITS], NONE: zeros
    initial_c: vec2<u32>,
    sequence: vec2<u32>,   // [batch, time, sequence_stride]
    last: vec2<u32>,       // [batch, last_stride]
    final_h: vec2<u32>,    // [batch, UNITS]
    final_c: vec2<u32>,
    recurrent: vec2<u32>,  // packed recurrent weights, in elements of the weights' binding
    projected_stride: u32, // from one (row, step) to the next
    sequence_stride: u32,
    last_stride: u32,
    mask: u32,             // [batch, time], NONE: every step counts
    scratch: u32,          // 3 * ROWS * STRIDE words for each workgroup, where STATE_IN_ARENA
    tiles_x: u32,          // workgroups along x
}

const NONE: u32 = 0xffffffffu;
const BACKWARD: u32 = 1u;              // shifted by the direction: time runs from the end
const STORE_AS_PROCESSED: u32 = 4u;    // shifted by the direction: the sequence stays reversed
const ZERO_OUTPUT_FOR_MASK: u32 = 16u;
const MAX_ROWS: u32 = 4u;

// What a pass over the hidden size is for: every gate, or one after the other the gates that the
// candidate waits for and the candidate.
const ALL: u32 = 0u;
const GATES: u32 = 1u;
const CANDIDATE: u32 = 2u;

@group(0) @binding(0) var<storage, read_write> arena: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

override UNITS: u32 = 4u;
override THREADS: u32 = 64u;
override SPLIT: u32 = 1u;
override ROWS: u32 = 4u;               // at most MAX_ROWS
override HALF: bool = false;           // the recurrent weights are f16
override STATE_IN_ARENA: bool = false;
override STRIDE: u32 = 4u;              // from a row of a state to the next, UNITS and more
override STATE_WORDS: u32 = 48u;       // 3 * ROWS * STRIDE, or 1 where STATE_IN_ARENA
override PARTIALS: u32 = 1u;           // THREADS * ROWS, or 1 where SPLIT is 1
override ACTIVATION: u32 = 3u;
override ACTIVATION_ALPHA: f32 = 0.0;
override RECURRENT_ACTIVATION: u32 = 2u;
override RECURRENT_ALPHA: f32 = 0.0;

var<workgroup> state: array<f32, STATE_WORDS>; // three planes of [ROWS][STRIDE]
var<workgroup> partials: array<vec4<f32>, PARTIALS>; // [SPLIT][ROWS][LANES]

// The tile that a workgroup runs.
struct Tile {
    first: u32,     // first row of the batch
    rows: u32,      // rows that exist
    direction: u32,
    scratch: u32,   // the workgroup's words of the arena, where STATE_IN_ARENA
}

fn tile_of(group: vec3<u32>) -> Tile {
    let index = group.z * p.tiles_x + group.x;
    let first = index * p.rows;
    var tile = Tile(first, 0u, group.y, 0u);
    if first < p.batch {
        tile.rows = min(p.rows, p.batch - first);
    }
    let tiles = (p.batch + p.rows - 1u) / p.rows;
    tile.scratch = p.scratch + (group.y * tiles + index) * 3u * ROWS * STRIDE;
    return tile;
}

fn load_state(tile: Tile, plane: u32, row: u32, unit: u32) -> f32 {
    let i = (plane * ROWS + row) * STRIDE + unit;
    if STATE_IN_ARENA {
        return bitcast<f32>(arena[tile.scratch + i]);
    }
    return state[i];
}

fn store_state(tile: Tile, plane: u32, row: u32, unit: u32, value: f32) {
    let i = (plane * ROWS + row) * STRIDE + unit;
    if STATE_IN_ARENA {
        arena[tile.scratch + i] = bitcast<u32>(value);
    } else {
        state[i] = value;
    }
}

// Waits until the states written by the workgroup's threads can be read by all of them.
fn state_barrier() {
    if STATE_IN_ARENA {
        storageBarrier();
    }
    workgroupBarrier();
}

fn initial(offset: u32, row: u32, unit: u32) -> f32 {
    if offset == NONE {
        return 0.0;
    }
    return bitcast<f32>(arena[offset + row * UNITS + unit]);
}

// Bit r: the step counts for row r of the tile.
fn live_rows(tile: Tile, t: u32) -> u32 {
    var live = 0u;
    for (var r = 0u; r < tile.rows; r++) {
        if p.mask == NONE || arena[p.mask + (tile.first + r) * p.time + t] != 0u {
            live |= 1u << r;
        }
    }
    return live;
}

// The output of a step: the new h, or what a masked step shows of the carried `h`.
fn step_output(r: u32, live: u32, seen: u32, h: f32) -> f32 {
    let counts = (live >> r) & 1u;
    if counts == 0u && ((p.flags & ZERO_OUTPUT_FOR_MASK) != 0u || ((seen >> r) & 1u) == 0u) {
        return 0.0;
    }
    return h;
}

fn time_of(tile: Tile, step: u32) -> u32 {
    return select(step, p.time - 1u - step, (p.flags & (BACKWARD << tile.direction)) != 0u);
}

fn store_sequence(tile: Tile, r: u32, step: u32, unit: u32, value: f32) {
    let offset = p.sequence[tile.direction];
    if offset != NONE {
        let as_processed = (p.flags & (STORE_AS_PROCESSED << tile.direction)) != 0u;
        let t = select(time_of(tile, step), step, as_processed);
        let at = ((tile.first + r) * p.time + t) * p.sequence_stride + unit;
        arena[offset + at] = bitcast<u32>(value);
    }
}

// An element of the projected inputs of a step.
fn load_projected(tile: Tile, r: u32, t: u32, column: u32) -> f32 {
    // Rows beyond the batch repeat the last one; their results are dropped.
    let row = tile.first + min(r, tile.rows - 1u);
    let at = (row * p.time + t) * p.projected_stride + column;
    return bitcast<f32>(arena[p.projected[tile.direction] + at]);
}

// Writes the last output and the final states; h lies in `h_plane`.
fn store_results(tile: Tile, lane: u32, h_plane: u32, c_plane: u32, live: u32, seen: u32) {
    let d = tile.direction;
    for (var i = lane; i < tile.rows * UNITS; i += THREADS) {
        let r = i / UNITS;
        let unit = i % UNITS;
        let row = tile.first + r;
        let h = load_state(tile, h_plane, r, unit);
        if p.last[d] != NONE {
            arena[p.last[d] + row * p.last_stride + unit] =
                bitcast<u32>(step_output(r, live, seen, h));
        }
        if p.final_h[d] != NONE {
            arena[p.final_h[d] + row * UNITS + unit] = bitcast<u32>(h);
        }
        if p.final_c[d] != NONE {
            arena[p.final_c[d] + row * UNITS + unit] =
                bitcast<u32>(load_state(tile, c_plane, r, unit));
        }
    }
}
