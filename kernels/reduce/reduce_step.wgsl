// A step of a reduction (reduce.wgsl), which notes where it leaves 32 bits.

var<private> left: bool = false;

fn joined(a: T, b: T) -> T {
    left = left || leaves(a, b);
    return step(a, b);
}
