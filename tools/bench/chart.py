"""A chart of growth as SVG: time by size, both relative to the smallest, on logarithmic axes."""

from math import log2

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 420, 64, 24, 150, 52
COLOURS = ("#1b6ca8", "#c0392b", "#2e7d32")
DASHES = ("", "6 3", "2 3")


def _line(points, colour, width=2, dash=""):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'
    )


def _text(x, y, text, anchor="middle", colour="#333"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def svg(lines):
    """The chart of `{name: [[size, ms], ...]}`; a straight line along the grey one is linear."""
    relative = {
        name: [(log2(size / line[0][0]), log2(ms / line[0][1])) for size, ms in line]
        for name, line in lines.items()
    }
    most = max(max(point) for line in relative.values() for point in line)
    most = max(1, int(most + 0.999))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x, y):
        return LEFT + wide * x / most, TOP + high * (1 - y / most)

    parts = []
    for tick in range(most + 1):
        (x, bottom), (left, y) = place(tick, 0), place(0, tick)
        parts.append(_line([(x, TOP), (x, bottom)], "#ddd", 1))
        parts.append(_line([(left, y), (LEFT + wide, y)], "#ddd", 1))
        parts.append(_text(x, bottom + 18, f"{2**tick}×"))
        parts.append(_text(left - 8, y + 4, f"{2**tick}×", "end"))
    parts.append(_line([place(0, 0), place(most, most)], "#999", 1, "4 4"))
    for index, (name, line) in enumerate(relative.items()):
        colour = COLOURS[index % len(COLOURS)]
        points = [place(x, max(0, y)) for x, y in line]
        parts.append(_line(points, colour, dash=DASHES[index % len(DASHES)]))
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        smallest, largest = lines[name][0][0], lines[name][-1][0]
        label = f"{name} {smallest} to {largest}"
        parts.append(_text(LEFT + wide + 10, TOP + 16 + 20 * index, label, "start", colour))
    label_y = TOP + 16 + 20 * len(relative)
    parts.append(_text(LEFT + wide + 10, label_y, "linear", "start", "#777"))
    parts.append(_text(LEFT + wide / 2, HEIGHT - 12, "size, by the smallest"))
    parts.append(_text(LEFT, TOP - 8, "time, by that of the smallest", "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
