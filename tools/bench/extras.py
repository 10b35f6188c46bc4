"""What is measured beside the comparison: masks, start-up, growth, a long sequence. seqfuse alone."""

import json
import math
import os
import random
import statistics
import struct
import subprocess
import time
from dataclasses import asdict, replace

import chart
import client
import environment
import models
import table

ALL = ("masked", "start", "growth", "long")

# Models whose recurrent layers pass over padding, and the share of each row that is padding.
MASKED = ("lstm-stack", "gru-stack", "bilstm", "gru-imdb")
PADDINGS = {"no padding": 0, "half padding": 0.5}
MASKED_BATCHES = (1, 32)
# How much longer a masked model may take.
MASK_COST = 1.1

SAMPLE = client.HERE.parents[1] / "models" / "sentiment.keras"
TEXT = "a wonderful film"
STARTS = 41
START_LIMIT_MS = 10

LENGTHS = (100, 200, 400, 800, 1600, 3200)
BATCHES = (8, 16, 32, 64, 128, 256)
LAYERS = (1, 2, 4, 8)
# The sizes that stay where they are while one grows.
STEPS, ROWS = 200, 8
# A step that doubles the size may take so many times as long.
LINEAR = 2.3

LONG = 100_000
UNITS = 64


def prepare(keras, model, folder, onnx, padding=0):
    """Has Keras write the files of a model."""
    keras.ask(
        do="prepare", spec=asdict(model), folder=str(folder), batches=[1, 32], train_batch=64,
        onnx=onnx, padding=padding,
    )


def masked(given, seqfuse, work):
    """The same models with and without a mask, in turn."""
    python = given.keras_python or environment.python_of_peers()
    script = client.HERE / "sides" / "keras_side.py"
    keras = client.Worker([python, script, given.threads], work / "log.txt")
    rows = []
    for name in MASKED:
        model = next(model for model in models.MODELS if model.name == name)
        files = {}
        for title, spec, padding in [
            ("unmasked", model, 0),
            *((title, replace(model, masked=True), share) for title, share in PADDINGS.items()),
        ]:
            files[title] = work / f"{name}, {title}"
            files[title].mkdir(exist_ok=True)
            prepare(keras, spec, files[title], onnx=False, padding=padding)
        for batch in MASKED_BATCHES:
            taken = {title: [] for title in files}
            for _ in range(given.rounds):
                for title, folder in files.items():
                    said = json.loads(seqfuse.run(
                        "bench", folder / "model.keras", "--input", folder / f"ids-{batch}.npz",
                        "--threads", given.threads, "--seconds", given.seconds, "--json",
                    ))
                    taken[title].append(said["median_ms"])
            ms = {title: statistics.median(values) for title, values in taken.items()}
            cost = max(ms[title] for title in PADDINGS) / ms["unmasked"]
            rows.append({"model": name, "batch": batch, "ms": ms, "cost": cost})
    keras.stop()
    return {"rows": rows, "passes": all(row["cost"] <= MASK_COST for row in rows)}


def start(given, seqfuse, work):
    """A whole process from its start to its answer."""
    command = [seqfuse.binary, "run", SAMPLE, "--text", TEXT, "--threads", given.threads]
    command, taken = list(map(str, command)), []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        taken.append(1e3 * (time.perf_counter() - began))
    median = statistics.median(taken)
    return {"ms": median, "fastest_ms": min(taken), "passes": median < START_LIMIT_MS}


def describe(layers, folder):
    """A description of so many LSTMs on ids of any length."""
    def layer(kind, **config):
        return {"class_name": kind, "config": config}

    stack = [layer("Embedding", input_dim=1000, output_dim=UNITS)]
    stack += [layer("LSTM", units=UNITS, return_sequences=True) for _ in range(layers - 1)]
    stack += [layer("LSTM", units=UNITS), layer("Dense", units=1, activation="sigmoid")]
    file = folder / f"lstm-{layers}.json"
    model = {"class_name": "Sequential", "config": {"name": f"lstm_{layers}", "layers": stack}}
    file.write_text(json.dumps(model), encoding="utf-8")
    return file


