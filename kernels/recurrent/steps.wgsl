// The walk of the LSTM and GRU kernels through the steps (operands: recurrent.wgsl, where weights
// are: held.wgsl). A cell brings `weight_at`, `start` and `finish`, and says in `has_two_passes`
// whether its candidate takes a pass over the hidden size of its own.
//
// State planes of a cell with one pass: 0 and 1 h of even and odd steps.

// Adds the product of the slice's part of `plane` with the recurrent weights of `unit`.
fn accumulate(
    tile: Tile, thread: u32, plane: u32, unit: u32, slice: u32, part: u32,
    kept: ptr<function, Registers>, sums: ptr<function, array<vec4<f32>, 4>>,
) {
    let first = slice * LENGTH;
    let end = min(first + LENGTH, UNITS);
    add_kept(tile, plane, first, kept, sums);
    if p.rows == 1u {
        var sum = (*sums)[0];
        for (var k = first + IN_REGISTERS; k < end; k++) {
            let w = weight_for(tile, thread, first, k, unit, part);
            sum += load_state(tile, plane, 0u, k) * w;
        }
        (*sums)[0] = sum;
    } else {
        for (var k = first + IN_REGISTERS; k < end; k++) {
            let w = weight_for(tile, thread, first, k, unit, part);
            for (var r = 0u; r < ROWS; r++) {
                (*sums)[r] += load_state(tile, plane, r, k) * w;
            }
        }
    }
}

// One pass of all units over the hidden size. Every thread of the workgroup comes here.
fn run_pass(
    tile: Tile, thread: u32, step: u32, plane: u32, part: u32, live: u32, seen: u32,
    kept: ptr<function, Registers>,
) {
    let lanes = THREADS / SPLIT;
    let lane = thread % lanes;
    let slice = thread / lanes;
    let t = time_of(tile, step);
    for (var first_unit = 0u; first_unit < UNITS; first_unit += lanes) {
        let unit = first_unit + lane;
        let works = unit < UNITS && slice < SPLIT;
        var sums: array<vec4<f32>, 4>;
        if works {
            if slice == 0u {
                for (var r = 0u; r < tile.rows; r++) {
                    sums[r] = start(tile, r, t, unit);
                }
            }
            accumulate(tile, thread, plane, unit, slice, part, kept, &sums);
        }
        if SPLIT == 1u {
            if works {
                for (var r = 0u; r < tile.rows; r++) {
                    finish(tile, step, plane, part, r, unit, sums[r], live, seen);
                }
            }
        } else {
            if works {
                for (var r = 0u; r < tile.rows; r++) {
                    partials[(slice * ROWS + r) * lanes + lane] = sums[r];
                }
            }
            workgroupBarrier();
            // Each slice of the threads finishes its share of the rows.
            if works {
                for (var r = slice; r < tile.rows; r += SPLIT) {
                    var total = partials[r * lanes + lane];
                    for (var s = 1u; s < SPLIT; s++) {
                        total += partials[(s * ROWS + r) * lanes + lane];
                    }
                    finish(tile, step, plane, part, r, unit, total, live, seen);
                }
            }
            workgroupBarrier();
        }
    }
    state_barrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let tile = tile_of(group);
    if tile.rows == 0u {
        return;
    }
    let lanes = THREADS / SPLIT;
    let first = thread / lanes * LENGTH;
    var kept = keep(tile, first, thread % lanes);
    keep_in_workgroup(tile, thread, first, thread % lanes);

    for (var i = thread; i < ROWS * STRIDE; i += THREADS) {
        let r = i / STRIDE;
        let unit = i % STRIDE;
        var h = 0.0;
        var c = 0.0;
        if r < tile.rows && unit < UNITS {
            h = initial(p.initial_h[tile.direction], tile.first + r, unit);
            c = initial(p.initial_c[tile.direction], tile.first + r, unit);
        }
        store_state(tile, 0u, r, unit, h);
        store_state(tile, 1u, r, unit, h);
        store_state(tile, 2u, r, unit, c);
    }
    state_barrier();

    var plane = 0u;
    var live = 0u;
    var seen = 0u;
    for (var step = 0u; step < p.time; step++) {
        live = live_rows(tile, time_of(tile, step));
        if has_two_passes() {
            run_pass(tile, thread, step, 0u, GATES, live, seen, &kept);
            run_pass(tile, thread, step, 1u, CANDIDATE, live, seen, &kept);
        } else {
            run_pass(tile, thread, step, plane, ALL, live, seen, &kept);
            plane = 1u - plane;
        }
        seen |= live;
    }
    store_results(tile, thread, plane, 2u, live, seen);
}
