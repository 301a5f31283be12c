"""The operators of an ONNX graph as SQL expressions in double precision, each over the columns of its inputs.

How a graph becomes a query of them stands in `onnx_to_sql`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from assets.errors import TranslationError
from assets.serving.sql_trees import Forest
from assets.storage.sql import literal

LARGEST, SMALLEST = 3.4028234e38, 1.1754944e-38
"""The range of single precision; casts beyond it are errors in some databases."""
EXPONENT = 700.0
"""Exponents are kept within this range, beyond which double precision, and with it some databases, overflows."""
Columns = list[str]


def number(value: float) -> str:
    """A double precision literal, the shortest that is read back as the same number."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


class Graph(Protocol):
    """What an operator needs of the graph that it stands in."""

    constants: dict[str, Any]
    made_by: dict[str, Any]

    def tensor(self, name: str) -> Columns:
        """The columns of a tensor."""

    def attributes(self, node: Any) -> dict[str, Any]:
        """An operator's attributes by name."""

    def stage(self, expressions: Sequence[str]) -> Columns:
        """Columns of a new common table expression."""

    def stand_in(self, trees: str) -> str:
        """A name for the sum of some trees."""

    def add(self, columns: dict[str, str]) -> None:
        """A common table expression with these columns, by name."""


Operator = Callable[[Graph, Any], Columns]


def _same(of: Graph, node: Any) -> Columns:
    return of.tensor(node.input[0])


def _cast(of: Graph, node: Any) -> Columns:
    from onnx import TensorProto

    columns = of.tensor(node.input[0])
    return of.stage([single(column) for column in columns]) if of.attributes(node)["to"] == TensorProto.FLOAT else columns


def _where(of: Graph, node: Any) -> Columns:
    condition = of.made_by.get(node.input[0])
    if condition is None or condition.op_type != "IsNaN" or condition.input[0] != node.input[2]:
        raise TranslationError("a choice other than of a missing number's value has no translation to SQL.")
    columns = of.tensor(node.input[2])
    values = _repeated(of, node.input[1], columns)
    return of.stage([f"coalesce({column}, {number(value)})" for column, value in zip(columns, values, strict=True)])


def _equal(of: Graph, node: Any) -> Columns:
    (column,) = of.tensor(node.input[0])
    places = of.constants[node.input[1]].reshape(-1)
    return of.stage([f"case when {column} = {number(place)} then 1e0 else 0e0 end" for place in places])


def _matmul(of: Graph, node: Any) -> Columns:
    columns = of.tensor(node.input[0])
    weights = of.constants[node.input[1]]
    return of.stage(
        [
            " + ".join(f"{number(weight)} * {column}" for weight, column in zip(row, columns, strict=True))
            for row in weights.T.tolist()
        ]
    )


def _negated(of: Graph, node: Any) -> Columns:
    return [f"(-{column})" for column in of.tensor(node.input[0])]


def _exp(of: Graph, node: Any) -> Columns:
    return _once(of, node, lambda column: f"exp({_within(column)})")


def _concat(of: Graph, node: Any) -> Columns:
    return [column for name in node.input for column in of.tensor(name)]


def _gather(of: Graph, node: Any) -> Columns:
    columns = of.tensor(node.input[0])
    return [columns[int(place)] for place in of.constants[node.input[1]].reshape(-1)]


LABELS = {"values_int64s": "default_int64", "values_floats": "default_float", "values_tensor": "default_tensor"}
"""The attributes of a LabelEncoder's numbers, and of the number of a text that it does not know."""


def _label_encoder(of: Graph, node: Any) -> Columns:
    given = of.attributes(node)
    kind = next((name for name in LABELS if name in given), None)
    if "keys_strings" not in given or kind is None:
        raise TranslationError("a LabelEncoder that does not encode texts as numbers has no translation to SQL.")
    values, default = (np.ravel(item).tolist() for item in (given[kind], given.get(LABELS[kind], -1)))
    cases = [(literal(key.decode()), number(value)) for key, value in zip(given["keys_strings"], values, strict=True)]
    (column,) = of.tensor(node.input[0])
    whens = " ".join(f"when {key} then {value}" for key, value in cases)
    return of.stage([f"case {column} {whens} else {number(*default)} end"])


def _one_hot(of: Graph, node: Any) -> Columns:
    given = of.attributes(node)
    if "cats_strings" not in given:
        raise TranslationError("a OneHotEncoder of numbers has no translation to SQL.")
    (column,) = of.tensor(node.input[0])
    return of.stage([f"case when {column} = {literal(key.decode())} then 1e0 else 0e0 end" for key in given["cats_strings"]])


def _imputer(of: Graph, node: Any) -> Columns:
    given = of.attributes(node)
    if not math.isnan(given.get("replaced_value_float", math.nan)):
        raise TranslationError("an Imputer of other than missing numbers has no translation to SQL.")
    columns = of.tensor(node.input[0])
    values = list(given["imputed_value_floats"]) * (len(columns) if len(given["imputed_value_floats"]) == 1 else 1)
    return of.stage([f"coalesce({column}, {number(value)})" for column, value in zip(columns, values, strict=True)])


