// Layer normalization of rows of `axis` elements: (x - shift) / sqrt(spread + epsilon) * gamma + beta.
// FORM 0: shift is the mean, spread the variance; 1: no shift, the variance; 2: no shift, the mean of
// squares. The variance is the mean of (x - mean)^2, in a second pass.
//
// Bindings: 0 arena (f32), 1 weights (gamma and beta where FROM_WEIGHTS), 2 parameters.
// Workgroup: 256 x 1 x 1, see lines.wgsl; inner is 1.

struct Params {
    row_width: u32,
    lines: u32,
    axis: u32,
    threads: u32,
    input: u32,
    output: u32,
    gamma: u32,     // NONE: no such operand
    beta: u32,
    epsilon: f32,
}

override FORM: u32 = 0u;
override FROM_WEIGHTS: bool = false;

var<workgroup> partial: array<f32, 256>;

fn operand(at: u32) -> f32 {
    if FROM_WEIGHTS { return float(weights[at]); }
    return float(arena[at]);
}

// The sum of what the threads of a line hold, for all of them.
fn together(value: f32, lane: u32, thread: u32) -> f32 {
    partial[lane] = value;
    workgroupBarrier();
    for (var half = p.threads / 2u; half > 0u; half /= 2u) {
        if thread < half {
            partial[lane] += partial[lane + half];
        }
        workgroupBarrier();
    }
    let sum = partial[lane - thread];
    workgroupBarrier();
    return sum;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let workgroup = group.y * p.row_width + group.x;
    let line = line_of(workgroup, lane, p.threads, p.lines, p.axis, 1u);
    let x = p.input + line.first;
    let count = f32(p.axis);
    var mean = 0.0;
    if FORM != 2u {
        var sum = 0.0;
        if line.valid {
            for (var k = line.thread; k < p.axis; k += p.threads) {
                sum += float(arena[x + k]);
            }
        }
        mean = together(sum, lane, line.thread) / count;
    }
    var squares = 0.0;
    if line.valid {
        for (var k = line.thread; k < p.axis; k += p.threads) {
            let difference = float(arena[x + k]) - mean;
            squares += difference * difference;
        }
    }
    let spread = together(squares, lane, line.thread) / count;
    if !line.valid {
        return;
    }
    let root = sqrt(spread + p.epsilon);
    let shift = select(0.0, mean, FORM == 0u);
    for (var k = line.thread; k < p.axis; k += p.threads) {
        var y = (float(arena[x + k]) - shift) / root;
        if p.gamma != NONE {
            y *= operand(p.gamma + k);
        }
        if p.beta != NONE {
            y += operand(p.beta + k);
        }
        arena[p.output + line.first + k] = bits(y);
    }
}
