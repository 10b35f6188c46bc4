// Running sums along a line: `threads` elements at a time by the scan of Hillis and Steele, with the
// sum so far carried on. The text gives the type `T` and load(word), store(value), leaves(a, b).
// Of lines, see lines.wgsl.

var<workgroup> sums: array<T, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let line = line_of(group, lane);
    var carry = T(0);
    var left = false;
    for (var base = 0u; base < p.axis; base += p.threads) {
        let k = base + line.thread;
        let inside = line.valid && k < p.axis;
        var value = T(0);
        if inside {
            value = load(element(line, k));
        }
        sums[lane] = value;
        workgroupBarrier();
        for (var reach = 1u; reach < p.threads; reach *= 2u) {
            var before = T(0);
            if line.thread >= reach {
                before = sums[lane - reach];
            }
            workgroupBarrier();
            left = left || leaves(before, sums[lane]);
            sums[lane] = before + sums[lane];
            workgroupBarrier();
        }
        let sum = carry + sums[lane];
        left = left || leaves(carry, sums[lane]);
        if inside {
            arena[line.output + k * p.inner] = store(sum);
        }
        carry += sums[lane - line.thread + p.threads - 1u];
        workgroupBarrier();
    }
    if left {
        atomicMax(&status[p.status], 1u);
    }
}
