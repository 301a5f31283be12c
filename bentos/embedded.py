"""The champion inside another program: this module, three more and the model are all of the wheel that Loopline builds.

It needs numpy and onnxruntime. The model is loaded once, at the first prediction, and only if its bytes are the promoted ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .runtime import Model, is_missing

HERE = Path(__file__).resolve().parent


class InvalidRowError(ValueError):
    """A value that the model does not take: which row, which feature, and what is allowed."""


@dataclass(frozen=True)
class Predictions:
    """The answers for some rows, in their order.

    Parameters
    ----------
    outputs : ndarray of shape (n_rows,) or (n_rows, n_classes)
        The probability of yes; the probabilities of the classes, in the order of ``signature()["classes"]``; or the value.
    decisions : ndarray of shape (n_rows,)
        Booleans; class names; or the values that cost least to plan with.
    model_version : int
        The version that answered.
    model_digest : str
        Its digest.
    uncertainty : dict of ndarray of shape (n_rows,)
        Where the product declares it: ``low`` and ``high``, or ``prediction_set`` (the classes, with ``|`` between them) and
        ``is_certain``; and ``is_abstained``, where answers may be no decision.
    """

    outputs: np.ndarray[Any, np.dtype[np.float64]]
    decisions: np.ndarray[Any, Any]
    model_version: int
    model_digest: str
    uncertainty: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)


def predict(columns: Mapping[str, Sequence[Any] | np.ndarray[Any, Any]]) -> Predictions:
    """Predict rows that are given as columns.

    Parameters
    ----------
    columns : mapping of str to array-like of shape (n_rows,)
        A column for each feature. A missing number is NaN or None, a missing category None; what may always be missing may
        be left out. A category may be one never seen.

    Raises
    ------
    InvalidRowError
        If a feature is missing, unknown or out of its range.
    TamperedModelError
        If the model's bytes are not those that were promoted.
    """
    model, promise = _loaded()
    given = checked(columns, model.signature["features"])
    outputs = model.predict(given)
    decided = model.decide(outputs)
    sure = {} if model.uncertainty is None else model.uncertainty.as_columns(outputs, given)
    if model.kind == "multiclass":
        decided = np.array(model.signature["classes"])[decided]
    return Predictions(outputs, decided, promise["model_version"], model.digest, sure)


def predict_rows(rows: Sequence[Mapping[str, Any]]) -> Predictions:
    """Predict rows that are given one by one, as mappings from feature to value; otherwise like `predict`."""
    known = _loaded()[0].signature["features"]
    names = list(known) + sorted({name for row in rows for name in row}.difference(known))
    return predict({name: [row.get(name) for row in rows] for name in names})


def signature() -> dict[str, Any]:
    """The features with their types and ranges, the decision rule, and what the model was made of."""
    return {name: value for name, value in _loaded()[0].signature.items() if name != "background"}


@cache
def _loaded() -> tuple[Model, dict[str, Any]]:
    promise = json.loads((HERE / "promoted.json").read_text(encoding="utf-8"))
    return Model.load(HERE / "model", promise["model_digest"]).adapted_beside(HERE, promise), promise


def checked(columns: Mapping[str, Any], features: Mapping[str, Any]) -> dict[str, Any]:
    """All features as columns, refusing what the service would refuse; raises like `predict`."""
    if unknown := sorted(set(columns).difference(features)):
        raise InvalidRowError(f"no feature is called {', '.join(unknown)}. Features are: {', '.join(features)}.")
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1 or not all(lengths):
        raise InvalidRowError(f"the columns have {sorted(lengths) or 'no'} rows. Give each the same number, at least 1.")
    (rows,) = lengths
    found = {name: columns.get(name, [None] * rows) for name in features}
    for name, feature in features.items():
        check = _category_problem if feature["type"] == "category" else _number_problem
        place, problem = check(found[name], feature)
        if problem:
            value = found[name][place]
            given = value.item() if isinstance(value, np.generic) else value
            raise InvalidRowError(f"row {place}, {name}: {problem}, got {given!r}.")
    return found


def _category_problem(values: Any, feature: Mapping[str, Any]) -> tuple[int, str]:
    try:
        # many rows have few categories
        distinct: Any = set(values)
    except TypeError:
        distinct = values
    if not any(_wrong_category(value, feature) for value in distinct):
        return 0, ""
    return next((place, told) for place, value in enumerate(values) if (told := _wrong_category(value, feature)))


def _wrong_category(value: Any, feature: Mapping[str, Any]) -> str:
    if is_missing(value):
        return "must have a value" if feature["required"] else ""
    return "" if isinstance(value, str) and 1 <= len(value) <= 200 else "must be a text of 1 to 200 characters"


def _number_problem(values: Any, feature: Mapping[str, Any]) -> tuple[int, str]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        place = next(number for number, value in enumerate(values) if isinstance(value, str) or not _is_number(value))
        return place, "must be a number"
    low = -np.inf if feature["min"] is None else feature["min"]
    high = np.inf if feature["max"] is None else feature["max"]
    least, most = np.fmin.reduce(numbers, initial=np.inf), np.fmax.reduce(numbers, initial=-np.inf)
    if -np.inf < least >= low and np.inf > most <= high and not (feature["required"] and np.isnan(numbers).any()):
        return 0, ""
    bad = np.isinf(numbers) | (numbers < low) | (numbers > high)
    if feature["required"]:
        bad |= np.isnan(numbers)
    if not bad.any():
        return 0, ""
    return int(np.argmax(bad)), f"must be a number from {low:g} to {high:g}"


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float | np.number)
