"""From the served ONNX graph to one SQL query: encoders, trees or linear model, calibration, as plain arithmetic.

What is translated is the graph that is served, so nothing of the estimator is interpreted twice. Each operator becomes
columns of a common table expression, in double precision; a missing number is NULL. Numbers are rounded to single precision
where the graph rounds them: in scikit-learn's exact trees, and in graphs that skl2onnx converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import TranslationError
from assets.serving.sql_operators import OPERATORS, Columns, single
from assets.storage.digests import file_digest
from assets.storage.sql import identifier
from assets.training.onnx_nodes import SINGLE_SOURCE
from bentos.runtime import OUTPUTS


@dataclass(frozen=True)
class Query:
    """A graph as common table expressions.

    Parameters
    ----------
    expressions : str
        To be put after WITH; the last of them is named ``scored``.
    outputs : list of str
        Its columns that hold the outputs.
    trees : dict of str to str
        Sums of trees, by the name that stands for them in the expressions: comparisons and numbers alone, nearly the same
        in each dialect. They are most of a query, and the parser of a dialect need not read them.
    """

    expressions: str
    outputs: Columns
    trees: dict[str, str]


def translate(graph_file: Path, features: dict[str, dict[str, Any]], relation: str, kept: Sequence[str]) -> Query:
    """Translate a graph.

    Parameters
    ----------
    graph_file : Path
        ``model.onnx``.
    features : dict
        The features of the model's signature, by name.
    relation : str
        Where the rows are, as it stands after FROM.
    kept : sequence of str
        The columns of the relation that are handed through.

    Raises
    ------
    TranslationError
        If the graph has an operator that has no translation here.
    """
    return _Translation(graph_file, features, relation, kept).expressions()


class _Translation:
    def __init__(self, graph_file: Path, features: dict[str, dict[str, Any]], relation: str, kept: Sequence[str]) -> None:
        import onnx
        from onnx import numpy_helper

        whole = onnx.load(graph_file)
        if any((item.key, item.value) in SINGLE_SOURCE.items() for item in whole.metadata_props):
            raise TranslationError(
                "it holds another model that computes in single precision, which SQL does not express exactly."
            )
        self.graph = whole.graph
        self.made_by = {name: node for node in self.graph.node for name in node.output}
        self.single = {item.name for item in self.graph.input if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
        self.constants = {item.name: numpy_helper.to_array(item) for item in self.graph.initializer}
        self.tensors: dict[str, Columns] = {}
        self.stages: list[str] = []
        self.trees: dict[str, str] = {}
        # no text in a graph holds the graph's own digest, so no category is taken for one of these names
        self.grown = f"loopline_trees_{file_digest(graph_file)[:16]}"
        self.columns, self.made = 0, set[str]()
        inputs = [self._input(name, feature) for name, feature in features.items()]
        handed = [identifier(name) for name in kept]
        self.stages.append(f"given as (select {', '.join([*handed, *inputs])} from {relation})")

    def expressions(self) -> Query:
        outputs = self.tensor(OUTPUTS)
        self.stages.append(f"scored as (select * from {self._latest()})")
        return Query(",\n".join(self.stages), outputs, self.trees)

    def tensor(self, name: str) -> Columns:
        """The columns of a tensor, translating what makes it."""
        if name not in self.tensors:
            node = self.made_by[name]
            translated = OPERATORS.get(node.op_type)
            if translated is None:
                raise TranslationError(
                    f"the operator {node.op_type} has no translation to SQL. Translated are: {', '.join(sorted(OPERATORS))}."
                )
            self.tensors[name] = translated(self, node)
        return self.tensors[name]

    def attributes(self, node: Any) -> dict[str, Any]:
        """An operator's attributes by name, tensors as arrays."""
        from onnx import TensorProto, helper, numpy_helper

        found = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        return {
            name: numpy_helper.to_array(value) if isinstance(value, TensorProto) else value for name, value in found.items()
        }

    def stage(self, expressions: Sequence[str]) -> Columns:
        """Columns of a new common table expression, which the next ones can use by name."""
        names = [self._name() for _ in expressions]
        self.add(dict(zip(names, expressions, strict=True)))
        return names

    def add(self, columns: dict[str, str]) -> None:
        """A common table expression with these columns, by name, beside all that the one before has; one is made once."""
        new = {name: expression for name, expression in columns.items() if name not in self.made}
        if not new:
            return
        self.made |= new.keys()
        added = "".join(f", {expression} as {name}" for name, expression in new.items())
        self.stages.append(f"step_{len(self.stages)} as (select *{added} from {self._latest()})")

    def stand_in(self, trees: str) -> str:
        """A name for the sum of some trees."""
        name = f"{self.grown}_{len(self.trees)}"
        self.trees[name] = trees
        return name

    def _input(self, name: str, feature: dict[str, Any]) -> str:
        column, given = self._name(), identifier(name)
        self.tensors[name] = [column]
        if feature["type"] == "category":
            return f"coalesce(cast({given} as varchar), '') as {column}"
        wide = f"nullif(cast({given} as double), cast('NaN' as double))"
        return f"{single(wide) if name in self.single else wide} as {column}"

    def _name(self) -> str:
        self.columns += 1
        return f"loopline_{self.columns}"

    def _latest(self) -> str:
        return self.stages[-1].split(" ", 1)[0]
