"""ONNX Runtime on the file that Keras exports."""

import sys
from pathlib import Path

import worker

THREADS = int(sys.argv[1])


def load(request):
    """A session on the model's ids."""
    import numpy as np
    import onnxruntime

    folder = Path(request["folder"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    tokens = np.load(folder / f"ids-{request['batch']}.npz")["tokens"]
    fed = {session.get_inputs()[0].name: tokens}

    def run():
        return session.run(None, fed)[0]

    return run, run().ravel()


if __name__ == "__main__":
    worker.serve(load)
