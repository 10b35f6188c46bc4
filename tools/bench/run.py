#!/usr/bin/env python3
"""Times seqfuse and its peers in turn, in one run, and judges every row by its gate.

    python3 tools/bench/run.py [--models NAME,...] [--rows PATTERN,...] [--peers NAME,...]
        [--rounds 7] [--extras masked,start,growth,long | --extras none] [--output FILE.md]

Builds seqfuse and the Rust peers, and installs the Python peers into tools/bench/.venv, where none
are named. All sides use the same number of threads. In a round each side runs for a moment, one
after the other; which one begins changes from round to round. A figure is the median of the rounds'
medians. Before that all sides must agree: outputs of inference, losses of the first steps of
training, within 1e-4. Ends with 1 where a row falls short.
"""

import argparse
import datetime
import fnmatch
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import client
import environment
import extras
import models
import table

TOLERANCE = 1e-4
SIDES = client.HERE / "sides"
# What a side runs in a round before its time is judged, and at most.
PROBE, MOST = 3, 5000


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="*", help="names or patterns [all]")
    parser.add_argument("--rows", default="*", help="MODEL/TASK/BATCH, names or patterns [all]")
    parser.add_argument("--peers", default=",".join(table.SIDES[1:]), help="[%(default)s]")
    parser.add_argument("--rounds", type=int, default=7, help="[%(default)s]")
    parser.add_argument("--seconds", type=float, default=0.3, help="a side's round [%(default)s]")
    parser.add_argument("--threads", type=int, default=2, help="of each side [%(default)s]")
    parser.add_argument("--extras", default=",".join(extras.ALL), help="or none [%(default)s]")
    parser.add_argument("--seqfuse", type=Path, help="the command [built]")
    parser.add_argument("--rust-peers", type=Path, help="tools/bench/peers, built [built]")
    parser.add_argument("--keras-python", type=Path, help="with Keras [tools/bench/.venv]")
    parser.add_argument("--torch-python", type=Path, help="with PyTorch [tools/bench/.venv]")
    parser.add_argument("--onnx-python", type=Path, help="with ONNX Runtime [tools/bench/.venv]")
    parser.add_argument("--work", type=Path, help="keeps the models' files [a temporary folder]")
    parser.add_argument("--output", type=Path, help="the tables as Markdown [printed]")
    parser.add_argument("--json", type=Path, help="all that was measured")
    parser.add_argument("--chart", type=Path, help="growth with length, batch and layers, as SVG")
    given = parser.parse_args()
    given.peers = [name for name in given.peers.split(",") if name]
    given.extras = [] if given.extras == "none" else given.extras.split(",")
    for name, known in [("peers", table.SIDES[1:]), ("extras", extras.ALL)]:
        if unknown := set(getattr(given, name)) - set(known):
            parser.error(f"--{name}: {', '.join(unknown)}; there are {', '.join(known)}")
    if given.rounds < 1:
        parser.error("--rounds counts from 1")
    return given


def workers(given, log):
    """The sides that were asked for, and the worker that writes the models' files."""
    pythons = (given.keras_python, given.torch_python, given.onnx_python)
    own = environment.python_of_peers() if None in pythons else None
    python = dict(zip(("keras", "torch", "onnxruntime"), (given_ or own for given_ in pythons)))

    def worker(name):
        return client.Worker([python[name], SIDES / f"{name}_side.py", given.threads], log)

    keras = worker("keras")
    both, infer = ("infer", "train"), ("infer",)
    made = {"TF": (keras, both), "XLA": (keras, both)}
    if "torch" in given.peers:
        made["torch"] = worker("torch"), both
    if "ORT" in given.peers:
        made["ORT"] = worker("onnxruntime"), infer
    if {"rten", "tract"} & set(given.peers):
        binary = given.rust_peers or environment.rust_peers()
        made["rten"] = client.Worker([binary, given.threads], log), infer
        made["tract"] = client.Worker([binary, given.threads], log), infer
    peers = [client.Peer(name, *made[name]) for name in given.peers]
    return keras, peers


def apart(own, theirs):
    """How far two lists of numbers are apart at most."""
    if len(own) != len(theirs):
        raise client.SideError(f"gives {len(theirs)} numbers, not {len(own)}")
    return max(abs(a - b) for a, b in zip(own, theirs))


