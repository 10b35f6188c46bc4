// Functions of one and two numbers, for the generated element-wise kernels.
//
// Those that drivers may round coarsely (WGSL allows 2^-11 for a sine and 4096 ulp for an inverse
// tangent) are polynomials here, by the reductions of Cephes; relative errors are near 1e-6.
// Functions of integers wrap around. NaN is told by its bits and handed on.

const INT_MIN: i32 = -2147483647i - 1i;

// Made of a variable, because a constant NaN is no WGSL.
fn nan() -> f32 { var word = NAN_BITS; return bitcast<f32>(word); }
fn infinity() -> f32 { var word = INF_BITS; return bitcast<f32>(word); }
fn nan_of(x: f32) -> bool { return is_nan(bits(x)); }

fn maximum(a: f32, b: f32) -> f32 {
    return select(select(select(b, a, a > b), b, nan_of(b)), a, nan_of(a));
}
fn minimum(a: f32, b: f32) -> f32 {
    return select(select(select(b, a, a < b), b, nan_of(b)), a, nan_of(a));
}

fn sign_of(x: f32) -> f32 { return select(sign(x), x, nan_of(x)); }

// The rest of x after quarter turns, in three parts of pi/2, and the number of turns.
fn quarter(x: f32) -> f32 { return round(x * 0.63661975); }
fn reduced(x: f32, q: f32) -> f32 {
    return ((x - q * 1.5703125) - q * 4.837513e-4) - q * 7.54979e-8;
}
fn sine_part(r: f32) -> f32 {
    let z = r * r;
    return r + r * z * (-0.16666655 + z * (0.008332161 - z * 1.9515296e-4));
}
fn cosine_part(r: f32) -> f32 {
    let z = r * r;
    return 1.0 - 0.5 * z + z * z * (0.041666646 + z * (-0.0013887316 + z * 2.4433157e-5));
}
fn turned(x: f32, quarters: i32) -> f32 {
    if is_infinite(bits(x)) || nan_of(x) { return nan(); }
    let q = quarter(x);
    let r = reduced(x, q);
    let n = (i32(q) + quarters) & 3i;
    let value = select(sine_part(r), cosine_part(r), (n & 1i) == 1i);
    return select(value, -value, n >= 2i);
}
fn sine(x: f32) -> f32 { return turned(x, 0i); }
fn cosine(x: f32) -> f32 { return turned(x, 1i); }
fn tangent(x: f32) -> f32 { return turned(x, 0i) / turned(x, 1i); }

fn arctangent(x: f32) -> f32 {
    if nan_of(x) { return x; }
    let a = abs(x);
    var base = 0.0;
    var t = a;
    if a > 2.4142137 {
        base = 1.5707964;
        t = -1.0 / a;
    } else if a > 0.41421357 {
        base = 0.7853982;
        t = (a - 1.0) / (a + 1.0);
    }
    let z = t * t;
    let y = base + t + t * z * (-0.3333295 + z * (0.19977711 + z * (-0.13877686 + z * 0.080537446)));
    return select(y, -y, x < 0.0);
}
fn arcsine_part(a: f32) -> f32 {
    let z = a * a;
    return a + a * z * (0.16666752 + z * (0.07495300 + z * (0.04547003 + z * (0.02418131 + z * 0.0421632))));
}
fn arcsine(x: f32) -> f32 {
    let a = abs(x);
    if nan_of(x) || a > 1.0 { return nan(); }
    var y = arcsine_part(a);
    if a > 0.5 { y = 1.5707964 - 2.0 * arcsine_part(sqrt(0.5 * (1.0 - a))); }
    return select(y, -y, x < 0.0);
}
fn arccosine(x: f32) -> f32 {
    if nan_of(x) || abs(x) > 1.0 { return nan(); }
    if x > 0.5 { return 2.0 * arcsine_part(sqrt(0.5 * (1.0 - x))); }
    return 1.5707964 - arcsine(x);
}

