// Softmax along a line: exp(x - max) / sum(exp(x - max)), or, where LOGARITHM, x - max - log(sum).
// May run in place.
//
// Bindings: 0 arena (f32), 2 parameters. Workgroup: 256 x 1 x 1, see lines.wgsl.

struct Params {
    row_width: u32,
    lines: u32,
    axis: u32,
    inner: u32,
    threads: u32,
    input: u32,
    output: u32,
}

override LOGARITHM: bool = false;

var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let workgroup = group.y * p.row_width + group.x;
    let line = line_of(workgroup, lane, p.threads, p.lines, p.axis, p.inner);
    let x = p.input + line.first;
    let first = lane - line.thread;

    var largest = -infinity();
    if line.valid {
        for (var k = line.thread; k < p.axis; k += p.threads) {
            largest = maximum(largest, float(arena[x + k * p.inner]));
        }
    }
    partial[lane] = largest;
    workgroupBarrier();
    for (var half = p.threads / 2u; half > 0u; half /= 2u) {
        if line.thread < half {
            partial[lane] = maximum(partial[lane], partial[lane + half]);
        }
        workgroupBarrier();
    }
    largest = partial[first];
    workgroupBarrier();

    var sum = 0.0;
    if line.valid {
        for (var k = line.thread; k < p.axis; k += p.threads) {
            sum += exp_of(float(arena[x + k * p.inner]) - largest);
        }
    }
    partial[lane] = sum;
    workgroupBarrier();
    for (var half = p.threads / 2u; half > 0u; half /= 2u) {
        if line.thread < half {
            partial[lane] += partial[lane + half];
        }
        workgroupBarrier();
    }
    sum = partial[first];
    if line.valid {
        let y = p.output + line.first;
        let logarithm = log_of(sum);
        for (var k = line.thread; k < p.axis; k += p.threads) {
            let shifted = float(arena[x + k * p.inner]) - largest;
            if LOGARITHM {
                arena[y + k * p.inner] = bits(shifted - logarithm);
            } else {
                arena[y + k * p.inner] = bits(exp_of(shifted) / sum);
            }
        }
    }
}
