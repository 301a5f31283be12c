"""The graph for single rows, made from a model's graph: encoders of categories become tables, and columns come as one tensor.

A model's graph has an input for each feature, encodes each category, and puts the columns together. For a single row that takes
longer than the model itself. So each encoder is run once here, on all texts that the model knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bentos.row_graph import CODE, LAYOUT, MOST_ROWS, ROW, RowGraph, categories
from bentos.runtime import Model, session_of

if TYPE_CHECKING:
    import onnx


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
        None if it does not give exactly the model's outputs: onnxruntime may then compute the larger graph in another order;
        or where a feature is a text, or a category is the only one: the outputs would be a table, and no graph is left.
    """
    import onnx

    texts, numbers = model.inputs
    if not numbers and len(texts) == 1:
        return None
    if any(feature.get("is_text") for feature in model.signature["features"].values()):
        return None  # no table holds all texts
    graph = _Single(model, onnx.load_from_string(content)).made()
    made: bytes = graph.SerializeToString()
    return made if _is_exact(model, made) else None


@dataclass
class _Single:
    """A model's graph while it is made into one for single rows.

    A column of the row tensor is a feature that is a number, or a table's: what follows of each text of a category.
    """

    model: Model
    graph: onnx.ModelProto
    sources: dict[str, frozenset[str]] = field(default_factory=dict)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    tables: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def made(self) -> onnx.ModelProto:
        """The graph, changed in place."""
        from onnx import TensorProto, helper, numpy_helper

        inside, (texts, numbers) = self.graph.graph, self.model.inputs
        self._follow_sources()
        nodes: list[onnx.NodeProto] = []
        inputs: list[onnx.ValueInfoProto] = []
        self.columns = {name: [["number", name]] for name in numbers}
        for text in texts:
            self._tabulate(text)
        for node in inside.node:
            if self._is_one_category(node.output[0]) or self._is_column(node):
                continue
            nodes.append(node)
        used = {name for node in nodes for name in node.input}
        blocks = {name: columns for name, columns in self.columns.items() if name in used}
        number = TensorProto.DOUBLE if self.model.is_double else TensorProto.FLOAT
        for name, columns in blocks.items():
            inputs.append(helper.make_tensor_value_info(f"{ROW}/{name}", number, [None, len(columns)]))
        coded = [text for text in texts if any(self.sources[name] == {text} for name in self.tables if name in used)]
        inputs += [helper.make_tensor_value_info(f"{CODE}/{text}", TensorProto.INT64, [None]) for text in coded]
        looked_up = []
        for name, table in self.tables.items():
            if name in used:
                (text,) = self.sources[name]
                inside.initializer.append(numpy_helper.from_array(table, f"{CODE}/{name}/table"))
                looked_up.append(helper.make_node("Gather", [f"{CODE}/{name}/table", f"{CODE}/{text}"], [name], axis=0))
        for node in nodes:
            node.input[:] = [f"{ROW}/{name}" if name in blocks else name for name in node.input]
        kept = [*looked_up, *nodes]  # before the lists that hold the nodes are emptied
        copies = [type(node).FromString(node.SerializeToString()) for node in kept]
        del inside.node[:], inside.input[:]
        inside.node.extend(copies)
        inside.input.extend(inputs)
        layout = {"blocks": {f"{ROW}/{name}": columns for name, columns in blocks.items()}, "codes": coded}
        helper.set_model_props(self.graph, {**_properties(self.graph), LAYOUT: json.dumps(layout)})
        return self.graph

    def _follow_sources(self) -> None:
        """Of which features each tensor is made."""
        self.sources = {name: frozenset({name}) for names in self.model.inputs for name in names}
        for node in self.graph.graph.node:
            made_of = frozenset().union(*(self.sources.get(name, frozenset()) for name in node.input))
            self.sources |= dict.fromkeys(node.output, made_of)

    def _is_one_category(self, tensor: str) -> bool:
        texts, _ = self.model.inputs
        return len(self.sources[tensor]) == 1 and self.sources[tensor] <= set(texts)

    def _tabulate(self, text: str) -> None:
        """Find what the rest of the graph takes of a category, and give it for each text."""
        from onnx import helper

        inside = self.graph.graph
        own = [node for node in inside.node if self.sources[node.output[0]] == {text}]
        names = [text, *(name for node in own for name in node.output)]
        others = {name for node in inside.node if self.sources[node.output[0]] != {text} for name in node.input}
        taken = [name for name in names if name in others or name in {output.name for output in inside.output}]
        computed = [name for name in taken if name != text]
        texts = np.array([[known] for known in categories(self.model)[text]], dtype=object)
        part = helper.make_graph(
            own,
            "category",
            [item for item in inside.input if item.name == text],
            [helper.make_empty_tensor_value_info(name) for name in computed],
            inside.initializer,
        )
        made = helper.make_model(part, opset_imports=self.graph.opset_import, ir_version=self.graph.ir_version)
        found = session_of(made.SerializeToString()).run(None, {text: texts}) if computed else []
        values = dict(zip(computed, found, strict=True)) | {text: texts}
        number = np.float64 if self.model.is_double else np.float32
        for name in taken:
            if values[name].shape == texts.shape and values[name].dtype == number:
                self.columns[name] = [["category", text, values[name][:, 0].tolist()]]
            else:
                self.tables[name] = values[name]

    def _is_column(self, node: onnx.NodeProto) -> bool:
        """Whether a node only puts columns together; what it gives is then columns too."""
        axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
        if node.op_type != "Concat" or axes not in ([1], [-1]) or not all(name in self.columns for name in node.input):
            return False
        self.columns[node.output[0]] = [column for name in node.input for column in self.columns[name]]
        return True


def _properties(graph: onnx.ModelProto) -> dict[str, str]:
    return {item.key: item.value for item in graph.metadata_props}


def _is_exact(model: Model, made: bytes) -> bool:
    """Whether it gives the model's outputs bit by bit, on usual rows, and on these without each feature that may be missing.

    They are asked one by one, and as many at once as the graph is given.
    """
    graph, features = RowGraph(made, model), list(model.signature["features"])
    rows = [tuple(row.get(name) for name in features) for row in _asked(model)]
    for together in (1, MOST_ROWS):
        for start in range(0, len(rows), together):
            some = rows[start : start + together]
            expected = model.session_outputs(dict(zip(features, zip(*some, strict=True), strict=True)))
            given = graph.outputs(some)
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
