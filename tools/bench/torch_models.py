"""Keras descriptions (`models/*.json`) as PyTorch modules of the same shapes, to time them.

Weights are random, masks are left out: inputs without padding give the same work without them. Recurrent
layers are `nn.LSTM` and `nn.GRU`, cuDNN on an NVIDIA GPU; attention is `scaled_dot_product_attention`.
"""

import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS = {
    None: lambda x: x,
    "linear": lambda x: x,
    "relu": functional.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softmax": lambda x: torch.softmax(x, -1),
    "gelu": functional.gelu,
}


class Unknown(Exception):
    """A layer or option that has no equivalent here."""


class Recurrent(nn.Module):
    """LSTM or GRU in one direction or two, all steps or the last."""

    def __init__(self, kind, config, features, both=False, merge="concat"):
        super().__init__()
        if config.get("activation", "tanh") != "tanh" or merge not in ("concat",):
            raise Unknown("a recurrent layer with other activations or merging")
        if kind == "GRU" and not config.get("reset_after", True):
            raise Unknown("a GRU whose reset gate comes before the product")
        self.cell = {"LSTM": nn.LSTM, "GRU": nn.GRU}[kind](
            features, config["units"], batch_first=True, bidirectional=both
        )
        self.steps = config.get("return_sequences", False)
        self.width = config["units"] * (2 if both else 1)

    def forward(self, x):
        """`[batch, time, features]` to all steps or the last."""
        steps, states = self.cell(x)
        if self.steps:
            return steps
        last = states[0] if isinstance(states, tuple) else states
        return torch.cat(list(last), -1)


class Attention(nn.Module):
    """Keras's MultiHeadAttention of a query with itself."""

    def __init__(self, config, width, scores):
        super().__init__()
        self.heads, self.size = config["num_heads"], config["key_dim"]
        self.parts = nn.Linear(width, 3 * self.heads * self.size)
        self.out = nn.Linear(self.heads * self.size, width)
        self.scores, self.width = scores, width

    def forward(self, x, *_):
        """`[batch, time, width]`, or that and the scores; keys and values are those of `x`."""
        batch, time, _ = x.shape
        parts = self.parts(x).view(batch, time, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)
        if self.scores:
            scores = torch.softmax(parts[0] @ parts[1].transpose(-1, -2) / self.size**0.5, -1)
            values = scores @ parts[2]
        else:
            values = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        values = self.out(values.transpose(1, 2).reshape(batch, time, -1))
        return (values, scores) if self.scores else values


class Model(nn.Module):
    """The layers of a description, run in order."""

    def __init__(self, description, length):
        super().__init__()
        config = description["config"]
        self.length = length
        self.names, self.steps, self.shapes = [], [], {}
        self.parts = nn.ModuleDict()
        previous = None
        for index, layer in enumerate(config["layers"]):
            name = layer.get("name") or f"layer_{index}"
            if description["class_name"] == "Functional":
                sources = functional_sources(layer)
            else:
                sources = [previous] if previous else []
            self.add(name, layer, sources)
            previous = (name, 0)
        outputs = config.get("output_layers")
        self.outputs = [(name, at) for name, _, at in outputs] if outputs else [previous]

    def add(self, name, layer, sources):
        """Notes a layer, with its module where it has one, and the width of what it gives."""
        kind, own = layer["class_name"], layer.get("config", {})
        if kind == "InputLayer" or (kind == "Embedding" and not sources):
            self.names.append(name if kind == "InputLayer" else name + "/ids")
            self.steps.append((self.names[-1], None, []))
            if kind == "InputLayer":
                return
            sources = [(self.names[-1], 0)]
        width = self.shapes.get(sources[0][0]) if sources else None
        step, module, width = build(kind, own, layer, width, [self.shapes.get(s[0]) for s in sources], self.length)
        if module is not None:
            self.parts[name.replace(".", "_")] = module
            step = module
        self.steps.append((name, step, sources))
        self.shapes[name] = width

    def forward(self, *inputs):
        """The outputs for ids in the order of the inputs."""
        values = dict(zip(self.names, inputs, strict=True))
        for name, step, sources in self.steps:
            if step is None:
                continue
            taken = [pick(values[source], at) for source, at in sources]
            values[name] = step(*taken)
        return [pick(values[name], at) for name, at in self.outputs]


def pick(value, at):
    """Output `at` of a layer."""
    return value[at] if isinstance(value, tuple) else value


