// Scaled dot-product attention with a running softmax: no scores lie in memory unless asked for.
//
//   out = softmax(scale q.kT) v, by tiles of keys: with the largest score m and the sum l so far,
//   a tile of scores s gives m' = max(m, s), l' = l exp(m - m') + sum(exp(s - m')), and the
//   output alike; at the end it is divided by l (Milakov and Gimelshein 2018).
//
// Goes after the prelude, and after `const ACC: u32`, elements of the output a thread.
//
// Bindings: 0 arena, 1 weights (the mask where FROM_WEIGHTS), 2 parameters. Workgroup: 128 threads,
// which are 8 queries of one head times 16; a thread finds the scores of its query with keys
// 16 apart, then elements of 8 x `block` of the output.

struct Params {
    row_width: u32,
    groups: u32,
    queries: u32,
    keys: u32,
    heads: u32,
    sharing: u32,      // query heads that read one key head
    dim: u32,
    value_dim: u32,
    tiles: u32,        // of queries
    blocks: u32,       // of the value's columns
    block: u32,        // columns of a block
    query: u32,        // [batch, queries, heads, dim]
    key: u32,          // [batch, keys, heads / sharing, dim]
    value: u32,        // [batch, keys, heads / sharing, value_dim]
    mask: u32,         // NONE: every key counts
    output: u32,       // [batch, queries, heads, value_dim], NONE: not wanted
    scores: u32,       // [batch, heads, queries, keys], NONE: not wanted
    scale: f32,
    causal: u32,       // 1: a query sees no later key
    window: u32,       // a query sees keys nearer than this; NONE: all
    masked_row: u32,   // what a query without keys gets, see below
    mask_strides: vec4<u32>, // batch, head, query, key
}

override FROM_WEIGHTS: bool = false;

const UNIFORM: u32 = 0u;
const ZERO: u32 = 1u;
const NAN_ROW: u32 = 2u;
const LOWERED: u32 = 3u;
const LOWERED_BY: f32 = 1e9;

const THREADS: u32 = 128u;
const QUERIES: u32 = 8u;
const KEYS: u32 = 32u;
const LANES: u32 = 16u; // threads of a query
const CHUNK: u32 = 32u; // features at a time
// The score of a key that does not count.
const CLOSED: f32 = -3.4028235e38;

var<workgroup> query_part: array<f32, 256>;  // [QUERIES][CHUNK]
var<workgroup> key_part: array<f32, 1056>;   // [KEYS][CHUNK + 1]
var<workgroup> powers: array<f32, 256>;      // [QUERIES][KEYS]
var<workgroup> partials: array<f32, 128>;    // [QUERIES][LANES]
var<workgroup> row_max: array<f32, 8>;
var<workgroup> row_sum: array<f32, 8>;
var<workgroup> row_scale: array<f32, 8>;     // of what was summed before the tile

fn not_a_number() -> f32 { var word = NAN_BITS; return bitcast<f32>(word); }

// Without an end to its exponential: NaN or +infinity.
fn is_endless(x: f32) -> bool { return is_nan(bits(x)) || bits(x) == INF_BITS; }

// The keys that causality and the window leave to a query.
fn first_key(query: u32) -> u32 {
    if p.window == NONE || query + 1u <= p.window {
        return 0u;
    }
    return query + 1u - p.window;
}
fn end_key(query: u32) -> u32 {
    var end = p.keys;
    if p.causal != 0u { end = min(end, query + 1u); }
    if p.window != NONE { end = min(end, query + p.window); }
    return end;
}

fn score_of(product: f32, batch: u32, head: u32, query: u32, key: u32) -> f32 {
    if query >= p.queries || key < first_key(query) || key >= end_key(query) {
        return CLOSED;
    }
    let score = product * p.scale;
    if p.mask != NONE {
        let at = p.mask + dot(p.mask_strides, vec4<u32>(batch, head, query, key));
        var word = 0u;
        if FROM_WEIGHTS { word = weights[at]; } else { word = arena[at]; }
        if word == 0u {
            return select(CLOSED, score - LOWERED_BY, p.masked_row == LOWERED);
        }
    }
    return select(score, CLOSED, bits(score) == (INF_BITS | 0x80000000u));
}

