// Where the largest (smallest, unless LARGEST) element of a line stands, the first of several; NaN is
// passed over, and 0 given where nothing else is left. Of f32, or of i32 where INTEGERS.
//
// Bindings: 0 arena, 2 parameters. Workgroup: 256 x 1 x 1, see lines.wgsl.

struct Params {
    row_width: u32,
    lines: u32,
    axis: u32,
    inner: u32,
    threads: u32,
    input: u32,
    output: u32,
}

override LARGEST: bool = true;
override INTEGERS: bool = false;

var<workgroup> words: array<u32, 256>;
var<workgroup> places: array<u32, 256>;

fn better(a: u32, b: u32) -> bool {
    if INTEGERS {
        return select(signed(a) < signed(b), signed(a) > signed(b), LARGEST);
    }
    if is_nan(a) { return false; }
    return select(float(a) < float(b), float(a) > float(b), LARGEST);
}

fn worst() -> u32 {
    if INTEGERS { return select(0x7fffffffu, 0x80000000u, LARGEST); }
    return select(INF_BITS, 0xff800000u, LARGEST);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let workgroup = group.y * p.row_width + group.x;
    let line = line_of(workgroup, lane, p.threads, p.lines, p.axis, p.inner);
    var word = worst();
    var place = 0u;
    if line.valid {
        for (var k = line.thread; k < p.axis; k += p.threads) {
            let next = arena[p.input + line.first + k * p.inner];
            if better(next, word) {
                word = next;
                place = k;
            }
        }
    }
    words[lane] = word;
    places[lane] = place;
    workgroupBarrier();
    for (var half = p.threads / 2u; half > 0u; half /= 2u) {
        if line.thread < half {
            let other = lane + half;
            let same = !better(words[lane], words[other]) && !better(words[other], words[lane]);
            // A thread that found nothing holds the worst at 0.
            if better(words[other], words[lane]) || (same && words[other] != worst() && places[other] < places[lane]) {
                words[lane] = words[other];
                places[lane] = places[other];
            }
        }
        workgroupBarrier();
    }
    if line.valid && line.thread == 0u {
        arena[p.output + line.number] = places[lane];
    }
}
