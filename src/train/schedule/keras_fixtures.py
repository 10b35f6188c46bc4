"""Writes keras_fixtures.json: learning rates of 50 steps of every Keras schedule.

Run from this folder: python keras_fixtures.py
"""

import json
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np

s = keras.optimizers.schedules
SCHEDULES = [
    s.ExponentialDecay(0.1, 7, 0.9),
    s.ExponentialDecay(0.1, 7, 0.9, staircase=True, name="steps"),
    s.InverseTimeDecay(0.1, 5, 0.5),
    s.InverseTimeDecay(0.1, 5, 0.5, staircase=True),
    s.PolynomialDecay(0.1, 20),
    s.PolynomialDecay(0.1, 20, 0.01, 0.5),
    s.PolynomialDecay(0.1, 15, 0.01, 2.0, cycle=True),
    s.PiecewiseConstantDecay([5, 20, 33], [0.1, 0.05, 0.01, 0.001]),
    s.PiecewiseConstantDecay([10], [1.0, 0.5]),
    s.CosineDecay(0.1, 30),
    s.CosineDecay(0.1, 30, alpha=0.2),
    s.CosineDecay(0.0, 30, alpha=0.1, warmup_target=0.2, warmup_steps=10),
    s.CosineDecayRestarts(0.1, 6),
    s.CosineDecayRestarts(0.1, 7, t_mul=1.0, m_mul=0.8, alpha=0.05),
    s.CosineDecayRestarts(0.1, 4, t_mul=1.5, m_mul=0.9),
    s.CosineDecayRestarts(0.1, 5, t_mul=3.0),
]

cases = []
for schedule in SCHEDULES:
    rates = [np.float32(schedule(keras.ops.convert_to_tensor(i, "int64"))) for i in range(50)]
    cases.append({"schedule": s.serialize(schedule), "bits": [int(r.view("uint32")) for r in rates]})
with open("keras_fixtures.json", "w") as out:
    out.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
