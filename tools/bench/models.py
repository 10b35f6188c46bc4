"""The models that are timed, as plain data that every side builds from.

A layer is a tuple of its kind and its sizes:

    ("embedding", width)                  ids to rows of a table
    ("lstm" | "gru", units, sequences)    forward in time; all steps, or the last one
    ("bilstm" | "bigru", units, sequences)  both directions side by side
    ("conv", filters, size)               relu, no padding
    ("maximum",) ("average",)             over time
    ("block", heads, key_dim, hidden)     self-attention, residual, LayerNorm; with `hidden`
                                          units (0: none) feed-forward, residual, LayerNorm
    ("dense", units, activation)
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Model:
    """A model: its name, the length of its sequences, the size of its vocabulary, its layers."""

    name: str
    time: int
    vocabulary: int
    layers: tuple
    # Whether id 0 is padding that recurrent layers pass over.
    masked: bool = False
    # Whether the length is left open.
    open_length: bool = False


@dataclass(frozen=True)
class Row:
    """What is timed: a model, `infer` or `train`, a batch."""

    model: Model
    task: str
    batch: int
    gated: bool = field(default=True)

    @property
    def name(self):
        """As `--rows` names it."""
        return f"{self.model.name}/{self.task}/{self.batch}"


LOGIT = ("dense", 1, "sigmoid")


def _stack(kind):
    return (
        ("embedding", 64), (kind, 128, True), (kind, 64, False), ("dense", 32, "relu"), LOGIT
    )


MODELS = (
    Model("lstm-stack", 100, 1000, _stack("lstm")),
    Model("gru-stack", 100, 1000, _stack("gru")),
    Model("bilstm", 200, 8185,
          (("embedding", 64), ("bilstm", 64, False), ("dense", 64, "relu"), LOGIT)),
    Model("bilstm-stack", 200, 8185,
          (("embedding", 64), ("bilstm", 64, True), ("bilstm", 32, False),
           ("dense", 64, "relu"), LOGIT)),
    Model("bigru", 120, 10000,
          (("embedding", 16), ("bigru", 32, False), ("dense", 6, "relu"), LOGIT)),
    Model("gru-imdb", 150, 5000, (("embedding", 32), ("gru", 32, False), LOGIT)),
    Model("conv1d", 120, 10000,
          (("embedding", 16), ("conv", 128, 5), ("maximum",), ("dense", 24, "relu"), LOGIT)),
    Model("transformer-imdb", 150, 5000,
          (("embedding", 64), ("block", 2, 64, 0), ("average",), LOGIT)),
    Model("encoder", 100, 10000,
          (("embedding", 16), ("block", 2, 8, 32), ("average",), LOGIT)),
    Model("lstm-512x2", 100, 10000,
          (("embedding", 128), ("lstm", 512, True), ("lstm", 512, False), LOGIT)),
    Model("encoder-256x4", 256, 10000,
          (("embedding", 256), *[("block", 8, 32, 1024)] * 4, ("average",), LOGIT)),
)

# What a row is: the task and its batch.
TASKS = (("infer", 1), ("infer", 32), ("train", 64))
# Rows that are reported and have no gate.
NOT_GATED = {("lstm-512x2", "infer", 32)}


def rows():
    """Every row of the comparison."""
    return [
        Row(model, task, batch, (model.name, task, batch) not in NOT_GATED)
        for model in MODELS
        for task, batch in TASKS
    ]
