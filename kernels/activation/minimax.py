"""Prints the polynomial constants of `math.rs`: Remez exchange in 50 digits, relative error.

Needs mpmath. Each polynomial P of degree n makes max |w(x) (P(x) - f(x))| smallest on [a, b].
"""

from mpmath import mp, mpf, exp, expm1, log1p, sqrt, tanh, erfc, matrix, lu_solve, cos, pi

mp.dps = 50


def remez(f, weight, a, b, degree, rounds=12, grid=1500):
    a, b = mpf(a), mpf(b)
    count = degree + 2
    points = [(a + b) / 2 - (b - a) / 2 * cos(pi * (i + mpf(1) / 2) / count) for i in range(count)]
    xs = [(a + b) / 2 - (b - a) / 2 * cos(pi * i / grid) for i in range(grid + 1)]
    table = [(x, f(x), weight(x)) for x in xs]
    for _ in range(rounds):
        system = matrix(count, count)
        right = matrix(count, 1)
        for i, x in enumerate(points):
            for j in range(degree + 1):
                system[i, j] = x**j
            system[i, degree + 1] = (-1) ** i / weight(x)
            right[i] = f(x)
        solution = lu_solve(system, right)
        poly = [solution[j] for j in range(degree + 1)]
        errors = [w * (sum(c * x**j for j, c in enumerate(poly)) - y) for x, y, w in table]
        best = []
        for x, e in zip(xs, errors):
            if best and (best[-1][1] > 0) == (e > 0):
                if abs(e) > abs(best[-1][1]):
                    best[-1] = (x, e)
            else:
                best.append((x, e))
        while len(best) > count:
            best.pop(0 if abs(best[0][1]) < abs(best[-1][1]) else -1)
        if len(best) < count:
            break
        points = [x for x, _ in best]
    return poly, max(abs(e) for e in errors)


def show(name, result, digits):
    poly, error = result
    print(f"{name}: relative error {mp.nstr(error, 3)}")
    for c in poly:
        print("   ", mp.nstr(c, digits))


def series(f, terms):
    """f near 0, where its closed form cancels: `terms` are Taylor coefficients."""
    return lambda x: sum(mpf(t) * x**i for i, t in enumerate(terms)) if abs(x) < mpf("1e-9") else f(x)


half = mp.log(2) / 2 * mpf("1.0001")
if __name__ == "__main__":
    # expm1(r) = r + r² P(r), f32
    q = series(lambda r: (expm1(r) - r) / r**2, [mpf(1) / 2, mpf(1) / 6, mpf(1) / 24])
    show("expm1, f32", remez(q, lambda r: r / expm1(r) * abs(r) if r else mpf(0) + mpf("1e-30"), -half, half, 4), 10)
    # exp(r) = 1 + r + r² P(r), f32 and f64
    show("exp, f32", remez(q, lambda r: r**2 / exp(r) + mpf("1e-6"), -half, half, 4), 10)
    show("exp, f64", remez(q, lambda r: r**2 / exp(r) + mpf("1e-6"), -half, half, 6), 18)
    # log1p(z) = 2 s P(s²), s = z / (2 + z)
    g = series(lambda y: mp.atanh(sqrt(y)) / sqrt(y), [1, mpf(1) / 3, mpf(1) / 5])
    show("atanh(s)/s in s², f64", remez(g, lambda y: 1 / g(y), mpf(0), mpf(1) / 9, 6), 18)
    # normal tail: 0.5 erfcx(u / √2) = P(1 / (1 + u / 3)), u in [0, 15]
    def tail(t):
        u = (1 / t - 1) * 3
        return exp(u * u / 2) * erfc(u / sqrt(mpf(2))) / 2
    show("normal tail, f64", remez(tail, lambda t: 1 / tail(t), 1 / (1 + mpf(5)), 1, 12), 18)
    # x - tanh(x) = x³ P(x²) on |x| <= 0.5
    t = series(lambda y: (sqrt(y) - tanh(sqrt(y))) / sqrt(y) ** 3, [mpf(1) / 3, -mpf(2) / 15, mpf(17) / 315])
    show("tanh_shrink, f64", remez(t, lambda y: 1 / t(y), mpf(0), mpf("0.25"), 6), 18)