def _scaler(of: Graph, node: Any) -> Columns:
    given, columns = of.attributes(node), of.tensor(node.input[0])
    scaled = zip(columns, given["offset"], given["scale"], strict=True)
    return of.stage([f"({column} - {number(offset)}) * {number(scale)}" for column, offset, scale in scaled])


def _linear(of: Graph, node: Any) -> Columns:
    given, columns = of.attributes(node), of.tensor(node.input[0])
    size = len(columns)
    rows = [given["coefficients"][start : start + size] for start in range(0, len(given["coefficients"]), size)]
    intercepts = given.get("intercepts") or [0.0] * len(rows)
    sums = [
        " + ".join([number(intercept), *(f"{number(weight)} * {column}" for weight, column in zip(row, columns, strict=True))])
        for row, intercept in zip(rows, intercepts, strict=True)
    ]
    return _transformed(of, of.stage(sums), given.get("post_transform", b"NONE").decode())


def _trees(of: Graph, node: Any) -> Columns:
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


def _transformed(of: Graph, columns: Columns, after: str) -> Columns:
    if after == "NONE":
        return columns
    if after == "LOGISTIC":
        return of.stage([f"1e0 / (1e0 + exp(-{_within(column)}))" for column in columns])
    if after == "SOFTMAX":
        return _softmaxed(of, columns)
    raise TranslationError(f"the transformation {after} of scores has no translation to SQL.")


def _softmaxed(of: Graph, columns: Columns) -> Columns:
    (largest,) = of.stage([f"greatest({', '.join(columns)})"])
    powers = of.stage([f"exp({_within(f'({column} - {largest})')})" for column in columns])
    (whole,) = of.stage([" + ".join(powers)])
    return of.stage([f"{power} / {whole}" for power in powers])


def _softmax(of: Graph, node: Any) -> Columns:
    return _softmaxed(of, of.tensor(node.input[0]))


def _normalizer(of: Graph, node: Any) -> Columns:
    if of.attributes(node).get("norm", b"MAX") != b"L1":
        raise TranslationError("a Normalizer other than L1 has no translation to SQL.")
    columns = of.tensor(node.input[0])
    (whole,) = of.stage([" + ".join(f"abs({column})" for column in columns)])
    return of.stage([f"{column} / coalesce(nullif({whole}, 0e0), 1e0)" for column in columns])


def _clip(of: Graph, node: Any) -> Columns:
    low, high = (number(of.constants[name].item()) for name in node.input[1:3])
    return of.stage([f"least(greatest({column}, {low}), {high})" for column in of.tensor(node.input[0])])


def _log(of: Graph, node: Any) -> Columns:
    return _once(of, node, lambda column: f"ln({column})")


def _once(of: Graph, node: Any, expression: Callable[[str], str]) -> Columns:
    """A function of each column; of a column that the graph repeats, once."""
    columns = of.tensor(node.input[0])
    distinct = list(dict.fromkeys(columns))
    names = dict(zip(distinct, of.stage([expression(column) for column in distinct]), strict=True))
    return [names[column] for column in columns]


def _tile(of: Graph, node: Any) -> Columns:
    return of.tensor(node.input[0]) * int(of.constants[node.input[1]].reshape(-1)[1])


def _highest(of: Graph, node: Any) -> Columns:
    columns = of.tensor(node.input[0])
    return of.stage([f"greatest({', '.join(columns)})" if len(columns) > 1 else columns[0]])


def _arithmetic(sign: str) -> Operator:
    def translated(of: Graph, node: Any) -> Columns:
        first, second = node.input
        if first not in of.constants and second not in of.constants:
            columns, others = of.tensor(first), of.tensor(second)
            others = others * (len(columns) if len(others) == 1 else 1)
            return of.stage([f"{column} {sign} {other}" for column, other in zip(columns, others, strict=True)])
        if first in of.constants and second in of.constants:
            raise TranslationError(f"the operator {node.op_type} of two constants has no translation to SQL.")
        columns = of.tensor(second if first in of.constants else first)
        values = _repeated(of, first if first in of.constants else second, columns)
        return of.stage(
            [
                f"{number(value)} {sign} {column}" if first in of.constants else f"{column} {sign} {number(value)}"
                for column, value in zip(columns, values, strict=True)
            ]
        )

    return translated


def _repeated(of: Graph, name: str, columns: Columns) -> list[float]:
    """A constant's values, one for each column."""
    values: list[float] = of.constants[name].reshape(-1).tolist()
    return values * (len(columns) if len(values) == 1 else 1)


def single(wide: str) -> str:
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
    "ReduceMax": _highest,
    "Reshape": _same,  # it changes nothing of a row's columns
    "Scaler": _scaler,
    "Softmax": _softmax,
    "Sub": _arithmetic("-"),
    "Tile": _tile,
    "TreeEnsemble": _trees,
    "TreeEnsembleClassifier": _trees,
    "TreeEnsembleRegressor": _trees,
    "Where": _where,
}