def check(row, peers, seqfuse, folder):
    """The peers that run the row, why others do not, and how far results are apart."""
    spec, ready, failed, distances = asdict(row.model), [], {}, {}
    own = seqfuse.numbers(row, folder)
    for peer in peers:
        if row.task not in peer.tasks:
            continue
        try:
            theirs = peer.load(row, spec, folder)
            if row.task == "train":
                theirs = [statistics.mean(theirs)]
            distances[peer.name] = apart(own, theirs)
            if not distances[peer.name] <= TOLERANCE:
                raise client.SideError(f"results differ by {distances[peer.name]:.1e}")
            ready.append(peer)
        except client.SideError as error:
            failed[peer.name] = str(error)
    return ready, failed, distances


def runs_of(peer, seconds):
    """How many runs of a side a round takes."""
    peer.time(PROBE)
    return max(1, min(MOST, round(1e3 * seconds / statistics.median(peer.time(PROBE)))))


def measure(row, peers, seqfuse, folder, given):
    """All rounds of a row."""
    load = environment.load()
    ready, failed, distances = check(row, peers, seqfuse, folder)
    runs = {peer.name: runs_of(peer, given.seconds) for peer in ready}
    sides, limits = [seqfuse, *ready], []
    rounds = {side.name: [] for side in sides}
    for turn in range(given.rounds):
        first = turn % len(sides)
        for side in sides[first:] + sides[:first]:
            if side is seqfuse:
                seconds = ["--seconds", given.seconds]
                said = seqfuse.bench(folder / "model.keras", row.task, row.batch, *seconds)
                limits.append(said)
                rounds["seqfuse"].append(said["median_ms"])
            else:
                taken = side.time(runs[side.name])
                rounds[side.name].append(statistics.median(taken))
    for peer in ready:
        peer.close()
    result = table.judge(row, rounds, limits)
    return result | {"failed": failed, "apart": distances, "load": load}


def compare(given, seqfuse, work, results):
    """Every row that was asked for, into `results` one after the other."""
    def chosen(name, patterns):
        return any(fnmatch.fnmatch(name, pattern) for pattern in patterns.split(","))

    rows = [
        row
        for row in models.rows()
        if chosen(row.model.name, given.models) and chosen(row.name, given.rows)
    ]
    keras, peers = workers(given, work / "log.txt") if rows else (None, [])
    prepared = set()
    for row in rows:
        folder = work / row.model.name
        if row.model.name not in prepared:
            folder.mkdir(exist_ok=True)
            extras.prepare(keras, row.model, folder, onnx=True)
            prepared.add(row.model.name)
        try:
            result = measure(row, peers, seqfuse, folder, given)
        except client.SideError as error:
            print(f"{row.name}: {error}", file=sys.stderr, flush=True)
            continue
        results.append(result)
        print("| " + " | ".join(table.cells_of(result)) + " |", flush=True)
    for worker in {peer.worker for peer in peers} | ({keras} if keras else set()):
        worker.stop()


def write(given, about, results, others):
    """Prints and keeps what there is."""
    about["load_after"] = environment.load()
    about["limits"] = results[-1]["machine"] if results else None
    text = table.conditions(about) + "\n\n"
    if results:
        text += table.comparison(results) + "\n\n"
    text += extras.render(others)
    print(text, flush=True)
    if given.output:
        given.output.write_text(text, encoding="utf-8")
    if given.json:
        everything = about | {"rows": results, "extras": others}
        given.json.write_text(json.dumps(everything, indent=1), encoding="utf-8")


def main():
    """Measures, prints, writes."""
    given = arguments()
    client.libraries(given.threads)
    seqfuse = client.Seqfuse(given.seqfuse or environment.seqfuse(), given.threads)
    about = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "revision": environment.revision(),
        "machine": environment.machine(),
        "threads": given.threads,
        "rounds": given.rounds,
    }
    results, others = [], {}
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        try:
            compare(given, seqfuse, work, results)
            others |= extras.measure(given, seqfuse, work)
        finally:
            # Also when it is interrupted.
            write(given, about, results, others)
    short = [result["row"] for result in results if result["gated"] and not result.get("passes")]
    short += [name for name, result in others.items() if result.get("passes") is False]
    if short:
        sys.exit(f"{len(short)} fall short: {', '.join(short)}")


if __name__ == "__main__":
    main()
