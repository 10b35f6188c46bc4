// How kernels over lines share out their threads; goes after the prelude. A line is the elements of
// one axis, `x[(row * axis + k) * inner + column]` for k < axis; `threads` neighbours, a power of two
// of at most 256, work on one. Sums over a line are added in an order that depends on sizes and the
// adapter alone, so that results repeat to the bit.
//
// Bindings: 0 arena, 1 weights, 2 parameters, 3 status. Workgroup: 256 x 1 x 1.

struct Params {
    row_width: u32,
    lines: u32,
    axis: u32,
    inner: u32,
    threads: u32,
    input: u32,
    output: u32,
    status: u32,   // where a kernel notes that 32 bits do not do
    gamma: u32,    // of layer normalization; NONE: no such operand
    beta: u32,
    epsilon: f32,
}

struct Line {
    input: u32,   // the words of its first element
    output: u32,
    thread: u32,  // the number of this thread among those of the line
    number: u32,
    valid: bool,
}

fn line_of(group: vec3<u32>, lane: u32) -> Line {
    let workgroup = group.y * p.row_width + group.x;
    let number = workgroup * (256u / p.threads) + lane / p.threads;
    let first = number / p.inner * p.axis * p.inner + number % p.inner;
    return Line(p.input + first, p.output + first, lane % p.threads, number, number < p.lines);
}

fn element(line: Line, k: u32) -> u32 { return arena[line.input + k * p.inner]; }

fn added(a: f32, b: f32) -> f32 { return a + b; }
