#!/usr/bin/env python3
"""Times a training step of the documented models in seqfuse and in Keras, in turn.

    cargo build --release --example train_speed
    python3 tools/bench/training.py --seqfuse target/release/examples/train_speed [--xla]
        [--models NAME ...] [--rounds 9] [--json FILE]

Builds each model of models/ in Keras, compiles it as documented, saves it, and has both sides train
the same file on the same batches of 64 rows with two threads. A round times every side once, one
after the other, each over a number of steps that is fixed beforehand; the figure is the median of
the rounds. Of Keras what `fit` runs is timed, its train function over batches that lie ready in
memory, without callbacks and progress bar; of seqfuse all of a step of `fit`, gathering rows from
the data included. Where a model has no dropout, the losses of the first epoch are compared too.

Needs tools/fixtures/requirements.txt.
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

BATCH = 64
THREADS = 2
# Batches of data; both sides go through them again and again.
BATCHES = 8
# Steps before the clock runs.
WARM_UP = 5
# What a side's steps of one round should take together, in seconds.
ROUND = 0.4
# The length of models that take any.
LENGTHS = {"imdb-bilstm": 200, "imdb-bilstm-stacked": 200, "attention": 10}
LENGTH = 120
WORDS = 300


def compile_as_documented(name, model, **options):
    """Compiles with the documented optimizer and loss."""
    import keras

    optimizer, loss, metrics = "adam", "binary_crossentropy", ["accuracy"]
    if name.startswith("block-"):
        optimizer = keras.optimizers.Adam(0.01)
    if name == "encoder-classifier":
        loss = "sparse_categorical_crossentropy"
    if name == "attention":
        loss, metrics = "mse", None
    model.compile(optimizer, loss, metrics=metrics, **options)


def build(name, **options):
    """The model, compiled; its text layer knows WORDS words."""
    import documented
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    make, vocabulary, _ = documented.TABLE[name]
    model = make(vocabulary)
    for layer in model.layers:
        if type(layer).__name__ == "TextVectorization":
            layer.adapt([f"w{index}" for index in range(min(WORDS, vocabulary - 2))])
    if name == "attention":
        # Documented without training: its first output is learned here.
        model = keras.Model(model.inputs, model.outputs[0])
    compile_as_documented(name, model, **options)
    return model


def arrays(name, model):
    """Inputs and targets of `BATCHES` batches, by the names of the model's inputs and outputs."""
    import documented
    import numpy as np

    rng = np.random.default_rng(5)
    _, vocabulary, length = documented.TABLE[name]
    rows, length = BATCH * BATCHES, length or LENGTHS.get(name, LENGTH)
    inputs = {}
    for tensor in model.inputs:
        known = tensor._keras_history.operation.name
        if known == "positions":
            inputs[known] = np.tile(np.arange(length, dtype="int32"), (rows, 1))
        elif known == "tokens" or "int" in tensor.dtype or "float" in tensor.dtype:
            inputs[known] = rng.integers(1, vocabulary, size=(rows, length)).astype("int32")
        else:
            words = rng.integers(0, WORDS, size=(rows, 12))
            texts = np.array([" ".join(f"w{word}" for word in row) for row in words])
            inputs[known] = texts[:, None] if len(tensor.shape) == 2 else texts
    if name == "attention":
        return inputs, rng.normal(size=(rows, length, 8)).astype("float32")
    return inputs, rng.integers(0, 2, size=(rows, 1)).astype("float32")


class Keras:
    """Keras's train function over batches that lie ready in memory."""

    def __init__(self, name, xla):
        import tensorflow as tf

        self.model = build(name, jit_compile=xla)
        if self.model.jit_compile != xla:
            raise ValueError("Keras does not compile a model with strings")
        inputs, targets = arrays(name, self.model)
        self.arrays = inputs, targets
        given = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        data = tf.data.Dataset.from_tensor_slices((given, targets))
        data = data.batch(BATCH, drop_remainder=True).cache().repeat().prefetch(4)
        self.batches = iter(data)

    def save(self, folder):
        """Writes the model as it is, and its data as seqfuse takes them."""
        import numpy as np

        inputs, targets = self.arrays
        self.model.save(folder / "model.keras")
        values = {"x": next(iter(inputs.values()))} if len(inputs) == 1 else inputs
        np.savez(folder / "data.npz", **values, y=targets)

    def first_epoch(self):
        """The mean loss of the first epoch, and a first estimate of a step in milliseconds."""
        self.model.make_train_function()
        self.step = self.model.train_function
        for _ in range(BATCHES):
            self.step(self.batches)
        loss = float(self.model.get_metrics_result()["loss"])
        for _ in range(WARM_UP):
            self.step(self.batches)
        return loss, self.time(3)

    def time(self, steps):
        """Milliseconds a step over so many steps."""
        began = time.perf_counter()
        for _ in range(steps):
            logs = self.step(self.batches)
        # Nothing is over before its result can be read.
        float(next(iter(logs.values())))
        return (time.perf_counter() - began) / steps * 1e3


