"""The sides of the comparison: processes that are asked to prepare, load and time."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


class SideError(Exception):
    """A side cannot do what it was asked."""


class Worker:
    """A process that answers a JSON object a line (sides/worker.py, peers/src/main.rs)."""

    def __init__(self, command, log):
        self.command = [str(part) for part in command]
        self.log = open(log, "a", encoding="utf-8")
        self.process = None

    def ask(self, **request):
        """The answer to a request; starts the process where there is none."""
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True
            )
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError as error:
            line = ""
            self.log.write(f"{error}\n")
        if not line:
            code = self.process.wait()
            self.process = None
            raise SideError(f"{Path(self.command[-2]).name} ended with {code}; see {self.log.name}")
        answer = json.loads(line)
        if "error" in answer:
            raise SideError(answer["error"])
        return answer

    def stop(self):
        """Ends the process."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


class Peer:
    """A side that runs in a worker of its own; several may share one."""

    def __init__(self, name, worker, tasks):
        self.name, self.worker, self.tasks = name, worker, tasks

    def load(self, row, spec, folder):
        """Makes the row ready, and gives the numbers by which sides are compared."""
        task, batch = row.task, row.batch
        answer = self.worker.ask(
            do="load", side=self.name, spec=spec, folder=str(folder), task=task, batch=batch
        )
        return answer["numbers"]

    def time(self, runs):
        """The milliseconds of each run."""
        return self.worker.ask(do="time", side=self.name, runs=runs)["ms"]

    def close(self):
        """Forgets what is loaded."""
        if self.worker.process is not None:
            self.worker.ask(do="close")


class Seqfuse:
    """The command; each round is a process of its own."""

    name = "seqfuse"

    def __init__(self, binary, threads):
        self.binary, self.threads = binary, str(threads)

    def run(self, *arguments):
        """What the command prints."""
        command = [str(self.binary), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SideError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def bench(self, model, task, batch, *more):
        """What `seqfuse bench --json` says."""
        train = ["--train"] if task == "train" else []
        arguments = ["--batch", batch, "--threads", self.threads, "--json", *train, *more]
        return json.loads(self.run("bench", model, *arguments))

    def numbers(self, row, folder):
        """The outputs of `infer`; of `train`, the loss of an epoch of four steps."""
        model = folder / "model.keras"
        if row.task == "infer":
            printed = self.run(
                "run", model, "--input", folder / f"ids-{row.batch}.npz", "--output", "-",
                "--threads", self.threads, "--batch-size", row.batch,
            )
            (values,) = json.loads(printed).values()
            return [number for row in values for number in row]
        with tempfile.TemporaryDirectory() as temporary:
            history = Path(temporary) / "history.json"
            self.run(
                "train", model, "--data", folder / "data.npz", "--epochs", 1, "--batch-size",
                row.batch, "--no-shuffle", "--threads", self.threads, "--history", history,
                "--output", Path(temporary) / "trained.keras",
            )
            return json.loads(history.read_text())["loss"]


def libraries(threads):
    """The environment in which the libraries of the peers use so many threads."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RTEN_NUM_THREADS")
    os.environ.update({name: str(threads) for name in names})