fn power_of(score: f32, largest: f32) -> f32 {
    if is_endless(score) { return not_a_number(); }
    if score == CLOSED { return 0.0; }
    return exp(score - largest);
}

// Whether a row's query may attend to no key.
fn is_masked(row: u32) -> bool {
    return row_max[row] == CLOSED && !is_nan(bits(row_sum[row]));
}

// Adds up the products of this thread's query with two keys of the tile.
fn products(
    thread: u32, batch: u32, head: u32, first_query: u32, tile_key: u32,
) -> vec2<f32> {
    let row = thread / LANES;
    let lane = thread % LANES;
    var sums = vec2<f32>();
    for (var from_dim = 0u; from_dim < p.dim; from_dim += CHUNK) {
        for (var i = thread; i < QUERIES * CHUNK; i += THREADS) {
            let query = first_query + i / CHUNK;
            let d = from_dim + i % CHUNK;
            var x = 0.0;
            if query < p.queries && d < p.dim {
                x = float(arena[p.query + ((batch * p.queries + query) * p.heads + head) * p.dim + d]);
            }
            query_part[i] = x;
        }
        for (var i = thread; i < KEYS * CHUNK; i += THREADS) {
            let key = tile_key + i / CHUNK;
            let d = from_dim + i % CHUNK;
            var x = 0.0;
            if key < p.keys && d < p.dim {
                let at = (batch * p.keys + key) * (p.heads / p.sharing) + head / p.sharing;
                x = float(arena[p.key + at * p.dim + d]);
            }
            key_part[i / CHUNK * (CHUNK + 1u) + i % CHUNK] = x;
        }
        workgroupBarrier();
        for (var d = 0u; d < CHUNK; d++) {
            let x = query_part[row * CHUNK + d];
            let y = vec2<f32>(
                key_part[lane * (CHUNK + 1u) + d],
                key_part[(lane + LANES) * (CHUNK + 1u) + d],
            );
            sums += x * y;
        }
        workgroupBarrier();
    }
    return sums;
}

// Makes powers of a tile's scores and brings the rows' maxima and sums up to date.
fn take_tile(thread: u32, scores: vec2<f32>) {
    let row = thread / LANES;
    let lane = thread % LANES;
    let counted = vec2<f32>(
        select(scores.x, CLOSED, is_endless(scores.x)),
        select(scores.y, CLOSED, is_endless(scores.y)),
    );
    partials[thread] = max(counted.x, counted.y);
    workgroupBarrier();
    let before = row_max[row];
    var largest = before;
    for (var i = 0u; i < LANES; i++) {
        largest = max(largest, partials[row * LANES + i]);
    }
    let own = vec2<f32>(power_of(scores.x, largest), power_of(scores.y, largest));
    powers[row * KEYS + lane] = own.x;
    powers[row * KEYS + lane + LANES] = own.y;
    workgroupBarrier();
    if lane == 0u {
        var sum = 0.0;
        for (var i = 0u; i < KEYS; i++) {
            sum += powers[row * KEYS + i];
        }
        var scale = 0.0;
        if before != CLOSED { scale = exp(before - largest); }
        // A sum that is not a number stays one, whatever came before it.
        row_sum[row] = select(row_sum[row] * scale, row_sum[row], is_nan(bits(row_sum[row]))) + sum;
        row_max[row] = largest;
        row_scale[row] = scale;
    }
    workgroupBarrier();
}

// The output of a query that may attend to no key.
fn masked_output(batch: u32, head: u32, column: u32) -> f32 {
    if p.keys == 0u || p.masked_row == ZERO { return 0.0; }
    if p.masked_row == NAN_ROW { return not_a_number(); }
    var sum = 0.0;
    for (var key = 0u; key < p.keys; key++) {
        let at = (batch * p.keys + key) * (p.heads / p.sharing) + head / p.sharing;
        sum += float(arena[p.value + at * p.value_dim + column]);
    }
    return sum / f32(p.keys);
}