def time_seqfuse(binary, folder, steps):
    """What examples/train_speed.rs prints."""
    command = [str(binary), str(folder / "model.keras"), str(folder / "data.npz")]
    command += [str(steps), str(BATCH), str(THREADS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(name, arguments):
    """The medians of a model by side, and the losses of its first epoch."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sides, losses = {}, {}
        for side, xla in [("graph", False), ("XLA", True)][: 2 if arguments.xla else 1]:
            try:
                runner = Keras(name, xla)
                if side == "graph":
                    runner.save(folder)
                losses[side], estimate = runner.first_epoch()
            except Exception as error:
                if side == "graph":
                    raise
                print(f"  {name}: Keras {side}: {str(error).splitlines()[0][:90]}", flush=True)
                continue
            steps = max(5, min(300, round(ROUND * 1e3 / estimate)))
            sides[side] = lambda runner=runner, steps=steps: runner.time(steps)
        probe = time_seqfuse(arguments.seqfuse, folder, BATCHES)
        losses["seqfuse"] = probe["first_epoch_loss"]
        steps = max(BATCHES, min(2000, round(ROUND * 1e3 / probe["median_ms"])))
        seqfuse = lambda: time_seqfuse(arguments.seqfuse, folder, steps)["mean_ms"]
        sides = {"seqfuse": seqfuse, **sides}
        times = {side: [] for side in sides}
        for _ in range(arguments.rounds):
            for side, run in sides.items():
                times[side].append(run())
        layers = runner.model._flatten_layers()
        rates = (getattr(layer, key, 0) for layer in layers for key in ("rate", "dropout"))
        dropout = any(rate for rate in rates if isinstance(rate, float))
    row = {side: statistics.median(values) for side, values in times.items()}
    return {"model": name, "ms": row, "loss": losses, "dropout": dropout, "rounds": times}


def heading():
    """The first lines of the table."""
    return (
        "| model | seqfuse | Keras, graph | Keras, XLA | seqfuse / best Keras |\n"
        "|---|---|---|---|---|"
    )


def line(result):
    """A row of the table."""
    ms = result["ms"]
    best = min(value for side, value in ms.items() if side != "seqfuse")
    cells = [f"{ms[side]:.3g}" if side in ms else "–" for side in ("seqfuse", "graph", "XLA")]
    return f"| `{result['model']}` | {' | '.join(cells)} | {ms['seqfuse'] / best:.2f} |"


def disagrees(result):
    """Whether both sides compute the same model, yet not the same loss."""
    ours, theirs = result["loss"]["seqfuse"], result["loss"]["graph"]
    return not result["dropout"] and not abs(ours - theirs) <= 1e-4 * max(abs(theirs), 1e-3)


def main():
    """Parses the command line, times what it names and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    binary = ROOT / "target" / "release" / "examples" / "train_speed"
    parser.add_argument("--seqfuse", type=Path, default=binary, help="examples/train_speed.rs, built")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="those of models/ [all]")
    parser.add_argument("--rounds", type=int, default=9, help="[%(default)s]")
    parser.add_argument("--xla", action="store_true", help="also Keras with jit_compile=True")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, not medians alone")
    arguments = parser.parse_args()
    if not arguments.seqfuse.is_file():
        parser.error(f"no file {arguments.seqfuse}; build it or name it with --seqfuse")
    if arguments.rounds < 1:
        parser.error("--rounds counts from 1")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import quiet  # noqa: F401  (first: sets the backend)
    import documented
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    unknown = sorted(set(arguments.models or ()) - set(documented.TABLE))
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}")
    results, wrong = [], []
    print(f"load {os.getloadavg()[0]:.1f}; batch {BATCH}, {THREADS} threads, milliseconds a step")
    print(heading(), flush=True)
    for name in arguments.models or documented.TABLE:
        try:
            result = measure(name, arguments)
        except RuntimeError as error:
            print(f"  {name}: {error}", flush=True)
            wrong.append(name)
            continue
        results.append(result)
        print(line(result), flush=True)
        if disagrees(result):
            print(f"  {name}: losses of the first epoch differ: {result['loss']}", flush=True)
            wrong.append(name)
    print(f"load {os.getloadavg()[0]:.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
