// How kernels over lines share out their threads; goes after the prelude. A line is the elements of
// one axis, `x[(row * axis + k) * inner + column]` for k < axis; `threads` neighbours, a power of two
// of at most 256, work on one. Sums over a line are added in a fixed order, so that results repeat
// to the bit. Workgroup: 256 x 1 x 1.

struct Line {
    first: u32,   // the word of its first element, from the value's
    thread: u32,  // the number of this thread among those of the line
    number: u32,
    valid: bool,
}

fn line_of(workgroup: u32, lane: u32, threads: u32, lines: u32, axis: u32, inner: u32) -> Line {
    let number = workgroup * (256u / threads) + lane / threads;
    let first = number / inner * axis * inner + number % inner;
    return Line(first, lane % threads, number, number < lines);
}
