"""PyTorch: modules that compute what the Keras models compute, with their weights."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import worker

THREADS = int(sys.argv[1])
BATCHES = 4
# Keras's own.
NORM_EPSILON, ADAM_EPSILON, LOSS_EPSILON = 1e-3, 1e-7, 1e-7


class Weights:
    """The arrays of Keras's `get_weights`, taken one after the other."""

    def __init__(self, file):
        arrays = np.load(file)
        self.arrays = iter([arrays[name] for name in sorted(arrays.files)])

    def take(self, count):
        """The next `count` arrays."""
        return [torch.from_numpy(np.ascontiguousarray(next(self.arrays))) for _ in range(count)]


def _linear(kernel, bias):
    layer = nn.Linear(kernel.shape[0], kernel.shape[1])
    layer.weight.data, layer.bias.data = kernel.T.contiguous(), bias
    return layer


class Recurrent(nn.Module):
    """nn.LSTM or nn.GRU; Keras's gates of a GRU stand in the order update, reset, candidate."""

    def __init__(self, kind, width, units, sequences, weights):
        super().__init__()
        both, cell = kind.startswith("bi"), kind.removeprefix("bi")
        make = nn.LSTM if cell == "lstm" else nn.GRU
        self.layer = make(width, units, batch_first=True, bidirectional=both)
        self.sequences, self.units, self.both = sequences, units, both
        for suffix in ("", "_reverse")[: 1 + both]:
            kernel, recurrent, bias = weights.take(3)
            if cell == "lstm":
                biases = bias, torch.zeros_like(bias)
            else:
                order = torch.arange(3 * units).reshape(3, units)[[1, 0, 2]].ravel()
                kernel, recurrent, bias = kernel[:, order], recurrent[:, order], bias[:, order]
                biases = bias
            values = (kernel.T, recurrent.T, *biases)
            for name, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), values):
                getattr(self.layer, f"{name}_l0{suffix}").data = value.contiguous().clone()
        self.layer.flatten_parameters()

    def forward(self, x):
        """All steps, or the last of each direction."""
        every, last = self.layer(x)
        if self.sequences:
            return every
        last = last[0] if isinstance(last, tuple) else last
        return torch.cat([last[0], last[1]], -1) if self.both else last[0]


class Block(nn.Module):
    """Self-attention, residual, LayerNorm, and a feed-forward part alike."""

    def __init__(self, width, heads, key_dim, hidden, weights):
        super().__init__()
        self.heads, inner = heads, heads * key_dim
        kernels = weights.take(8)
        query, key, value = (
            (kernels[2 * index].reshape(width, inner), kernels[2 * index + 1].reshape(inner))
            for index in range(3)
        )
        joined = [torch.cat(part, -1) for part in zip(query, key, value)]
        self.inner = _linear(*joined)
        self.outer = _linear(kernels[6].reshape(inner, width), kernels[7])
        self.norm = self._norm(width, weights)
        self.hidden = hidden
        if hidden:
            self.first, self.second = (_linear(*weights.take(2)) for _ in range(2))
            self.second_norm = self._norm(width, weights)

    @staticmethod
    def _norm(width, weights):
        norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        norm.weight.data, norm.bias.data = weights.take(2)
        return norm

    def forward(self, x):
        """`[batch, time, width]` to the same."""
        batch, time, _ = x.shape
        parts = self.inner(x).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*parts.unbind(0))
        attended = self.outer(attended.transpose(1, 2).reshape(batch, time, -1))
        x = self.norm(x + attended)
        if self.hidden:
            x = self.second_norm(x + self.second(torch.relu(self.first(x))))
        return x


class Net(nn.Module):
    """A model of models.py."""

    def __init__(self, spec, weights):
        super().__init__()
        parts, width = [], 0
        for kind, *sizes in spec["layers"]:
            match kind:
                case "embedding":
                    (table,) = weights.take(1)
                    part = nn.Embedding.from_pretrained(table, freeze=False)
                    width = sizes[0]
                case "lstm" | "gru" | "bilstm" | "bigru":
                    part = Recurrent(kind, width, *sizes, weights)
                    width = sizes[0] * (2 if kind.startswith("bi") else 1)
                case "conv":
                    kernel, bias = weights.take(2)
                    part = nn.Conv1d(width, sizes[0], sizes[1])
                    part.weight.data = kernel.permute(2, 1, 0).contiguous()
                    part.bias.data = bias
                    width = sizes[0]
                case "block":
                    part = Block(width, *sizes, weights)
                case "dense":
                    part = _linear(*weights.take(2))
                    width = sizes[0]
                case _:
                    part = nn.Identity()
            parts.append(part)
        self.parts, self.layers = nn.ModuleList(parts), spec["layers"]

    def forward(self, x):
        """Ids `[batch, time]` to what the last layer gives."""
        for (kind, *sizes), part in zip(self.layers, self.parts):
            match kind:
                case "conv":
                    x = torch.relu(part(x.transpose(1, 2))).transpose(1, 2)
                case "maximum":
                    x = x.amax(1)
                case "average":
                    x = x.mean(1)
                case "dense":
                    x = getattr(torch, sizes[1])(part(x))
                case _:
                    x = part(x)
        return x


def infer(net, request):
    """The forward pass without gradients, and what it gives."""
    ids = np.load(Path(request["folder"]) / f"ids-{request['batch']}.npz")["tokens"]
    ids = torch.from_numpy(ids)
    net.eval()

    def run():
        with torch.inference_mode():
            return net(ids)

    return run, run().numpy().ravel()


def train(net, request):
    """A step of Adam on batches that lie in memory, and the losses of the first steps."""
    data, batch = np.load(Path(request["folder"]) / "data.npz"), request["batch"]
    ids = torch.from_numpy(data["x"]).split(batch)
    targets = torch.from_numpy(data["y"]).split(batch)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, eps=ADAM_EPSILON, fused=True)
    net.train()
    done = 0

    def run():
        nonlocal done
        index, done = done % BATCHES, done + 1
        # Keras adds epsilon before the correction of the second moment, PyTorch after it.
        adam.param_groups[0]["eps"] = ADAM_EPSILON / (1 - 0.999**done) ** 0.5
        adam.zero_grad(set_to_none=True)
        y = net(ids[index]).clamp(LOSS_EPSILON, 1 - LOSS_EPSILON)
        loss = functional.binary_cross_entropy(y, targets[index])
        loss.backward()
        adam.step()
        return loss.item()

    return run, [run() for _ in range(BATCHES)]


def load(request):
    """The model with Keras's weights."""
    net = Net(request["spec"], Weights(Path(request["folder"]) / "weights.npz"))
    return (infer if request["task"] == "infer" else train)(net, request)


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    worker.serve(load)
