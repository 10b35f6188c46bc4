// out[line] = end(fold of a line). The text gives the type `T` and, for a kind and type,
// START, step(a, b), load(word), store(value), end(value); leaves(a, b) tells where 32 bits do not do.
//
// Bindings: 0 arena, 2 parameters, 3 status. Workgroup: 256 x 1 x 1, see lines.wgsl.

struct Params {
    row_width: u32,
    lines: u32,
    axis: u32,
    inner: u32,
    threads: u32,
    input: u32,
    output: u32,
    status: u32,
}

var<workgroup> partial: array<T, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let workgroup = group.y * p.row_width + group.x;
    let line = line_of(workgroup, lane, p.threads, p.lines, p.axis, p.inner);
    var value = start();
    var left = false;
    if line.valid {
        for (var k = line.thread; k < p.axis; k += p.threads) {
            let next = load(arena[p.input + line.first + k * p.inner]);
            left = left || leaves(value, next);
            value = step(value, next);
        }
    }
    partial[lane] = value;
    workgroupBarrier();
    for (var half = p.threads / 2u; half > 0u; half /= 2u) {
        if line.thread < half {
            let next = partial[lane + half];
            left = left || leaves(partial[lane], next);
            partial[lane] = step(partial[lane], next);
        }
        workgroupBarrier();
    }
    if left {
        atomicMax(&status[p.status], 1u);
    }
    if line.valid && line.thread == 0u {
        arena[p.output + line.number] = store(end(partial[lane]));
    }
}
