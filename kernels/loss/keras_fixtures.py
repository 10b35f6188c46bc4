"""Writes keras_fixtures.rs: losses and gradients that Keras gives, kinks, ties and clips included.

Run from this folder: python keras_fixtures.py
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
import tensorflow as tf

f = keras.losses
rng = np.random.default_rng(7)


def numbers(values):
    """The shortest digits that give the f32 values back."""
    values = np.asarray(values, "float32").reshape(-1)
    return "&[" + ", ".join(str(v) for v in values) + "]"


def run(function, y_true, y_pred):
    p = tf.constant(y_pred, "float32")
    upstream = np.linspace(0.5, 2.0, len(y_pred)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(p)
        losses = function(y_true, p)
        total = tf.reduce_sum(losses * upstream)
    return upstream, losses.numpy(), tape.gradient(total, p).numpy()


cases, sparse = [], []


def case(loss, function, y_true, y_pred):
    y_true, y_pred = np.asarray(y_true, "float32"), np.asarray(y_pred, "float32")
    upstream, losses, gradient = run(function, y_true, y_pred)
    cases.append(
        f"    (Loss::{loss}, {y_pred.shape[1]}, {numbers(y_true)}, {numbers(y_pred)}, "
        f"{numbers(upstream)}, {numbers(losses)}, {numbers(gradient)}),"
    )


def sparse_case(from_logits, ignore, ids, y_pred):
    y_pred = np.asarray(y_pred, "float32")
    upstream, losses, gradient = run(
        lambda y, p: f.sparse_categorical_crossentropy(y, p, from_logits, ignore),
        np.asarray(ids, "int64"),
        y_pred,
    )
    sparse.append(
        f"    ({str(from_logits).lower()}, {f'Some({ignore})' if ignore is not None else 'None'}, "
        f"{y_pred.shape[1]}, &{list(ids)}, {numbers(y_pred)}, {numbers(upstream)}, "
        f"{numbers(losses)}, {numbers(gradient)}),"
    )


values = rng.normal(size=(4, 3)).round(3)
targets = rng.normal(size=(4, 3)).round(3)
targets[0] = values[0]  # No error at all: the gradients' kinks.
targets[1, 0] = values[1, 0] + 0.5
labels = rng.integers(0, 2, size=(5, 3))
logits = np.concatenate([rng.normal(size=(3, 3)).round(3) * 3, [[40, -40, 0], [100, -100, 1]]])
probabilities = np.concatenate(
    [rng.uniform(0.05, 0.95, size=(3, 3)).round(3), [[0, 1, 1e-7], [1e-8, 0.99999988, 0.99999994]]]
)
onehot = np.eye(3)[[0, 2, 1, 1, 0]]
soft = np.array([[0.5, 0.5, 0], [0.2, 0.3, 0.1], [1, 1, 0], [0, 0, 0], [0.1, 0.2, 0.7]])

for smoothing in [0.0, 0.1]:
    for logit, given in [("true", logits), ("false", probabilities)]:
        options = f"from_logits: {logit}, label_smoothing: {smoothing}"
        kwargs = dict(from_logits=logit == "true", label_smoothing=smoothing)
        case(f"BinaryCrossentropy {{ {options} }}",
             lambda y, p: f.binary_crossentropy(y, p, **kwargs), labels, given)
        case(f"BinaryCrossentropy {{ {options} }}",
             lambda y, p: f.binary_crossentropy(y, p, **kwargs), labels[:, :1], given[:, :1])
        for given_targets in [onehot, soft]:
            case(f"CategoricalCrossentropy {{ {options} }}",
                 lambda y, p: f.categorical_crossentropy(y, p, **kwargs), given_targets, given)
case("MeanSquaredError", f.mean_squared_error, targets, values)
case("MeanAbsoluteError", f.mean_absolute_error, targets, values)
case("MeanAbsolutePercentageError", f.mean_absolute_percentage_error, targets, values)
case("MeanAbsolutePercentageError", f.mean_absolute_percentage_error, labels[:4], values)
case("MeanSquaredLogarithmicError", f.mean_squared_logarithmic_error, targets, values)
for delta in [1.0, 0.5]:
    case(f"Huber {{ delta: {delta} }}", lambda y, p: f.huber(y, p, delta), targets, values)
case("LogCosh", f.log_cosh, targets * 5, values)
for name, function in [("Hinge", f.hinge), ("SquaredHinge", f.squared_hinge)]:
    case(name, function, labels, logits)
    case(name, function, [[-1, 1, 0.5], [1, -1, 1]], [[-1, 1, 2], [0.3, 0.2, 1]])
case("CategoricalHinge", f.categorical_hinge, onehot, logits)
case("CategoricalHinge", f.categorical_hinge, [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
     [[1, 0.5, 1], [2, 1, 1], [0, 0, 0]])
case("KlDivergence", f.kl_divergence, soft, probabilities)
case("KlDivergence", f.kl_divergence, soft[:2], [[1.5, 0.2, -1], [0.1, 0.2, 1]])
case("Poisson", f.poisson, labels, probabilities)
case("CosineSimilarity", f.cosine_similarity, targets, values)
case("CosineSimilarity", f.cosine_similarity, [[0, 0, 0], [1, 2, 3]], [[1, 2, 2], [3e-8, 0, 1e-8]])

for from_logits, given in [(True, logits), (False, probabilities)]:
    sparse_case(from_logits, None, [0, 2, 1, 1, 0], given)
    sparse_case(from_logits, -1, [0, -1, 1, -1, 0], given)
    sparse_case(from_logits, 1, [0, 2, 1, 1, 0], given)

with open("keras_fixtures.rs", "w") as out:
    print(f"// Written by `keras_fixtures.py` with Keras {keras.__version__}.", file=out)
    print("\nuse super::Loss;\n", file=out)
    print("/// The loss, classes, targets, predictions, upstream, losses and gradient.", file=out)
    print("pub(super) type Case =", file=out)
    print("    (Loss, usize, &'static [f32], &'static [f32], &'static [f32], &'static [f64], "
          "&'static [f64]);", file=out)
    print("\n#[rustfmt::skip]", file=out)
    print("pub(super) const CASES: &[Case] = &[", *cases, "];", sep="\n", file=out)
    print("\n/// From logits, ignored class, classes, ids, predictions, upstream, losses and gradient.",
          file=out)
    print("pub(super) type SparseCase = (", file=out)
    print("    bool,\n    Option<i64>,\n    usize,\n    &'static [i64],\n    &'static [f32],\n"
          "    &'static [f32],\n    &'static [f64],\n    &'static [f64],\n);", file=out)
    print("\n#[rustfmt::skip]", file=out)
    print("pub(super) const SPARSE_CASES: &[SparseCase] = &[", *sparse, "];", sep="\n", file=out)
