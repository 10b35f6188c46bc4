#!/usr/bin/env python3
"""Times GRUs read from ONNX, where tf2onnx spelled them out as loops, and the same from `.keras`.

    cargo build --release --example run_speed
    python3 tools/bench/raised_gru.py [--seqfuse target/release/examples/run_speed] [--rounds 7]

Keras saves each model as `.keras` and exports it as `.onnx`. In a round seqfuse runs both files in
turn, run by run, in one process and on one thread; then ONNX Runtime runs the `.onnx`, on one thread
too. The figures are medians over the rounds of each round's median; the ratio is the median of the
rounds' ratios of seqfuse's two files. Fails where a ratio is 1.1 or more, or results differ.

Needs tools/fixtures/requirements-onnx.txt.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "fixtures"))

LIMIT = 1.1
TOLERANCE = 1e-4
# What all runs of one side in a round should take together, in seconds.
ROUND = 0.5
TIME, FEATURES = 100, 64
# Name, units, whether the reset gate is applied after the product, and whether steps are masked.
MODELS = [
    ("reset after", 128, True, False),
    ("reset before", 128, False, False),
    ("reset after, masked", 128, True, True),
    ("reset after, 512 units", 512, True, False),
]
BATCHES = (1, 32)


def build(units, reset_after, masked):
    """Two GRUs, the first of which gives all its steps, and a head."""
    import keras
    from keras import layers

    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    x = keras.Input((None, FEATURES), name="x")
    h = layers.Masking()(x) if masked else x
    h = layers.GRU(units, reset_after=reset_after, return_sequences=True)(h)
    h = layers.GRU(units, reset_after=reset_after)(h)
    return keras.Model(x, layers.Dense(1, activation="sigmoid")(h))


def inputs(batch, masked):
    """Random steps; with a mask, rows of different lengths."""
    import numpy as np

    rng = np.random.default_rng(3)
    x = rng.normal(size=(batch, TIME, FEATURES)).astype("float32")
    if masked:
        for row in range(batch):
            x[row, TIME - (7 * row) % (TIME // 2) :] = 0
    return x


def time_seqfuse(binary, arrays, runs, files):
    """What examples/run_speed.rs prints."""
    command = [str(binary), str(arrays), str(runs), "1", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class OnnxRuntime:
    """ONNX Runtime on one thread."""

    def __init__(self, file, x):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(file), options)
        self.fed = {self.session.get_inputs()[0].name: x}

    def time(self, runs):
        """The median run in milliseconds."""
        taken = []
        for _ in range(runs):
            began = time.perf_counter()
            self.session.run(None, self.fed)
            taken.append(1e3 * (time.perf_counter() - began))
        return statistics.median(taken)


def measure(row, batch, arguments):
    """The medians of one model and batch."""
    import numpy as np

    name, units, reset_after, masked = row
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        keras_file, onnx_file = folder / "gru.keras", folder / "gru.onnx"
        model = build(units, reset_after, masked)
        model.save(keras_file)
        x = inputs(batch, masked)
        model(x)  # Keras exports what was called once
        model.export(onnx_file, format="onnx", verbose=False)
        arrays = folder / "x.npz"
        np.savez(arrays, x=x)
        files = (keras_file, onnx_file)
        other = OnnxRuntime(onnx_file, x)
        other.time(3)
        probe = time_seqfuse(arguments.seqfuse, arrays, 3, files)
        runs = max(5, round(ROUND / 2 * 1e3 / probe[0]["median_ms"]))
        other_runs = max(5, round(ROUND * 1e3 / other.time(3)))
        rounds, apart = [], 0.0
        for _ in range(arguments.rounds):
            ours = time_seqfuse(arguments.seqfuse, arrays, runs, files)
            apart = max(apart, ours[1]["apart"])
            times = [side["median_ms"] for side in ours]
            rounds.append([*times, other.time(other_runs), times[1] / times[0]])
    medians = [statistics.median(column) for column in zip(*rounds)]
    return {"model": name, "batch": batch, "medians": medians, "apart": apart}


def main():
    """Parses the command line, times every model and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    binary = ROOT / "target" / "release" / "examples" / "run_speed"
    parser.add_argument("--seqfuse", type=Path, default=binary, help="examples/run_speed.rs, built")
    parser.add_argument("--rounds", type=int, default=7, help="[%(default)s]")
    arguments = parser.parse_args()
    if not arguments.seqfuse.is_file():
        parser.error(f"no file {arguments.seqfuse}; build it or name it with --seqfuse")
    if arguments.rounds < 1:
        parser.error("--rounds counts from 1")
    import quiet  # noqa: F401  (first: sets the backend)

    print(f"load {os.getloadavg()[0]:.1f}; 1 thread, {TIME} steps of {FEATURES} features, ms a run")
    print("| model | batch | `.keras` | `.onnx` | ONNX Runtime | ratio | ONNX Runtime / `.onnx` |")
    print("|---|---|---|---|---|---|---|", flush=True)
    failed = []
    for row in MODELS:
        for batch in BATCHES:
            result = measure(row, batch, arguments)
            keras_ms, onnx_ms, other_ms, ratio = result["medians"]
            cells = [f"{value:.3g}" for value in (keras_ms, onnx_ms, other_ms)]
            cells += [f"{ratio:.3f}", f"{other_ms / onnx_ms:.1f}"]
            print(f"| {row[0]} | {batch} | {' | '.join(cells)} |", flush=True)
            if not ratio < LIMIT or not result["apart"] <= TOLERANCE:
                failed.append(f"{row[0]}, batch {batch}: {ratio:.3f}, apart {result['apart']:.1e}")
    print(f"load {os.getloadavg()[0]:.1f}")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
