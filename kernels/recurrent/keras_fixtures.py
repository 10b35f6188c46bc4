"""Writes `keras_fixtures.rs`: outputs of real Keras layers on made-up weights and inputs.

Run with Keras 3 on TensorFlow. `values` has a twin in `tests.rs`, so only outputs are stored.
"""

import sys

import keras
import numpy as np


def values(seed, *shape):
    index = np.arange(int(np.prod(shape)), dtype=np.int64)
    return (((index * 7919 + seed * 104729 + 13) % 2003) / 1001.5 - 1).astype("float32").reshape(shape)


BATCH, TIME, INPUT, UNITS = 3, 4, 2, 2
MASK = np.array([[0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=bool)


def case(name, layer, states, masked, weights, **attributes):
    layer = layer(UNITS, return_sequences=True, return_state=True, **attributes)
    layer.build((BATCH, TIME, INPUT))
    layer.set_weights([values(i + 1, *w.shape) for i, w in enumerate(layer.get_weights())])
    initial = [values(20 + i, BATCH, UNITS) for i in range(states)] if weights else None
    x = values(10, BATCH, TIME, INPUT)
    mask = MASK if masked else None
    outputs = [np.asarray(o) for o in layer(x, mask=mask, initial_state=initial)]
    if attributes.get("go_backwards"):
        outputs[0] = outputs[0][:, ::-1]
    flat = np.concatenate([o.ravel() for o in outputs])
    numbers = ", ".join(repr(float(np.float32(v))) for v in flat)
    return f'    ("{name}", &[{numbers}]),\n'


lstm, gru, simple = keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN
lines = [
    case("lstm", lstm, 2, False, False),
    case("lstm masked states", lstm, 2, True, True),
    case("lstm masked backward", lstm, 2, True, True, go_backwards=True),
    case("lstm relu hard_sigmoid", lstm, 2, False, True, activation="relu", recurrent_activation="hard_sigmoid"),
    case("lstm softmax", lstm, 2, True, True, activation="softmax"),
    case("gru", gru, 1, False, False),
    case("gru masked states", gru, 1, True, True),
    case("gru before masked states", gru, 1, True, True, reset_after=False),
    case("gru before softsign", gru, 1, False, True, reset_after=False, activation="softsign"),
    case("simple masked backward", simple, 1, True, True, go_backwards=True),
    case("simple", simple, 1, False, False),
]
with open(sys.argv[1], "w") as file:
    file.write("// Written by `keras_fixtures.py` with Keras " + keras.__version__ + ".\n\n")
    file.write("/// Case and outputs: sequence, h and, for LSTM, c.\n#[rustfmt::skip]\n")
    file.write("pub(super) const CASES: &[(&str, &[f64])] = &[\n" + "".join(lines) + "];\n")
