#!/usr/bin/env python3
"""Checks that real Keras goes on with what seqfuse trained.

Takes training fixtures (a compiled model before training, its data, and what Keras made of it in
all epochs), trains the first half of the epochs with seqfuse, lets Keras load the saved file and
train the other half, and compares the weights with those of the fixture.

    tools/train/continue_in_keras.py --seqfuse target/release/seqfuse
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

FIXTURES = Path(__file__).resolve().parents[2] / "tests/fixtures/training"
TOLERANCE = 1e-4
# What seqfuse cannot be told by these flags, or takes no half of.
LEFT_OUT = {"class_weight", "validation_split", "validation_data", "initial_epoch", "steps_per_epoch"}


def cases(families, parts):
    """The cases of some families that the command line can repeat."""
    for family in families:
        for case in json.loads((FIXTURES / family / "cases.json").read_text()):
            name = f"{family}/{case['name']}"
            fit = {key for key, value in case["fit"].items() if value is not None}
            if LEFT_OUT & fit or case["fit"]["epochs"] % 2:
                continue
            if not parts or any(part in name for part in parts):
                yield name, case


def check(name, case, binary, folder):
    """The largest difference of a weight, absolute plus relative."""
    file = FIXTURES / f"{name}.keras"
    arrays = np.load(FIXTURES / f"{name}.npz")
    half = case["fit"]["epochs"] // 2
    batch = case["fit"].get("batch_size") or 32
    data, halfway = folder / "data.npz", folder / "halfway.keras"
    given = ("x", "y", "sample_weight")
    np.savez(data, **{k: v for k, v in arrays.items() if k.split("/")[0] in given})
    command = [binary, "train", file, "--data", data, "--output", halfway, "--no-shuffle"]
    command += ["--epochs", str(half), "--batch-size", str(batch)]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    model = keras.models.load_model(halfway)
    model.jit_compile = False
    parts = lambda key: [arrays[k] for k in arrays if k.split("/")[0] == key]
    x, y, weight = parts("x"), parts("y"), parts("sample_weight")
    one = lambda values: values[0] if len(values) == 1 else values
    extra = {"sample_weight": one(weight)} if weight else {}
    model.fit(one(x), one(y), epochs=half, batch_size=batch, shuffle=False, verbose=0, **extra)
    worst = 0.0
    for index, weight in enumerate(model.weights):
        if index in case.get("zero_gradient", []):
            continue
        expected = arrays[f"after/{index}"]
        off = np.abs(np.asarray(weight) - expected) / (1 + np.abs(expected))
        worst = max(worst, float(off.max(initial=0.0)))
    return worst


def main():
    """Parses the command line and checks the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seqfuse", default="target/release/seqfuse", metavar="PATH")
    parser.add_argument("--families", nargs="+", default=["optimizers", "schedules", "documented"])
    parser.add_argument("--only", nargs="+", default=[], metavar="PART", help="parts of names")
    arguments = parser.parse_args()
    failed, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for name, case in cases(arguments.families, arguments.only):
            count += 1
            try:
                worst = check(name, case, arguments.seqfuse, Path(folder))
                verdict = "" if worst <= TOLERANCE else "  PARTS"
            except subprocess.CalledProcessError as error:
                worst, verdict = float("nan"), f"  {error.stderr.strip().splitlines()[-1]}"
            except Exception as error:
                worst, verdict = float("nan"), f"  {type(error).__name__}: {error}"
            print(f"{name:<48} {worst:8.1e}{verdict}", flush=True)
            if verdict:
                failed.append(name)
    print(f"{count} cases, {len(failed)} parted from Keras: {failed}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
