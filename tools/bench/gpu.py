#!/usr/bin/env python3
"""Times the documented models on the GPU, beside PyTorch on the same one.

    cargo build --release --example run_speed
    python3 tools/bench/gpu.py [--seqfuse target/release/examples/run_speed] [--models imdb-gru,...]

For each model of `models/` and each batch there are rounds: in a round seqfuse runs the model on the GPU
(and, with --cpu, on the CPU) some times, then PyTorch does, with `nn.LSTM` and `nn.GRU` (cuDNN on an
NVIDIA GPU) and the same shapes. A run goes from inputs on the host to outputs on the host. The figures
are medians over the rounds of each round's median, in milliseconds. PyTorch's weights are others and it
is given no masks; that results are right is the matter of the tests. Text layers are left out: both
sides are given ids.

It needs this file, torch_models.py, `models/` and the built example, and PyTorch where that is to be
compared with. Where PyTorch is missing, or has no GPU, the table says so.
"""

import argparse
import json
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Steps, where the length is open.
LENGTH = 100
# What all runs of one side in a round should take together, in seconds, and how many there are at least.
ROUND, LEAST = 0.3, 3


def description(path):
    """A model without its text layer, the names of its inputs, their lengths, and how many ids there are."""
    model = json.loads(path.read_text())
    layers = model["config"]["layers"]
    texts = [layer for layer in layers if layer["class_name"] == "TextVectorization"]
    length = None
    if texts:
        layers.remove(texts[0])
        length = texts[0]["config"].get("output_sequence_length")
    if layers[0]["class_name"] != "InputLayer":
        shape = {"batch_shape": [None, length], "dtype": "int32", "name": "ids"}
        layers.insert(0, {"class_name": "InputLayer", "name": "ids", "config": shape})
    inputs = {}
    for layer in layers:
        if layer["class_name"] == "InputLayer":
            name = layer.get("name") or layer["config"]["name"]
            inputs[name] = layer["config"]["batch_shape"][1] or LENGTH
    vocabulary = min(
        layer["config"]["input_dim"] for layer in layers if layer["class_name"] == "Embedding"
    )
    return model, inputs, vocabulary


def ids(inputs, vocabulary, batch):
    """Ids without padding, by input: rows of them."""
    draw = random.Random(3)
    row = lambda length: [draw.randrange(min(1, vocabulary - 1), vocabulary) for _ in range(length)]
    return {name: [row(length) for _ in range(batch)] for name, length in inputs.items()}


def write_npz(path, arrays):
    """Arrays of int32 as NumPy would write them."""
    with zipfile.ZipFile(path, "w") as file:
        for name, rows in arrays.items():
            shape = (len(rows), len(rows[0]))
            header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}"
            header = header.ljust(117) + "\n"
            flat = [number for row in rows for number in row]
            start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            file.writestr(f"{name}.npy", start + struct.pack(f"<{len(flat)}i", *flat))


