// Activations of rows: KIND 0 is GLU, out[row, c] = x[row, c] * sigmoid(x[row, width + c]) for c < width;
// 1 is sparsemax (Martins and Astudillo 2016) with the threshold that Keras takes: for the k values of
// the support, in falling order, the sum of all partial sums up to it.
//
// Bindings: 0 arena (f32), 2 parameters. Workgroup: 256 x 1 x 1; one element (GLU) or row a thread.

struct Params {
    row_width: u32,
    count: u32,     // elements, or rows
    width: u32,     // of the output's rows
    input: u32,
    output: u32,
}

override KIND: u32 = 0u;

// The next value in falling order after number `place`, of value `above`; equal ones by their place.
fn next_of(x: u32, above: f32, place: i32) -> i32 {
    var found = -1i;
    var best = 0.0;
    for (var k = 0i; k < i32(p.width); k++) {
        let value = float(arena[x + u32(k)]);
        let after = place < 0i || value < above || (value == above && k > place);
        if after && (found < 0i || value > best) {
            found = k;
            best = value;
        }
    }
    return found;
}

fn sparsemax(row: u32) {
    let x = p.input + row * p.width;
    var place = -1i;
    var above = 0.0;
    var sum = 0.0;
    var sums = 0.0;
    var threshold = 0.0;
    for (var k = 1u; k <= p.width; k++) {
        place = next_of(x, above, place);
        if place < 0i { break; }
        above = float(arena[x + u32(place)]);
        sum += above;
        if above > (sum - 1.0) / f32(k) {
            sums += sum;
            threshold = (sums - 1.0) / f32(k);
        }
    }
    for (var k = 0u; k < p.width; k++) {
        arena[p.output + row * p.width + k] = bits(maximum(float(arena[x + k]) - threshold, 0.0));
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * p.row_width + group.x) * 256u + lane;
    if i >= p.count {
        return;
    }
    if KIND == 1u {
        sparsemax(i);
    } else {
        let x = p.input + i / p.width * 2u * p.width + i % p.width;
        let gate = stable_sigmoid(float(arena[x + p.width]));
        arena[p.output + i] = bits(float(arena[x]) * gate);
    }
}
