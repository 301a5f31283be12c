"""From the served ONNX graph to one SQL query: encoders, trees or linear model, calibration, as plain arithmetic.

What is translated is the graph that is served, so nothing of the estimator is interpreted twice. Each operator becomes
columns of a common table expression, in double precision; a missing number is NULL. Numbers are rounded to single precision
where the graph rounds them: in scikit-learn's exact trees, and in graphs that skl2onnx converted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import TranslationError
from assets.graph_trees import Forest
from assets.row_checks import identifier, literal
from assets.storage import file_digest
from bentos.runtime import OUTPUTS

LARGEST, SMALLEST = 3.4028234e38, 1.1754944e-38
"""The range of single precision; casts beyond it are errors in some databases."""
EXPONENT = 700.0
"""Exponents are kept within this range, beyond which double precision, and with it some databases, overflows."""
Columns = list[str]


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


def number(value: float) -> str:
    """A double precision literal, the shortest that is read back as the same number."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


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

        self.graph = onnx.load(graph_file).graph
        self.made_by = {name: node for node in self.graph.node for name in node.output}
        self.single = {item.name for item in self.graph.input if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
        self.constants = {item.name: numpy_helper.to_array(item) for item in self.graph.initializer}
        self.tensors: dict[str, Columns] = {}
        self.stages: list[str] = []
        self.trees: dict[str, str] = {}
        # no text in a graph holds the graph's own digest, so no category is taken for one of these names
        self.grown = f"loopline_trees_{file_digest(graph_file)[:16]}"
        self.columns = 0
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
        """An operator's attributes by name."""
        from onnx import helper

        return {item.name: helper.get_attribute_value(item) for item in node.attribute}

    def stage(self, expressions: Sequence[str]) -> Columns:
        """Columns of a new common table expression, which the next ones can use by name."""
        names = [self._name() for _ in expressions]
        self.add(dict(zip(names, expressions, strict=True)))
        return names

    def add(self, columns: dict[str, str]) -> None:
        """A common table expression with these columns, by name, beside all that the one before has."""
        added = "".join(f", {expression} as {name}" for name, expression in columns.items())
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
        return f"{_single(wide) if name in self.single else wide} as {column}"

    def _name(self) -> str:
        self.columns += 1
        return f"loopline_{self.columns}"

    def _latest(self) -> str:
        return self.stages[-1].split(" ", 1)[0]


Operator = Callable[[_Translation, Any], Columns]


def _same(of: _Translation, node: Any) -> Columns:
    return of.tensor(node.input[0])


def _cast(of: _Translation, node: Any) -> Columns:
    from onnx import TensorProto

    columns = of.tensor(node.input[0])
    return of.stage([_single(column) for column in columns]) if of.attributes(node)["to"] == TensorProto.FLOAT else columns


def _where(of: _Translation, node: Any) -> Columns:
    condition = of.made_by.get(node.input[0])
    if condition is None or condition.op_type != "IsNaN" or condition.input[0] != node.input[2]:
        raise TranslationError("a choice other than of a missing number's value has no translation to SQL.")
    columns = of.tensor(node.input[2])
    values = _repeated(of, node.input[1], columns)
    return of.stage([f"coalesce({column}, {number(value)})" for column, value in zip(columns, values, strict=True)])


def _equal(of: _Translation, node: Any) -> Columns:
    (column,) = of.tensor(node.input[0])
    places = of.constants[node.input[1]].reshape(-1)
    return of.stage([f"case when {column} = {number(place)} then 1e0 else 0e0 end" for place in places])


def _matmul(of: _Translation, node: Any) -> Columns:
    columns = of.tensor(node.input[0])
    weights = of.constants[node.input[1]]
    return of.stage(
        [
            " + ".join(f"{number(weight)} * {column}" for weight, column in zip(row, columns, strict=True))
            for row in weights.T.tolist()
        ]
    )


def _negated(of: _Translation, node: Any) -> Columns:
    return [f"(-{column})" for column in of.tensor(node.input[0])]


def _exp(of: _Translation, node: Any) -> Columns:
    return of.stage([f"exp({_within(column)})" for column in of.tensor(node.input[0])])


def _concat(of: _Translation, node: Any) -> Columns:
    return [column for name in node.input for column in of.tensor(name)]


def _gather(of: _Translation, node: Any) -> Columns:
    columns = of.tensor(node.input[0])
    return [columns[int(place)] for place in of.constants[node.input[1]].reshape(-1)]


def _label_encoder(of: _Translation, node: Any) -> Columns:
    given = of.attributes(node)
    values = given.get("values_int64s", given.get("values_floats"))
    if "keys_strings" not in given or values is None:
        raise TranslationError("a LabelEncoder that does not encode texts as numbers has no translation to SQL.")
    default = given.get("default_int64" if "values_int64s" in given else "default_float", -1)
    cases = [(literal(key.decode()), number(value)) for key, value in zip(given["keys_strings"], values, strict=True)]
    (column,) = of.tensor(node.input[0])
    whens = " ".join(f"when {key} then {value}" for key, value in cases)
    return of.stage([f"case {column} {whens} else {number(default)} end"])


def _one_hot(of: _Translation, node: Any) -> Columns:
    given = of.attributes(node)
    if "cats_strings" not in given:
        raise TranslationError("a OneHotEncoder of numbers has no translation to SQL.")
    (column,) = of.tensor(node.input[0])
    return of.stage([f"case when {column} = {literal(key.decode())} then 1e0 else 0e0 end" for key in given["cats_strings"]])


def _imputer(of: _Translation, node: Any) -> Columns:
    given = of.attributes(node)
    if not math.isnan(given.get("replaced_value_float", math.nan)):
        raise TranslationError("an Imputer of other than missing numbers has no translation to SQL.")
    columns = of.tensor(node.input[0])
    values = list(given["imputed_value_floats"]) * (len(columns) if len(given["imputed_value_floats"]) == 1 else 1)
    return of.stage([f"coalesce({column}, {number(value)})" for column, value in zip(columns, values, strict=True)])


def _scaler(of: _Translation, node: Any) -> Columns:
    given, columns = of.attributes(node), of.tensor(node.input[0])
    scaled = zip(columns, given["offset"], given["scale"], strict=True)
    return of.stage([f"({column} - {number(offset)}) * {number(scale)}" for column, offset, scale in scaled])


def _linear(of: _Translation, node: Any) -> Columns:
    given, columns = of.attributes(node), of.tensor(node.input[0])
    size = len(columns)
    rows = [given["coefficients"][start : start + size] for start in range(0, len(given["coefficients"]), size)]
    intercepts = given.get("intercepts") or [0.0] * len(rows)
    sums = [
        " + ".join([number(intercept), *(f"{number(weight)} * {column}" for weight, column in zip(row, columns, strict=True))])
        for row, intercept in zip(rows, intercepts, strict=True)
    ]
    return _transformed(of, of.stage(sums), given.get("post_transform", b"NONE").decode())


def _trees(of: _Translation, node: Any) -> Columns:
    given, columns = of.attributes(node), of.tensor(node.input[0])
    forest = Forest(given, columns, number)
    of.add(forest.filled)
    sums = [of.stage([of.stand_in(part) for part in parts]) for parts in forest.sums]
    base = list(given.get("base_values", [])) or [0.0] * len(sums)
    scores = of.stage([" + ".join([number(start), *parts]) for start, parts in zip(base, sums, strict=True)])
    after = "NONE" if node.op_type == "TreeEnsemble" else given.get("post_transform", b"NONE").decode()
    if node.op_type in ("TreeEnsemble", "TreeEnsembleRegressor") or len(scores) > 1:
        return _transformed(of, scores, after)
    # one sum for two classes: it is that of the second
    (yes,) = _transformed(of, scores, after)
    return of.stage([f"1e0 - {yes}", yes])


def _transformed(of: _Translation, columns: Columns, after: str) -> Columns:
    if after == "NONE":
        return columns
    if after == "LOGISTIC":
        return of.stage([f"1e0 / (1e0 + exp(-{_within(column)}))" for column in columns])
    if after == "SOFTMAX":
        return _softmaxed(of, columns)
    raise TranslationError(f"the transformation {after} of scores has no translation to SQL.")


def _softmaxed(of: _Translation, columns: Columns) -> Columns:
    (largest,) = of.stage([f"greatest({', '.join(columns)})"])
    powers = of.stage([f"exp({_within(f'({column} - {largest})')})" for column in columns])
    (whole,) = of.stage([" + ".join(powers)])
    return of.stage([f"{power} / {whole}" for power in powers])


def _softmax(of: _Translation, node: Any) -> Columns:
    return _softmaxed(of, of.tensor(node.input[0]))


def _normalizer(of: _Translation, node: Any) -> Columns:
    if of.attributes(node).get("norm", b"MAX") != b"L1":
        raise TranslationError("a Normalizer other than L1 has no translation to SQL.")
    columns = of.tensor(node.input[0])
    (whole,) = of.stage([" + ".join(f"abs({column})" for column in columns)])
    return of.stage([f"{column} / coalesce(nullif({whole}, 0e0), 1e0)" for column in columns])


def _clip(of: _Translation, node: Any) -> Columns:
    low, high = (number(of.constants[name].item()) for name in node.input[1:3])
    return of.stage([f"least(greatest({column}, {low}), {high})" for column in of.tensor(node.input[0])])


def _log(of: _Translation, node: Any) -> Columns:
    return of.stage([f"ln({column})" for column in of.tensor(node.input[0])])


def _arithmetic(sign: str) -> Operator:
    def translated(of: _Translation, node: Any) -> Columns:
        first, second = node.input
        if (first in of.constants) == (second in of.constants):
            raise TranslationError(f"the operator {node.op_type} has no translation to SQL where both sides are computed.")
        columns = of.tensor(second if first in of.constants else first)
        values = _repeated(of, first if first in of.constants else second, columns)
        return of.stage(
            [
                f"{number(value)} {sign} {column}" if first in of.constants else f"{column} {sign} {number(value)}"
                for column, value in zip(columns, values, strict=True)
            ]
        )

    return translated


def _repeated(of: _Translation, name: str, columns: Columns) -> list[float]:
    """A constant's values, one for each column."""
    values: list[float] = of.constants[name].reshape(-1).tolist()
    return values * (len(columns) if len(values) == 1 else 1)


def _single(wide: str) -> str:
    """A number rounded to single precision, and no further than it reaches."""
    return (
        f"case when abs({wide}) < {number(SMALLEST)} then 0e0 when {wide} > {number(LARGEST)} then {number(LARGEST)} "
        f"when {wide} < {number(-LARGEST)} then {number(-LARGEST)} else cast(cast({wide} as float) as double) end"
    )


def _within(expression: str) -> str:
    return f"greatest(least({expression}, {number(EXPONENT)}), {number(-EXPONENT)})"


OPERATORS: dict[str, Operator] = {
    "Add": _arithmetic("+"),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Div": _arithmetic("/"),
    "Equal": _equal,
    "Exp": _exp,
    "Gather": _gather,
    "Identity": _same,
    "Imputer": _imputer,
    "LabelEncoder": _label_encoder,
    "LinearClassifier": _linear,
    "LinearRegressor": _linear,
    "Log": _log,
    "MatMul": _matmul,
    "Mul": _arithmetic("*"),
    "Neg": _negated,
    "Normalizer": _normalizer,
    "OneHotEncoder": _one_hot,
    "Reshape": _same,
    "Scaler": _scaler,
    "Softmax": _softmax,
    "Sub": _arithmetic("-"),
    "TreeEnsemble": _trees,
    "TreeEnsembleClassifier": _trees,
    "TreeEnsembleRegressor": _trees,
    "Where": _where,
}
"""What can be translated; `Reshape` changes nothing of a row's columns."""