def time_seqfuse(binary, arrays, runs, threads, model, devices):
    """What examples/run_speed.rs prints, a row a device."""
    command = [str(binary), str(arrays), str(runs), str(threads)]
    for device in devices:
        command += ["--device", device, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Torch:
    """PyTorch on the GPU, or on the CPU where it has none."""

    def __init__(self, threads):
        import torch

        sys.path.insert(0, str(HERE))
        import torch_models

        self.torch, self.models = torch, torch_models
        torch.set_num_threads(threads)
        self.has_gpu = torch.cuda.is_available()
        self.device = torch.device("cuda" if self.has_gpu else "cpu")
        name = torch.cuda.get_device_name() if self.has_gpu else f"the CPU, {threads} threads"
        self.name = f"PyTorch {torch.__version__} on {name}"
        if self.has_gpu:
            self.name += f", cuDNN {torch.backends.cudnn.version()}"

    def model(self, model, inputs):
        """The model, or why there is none."""
        try:
            made = self.models.Model(model, next(iter(inputs.values())))
        except self.models.Unknown as missing:
            return None, f"no equivalent of {missing}"
        return made.to(self.device).eval(), None

    def run(self, model, arrays):
        """One run, from ids on the host to outputs on the host."""
        with self.torch.inference_mode():
            outputs = model(*[array.to(self.device) for array in arrays])
            return [output.cpu() for output in outputs]

    def time(self, model, arrays, runs):
        """The median of some runs in milliseconds."""
        arrays = [self.torch.tensor(rows, dtype=self.torch.int32) for rows in arrays.values()]
        for _ in range(5):
            self.run(model, arrays)
        taken = []
        for _ in range(runs):
            began = time.perf_counter()
            self.run(model, arrays)
            taken.append((time.perf_counter() - began) * 1e3)
        return statistics.median(taken)


def measure(arguments, torch, path, batch, folder):
    """A row of the table."""
    model, inputs, vocabulary = description(path)
    arrays = ids(inputs, vocabulary, batch)
    file, stripped = folder / "inputs.npz", folder / f"{path.stem}.json"
    write_npz(file, arrays)
    stripped.write_text(json.dumps(model))
    devices = ["gpu", "cpu"] if arguments.cpu else ["gpu"]
    own = lambda runs: time_seqfuse(arguments.seqfuse, file, runs, arguments.threads, stripped, devices)
    slowest = max(row["median_ms"] for row in own(LEAST))
    runs = max(LEAST, min(200, int(ROUND * 1e3 / slowest)))
    peer, missing = torch.model(model, inputs) if torch else (None, None)
    rounds, theirs = [], []
    for _ in range(arguments.rounds):
        rounds.append(own(runs))
        if peer is not None:
            theirs.append(torch.time(peer, arrays, runs))
    middle = lambda at: statistics.median(rows[at]["median_ms"] for rows in rounds)
    return {
        "model": path.stem,
        "batch": batch,
        "device": rounds[0][0]["device"],
        "gpu": middle(0),
        "cpu": middle(1) if arguments.cpu else None,
        "torch": statistics.median(theirs) if theirs else None,
        "note": "; ".join(
            note
            for note in [
                missing,
                f"{rounds[0][0]['moved_stages']} stages on the CPU" if rounds[0][0]["moved_stages"] else None,
                f"GPU and CPU are {rounds[0][1]['apart']:.0e} apart"
                if arguments.cpu and rounds[0][1]["apart"] > 1e-4
                else None,
            ]
            if note
        ),
    }


def table(rows):
    """The rows in Markdown."""
    show = lambda value: "–" if value is None else f"{value:.3g}"
    ratio = lambda row: row["gpu"] / row["torch"] if row["torch"] else None
    lines = ["| model | batch | GPU | CPU | PyTorch | GPU / PyTorch | |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = [show(row[key]) for key in ("gpu", "cpu", "torch")] + [show(ratio(row)), row["note"]]
        lines.append(f"| `{row['model']}` | {row['batch']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seqfuse", type=Path, default=ROOT / "target/release/examples/run_speed")
    parser.add_argument("--models", help="parts of names, such as imdb-gru,attention; all if not given")
    parser.add_argument("--folder", type=Path, default=ROOT / "models", help="where the descriptions are")
    parser.add_argument("--batches", default="1,32,256")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu", action="store_true", help="time seqfuse's CPU too")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--output", type=Path, help="keep the rows as JSON")
    arguments = parser.parse_args()
    torch, peer = None, "PyTorch was left out"
    if not arguments.no_torch:
        try:
            torch = Torch(arguments.threads)
            peer = torch.name
            if not torch.has_gpu:
                peer += ": it has no GPU here, so that the comparison is of different devices"
        except ImportError as error:
            peer = f"PyTorch is not there ({error}): nothing to compare with"
    parts = arguments.models.split(",") if arguments.models else [""]
    paths = [path for path in sorted(arguments.folder.glob("*.json")) if any(p in path.stem for p in parts)]
    if not paths:
        parser.error("no model is named so")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            for batch in map(int, arguments.batches.split(",")):
                print(f"{path.stem}, batch {batch}", file=sys.stderr, flush=True)
                try:
                    rows.append(measure(arguments, torch, path, batch, Path(folder)))
                except (RuntimeError, KeyError) as error:
                    print(f"{path.stem}, batch {batch}: {error}", file=sys.stderr)
    if not rows:
        sys.exit(1)
    print(f"seqfuse on {rows[0]['device']}; {peer}. Medians of {arguments.rounds} rounds, ms a run.\n")
    print(table(rows))
    if "software" in rows[0]["device"]:
        print("\nThis adapter is software: the figures say that the kernels run, not how fast a GPU is.")
    if arguments.output:
        arguments.output.write_text(json.dumps({"peer": peer, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