fn weight_of(word: u32, row: u32) -> f32 {
    if is_nan(bits(row_sum[row])) { return not_a_number(); }
    return power_of(float(word), row_max[row]) / row_sum[row];
}

// Makes weights of the scores that this very thread wrote, and of those that nobody looked at.
fn finish_scores(thread: u32, scores_at: u32, first_query: u32, from_key: u32, to_key: u32) {
    let row = thread / LANES;
    if first_query + row >= p.queries {
        return;
    }
    let masked = is_masked(row);
    for (var key = (from_key + thread) % LANES; key < p.keys; key += LANES) {
        let at = scores_at + (first_query + row) * p.keys + key;
        var weight = 0.0;
        if masked {
            if p.masked_row == NAN_ROW {
                weight = not_a_number();
            } else if p.masked_row != ZERO {
                weight = 1.0 / f32(p.keys);
            }
        } else if key >= from_key && key < to_key {
            weight = weight_of(arena[at], row);
        } else if is_nan(bits(row_sum[row])) {
            weight = not_a_number();
        }
        arena[at] = bits(weight);
    }
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = group.y * p.row_width + group.x;
    if index >= p.groups {
        return;
    }
    let first_column = index % p.blocks * p.block;
    let tile = index / p.blocks;
    let first_query = tile % p.tiles * QUERIES;
    let head = tile / p.tiles % p.heads;
    let batch = tile / p.tiles / p.heads;
    let own_query = first_query + thread / LANES;
    let from_key = first_key(first_query);
    let to_key = end_key(min(first_query + QUERIES, p.queries) - 1u);
    let scores_at = p.scores + (batch * p.heads + head) * p.queries * p.keys;
    let gives_scores = p.scores != NONE && first_column == 0u;

    if thread < QUERIES {
        row_max[thread] = CLOSED;
        row_sum[thread] = 0.0;
    }
    var sums: array<f32, ACC>;
    workgroupBarrier();
    for (var tile_key = from_key; tile_key < to_key; tile_key += KEYS) {
        let found = products(thread, batch, head, first_query, tile_key);
        let key = tile_key + thread % LANES;
        let scores = vec2<f32>(
            score_of(found.x, batch, head, own_query, key),
            score_of(found.y, batch, head, own_query, key + LANES),
        );
        if gives_scores && own_query < p.queries {
            let at = scores_at + own_query * p.keys + key;
            if key < to_key { arena[at] = bits(scores.x); }
            if key + LANES < to_key { arena[at + LANES] = bits(scores.y); }
        }
        take_tile(thread, scores);
        if p.output != NONE {
            let count = min(KEYS, to_key - tile_key);
            for (var i = 0u; i < ACC; i++) {
                let element = thread + i * THREADS;
                let row = element / p.block;
                let column = first_column + element % p.block;
                if row < QUERIES && column < p.value_dim {
                    let stride = p.heads / p.sharing;
                    var at = (batch * p.keys + tile_key) * stride + head / p.sharing;
                    at = p.value + at * p.value_dim + column;
                    var sum = sums[i] * row_scale[row];
                    for (var k = 0u; k < count; k++) {
                        sum += powers[row * KEYS + k] * float(arena[at + k * stride * p.value_dim]);
                    }
                    sums[i] = sum;
                }
            }
        }
    }
    if p.output != NONE {
        for (var i = 0u; i < ACC; i++) {
            let element = thread + i * THREADS;
            let row = element / p.block;
            let column = first_column + element % p.block;
            let query = first_query + row;
            if row < QUERIES && query < p.queries && column < p.value_dim {
                var value = sums[i] / row_sum[row];
                if is_nan(bits(row_sum[row])) { value = not_a_number(); }
                if is_masked(row) { value = masked_output(batch, head, column); }
                let at = (batch * p.queries + query) * p.heads + head;
                arena[p.output + at * p.value_dim + column] = bits(value);
            }
        }
    }
    if gives_scores {
        finish_scores(thread, scores_at, first_query, from_key, to_key);
    }
}
