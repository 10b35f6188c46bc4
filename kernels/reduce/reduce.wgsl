// out[line] = end(fold of a line). The text gives the type `T` and, for a kind and type,
// start(), step(a, b), load(word), store(value), end(value); leaves(a, b) tells where 32 bits do not
// do. The fold of the threads, `folded`, goes between reduce_step.wgsl and this (see lines.wgsl).

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let line = line_of(group, lane);
    var value = start();
    if line.valid {
        for (var k = line.thread; k < p.axis; k += p.threads) {
            value = joined(value, load(element(line, k)));
        }
    }
    value = folded(value, line, lane);
    if left {
        atomicMax(&status[p.status], 1u);
    }
    if line.valid && line.thread == 0u {
        arena[p.output + line.number] = store(end(value));
    }
}
