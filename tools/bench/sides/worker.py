"""What every Python side is made of: a process that takes one JSON object a line, and answers so.

    {"do": "prepare", ...}   builds a model and writes its files (the Keras side alone)
    {"do": "load", ...}      makes a model ready; answers with what it computes
    {"do": "time", "side": S, "runs": N}   answers with the milliseconds of each run
    {"do": "close"}          forgets what is loaded

An answer has `error` where something failed.
"""

import json
import os
import sys
import time
import traceback


def channel():
    """Standard output for answers alone: what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def timed(run, runs):
    """The milliseconds of each of `runs` calls."""
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        run()
        taken.append(1e3 * (time.perf_counter() - began))
    return taken


def serve(load, prepare=None):
    """Answers requests until standard input ends.

    `load(request)` gives a function that does one run, and the numbers that tell whether all sides
    compute the same: the outputs of `infer`, the losses of the first steps of `train`.
    """
    answers, loaded = channel(), {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            match request["do"]:
                case "prepare":
                    answer = prepare(request) or {}
                case "load":
                    run, numbers = load(request)
                    loaded[request["side"]] = run
                    answer = {"numbers": [float(number) for number in numbers]}
                case "time":
                    answer = {"ms": timed(loaded[request["side"]], request["runs"])}
                case "close":
                    loaded.clear()
                    answer = {}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
