"""Keras on TensorFlow: writes the files of all sides, and is timed as a graph and with XLA."""

import os
import sys
from pathlib import Path

THREADS = int(sys.argv[1])
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
# What XLA compiles runs on the threads of TensorFlow's own pool; Eigen's is sized by the cores.
os.environ["TF_NUM_INTRAOP_THREADS"] = str(THREADS)
os.environ["TF_NUM_INTEROP_THREADS"] = str(THREADS)
os.environ["OMP_NUM_THREADS"] = str(THREADS)

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import worker  # noqa: E402

BATCHES = 4


def layers_of(spec, x):
    """The tensors of a model's layers, from that of its ids."""
    from keras import layers

    for kind, *sizes in spec["layers"]:
        match kind:
            case "embedding":
                options = {"mask_zero": True} if spec["masked"] else {}
                x = layers.Embedding(spec["vocabulary"], sizes[0], **options)(x)
            case "lstm":
                x = layers.LSTM(sizes[0], return_sequences=sizes[1])(x)
            case "gru":
                x = layers.GRU(sizes[0], return_sequences=sizes[1])(x)
            case "bilstm":
                x = layers.Bidirectional(layers.LSTM(sizes[0], return_sequences=sizes[1]))(x)
            case "bigru":
                x = layers.Bidirectional(layers.GRU(sizes[0], return_sequences=sizes[1]))(x)
            case "conv":
                x = layers.Conv1D(sizes[0], sizes[1], activation="relu")(x)
            case "maximum":
                x = layers.GlobalMaxPooling1D()(x)
            case "average":
                x = layers.GlobalAveragePooling1D()(x)
            case "block":
                heads, key_dim, hidden = sizes
                attended = layers.MultiHeadAttention(heads, key_dim)(x, x)
                x = layers.LayerNormalization()(layers.Add()([x, attended]))
                if hidden:
                    inner = layers.Dense(hidden, activation="relu")(x)
                    inner = layers.Dense(x.shape[-1])(inner)
                    x = layers.LayerNormalization()(layers.Add()([x, inner]))
            case "dense":
                x = layers.Dense(sizes[0], activation=sizes[1])(x)
            case _:
                raise ValueError(f"no layer {kind}")
    return x


def build(spec):
    """The model with equal weights in every process."""
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    time = None if spec["open_length"] else spec["time"]
    tokens = keras.Input((time,), dtype="int32", name="tokens")
    return keras.Model(tokens, layers_of(spec, tokens), name=spec["name"].replace("-", "_"))


def ids(spec, rows, padding):
    """Random ids; a share of each row's end is padding."""
    import numpy as np

    rng = np.random.default_rng(rows)
    tokens = rng.integers(1, spec["vocabulary"], size=(rows, spec["time"])).astype("int32")
    if padding:
        tokens[:, round(spec["time"] * (1 - padding)) :] = 0
    return tokens


def prepare(request):
    """Writes model.keras, model.onnx, weights.npz, ids by batch, and data to train on."""
    import numpy as np

    spec, folder = request["spec"], Path(request["folder"])
    model = build(spec)
    model.compile("adam", "binary_crossentropy")
    model.save(folder / "model.keras")
    weights = {f"{index:04}": value for index, value in enumerate(model.get_weights())}
    np.savez(folder / "weights.npz", **weights)
    for batch in request["batches"]:
        tokens = ids(spec, batch, request["padding"])
        np.savez(folder / f"ids-{batch}.npz", tokens=tokens)
        tokens.astype("<i4").tofile(folder / f"ids-{batch}.bin")
    rows = request["train_batch"] * BATCHES
    targets = np.random.default_rng(2).integers(0, 2, size=(rows, 1)).astype("float32")
    np.savez(folder / "data.npz", x=ids(spec, rows, 0), y=targets)
    if request["onnx"]:
        model(ids(spec, 1, 0))  # Keras exports what was called once
        model.export(folder / "model.onnx", format="onnx", verbose=False)


def infer(request, xla):
    """The compiled forward pass, its result read back, and what it gives."""
    import keras
    import numpy as np
    import tensorflow as tf

    folder = Path(request["folder"])
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    tokens = tf.constant(np.load(folder / f"ids-{request['batch']}.npz")["tokens"])
    forward = tf.function(lambda x: model(x, training=False), jit_compile=xla)
    forward = forward.get_concrete_function(tf.TensorSpec(tokens.shape, tokens.dtype))

    def run():
        return forward(tokens).numpy()

    return run, run().ravel()


def train(request, xla):
    """Keras's own train function on batches that lie in memory, and the losses of its first steps."""
    import keras
    import numpy as np
    import tensorflow as tf

    folder = Path(request["folder"])
    data = np.load(folder / "data.npz")
    model = keras.saving.load_model(folder / "model.keras")
    model.compile("adam", "binary_crossentropy", jit_compile=xla)
    batches = tf.data.Dataset.from_tensor_slices((data["x"], data["y"]))
    batches = batches.batch(request["batch"], drop_remainder=True).cache().repeat().prefetch(4)
    batches = iter(batches)
    model.make_train_function()

    def run():
        # Nothing is over before its result can be read.
        return float(next(iter(model.train_function(batches).values())))

    # Keras's loss of a step is the mean since the metrics were reset.
    losses = []
    for _ in range(BATCHES):
        model.reset_metrics()
        losses.append(run())
    return run, losses


def load(request):
    """A side is `TF` or `XLA`."""
    xla = request["side"] == "XLA"
    return (infer if request["task"] == "infer" else train)(request, xla)


def main():
    """Sizes TensorFlow's pools, then serves."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    worker.serve(load, prepare)


if __name__ == "__main__":
    main()