def functional_sources(layer):
    """Name and output of what a layer of a Functional model takes; numbers are left out."""
    found = []

    def walk(argument):
        if isinstance(argument, dict) and argument.get("class_name") == "__keras_tensor__":
            name, _, at = argument["config"]["keras_history"]
            found.append((name, at))
        elif isinstance(argument, list):
            for part in argument:
                walk(part)

    for node in layer.get("inbound_nodes", []):
        walk(node["args"])
    return found


def build(kind, own, layer, width, widths, length):
    """What a layer does, its module if it has weights, and the width of what it gives."""
    if kind == "Embedding":
        return None, nn.Embedding(own["input_dim"], own["output_dim"]), own["output_dim"]
    if kind in ("LSTM", "GRU"):
        module = Recurrent(kind, own, width)
        return None, module, module.width
    if kind == "Bidirectional":
        inner = own["layer"]
        module = Recurrent(inner["class_name"], inner["config"], width, True, own.get("merge_mode", "concat"))
        return None, module, module.width
    if kind == "Dense":
        linear = nn.Linear(width, own["units"], bias=own.get("use_bias", True))
        return None, Then(linear, activation(own)), own["units"]
    if kind == "Conv1D":
        return None, Then(Convolution(own, width), activation(own)), own["filters"]
    if kind == "LayerNormalization":
        return None, nn.LayerNorm(width, eps=own.get("epsilon", 1e-3)), width
    if kind == "MultiHeadAttention":
        arguments = layer["inbound_nodes"][0].get("kwargs", {})
        return None, Attention(own, width, arguments.get("return_attention_scores", False)), width
    return simple(kind, own, layer, width, widths, length)


def simple(kind, own, layer, width, widths, length):
    """Layers without weights."""
    axis, keep = own.get("axis"), own.get("keepdims", False)
    number = next((part for part in first_arguments(layer) if isinstance(part, (int, float))), None)
    if kind in ("Dropout", "SpatialDropout1D"):
        return (lambda x: x), None, width
    if kind == "Add":
        return (lambda x, y=number: x + y), None, width
    if kind == "Concatenate":
        return (lambda *parts: torch.cat(parts, -1)), None, sum(widths)
    if kind == "GlobalMaxPooling1D":
        return (lambda x: x.amax(1)), None, width
    if kind == "GlobalAveragePooling1D":
        return (lambda x: x.mean(1)), None, width
    if kind == "Flatten":
        return (lambda x: x.flatten(1)), None, width * length
    if kind in ("NotEqual", "GetItem"):
        # A mask that keeps everything, which attention is given nothing of.
        return (lambda x: x), None, None
    folds = {"Mean": torch.mean, "Sum": torch.sum, "Max": torch.amax}
    if kind in folds:
        return (lambda x: folds[kind](x, dim=axis, keepdim=keep)), None, width
    pairs = {"Subtract": torch.sub, "Divide": torch.div, "Multiply": torch.mul}
    if kind in pairs:
        return pairs[kind], None, width
    if kind == "Exp":
        return torch.exp, None, width
    raise Unknown(kind)


def first_arguments(layer):
    """The plain arguments of a layer's call."""
    nodes = layer.get("inbound_nodes") or [{"args": []}]
    return nodes[0].get("args", [])


def activation(own):
    """The function of an activation's name."""
    name = own.get("activation")
    if name not in ACTIVATIONS:
        raise Unknown(f"activation {name}")
    return ACTIVATIONS[name]


class Then(nn.Module):
    """A module, and a function of what it gives."""

    def __init__(self, module, function):
        super().__init__()
        self.module, self.function = module, function

    def forward(self, x):
        """The function of the module's result."""
        return self.function(self.module(x))


class Convolution(nn.Module):
    """Keras's Conv1D, whose channels are last."""

    def __init__(self, own, width):
        super().__init__()
        size, stride = first(own["kernel_size"]), first(own.get("strides", 1))
        padding = own.get("padding", "valid")
        if padding == "causal" or (padding == "same" and stride != 1):
            raise Unknown(f"padding {padding}")
        self.conv = nn.Conv1d(width, own["filters"], size, stride, padding=padding)

    def forward(self, x):
        """`[batch, time, features]` to `[batch, time, filters]`."""
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


def first(size):
    """A size that may stand in a list of one."""
    return size[0] if isinstance(size, (list, tuple)) else size
