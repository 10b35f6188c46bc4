"""Writes keras_fixtures.json: metrics of Keras after each of three batches, weighted and masked.

Run from this folder: python keras_fixtures.py
"""

import json
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.compile_utils import get_metric

m = keras.metrics
rng = np.random.default_rng(11)


def tensor(values):
    """The index of a tensor in the list that the cases share."""
    values = np.asarray(values)
    kind = "i64" if values.dtype.kind in "iu" else "f32"
    if kind == "f32":
        values = values.astype("float32")
    # The shortest digits that give the f32 values back.
    flat = [float(str(v)) if kind == "f32" else int(v) for v in values.reshape(-1)]
    new = {"shape": list(values.shape), "type": kind, "values": flat}
    if new not in tensors:
        tensors.append(new)
    return tensors.index(new)


cases, tensors = [], []


def case(identifier, batches, masked=False):
    """Batches of (targets, predictions, weights); where masked, the weights are a mask."""
    metric = get_metric(identifier, batches[0][0], batches[0][1])
    results = []
    for y_true, y_pred, weights in batches:
        y_pred = tf.constant(y_pred, "float32")
        if masked:
            y_pred._keras_mask = tf.constant(weights, "bool")
            weights = None
        metric.update_state(y_true, y_pred, sample_weight=weights)
        results.append(float(metric.result()))
    if not isinstance(identifier, str):
        identifier = m.serialize(identifier)
    cases.append({
        "metric": identifier, "name": metric.name,
        "batches": [[tensor(t), tensor(np.asarray(p, "float32")),
                     None if w is None else tensor(np.asarray(w, "float32"))]
                    for t, p, w in batches],
        "results": results,
    })


def sigmoid(shape):
    p = rng.uniform(0, 1, shape).round(3)
    p.reshape(-1)[0] = 0.5
    return p


def softmax(shape):
    p = rng.uniform(0.01, 1, shape)
    return (p / p.sum(-1, keepdims=True)).round(3)


def weighted(batches, shape=lambda y: (y.shape[0],)):
    return [(t, p, rng.uniform(0, 2, shape(p)).round(2)) for t, p, _ in batches]


def mask(batches, shape):
    return [(t, p, rng.integers(0, 2, shape(p))) for t, p, _ in batches]


sizes = [5, 3, 8]
binary = [(rng.integers(0, 2, (n, 1)), sigmoid((n, 1)), None) for n in sizes]
binary_flat = [(rng.integers(0, 2, n), sigmoid((n, 1)), None) for n in sizes]
labels = [(rng.integers(0, 2, (n, 4)), sigmoid((n, 4)), None) for n in sizes]
steps = [(rng.integers(0, 2, (3, n, 1)), sigmoid((3, n, 1)), None) for n in sizes]
onehot = [(np.eye(6, dtype="float32")[rng.integers(0, 6, n)], softmax((n, 6)), None) for n in sizes]
sparse = [(rng.integers(0, 6, n), softmax((n, 6)), None) for n in sizes]
sparse_column = [(rng.integers(0, 6, (n, 1)), softmax((n, 6)), None) for n in sizes]
sparse_steps = [(rng.integers(0, 6, (3, n)), softmax((3, n, 6)), None) for n in sizes]
real = [(rng.normal(size=(n, 2)).round(3), rng.normal(size=(n, 2)).round(3), None) for n in sizes]
real_flat = [(rng.normal(size=n).round(3), rng.normal(size=(n, 1)).round(3), None) for n in sizes]
leading = lambda p: p.shape[:-1]

for name in ["accuracy", "acc"]:
    for batches in [binary, binary_flat, labels, onehot, sparse, sparse_column, sparse_steps, steps]:
        case(name, batches)
for batches in [steps, sparse_steps]:
    for given in [weighted(batches), weighted(batches, leading)]:
        case("accuracy", given)
    case("accuracy", mask(batches, leading), masked=True)
