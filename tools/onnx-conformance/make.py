#!/usr/bin/env python3
"""Writes ONNX's own tests as folders, with an index that says what must pass.

    python3 tools/onnx-conformance/make.py [--output DIR]

Each case is a folder KIND/NAME with `model.onnx` and `test_data_set_*/{input,output}_*.pb`. `cases.json`
lists them. KIND is `node` (one operator, and its definition by others as NAME_expanded), or one of
those that the onnx package ships as files: `simple`, `pytorch-converted`, `pytorch-operator`.
"""

import argparse
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from unittest import mock

import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test import cmd_tools, loader
from onnx.backend.test.case import model as model_cases

from operators import CONVOLUTIONS, MUST_PASS, RANDOM

DEFAULT = Path(__file__).resolve().parents[1] / "data" / "cache" / "onnx-conformance"
SHIPPED = ("simple", "pytorch-converted", "pytorch-operator")
DTYPES = {
    TensorProto.FLOAT: "f32",
    TensorProto.DOUBLE: "f64",
    TensorProto.FLOAT16: "f16",
    TensorProto.BFLOAT16: "bf16",
    TensorProto.INT8: "i8",
    TensorProto.INT16: "i16",
    TensorProto.INT32: "i32",
    TensorProto.INT64: "i64",
    TensorProto.UINT8: "u8",
    TensorProto.UINT16: "u16",
    TensorProto.UINT32: "u32",
    TensorProto.UINT64: "u64",
    TensorProto.BOOL: "bool",
    TensorProto.STRING: "string",
}
PLAIN = {"f32", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool", "string"}


def type_name(kind):
    """`f32`, `seq(f32)`, `optional(seq(i64))`, …: a TypeProto in words."""
    which = kind.WhichOneof("value")
    if which == "tensor_type":
        number = kind.tensor_type.elem_type
        return DTYPES.get(number) or TensorProto.DataType.Name(number).lower()
    if which == "sequence_type":
        return f"seq({type_name(kind.sequence_type.elem_type)})"
    if which == "optional_type":
        return f"optional({type_name(kind.optional_type.elem_type)})"
    return which or "undefined"


def operator_name(node):
    """`Conv`, or `domain:Name` outside of ONNX's own domain."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}:{node.op_type}"


def all_nodes(nodes):
    """The nodes and those of their subgraphs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from all_nodes(attribute.g.node)
            for graph in attribute.graphs:
                yield from all_nodes(graph.node)


def functions_called(model):
    """Nodes of the model's own functions, and the functions' names, which are no operators."""
    names = {f"{f.domain}:{f.name}" if f.domain else f.name for f in model.functions}
    nodes = [node for function in model.functions for node in all_nodes(function.node)]
    return nodes, names


def ranks(model):
    """Ranks of the graph's inputs and initializers, by name."""
    known = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.type.HasField("tensor_type"):
            known[value.name] = len(value.type.tensor_type.shape.dim)
    return known


def drops(node, model, folder):
    """Whether a Dropout drops anything: it is told to train, and its ratio is not zero."""
    if node.op_type != "Dropout":
        return False
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
    if version < 7:
        return not any(a.name == "is_test" and a.i == 1 for a in node.attribute)
    if len(node.input) < 3 or not node.input[2]:
        return False
    position = [value.name for value in model.graph.input].index(node.input[1])
    ratio = onnx.load_tensor(folder / "test_data_set_0" / f"input_{position}.pb")
    return numpy_helper.to_array(ratio).item() != 0


def reasons_not_to(model, operators, types):
    """Why a case need not pass; empty when it must."""
    reasons = [f"operator {name}" for name in operators if name not in MUST_PASS]
    reasons += [f"type {name}" for name in sorted(set(types) - PLAIN)]
    known = ranks(model)
    for node in all_nodes(model.graph.node):
        kernel = node.input[1] if len(node.input) > 1 else ""
        if node.op_type in CONVOLUTIONS and known.get(kernel, 0) > 4:
            reasons.append(f"{node.op_type} in {known[kernel] - 2} dimensions")
    return reasons


def describe(folder, kind, tolerances):
    """A case's line of the index."""
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    inner, names = functions_called(model)
    nodes = [*all_nodes(model.graph.node), *inner]
    operators = sorted({operator_name(node) for node in nodes} - names)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [type_name(v.type) for v in model.graph.input if v.name not in constants]
    outputs = [type_name(v.type) for v in model.graph.output]
    reasons = reasons_not_to(model, operators, inputs + outputs)
    rtol, atol = tolerances.get(folder.name, (1e-3, 1e-7))
    return {
        "name": folder.name,
        "kind": "expanded" if kind == "node" and "_expanded" in folder.name else kind,
        "folder": f"{kind}/{folder.name}",
        "opset": {o.domain or "ai.onnx": o.version for o in model.opset_import},
        "operators": operators,
        "inputs": inputs,
        "outputs": outputs,
        "sets": len(list(folder.glob("test_data_set_*"))),
        "random": any(n.op_type in RANDOM or drops(n, model, folder) for n in nodes),
        "must_pass": not reasons,
        "need_not_pass_because": reasons,
        "rtol": rtol,
        "atol": atol,
    }


def write_node_cases(output):
    """Writes the cases that exist as Python code; returns each one's tolerances."""
    cases = loader.load_node_model_tests()
    with mock.patch.object(model_cases, "collect_testcases", lambda: cases):
        cmd_tools.generate_data(argparse.Namespace(output=str(output)))
    return {case.name: (case.rtol, case.atol) for case in cases}


def copy_shipped_cases(output):
    """Copies the cases that lie in the package as files; returns each one's tolerances."""
    tolerances = {}
    for kind in SHIPPED:
        shutil.copytree(Path(loader.DATA_DIR) / kind, output / kind, dirs_exist_ok=True)
        for case in loader.load_model_tests(kind=kind):
            tolerances[case.name] = (case.rtol, case.atol)
    return tolerances


def main():
    """Writes everything, the index last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=DEFAULT, metavar="DIR")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    for kind in ("node", *SHIPPED):
        shutil.rmtree(output / kind, ignore_errors=True)
    tolerances = write_node_cases(output) | copy_shipped_cases(output)
    index = []
    for kind in ("node", *SHIPPED):
        for file in sorted((output / kind).glob("*/model.onnx")):
            index.append(describe(file.parent, kind, tolerances))
    rows = ",\n".join(" " + json.dumps(entry) for entry in index)
    (output / "cases.json").write_text(f"[\n{rows}\n]\n", encoding="utf-8")

    print(f"{output}: {len(index)} cases of onnx {onnx.__version__}")
    for kind, count in Counter(entry["kind"] for entry in index).items():
        must = sum(entry["must_pass"] for entry in index if entry["kind"] == kind)
        print(f"  {kind:18} {count:5}  must pass {must:5}")
    must = [entry for entry in index if entry["must_pass"]]
    print(f"  {'all':18} {len(index):5}  must pass {len(must):5}")
    print(f"  random: {', '.join(entry['name'] for entry in index if entry['random'])}")


if __name__ == "__main__":
    sys.exit(main())
