// The `count` best elements along an axis, best first, of equal ones that in front, and their positions.
// Each thread counts the elements that stand before its own: that is its place. NaN is above all numbers.
// Of f32, or of i32 where INTEGERS.
//
// Bindings: 0 arena, 2 parameters. Workgroup: 256 x 1 x 1, one element of x a thread.

struct Params {
    row_width: u32,
    total: u32,
    axis: u32,
    inner: u32,
    count: u32,
    input: u32,
    values: u32,     // NONE: nobody wants them
    positions: u32,  // NONE: nobody wants them
}

override LARGEST: bool = true;
override INTEGERS: bool = false;

// A word whose order as an i32 is that of the numbers.
fn ordered(word: u32) -> i32 {
    if INTEGERS { return signed(word); }
    if is_nan(word) { return 0x7fffffff; }
    // -0 is 0.
    let own = select(word, 0u, word == 0x80000000u);
    return signed(select(own, own ^ 0x7fffffffu, (own >> 31u) == 1u));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.total {
        return;
    }
    let column = i % p.inner;
    let own = i / p.inner % p.axis;
    let outer = i / p.inner / p.axis;
    let line = p.input + outer * p.axis * p.inner + column;
    let word = arena[p.input + i];
    let key = ordered(word);
    var place = 0u;
    for (var k = 0u; k < p.axis; k++) {
        let other = ordered(arena[line + k * p.inner]);
        let better = select((other < key), (other > key), LARGEST);
        if better || (other == key && k < own) {
            place += 1u;
        }
    }
    if place >= p.count {
        return;
    }
    let to = (outer * p.count + place) * p.inner + column;
    if p.values != NONE {
        arena[p.values + to] = word;
    }
    if p.positions != NONE {
        arena[p.positions + to] = own;
    }
}
