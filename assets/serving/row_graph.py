"""The graph for single rows, made from a model's graph: its inputs are split out of two tensors, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bentos.row_graph import CODES, NUMBERS, RowGraph, categories
from bentos.runtime import Model


def row_graph(model: Model, content: bytes) -> bytes | None:
    """The graph for single rows.

    Parameters
    ----------
    model : Model
        The model.
    content : bytes
        Its graph.

    Returns
    -------
    bytes or None
        None if it does not give exactly the model's outputs: onnxruntime may then compute the larger graph in another order.
    """
    graph = onnx.load_from_string(content)
    texts, numbers = model.inputs
    known = categories(model)
    number = TensorProto.DOUBLE if model.is_double else TensorProto.FLOAT
    inputs, nodes = [], []
    block = _block(graph.graph, numbers)
    for name, kind, parts in ((NUMBERS, number, numbers), (CODES, TensorProto.INT64, [f"{CODES}/{text}" for text in texts])):
        if parts:
            inputs.append(helper.make_tensor_value_info(name, kind, [None, len(parts)]))
        if parts and (name == CODES or block is None):
            ones = numpy_helper.from_array(np.ones(len(parts), dtype=np.int64), f"{name}/ones")
            graph.graph.initializer.append(ones)
            nodes.append(helper.make_node("Split", [name, ones.name], parts, axis=1))
    for text in texts:
        words = numpy_helper.from_array(np.array(known[text], dtype=object), f"{CODES}/{text}/texts")
        graph.graph.initializer.append(words)
        nodes.append(helper.make_node("Gather", [words.name, f"{CODES}/{text}"], [text]))
    if block is not None:  # the numbers are taken as they come, instead of being split and put together again
        graph.graph.node.remove(block)
        for node in graph.graph.node:
            node.input[:] = [NUMBERS if name == block.output[0] else name for name in node.input]
    own = list(graph.graph.node)
    del graph.graph.node[:], graph.graph.input[:]
    graph.graph.node.extend([*nodes, *own])
    graph.graph.input.extend(inputs)
    made: bytes = graph.SerializeToString()
    return made if _is_exact(model, made) else None


def _block(graph: onnx.GraphProto, numbers: Sequence[str]) -> onnx.NodeProto | None:
    """The node that puts all numbers together in their order, if nothing else reads them."""
    readers: list[onnx.NodeProto] = [node for node in graph.node if set(node.input) & set(numbers)]
    if len(readers) == 1 and readers[0].op_type == "Concat" and list(readers[0].input) == list(numbers):
        return readers[0]
    return None


def _is_exact(model: Model, made: bytes) -> bool:
    """Whether it gives the model's outputs bit by bit, on usual rows, and on these without each feature that may be missing."""
    graph = RowGraph(made, model)
    for row in _asked(model):
        expected = model.session_outputs({name: [row.get(name)] for name in model.signature["features"]})
        given = graph.outputs(row)
        if given is None or not np.array_equal(given, expected, equal_nan=True):
            return False
    return True


def _asked(model: Model) -> Iterator[Mapping[str, Any]]:
    features, usual = model.signature["features"], model.signature["background"]
    yield from usual
    optional = [name for name, feature in features.items() if not feature["required"]]
    for place in range(min(len(optional), len(usual))):
        yield {name: value for name, value in usual[place].items() if name not in optional[place :: len(usual)]}
    yield {name: value for name, value in usual[0].items() if name not in optional}
