// Where the largest (smallest, unless LARGEST) element of a line stands, the first of several; NaN is
// passed over, and 0 given where nothing else is left. Of f32, or of i32 where INTEGERS. The fold of
// the threads, `folded`, goes between arg_step.wgsl and this (see lines.wgsl).

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let line = line_of(group, lane);
    var found = vec2<u32>(worst(), 0u);
    if line.valid {
        for (var k = line.thread; k < p.axis; k += p.threads) {
            let next = element(line, k);
            if better(next, found.x) { found = vec2<u32>(next, k); }
        }
    }
    found = folded(found, line, lane);
    if line.valid && line.thread == 0u {
        arena[p.output + line.number] = found.y;
    }
}
