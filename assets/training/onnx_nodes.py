"""Nodes of an ONNX graph in double precision: the steps that `assets.training.estimators.pipeline` makes, and their results.

Each function adds nodes to a `Builder` and returns the name of the tensor they make. What the trees of an ensemble become
stands in `onnx_trees`, how nodes become a graph in `onnx_export`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

ML = "ai.onnx.ml"
OPSETS = {"": 18, ML: 5}
IR_VERSION = 10
"""The version of the file format; onnxruntime 1.18 and later read it."""
SINGLE_SOURCE = {"source_precision": "single"}
"""What a graph says of itself where another model's part of it does not compute in double precision."""
PACKET = 8
"""How many numbers in double precision the widest registers of today hold."""


class Builder:
    """Nodes and constants, in the order in which they were added, and what the graph says of itself.

    Their names begin with a slash, as no feature's does, so that none is taken for an input of the graph.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.properties: dict[str, str] = {}
        self.operators = OPSETS[""]

    def add(self, operator: str, inputs: Sequence[str], name: str, *, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, named so."""
        from onnx import helper

        name = _own(name)
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, name: str, values: Any) -> str:
        """Add a constant; numbers are double."""
        from onnx import numpy_helper

        array = np.asarray(values)
        array = array.astype(np.float64) if array.dtype.kind == "f" else array
        self.constants.append(numpy_helper.from_array(array, _own(name)))
        return _own(name)

    def model(self, name: str, inputs: Sequence[Any], output: Any, properties: Mapping[str, str]) -> Any:
        """All that was added as a model, with what it says of itself besides.

        Parameters
        ----------
        name : str
            The graph's.
        inputs, output
            What it takes and gives (onnx.ValueInfoProto).
        properties : mapping of str to str
            In its metadata, with the builder's own.
        """
        from onnx import helper

        graph = helper.make_graph(self.nodes, name, inputs, [output], self.constants)
        versions = {**OPSETS, "": self.operators}
        imports = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
        made = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="loopline")
        helper.set_model_props(made, {**properties, **self.properties})
        return made

    def require_operators(self, version: int) -> None:
        """Ask for a later version of the usual operators than other graphs need."""
        self.operators = max(self.operators, version)

    def split(self, tensor: str, name: str) -> str:
        """The words of texts between spaces, shape (n_rows, most words), filled up with empty ones."""
        from onnx import helper

        name = _own(name)
        self.nodes.append(helper.make_node("StringSplit", [tensor], [name, f"{name}_count"], name=name, delimiter=" "))
        return name

    def double(self, tensor: str, name: str) -> str:
        """A tensor as double."""
        from onnx import TensorProto

        return self.add("Cast", [tensor], name, to=TensorProto.DOUBLE)


