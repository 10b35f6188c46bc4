// Layer normalization of rows of `axis` elements: (x - shift) / sqrt(spread + epsilon) * gamma + beta.
// FORM 0: shift is the mean, spread the variance; 1: no shift, the variance; 2: no shift, the mean of
// squares. The variance is the mean of (x - mean)^2, in a second pass.
// Gamma and beta lie in the weights where FROM_WEIGHTS. Goes after the fold `sum_of` of f32 (see
// lines.wgsl); inner is 1.

override FORM: u32 = 0u;
override FROM_WEIGHTS: bool = false;

fn operand(at: u32) -> f32 {
    if FROM_WEIGHTS { return float(weights[at]); }
    return float(arena[at]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let line = line_of(group, lane);
    let count = f32(p.axis);
    var mean = 0.0;
    if FORM != 2u {
        var sum = 0.0;
        if line.valid {
            for (var k = line.thread; k < p.axis; k += p.threads) {
                sum += float(element(line, k));
            }
        }
        mean = sum_of(sum, line, lane) / count;
    }
    var squares = 0.0;
    if line.valid {
        for (var k = line.thread; k < p.axis; k += p.threads) {
            let difference = float(element(line, k)) - mean;
            squares += difference * difference;
        }
    }
    let spread = sum_of(squares, line, lane) / count;
    if !line.valid {
        return;
    }
    let root = sqrt(spread + p.epsilon);
    let shift = select(0.0, mean, FORM == 0u);
    for (var k = line.thread; k < p.axis; k += p.threads) {
        var y = (float(element(line, k)) - shift) / root;
        if p.gamma != NONE {
            y *= operand(p.gamma + k);
        }
        if p.beta != NONE {
            y += operand(p.beta + k);
        }
        arena[line.output + k] = bits(y);
    }
}
