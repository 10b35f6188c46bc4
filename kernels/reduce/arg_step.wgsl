// Which of two elements and their places is the better (arg.wgsl); the first place of equal ones.

override LARGEST: bool = true;
override INTEGERS: bool = false;

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

// A thread that found nothing holds the worst at 0.
fn best(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let same = !better(a.x, b.x) && !better(b.x, a.x);
    let first = same && b.x != worst() && b.y < a.y;
    return select(a, b, better(b.x, a.x) || first);
}