def growth(given, seqfuse, work):
    """Times over length, batch and number of layers, of LSTMs of 64 units."""
    points = {
        "length": [(size, size, ROWS, 1) for size in LENGTHS],
        "batch": [(size, STEPS, size, 1) for size in BATCHES],
        "layers": [(size, STEPS, ROWS, size) for size in LAYERS],
    }
    lines = {name: {} for name in points}
    for _ in range(given.rounds):
        for name, sizes in points.items():
            for size, steps, rows, layers in sizes:
                file = describe(layers, work)
                more = ["--length", steps, "--seconds", given.seconds / 2]
                said = seqfuse.bench(file, "infer", rows, *more)
                lines[name].setdefault(size, []).append(said["median_ms"])
    ms = {
        name: [[size, statistics.median(taken)] for size, taken in line.items()]
        for name, line in lines.items()
    }
    steps = [
        (after[1] / before[1]) ** (1 / doublings(before[0], after[0]))
        for line in ms.values()
        for before, after in zip(line, line[1:])
    ]
    if given.chart:
        given.chart.write_text(chart.svg(ms), encoding="utf-8")
    return {"ms": ms, "steepest": max(steps), "passes": max(steps) <= LINEAR}


def doublings(before, after):
    """How often the one must be doubled to give the other."""
    return math.log2(after / before)


def write_ids(file, length):
    """An .npy of `[1, length]` random ids."""
    head = f"{{'descr': '<i4', 'fortran_order': False, 'shape': (1, {length}), }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    ids = random.Random(1).choices(range(1000), k=length)
    magic = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head))
    file.write_bytes(magic + head.encode() + struct.pack(f"<{length}i", *ids))


def peak(command, log):
    """The seconds that a command takes, and the bytes that it holds at most."""
    began = time.perf_counter()
    with open(log, "a", encoding="utf-8") as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise client.SideError(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss * 1024


def long(given, seqfuse, work):
    """One sequence of 100,000 steps through an LSTM of 64 units, as a process."""
    model, found = describe(1, work), {}
    for length in (100, LONG):
        ids = work / f"ids-of-{length}.npy"
        write_ids(ids, length)
        command = [seqfuse.binary, "run", model, "--input", ids, "--threads", given.threads]
        runs = [peak(list(map(str, command)), work / "log.txt") for _ in range(3)]
        found[length] = {
            "seconds": min(seconds for seconds, _ in runs),
            "peak_bytes": max(held for _, held in runs),
        }
    more = found[LONG]["peak_bytes"] - found[100]["peak_bytes"]
    return {"runs": found, "bytes_a_step": more / (LONG - 100)}


def measure(given, seqfuse, work):
    """The extras that were asked for, by name."""
    steps = {"masked": masked, "start": start, "growth": growth, "long": long}
    results = {}
    for name in given.extras:
        results[name] = steps[name](given, seqfuse, work)
        print(f"{name}: {results[name]}", flush=True)
    return results


def render(results):
    """The extras as Markdown."""
    parts = []
    if found := results.get("masked"):
        titles = ["unmasked", *PADDINGS]
        rows = [
            [row["model"], str(row["batch"]), *(table.three(row["ms"][title]) for title in titles),
             f"{row['cost']:.2f}"]
            for row in found["rows"]
        ]
        grid = table.grid(["model", "batch", *titles, "cost of the mask"], rows)
        parts.append(f"Masked against unmasked, seqfuse, ms (at most {MASK_COST}):\n\n{grid}")
    if found := results.get("start"):
        parts.append(
            f"A whole process, start to answer, on `models/{SAMPLE.name}`: median "
            f"{found['ms']:.1f} ms, fastest {found['fastest_ms']:.1f} ms of {STARTS} (under "
            f"{START_LIMIT_MS} ms: {'yes' if found['passes'] else 'no'})."
        )
    if found := results.get("growth"):
        rows = [
            [name, ", ".join(f"{size}: {table.three(ms)}" for size, ms in line)]
            for name, line in found["ms"].items()
        ]
        parts.append(
            f"Growth of LSTMs of {UNITS} units, ms (a doubling takes at most "
            f"{found['steepest']:.2f} times as long):\n\n{table.grid(['grows', 'size: ms'], rows)}"
        )
    if found := results.get("long"):
        run = found["runs"][LONG]
        parts.append(
            f"One sequence of {LONG} steps, an LSTM of {UNITS} units, the whole process: "
            f"{run['seconds']:.2f} s, at most {run['peak_bytes'] / 2**20:.0f} MiB; "
            f"{found['bytes_a_step']:.0f} bytes a step more than one of 100 steps."
        )
    return "\n\n".join(parts) + "\n"