fn log_of(x: f32) -> f32 {
    if nan_of(x) || x < 0.0 { return nan(); }
    if x == 0.0 { return -infinity(); }
    return select(log(x), x, is_infinite(bits(x)));
}
fn log_1p(x: f32) -> f32 {
    let small = x * (1.0 - x * (0.5 - x * (0.33333334 - x * 0.25)));
    if abs(x) < 0.01 { return small; }
    return log_of(1.0 + x);
}
fn exp_of(x: f32) -> f32 {
    if nan_of(x) { return x; }
    if x > 89.0 { return infinity(); }
    return select(exp(x), 0.0, x < -104.0);
}
fn exp_m1(x: f32) -> f32 {
    let small = x * (1.0 + x * (0.5 + x * (0.16666667 + x * 0.041666668)));
    if abs(x) < 0.05 { return small; }
    return exp_of(x) - 1.0;
}
// exp(a) / 2 without overflow before the result's.
fn half_exp(a: f32) -> f32 { let h = exp_of(0.5 * a); return 0.5 * h * h; }
fn hyperbolic_sine(x: f32) -> f32 {
    let a = abs(x);
    let z = x * x;
    let small = a * (1.0 + z * (0.16666667 + z * (0.008333334 + z * 1.984127e-4)));
    let y = select(half_exp(a) - half_exp(-a), small, a < 0.5);
    return select(select(y, -y, x < 0.0), x, nan_of(x));
}
fn hyperbolic_cosine(x: f32) -> f32 { return half_exp(abs(x)) + half_exp(-abs(x)); }
fn arc_hyperbolic_sine(x: f32) -> f32 {
    if nan_of(x) || is_infinite(bits(x)) { return x; }
    let a = abs(x);
    let root = 1.0 + sqrt(a * a + 1.0);
    let y = select(log_1p(a + a * a / root), log_of(a) + 0.6931472, a > 1e15);
    return select(y, -y, x < 0.0);
}
fn arc_hyperbolic_cosine(x: f32) -> f32 {
    if nan_of(x) || x < 1.0 { return nan(); }
    if x > 1e15 { return log_of(x) + 0.6931472; }
    let t = x - 1.0;
    return log_1p(t + sqrt(2.0 * t + t * t));
}
fn arc_hyperbolic_tangent(x: f32) -> f32 {
    let a = abs(x);
    if nan_of(x) || a > 1.0 { return nan(); }
    if a == 1.0 { return select(infinity(), -infinity(), x < 0.0); }
    let y = 0.5 * log_1p(2.0 * a / (1.0 - a));
    return select(y, -y, x < 0.0);
}
// Abramowitz and Stegun 7.1.26, and the series near 0: absolute error at most 1.5e-7.
fn error_function(x: f32) -> f32 {
    if nan_of(x) { return x; }
    let a = abs(x);
    let z = x * x;
    let small = a * (1.1283792 + z * (-0.37612638 + z * (0.11283792 - z * 0.026866170)));
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let poly = t * (0.2548296 + t * (-0.28449672 + t * (1.4214138 + t * (-1.4531521 + t * 1.0614054))));
    let y = select(1.0 - poly * exp(-min(a * a, 80.0)), small, a < 0.2);
    return select(y, -y, x < 0.0);
}

fn power(a: f32, b: f32) -> f32 {
    if b == 0.0 || a == 1.0 { return 1.0; }
    if nan_of(a) || nan_of(b) { return nan(); }
    let whole = b == floor(b);
    let odd = whole && abs(b) < 16777216.0 && (i32(b) & 1i) == 1i;
    if whole && abs(b) <= 16.0 {
        var y = 1.0;
        for (var n = 0i; n < i32(abs(b)); n++) { y *= a; }
        return select(y, 1.0 / y, b < 0.0);
    }
    let m = abs(a);
    if m == 1.0 && (whole || is_infinite(bits(b))) { return select(1.0, -1.0, odd); }
    var y: f32;
    if m == 0.0 {
        y = select(0.0, infinity(), b < 0.0);
    } else if is_infinite(bits(m)) || is_infinite(bits(b)) {
        y = select(0.0, infinity(), (m > 1.0) == (b > 0.0));
    } else {
        let e = b * log2(m);
        if e > 128.0 { y = infinity(); } else { y = select(exp2(e), 0.0, e < -150.0); }
    }
    if a < 0.0 && !whole && !is_infinite(bits(b)) && !is_infinite(bits(a)) { return nan(); }
    return select(y, -y, odd && (bits(a) >> 31u) == 1u);
}

