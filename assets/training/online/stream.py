"""Rows as an online learner takes them: in the order of their labels' arrival, and the questions between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.methods.label_order import Places, arrived_before, label_order
from assets.methods.online_linear import Asked, Inputs, Taught
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.training.estimators import require_squares
from assets.training.online.state import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

Texts = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Questions:
    """Rows to answer, in the order in which they were predicted.

    Parameters
    ----------
    numbers, texts
        Their features.
    places : ndarray of int of shape (n_asked,)
        How many labels had arrived before each, ascending.
    order : ndarray of int of shape (n_asked,)
        Where each stands among those that were asked.
    """

    numbers: Array
    texts: Texts
    places: Places
    order: Places

    def asked(self, vocabulary: Vocabulary) -> Callable[[int, int], Asked]:
        """Gives those that are answered after some number of labels and before another, counted from the first."""
        inputs = Inputs(self.numbers, _codes(self.texts, vocabulary, len(self.numbers)))

        def between(start: int, end: int) -> Asked:
            part = slice(*np.searchsorted(self.places, [start, end]))
            return Asked(inputs.rows(part), self.places[part] - start)

        return between

    def in_order(self, scores: Array) -> Array:
        """The scores in the order in which the rows were given."""
        found = np.empty(len(scores))
        found[self.order] = scores
        return found


@dataclass(frozen=True)
class LabelStream:
    """Rows in the order in which their labels arrived.

    Parameters
    ----------
    names : list of str
        The features that are numbers.
    numbers : ndarray of shape (n_rows, n_numbers)
        NaN where missing.
    texts : mapping of str to ndarray of str
        The features that are categories.
    labels, days : ndarray of shape (n_rows,)
        0 and 1, or values; and the number of the local day on which each label arrived.
    known : ndarray of datetime64 of shape (n_rows,)
        When each label arrived.
    keys : ndarray of str of shape (n_rows,)
    """

    names: list[str]
    numbers: Array
    texts: Texts
    labels: Array
    days: np.ndarray[Any, Any]
    known: np.ndarray[Any, Any]
    keys: np.ndarray[Any, Any]

    def content(self, part: slice) -> list[bytes]:
        """All that some of the rows teach, and which rows they are."""
        texts = [*self.texts.values(), self.keys]
        return [
            self.numbers[part].tobytes(),
            self.labels[part].tobytes(),
            self.known[part].astype("datetime64[ns]").astype(np.int64).tobytes(),
            *("\0".join(values[part].tolist()).encode() for values in texts),
        ]

    def vocabulary(self, record: Mapping[str, Any] | None) -> dict[str, list[str]]:
        """The values of each category that these rows have, or a state's record knows."""
        known: Mapping[str, Mapping[str, Any]] = {} if record is None else record["categories"]
        return {name: sorted({*np.unique(values).tolist(), *known.get(name, ())}) for name, values in self.texts.items()}

    def taught(self, vocabulary: Vocabulary) -> Callable[[slice], Taught]:
        """Gives some of the rows as the learner takes them."""
        inputs = Inputs(self.numbers, _codes(self.texts, vocabulary, len(self.numbers)))
        return lambda part: Taught(inputs.rows(part), self.labels[part], self.days[part])

    def questions(self, spec: ProductSpec, frame: pd.DataFrame, rows: pd.DataFrame) -> Questions:
        """Rows to answer, by their features and with their moments of prediction."""
        moments = _moments(rows[_predicted_at(spec)])
        order = np.lexsort((rows[spec.features.entity].astype(str).to_numpy(), moments))
        numbers, texts = _features(spec, frame, order)
        return Questions(numbers, texts, arrived_before(self.known, moments[order]), order)


def stream_of(spec: ProductSpec, frame: pd.DataFrame, labels: Array, rows: pd.DataFrame) -> LabelStream:
    """Labelled rows in the order in which their labels arrived.

    Raises
    ------
    DataError
        If a label arrived before its row was predicted, or the square of a number is beyond double precision.
    """
    require_squares(spec, frame)
    known = _moments(rows[str(spec.target.known_at)])
    keys = rows[spec.features.entity].astype(str).to_numpy().astype(str)
    order = label_order(_moments(rows[_predicted_at(spec)]), known, keys)
    numbers, texts = _features(spec, frame, order)
    taught = np.asarray(labels, dtype=np.float64)[order]
    days = _local_days(spec, rows[str(spec.target.known_at)])[order]
    return LabelStream(_names(spec, "number"), numbers, texts, taught, days, known[order], keys[order])


def arrived(spec: ProductSpec, frame: pd.DataFrame, labels: Array, known: pd.Series, keys: np.ndarray[Any, Any]) -> LabelStream:
    """Labelled rows that are in the order in which their labels arrived already, at the moments `known` (UTC)."""
    order = np.arange(len(frame))
    numbers, texts = _features(spec, frame, order)
    taught = np.asarray(labels, dtype=np.float64)
    return LabelStream(_names(spec, "number"), numbers, texts, taught, _local_days(spec, known), _moments(known), keys)


def _predicted_at(spec: ProductSpec) -> str:
    return spec.features.predicted_at or str(spec.features.event_time)


def _names(spec: ProductSpec, kind: str) -> list[str]:
    return [name for name, feature in spec.columns.items() if feature.type == kind]


def _features(spec: ProductSpec, frame: pd.DataFrame, order: Places) -> tuple[Array, Texts]:
    numbers = frame[_names(spec, "number")].to_numpy(np.float64)[order]
    return numbers, {name: frame[name].to_numpy(dtype=object).astype(str)[order] for name in _names(spec, "category")}


def _codes(texts: Texts, vocabulary: Mapping[str, Sequence[str]], count: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The place of each value in the lists of all values; -1 for one that is in none."""
    codes = np.full((count, len(texts)), -1, dtype=np.intp)
    first = 0
    for column, (name, values) in enumerate(texts.items()):
        known = np.array(vocabulary[name], dtype=str)
        if len(known):
            found = np.minimum(np.searchsorted(known, values), len(known) - 1)
            codes[:, column] = np.where(known[found] == values, found + first, -1)
        first += len(known)
    return codes


def _moments(column: pd.Series) -> np.ndarray[Any, Any]:
    return np.asarray(column.to_numpy(dtype="datetime64[ns]"))


def _local_days(spec: ProductSpec, moments: pd.Series) -> np.ndarray[Any, Any]:
    """The number of the local day of each moment (UTC)."""
    local = moments.dt.tz_localize("UTC").dt.tz_convert(spec.features.time_zone).dt.tz_localize(None)
    return np.asarray(local.to_numpy(dtype="datetime64[D]").astype(np.int64))