case("accuracy", weighted(onehot))
case(m.Accuracy(), [(t.round(0), p.round(0), None) for t, p, _ in real])
case(m.BinaryAccuracy(threshold=0.3, name="over"), labels)
case("binary_accuracy", weighted(labels))
for k in [1, 2, 5]:
    case(m.TopKCategoricalAccuracy(k), weighted(onehot))
    case(m.SparseTopKCategoricalAccuracy(k), sparse)
    case(m.SparseTopKCategoricalAccuracy(k), sparse_steps)
case("TopKCategoricalAccuracy", onehot)
for name in ["mae", "MSE", "mean_absolute_error", "MeanSquaredError", "mape", "msle",
             "root_mean_squared_error", "RootMeanSquaredError", "cosine_similarity", "log_cosh_error"]:
    case(name, real)
    case(name, weighted(real))
for name in ["mae", "mse", "RootMeanSquaredError"]:
    case(name, real_flat)
    case(name, weighted(real_flat))
case("mse", mask(steps, leading), masked=True)
for name in ["hinge", "squared_hinge", "categorical_hinge", "poisson", "kl_divergence"]:
    case(name, labels)
case("bce", labels)
case("binary_crossentropy", weighted(steps, leading))
case(m.BinaryCrossentropy(from_logits=True, label_smoothing=0.1), [(t[:, :2], p, w) for (t, _, w), (_, p, _) in zip(labels, real)])
case("CategoricalCrossentropy", weighted(onehot))
case(m.CategoricalCrossentropy(label_smoothing=0.2), onehot)
for from_logits in [False, True]:
    for ignore in [None, 2]:
        metric = lambda: m.SparseCategoricalCrossentropy(from_logits=from_logits, ignore_class=ignore)
        case(metric(), sparse)
        case(metric(), weighted(sparse_steps, leading))
case("sparse_categorical_crossentropy", mask(sparse_steps, leading), masked=True)
for kind in [m.Precision, m.Recall]:
    for options in [{}, {"thresholds": 0.3}, {"top_k": 2}, {"class_id": 1}, {"top_k": 1, "class_id": 2},
                    {"thresholds": [0.7], "name": "x"}]:
        case(kind(**options), labels)
        case(kind(**options), weighted(labels))
    case(kind(), weighted(steps, leading))
for name in ["Precision", "recall", "TruePositives", "FalsePositives", "TrueNegatives", "false_negatives"]:
    case(name, binary_flat)
for curve in ["ROC", "PR", "PRGAIN"]:
    for method in ["interpolation", "minoring", "majoring"]:
        case(m.AUC(curve=curve, summation_method=method), labels)
        case(m.AUC(curve=curve, summation_method=method, num_thresholds=11), weighted(labels))
    case(m.AUC(curve=curve, thresholds=[0.1, 0.8, 0.25]), labels)
    case(m.AUC(curve=curve, thresholds=[0.25, 0.5, 0.75]), labels)
    case(m.AUC(curve=curve, multi_label=True), labels)
    case(m.AUC(curve=curve, multi_label=True, num_labels=4), weighted(labels))
case("AUC", binary)
case("auc", weighted(binary_flat))
case(m.AUC(from_logits=True), [(t, p, None) for (t, _, _), (_, p, _) in zip(binary_flat, real_flat)])
case(m.AUC(num_thresholds=2), labels)
for average in ["micro", "macro", "weighted"]:
    for threshold in [None, 0.4]:
        case(m.F1Score(average, threshold), labels)
        case(m.FBetaScore(average, 0.5, threshold), weighted(labels))

with open("keras_fixtures.json", "w") as out:
    lines = [",\n".join(json.dumps(line) for line in lines) for lines in (tensors, cases)]
    out.write('{"tensors": [\n' + lines[0] + '\n], "cases": [\n' + lines[1] + "\n]}\n")
