"""The gates, and the results as Markdown."""

import statistics

# How many times as fast as the best peer is enough by itself.
FASTER = 2
# Else: no slower than this times the best peer's time, at this fraction of the limit.
NO_SLOWER = 1.05
OF_LIMIT = {"infer": 0.7, "train": 0.6}

SIDES = ("seqfuse", "ORT", "rten", "torch", "tract", "XLA", "TF")


def judge(row, rounds, limits):
    """The result of a row, from the milliseconds of each side's rounds and what `bench` said."""
    ms = {side: statistics.median(taken) for side, taken in rounds.items() if taken}
    fastest = {side: min(taken) for side, taken in rounds.items() if taken}
    result = {"row": row.name, "model": row.model.name, "task": row.task, "batch": row.batch}
    result |= {"ms": ms, "fastest_ms": fastest, "rounds": rounds, "gated": row.gated}
    if limits:
        result |= {key: limits[-1][key] for key in ("flop", "weight_bytes", "weight_read_bytes")}
        result["limit_by"] = limits[-1]["limit_by"]
        result["limit_ms"] = statistics.median(limit["limit_ms"] for limit in limits)
        result["machine"] = limits[-1]["machine"]
        result["of_limit"] = result["limit_ms"] / ms["seqfuse"]
    peers = {side: taken for side, taken in ms.items() if side != "seqfuse"}
    if "seqfuse" in ms and peers:
        best = min(peers, key=peers.get)
        result |= {"best": best, "faster": peers[best] / ms["seqfuse"]}
        result["passes"] = passes(row.task, result["faster"], result.get("of_limit", 0))
        least = min(taken for side, taken in fastest.items() if side != "seqfuse")
        result["fastest_faster"] = least / fastest["seqfuse"]
    return result


def passes(task, faster, of_limit):
    """Whether a row is fast enough."""
    return faster >= FASTER or (of_limit >= OF_LIMIT[task] and faster * NO_SLOWER >= 1)


def verdict(result):
    """The cell of the gate."""
    if not result["gated"]:
        return "not gated"
    return {True: "pass", False: "**short**", None: "–"}[result.get("passes")]


def three(number):
    """Three digits."""
    return "–" if number is None else f"{number:.3g}" if number < 1000 else f"{number:.0f}"


def cells_of(result):
    """The cells of a row."""
    row = [result["model"], result["task"], str(result["batch"])]
    for side in SIDES:
        cell = three(result["ms"].get(side))
        row.append(f"**{cell}**" if side == result.get("best") else cell)
    of_limit = f"{100 * result['of_limit']:.0f} %" if "of_limit" in result else "–"
    row += [three(result.get("faster")), three(result.get("fastest_faster")), of_limit]
    return [*row, verdict(result)]


def grid(head, rows):
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def comparison(results):
    """The rows of all models."""
    head = ["model", "task", "batch", *SIDES]
    head += ["best peer / seqfuse", "the same, fastest runs", "of the limit", "gate"]
    table = grid(head, [cells_of(result) for result in results])
    failed = [
        f"- `{result['row']}`, {side}: {reason}"
        for result in results
        for side, reason in result.get("failed", {}).items()
    ]
    return "\n\n".join([table, *(["Not timed:\n\n" + "\n".join(failed)] if failed else [])])


def conditions(about):
    """What the figures were taken on."""
    machine, limits = about["machine"], about.get("limits")
    text = (
        f"{about['date']}, commit {about['revision']}, {machine['cpu']}, {machine['cores']} cores, "
        f"{about['threads']} threads, medians of {about['rounds']} rounds in milliseconds. "
        f"Load average {machine['load']} before and {about['load_after']} after the run."
    )
    if limits:
        levels = limits["levels"].items()
        reads = ", ".join(f"{name} {level['bytes_per_s'] / 1e9:.0f}" for name, level in levels)
        text += (
            f" Limits measured in the run, all threads: {limits['fma_flops'] / 1e9:.0f} GFLOP/s of "
            f"multiply-adds; reads in GB/s: {reads}."
        )
    return text
