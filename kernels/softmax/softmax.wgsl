// Softmax along a line: exp(x - max) / sum(exp(x - max)), or, where LOGARITHM, x - max - log(sum).
// May run in place. Goes after the folds `largest_of` and `sum_of` of f32 (see lines.wgsl).

override LOGARITHM: bool = false;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let line = line_of(group, lane);
    var largest = -infinity();
    if line.valid {
        for (var k = line.thread; k < p.axis; k += p.threads) {
            largest = maximum(largest, float(element(line, k)));
        }
    }
    largest = largest_of(largest, line, lane);

    var sum = 0.0;
    if line.valid {
        for (var k = line.thread; k < p.axis; k += p.threads) {
            sum += exp_of(float(element(line, k)) - largest);
        }
    }
    sum = sum_of(sum, line, lane);
    if line.valid {
        let logarithm = log_of(sum);
        for (var k = line.thread; k < p.axis; k += p.threads) {
            let shifted = float(element(line, k)) - largest;
            let place = line.output + k * p.inner;
            if LOGARITHM {
                arena[place] = bits(shifted - logarithm);
            } else {
                arena[place] = bits(exp_of(shifted) / sum);
            }
        }
    }
}
