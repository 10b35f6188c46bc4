#!/usr/bin/env python3
"""Checks that real Keras goes on with what seqfuse trained.

Takes training fixtures (a compiled model before training, its data, and what Keras made of it in
all epochs), trains the first half of the epochs with seqfuse, lets Keras load the saved file and
train the other half, and compares the weights with those of the fixture. Moving averages take the
weights' place when a fit ends: a model that keeps them is compared with two fits of Keras alone.

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

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
import custom_classes  # noqa: E402, F401  (registers the classes of fixtures)

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures/training"
TOLERANCE = 1e-4
TEMPLATES = sorted((ROOT / "models/custom").glob("*.json"))
TEMPLATES.append(ROOT / "tests/fixtures/custom/templates.json")
# What seqfuse cannot be told by these flags, or takes no half of.
LEFT_OUT = {"class_weight", "validation_split", "validation_data", "initial_epoch", "steps_per_epoch"}
# What seqfuse refuses to train by name.
REFUSED = {"optimizers/adafactor_dense", "optimizers/adafactor_pooled"}


def cases(families, parts):
    """The cases of some families that the command line can repeat."""
    for family in families:
        for case in json.loads((FIXTURES / family / "cases.json").read_text()):
            name = f"{family}/{case['name']}"
            fit = {key for key, value in case["fit"].items() if value is not None}
            if LEFT_OUT & fit or case["fit"]["epochs"] % 2:
                continue
            if name in REFUSED:
                print(f"{name:<48} is refused by name")
                continue
            if not parts or any(part in name for part in parts):
                yield name, case


def arrays_of(arrays, key, names):
    """The arrays `key`, `key/NAME` or `key/INDEX`, in the order of `names`."""
    if key in arrays:
        return [arrays[key]]
    found = [f"{key}/{part}" for pair in enumerate(names) for part in reversed(pair)]
    return [arrays[name] for name in found if name in arrays]


def data_for(case, arrays):
    """The arrays under the names that seqfuse finds them by."""
    names = {"x": case["inputs"], "y": case["outputs"], "sample_weight": case["outputs"]}
    data = {}
    for key, known in names.items():
        parts = arrays_of(arrays, key, known)
        if len(parts) == 1:
            data[key] = parts[0]
        elif key == "sample_weight":
            data |= {f"{key}_{name}": part for name, part in zip(known, parts)}
        else:
            data |= dict(zip(known, parts))
    return data


def fit(model, case, arrays, epochs):
    """Trains a model of Keras on the case's arrays."""
    model.jit_compile = False
    one = lambda values: values[0] if len(values) == 1 else values
    x, y, weight = (
        arrays_of(arrays, key, case[names])
        for key, names in (("x", "inputs"), ("y", "outputs"), ("sample_weight", "outputs"))
    )
    extra = {"sample_weight": one(weight)} if weight else {}
    batch = case["fit"].get("batch_size") or 32
    options = {"epochs": epochs, "batch_size": batch, "shuffle": False, "verbose": 0}
    model.fit(one(x), one(y), **options, **extra)


def expected_weights(file, case, arrays, half):
    """What Keras makes of the model: in one fit as in the fixture, or in two."""
    model = keras.models.load_model(file)
    if not model.optimizer.use_ema:
        return [arrays[f"after/{index}"] for index in range(len(model.weights))]
    fit(model, case, arrays, half)
    fit(model, case, arrays, half)
    return [np.asarray(weight) for weight in model.weights]


def check(name, case, binary, folder):
    """The largest difference of a weight, absolute plus relative."""
    file = FIXTURES / f"{name}.keras"
    arrays = np.load(FIXTURES / f"{name}.npz")
    half = case["fit"]["epochs"] // 2
    batch = case["fit"].get("batch_size") or 32
    data, halfway = folder / "data.npz", folder / "halfway.keras"
    np.savez(data, **data_for(case, arrays))
    command = [binary, "train", file, "--data", data, "--output", halfway, "--no-shuffle"]
    command += ["--epochs", str(half), "--batch-size", str(batch)]
    for template in TEMPLATES:
        command += ["--custom", template]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    model = keras.models.load_model(halfway)
    fit(model, case, arrays, half)
    worst = 0.0
    for index, expected in enumerate(expected_weights(file, case, arrays, half)):
        if index in case.get("zero_gradient", []):
            continue
        off = np.abs(np.asarray(model.weights[index]) - expected) / (1 + np.abs(expected))
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