// What the division of C leaves over.
fn remainder(a: f32, b: f32) -> f32 {
    if nan_of(a) || nan_of(b) || b == 0.0 || is_infinite(bits(a)) { return nan(); }
    if is_infinite(bits(b)) { return a; }
    let m = abs(a);
    let n = abs(b);
    var rest = m - n * floor(m / n);
    if rest < 0.0 { rest += n; }
    if rest >= n { rest -= n; }
    return select(rest, -rest, a < 0.0);
}
fn modulo(a: f32, b: f32) -> f32 {
    let rest = remainder(a, b);
    return select(rest, rest + b, rest != 0.0 && (rest < 0.0) != (b < 0.0));
}

fn bounded_relu(x: f32, slope: f32, largest: f32, threshold: f32) -> f32 {
    if nan_of(x) { return x; }
    if x > threshold { return min(max(x, 0.0), largest); }
    return select(slope * (x - threshold), 0.0, slope == 0.0);
}
fn threshold_of(x: f32, threshold: f32, value: f32) -> f32 {
    return select(value, x, x > threshold || nan_of(x));
}

// An f32 as an integer: without its fraction, stopping at the ends of the range; NaN gives 0.
fn integer_of(x: f32) -> i32 {
    if nan_of(x) { return 0i; }
    if x >= 2147483648.0 { return 2147483647i; }
    if x <= -2147483648.0 { return INT_MIN; }
    return i32(x);
}
fn beyond_integer(x: f32) -> bool { return x >= 2147483648.0 || x < -2147483648.0; }

// Whether a result of 64 bits is not the word that it wraps to.
fn add_leaves(a: i32, b: i32) -> bool { let r = a + b; return ((a ^ r) & (b ^ r)) < 0i; }
fn subtract_leaves(a: i32, b: i32) -> bool { let r = a - b; return ((a ^ b) & (a ^ r)) < 0i; }
fn multiply_leaves(a: i32, b: i32) -> bool {
    if a == 0i || b == 0i { return false; }
    if (a == -1i && b == INT_MIN) || (b == -1i && a == INT_MIN) { return true; }
    return (a * b) / a != b;
}
fn divide_leaves(a: i32, b: i32) -> bool { return a == INT_MIN && b == -1i; }

// Quotients by 0 are found apart; here they are something.
fn integer_divide(a: i32, b: i32) -> i32 {
    if b == 0i { return 0i; }
    if b == -1i { return -a; }
    return a / b;
}
fn integer_remainder(a: i32, b: i32) -> i32 { return a - b * integer_divide(a, b); }
fn integer_modulo(a: i32, b: i32) -> i32 {
    let rest = integer_remainder(a, b);
    return select(rest, rest + b, rest != 0i && (rest < 0i) != (b < 0i));
}
fn integer_floor_divide(a: i32, b: i32) -> i32 {
    let rest = integer_remainder(a, b);
    return integer_divide(a, b) - select(0i, 1i, rest != 0i && (rest < 0i) != (b < 0i));
}
fn integer_power(a: i32, b: i32) -> i32 {
    var base = a;
    var exponent = b;
    var y = 1i;
    while exponent > 0i {
        if (exponent & 1i) == 1i { y *= base; }
        base *= base;
        exponent >>= 1u;
    }
    return y;
}
fn shift_left(a: i32, b: i32) -> i32 { return select(0i, a << (bitcast<u32>(b) & 31u), b >= 0i && b < 32i); }
fn shift_right(a: i32, b: i32) -> i32 {
    let count = select(31u, bitcast<u32>(b) & 31u, b >= 0i && b < 32i);
    return a >> count;
}
fn shift_left_leaves(a: i32, b: i32) -> bool {
    if a == 0i || b < 0i || b > 63i { return false; }
    return b > 31i || (shift_left(a, b) >> (bitcast<u32>(b) & 31u)) != a;
}