def _own(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"


def encoded(builder: Builder, transformer: Any) -> str | None:
    """The columns that the estimator sees, shape (n_rows, n_columns); None where a step is not one of ours."""
    parts = []
    for label, step, used in transformer.transformers_:
        if label == "remainder" or not len(used):
            continue
        part = ENCODINGS[label](builder, step, used)
        if part is None:
            return None
        parts += part
    return builder.add("Concat", parts, "columns", axis=1) if len(parts) > 1 else parts[0]


def _categories(builder: Builder, step: Any, names: Sequence[str]) -> list[str]:
    """Codes of categories, or a column of 0 and 1 for each."""
    found = []
    for name, known in zip(names, step.categories_, strict=True):
        codes = _looked_up(builder, name, known, "code", values_int64s=list(range(len(known))), default_int64=-1)
        if hasattr(step, "drop_idx_"):
            places = builder.constant(f"{name}/places", np.arange(len(known), dtype=np.int64)[None])
            codes = builder.add("Equal", [codes, places], f"{name}/is")
        found.append(builder.double(codes, f"{name}/encoded"))
    return found


def _numbers(builder: Builder, step: Any, names: Sequence[str]) -> list[str] | None:
    """Numbers as they are, with the median where one is missing, or scaled besides."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    columns = builder.add("Concat", list(names), "numbers", axis=1)
    for part in [item for _, item in step.steps] if isinstance(step, Pipeline) else [step]:
        if isinstance(part, SimpleImputer):
            if len(part.statistics_) != len(names) or np.isnan(part.statistics_).any():
                return None
            median = builder.constant("medians", part.statistics_[None])
            columns = builder.add("Where", [builder.add("IsNaN", [columns], "is_missing"), median, columns], "filled")
        elif isinstance(part, StandardScaler):
            columns = builder.add("Sub", [columns, builder.constant("means", part.mean_[None])], "centred")
            columns = builder.add("Div", [columns, builder.constant("scales", part.scale_[None])], "scaled")
        elif not (isinstance(part, FunctionTransformer) or part == "passthrough"):
            return None
    return [columns]


def _target_means(builder: Builder, step: Any, names: Sequence[str]) -> list[str]:
    """The mean of the target by category, for several classes that of each; of a value that is new, the mean of all rows."""
    from onnx import numpy_helper

    overall = np.atleast_1d(step.target_mean_)
    found = []
    for place, (name, known) in enumerate(zip(names, step.categories_, strict=True)):
        for output, mean in enumerate(overall):
            means = np.asarray(step.encodings_[place * len(overall) + output], dtype=np.float64)
            default = np.array([mean], dtype=np.float64)
            numbers = {
                "values_tensor": numpy_helper.from_array(means, "values"),
                "default_tensor": numpy_helper.from_array(default, "default"),
            }
            found.append(_looked_up(builder, name, known, f"mean_{output}", **numbers))
    return found


def _looked_up(builder: Builder, name: str, known: Sequence[Any], label: str, **numbers: Any) -> str:
    """A number for each known value of a category, and one for all others."""
    texts = [str(item) for item in known]
    return builder.add("LabelEncoder", [name], f"{name}/{label}", domain=ML, keys_strings=texts, **numbers)


def _source(builder: Builder, step: Any, names: Sequence[str]) -> list[str]:  # noqa: ARG001 - the step knows its features
    """The scores of another model, whose nodes the step writes."""
    return [step.written(builder)]


def _texts(builder: Builder, step: Any, names: Sequence[str]) -> list[str]:
    """Counts of n-grams, whose nodes the step writes."""
    found: list[str] = step.written(builder, names)
    return found


ENCODINGS = {
    "categories": _categories, "numbers": _numbers, "target_means": _target_means, "source": _source, "texts": _texts,
}  # fmt: skip
"""Who writes which step of the pipeline's transformer."""


def linear(builder: Builder, columns: str, coefficients: Any, intercepts: Any) -> str:
    """Weighted sums, shape (n_rows, n_outputs)."""
    weights = builder.constant("weights", np.atleast_2d(coefficients).T)
    sums = builder.add("MatMul", [columns, weights], "weighted")
    return builder.add("Add", [sums, builder.constant("intercepts", np.atleast_1d(intercepts)[None])], "raw")


def probabilities(builder: Builder, raw: str, outputs: int, name: str) -> str:
    """Raw scores as probabilities, shape (n_rows, n_classes): one score by the logistic function, several by softmax."""
    if outputs > 1:
        return _softmax(builder, raw, outputs, name)
    one = builder.constant(f"{name}_one", np.array([[1.0]]))
    sides = []
    for side, score in (("no", raw), ("yes", builder.add("Neg", [raw], f"{name}_negative"))):
        grown = alike(builder, "Exp", score, 1, f"{name}_{side}_grown")
        whole = builder.add("Add", [one, grown], f"{name}_{side}_whole")
        sides.append(builder.add("Div", [one, whole], f"{name}_{side}"))
    return builder.add("Concat", sides, name, axis=1)


def _softmax(builder: Builder, raw: str, outputs: int, name: str) -> str:
    axis = builder.constant(f"{name}_axis", np.array([1]))
    highest = builder.add("ReduceMax", [raw, axis], f"{name}_highest", keepdims=1)
    grown = alike(builder, "Exp", builder.add("Sub", [raw, highest], f"{name}_lowered"), outputs, f"{name}_grown")
    # the product adds up in one order however many rows there are; ReduceSum does not
    ones = builder.constant(f"{name}_ones", np.ones((outputs, 1)))
    return builder.add("Div", [grown, builder.add("MatMul", [grown, ones], f"{name}_whole")], name)


def alike(builder: Builder, operator: str, tensor: str, columns: int, name: str) -> str:
    """An elementwise function that answers a row alike in every batch, to the last bit.

    onnxruntime computes `PACKET` numbers at once and those left over by another routine, whose last bit differs. With each
    column repeated, none are left over.
    """
    repeats = builder.constant(f"{name}_repeats", np.array([1, PACKET]))
    places = builder.constant(f"{name}_places", np.arange(columns))
    found = builder.add(operator, [builder.add("Tile", [tensor, repeats], f"{name}_tiled")], f"{name}_all")
    return builder.add("Gather", [found, places], name, axis=1)
