"""Writes keras_fixtures.rs: five steps of every Keras optimizer under every option.

Run from this folder: python keras_fixtures.py
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np

STEPS, SIZE = 5, 6
rng = np.random.default_rng(3)
start = rng.normal(size=SIZE).astype("float32")
gradients = rng.normal(size=(STEPS, SIZE)).astype("float32")
gradients[:, 0] *= 1e-4
gradients[2:4, 1] = 0
gradients[:, 2] *= 100


def numbers(values):
    return "&[" + ", ".join(repr(float(v)) for v in np.asarray(values).reshape(-1)) + "]"


def bits(values):
    return "&[" + ", ".join(str(v) for v in np.asarray(values, "float32").reshape(-1).view("uint32")) + "]"


cases, factored = [], []


def steps(optimizer, shape):
    variable = keras.Variable(start.reshape(shape), name="w")
    optimizer.build([variable])
    after = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient.reshape(shape))], [variable])
        after.append(variable.numpy())
    return optimizer, after


def case(name, rust, optimizer, wrap="Optimizer::{}({})"):
    optimizer, after = steps(optimizer, (SIZE,))
    slots = [v for v in optimizer.variables if tuple(v.shape) == (SIZE,)]
    names = [v.name.removeprefix("w_") for v in slots]
    lr = np.float32(optimizer.get_config()["learning_rate"])
    decay = optimizer.weight_decay
    kind = rust.split(" ")[0].split("::")[0]
    value = wrap.format(kind, rust)
    names = ", ".join(f'"{n.split("/")[-1]}"' for n in names)
    cases.append(
        f"    Case {{ name: \"{name}\", optimizer: {value}, learning_rate: {str(lr)}, "
        f"weight_decay: {f'Some({decay})' if decay is not None else 'None'}, "
        f"slots: &[{names}], after: {bits(after)}, "
        f"slots_after: {bits([s.numpy() for s in slots])} }},"
    )


def structure(kind, **fields):
    inner = ", ".join(
        f"{k}: {str(v).lower() if isinstance(v, bool) else repr(float(v))}" for k, v in fields.items()
    )
    return f"{kind} {{ {inner} }}"


o = keras.optimizers
for momentum, nesterov in [(0.0, False), (0.9, False), (0.9, True), (0.0, True)]:
    case("SGD", structure("Sgd", momentum=momentum, nesterov=nesterov),
         o.SGD(0.05, momentum, nesterov))
case("SGD decay", structure("Sgd", momentum=0.5, nesterov=False),
     o.SGD(0.05, 0.5, weight_decay=0.03))
for b1, b2, eps, ams in [(0.9, 0.999, 1e-7, False), (0.9, 0.999, 1e-7, True), (0.8, 0.95, 1e-3, False)]:
    case("Adam", structure("Adam", beta_1=b1, beta_2=b2, epsilon=eps, amsgrad=ams),
         o.Adam(0.01, b1, b2, eps, ams))
case("AdamW", structure("Adam", beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False),
     o.AdamW(0.01, 0.04))
case("AdamW amsgrad", structure("Adam", beta_1=0.9, beta_2=0.99, epsilon=1e-7, amsgrad=True),
     o.AdamW(0.01, 0.04, beta_2=0.99, amsgrad=True))
for kind, name in [("Nadam", "Nadam"), ("Adamax", "Adamax"), ("Lamb", "Lamb")]:
    for b1, b2, eps in [(0.9, 0.999, 1e-7), (0.7, 0.9, 1e-4)]:
        case(name, structure(kind, beta_1=b1, beta_2=b2, epsilon=eps),
             getattr(o, name)(0.01, b1, b2, eps))
case("Nadam decay", structure("Nadam", beta_1=0.9, beta_2=0.999, epsilon=1e-7),
     o.Nadam(0.01, weight_decay=0.1))
for rho, momentum, centered in [(0.9, 0.0, False), (0.8, 0.5, False), (0.9, 0.0, True), (0.8, 0.5, True)]:
    case("RMSprop", structure("RmsProp", rho=rho, momentum=momentum, epsilon=1e-7, centered=centered),
         o.RMSprop(0.01, rho, momentum, centered=centered))
for initial, eps in [(0.1, 1e-7), (0.0, 1e-3)]:
    case("Adagrad", structure("Adagrad", initial_accumulator_value=initial, epsilon=eps),
         o.Adagrad(0.1, initial, eps))
for rho, eps in [(0.95, 1e-7), (0.8, 1e-3)]:
    case("Adadelta", structure("Adadelta", rho=rho, epsilon=eps), o.Adadelta(1.0, rho, eps))
for b1, b2 in [(0.9, 0.99), (0.5, 0.7)]:
    case("Lion", structure("Lion", beta_1=b1, beta_2=b2), o.Lion(0.01, b1, b2))
for power, initial, l1, l2, shrink, beta in [
    (-0.5, 0.1, 0, 0, 0, 0), (-0.5, 0.2, 0.1, 0.2, 0.05, 0.3), (-0.7, 0.1, 0.01, 0, 0, 0),
]:
    case("Ftrl", structure("Ftrl", learning_rate_power=power, initial_accumulator_value=initial,
                           l1_regularization_strength=l1, l2_regularization_strength=l2,
                           l2_shrinkage_regularization_strength=shrink, beta=beta),
         o.Ftrl(0.1, power, initial, float(l1), float(l2), float(shrink), float(beta)))

for shape in [(6,), (2, 3), (3, 2, 1), (2, 1, 3)]:
    for lr, threshold, relative in [(0.01, 1.0, True), (0.9, 0.7, True), (0.9, 1.0, False)]:
        optimizer, after = steps(
            o.Adafactor(lr, clip_threshold=threshold, relative_step=relative), shape)
        factored.append(f"    (&{list(shape)}, {lr}, {threshold}, {str(relative).lower()}, {bits(after)}),")

clipped = []
for kind, value in [("clipnorm", 1.5), ("global_clipnorm", 2.0), ("clipvalue", 0.6), ("clipnorm", 1e6),
                    ("global_clipnorm", 1e6)]:
    optimizer = o.SGD(1.0, **{kind: value})
    first, second = gradients[0], gradients[1]
    got = optimizer._clip_gradients([keras.ops.convert_to_tensor(g) for g in (first, second)])
    clipped.append(f"    (\"{kind}\", {value!r}, {bits([np.asarray(g) for g in got])}),")

variable = keras.Variable(start)
optimizer = o.SGD(0.05, use_ema=True, ema_momentum=0.9)
optimizer.build([variable])
averages = []
for gradient in gradients:
    optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    averages.append(optimizer._model_variables_moving_average[0].numpy())

variable = keras.Variable(start)
optimizer = o.SGD(0.05, gradient_accumulation_steps=2)
optimizer.build([variable])
accumulated = []
for gradient in gradients:
    optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    accumulated.append(variable.numpy())

with open("keras_fixtures.rs", "w") as out:
    print(f"// Written by `keras_fixtures.py` with Keras {keras.__version__}.\n", file=out)
    print("use super::*;\n", file=out)
    print("/// An optimizer; the bits of the variable after each step, and of its slots at last.", file=out)
    print("pub(super) struct Case {\n    pub(super) name: &'static str,\n"
          "    pub(super) optimizer: Optimizer,\n    pub(super) learning_rate: f32,\n"
          "    pub(super) weight_decay: Option<f64>,\n    pub(super) slots: &'static [&'static str],\n"
          "    pub(super) after: &'static [u32],\n    pub(super) slots_after: &'static [u32],\n}\n",
          file=out)
    print("/// The variable before the first step.\n#[rustfmt::skip]", file=out)
    print(f"pub(super) const START: &[u32] = {bits(start)};\n", file=out)
    print("/// The gradients of the steps.\n#[rustfmt::skip]", file=out)
    print(f"pub(super) const GRADIENTS: &[u32] = {bits(gradients)};\n", file=out)
    print("#[rustfmt::skip]", file=out)
    print("pub(super) const CASES: &[Case] = &[", *cases, "];", sep="\n", file=out)
    print("\n/// Shape, learning rate, clip threshold, relative step, variable after each step.", file=out)
    print("pub(super) type Factored = (&'static [usize], f32, f64, bool, &'static [u32]);\n", file=out)
    print("#[rustfmt::skip]", file=out)
    print("pub(super) const ADAFACTOR: &[Factored] = &[", *factored, "];", sep="\n", file=out)
    print("\n/// How, the limit, and what becomes of the first two gradients.\n#[rustfmt::skip]", file=out)
    print("pub(super) const CLIPPED: &[(&str, f64, &[u32])] = &[", *clipped, "];", sep="\n", file=out)
    print("\n/// The average after each step of SGD(0.05, use_ema=True, ema_momentum=0.9).\n"
          "#[rustfmt::skip]", file=out)
    print(f"pub(super) const AVERAGES: &[u32] = {bits(averages)};", file=out)
    print("\n/// The variable after each step of SGD(0.05, gradient_accumulation_steps=2).\n"
          "#[rustfmt::skip]", file=out)
    print(f"pub(super) const ACCUMULATED: &[u32] = {bits(accumulated)};", file=out)
