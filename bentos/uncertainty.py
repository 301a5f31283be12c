"""What an answer says of its own uncertainty: an interval, or the set of classes that are likely enough.

The thresholds are the model's, chosen on rows that it was not fitted on, or those of a record that followed the labels since.
Training and service take the scores of `assets.methods.conformal` by the same operations, so that what was counted is served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RECORD = "uncertainty.json"
"""The record that followed the labels, beside the model that it is of."""
ADAPTED = "uncertainty_digest"
"""Where a promise names the record's digest."""
SEPARATOR = "|"
"""What stands between the classes of a set in a table, where a set is one text."""
NO, YES = "no", "yes"
OF_TWO = {(False, False): (), (True, False): (NO,), (False, True): (YES,), (True, True): (NO, YES)}


@dataclass(frozen=True)
class Uncertainty:
    """How far answers reach.

    Parameters
    ----------
    kind : str
        ``binary``, ``multiclass`` or ``regression``.
    classes : tuple of str
        The classes of a multiclass target.
    coverage : float
        The promised share of rows whose outcome is inside.
    by : tuple of str
        The category features that cut rows into slices.
    whole : float
        The threshold of rows of no slice that has its own.
    slices : dict of tuple to float
        The thresholds of slices, by the texts of `by`.
    wider_than : float, optional
        The width above which nothing is decided; None for classes.
    abstains : bool
        Whether answers say that nothing is decided.
    """

    kind: str
    classes: tuple[str, ...]
    coverage: float
    by: tuple[str, ...]
    whole: float
    slices: dict[tuple[str, ...], float]
    wider_than: float | None = None
    abstains: bool = False

    @classmethod
    def of(cls, signature: Mapping[str, Any], adapted: Mapping[str, Any] | None = None) -> Uncertainty | None:
        """What a signature declares, None if nothing; with the thresholds of a record, if there is one."""
        declared = signature.get("uncertainty")
        if declared is None:
            return None
        given, abstain = declared if adapted is None else adapted, declared.get("abstain")
        return cls(
            str(signature["kind"]),
            tuple(signature["classes"]),
            float(declared["coverage"]),
            tuple(declared["by"]),
            float(given["threshold"]),
            {tuple(item["values"]): float(item["threshold"]) for item in given["slices"]},
            None if abstain is None else abstain.get("wider_than"),
            abstain is not None,
        )

    def thresholds(self, columns: Mapping[str, Sequence[Any]], rows: int) -> list[float]:
        """The threshold of each row.

        Parameters
        ----------
        columns : mapping of str to sequence of length n_rows
            The columns of `by`, as the model takes them.
        rows : int
            How many rows there are.
        """
        if not self.slices:
            return [self.whole] * rows
        found, whole = self.slices.get, self.whole
        if len(self.by) == 1:
            return [found((text(value),), whole) for value in columns[self.by[0]]]
        return [found(tuple(map(text, values)), whole) for values in zip(*(columns[name] for name in self.by), strict=True)]

    def fields(self, outputs: Sequence[Any], thresholds: Sequence[float]) -> dict[str, list[Any]]:
        """What stands beside the answers: ``low`` and ``high``, or ``prediction_set`` (texts) and ``is_certain``.

        Parameters
        ----------
        outputs : sequence of float, or of sequences of float, of length n_rows
            The model's outputs.
        thresholds : sequence of float of length n_rows
            From `thresholds`.
        """
        if self.kind == "regression":
            low = [value - reach for value, reach in zip(outputs, thresholds, strict=True)]
            high = [value + reach for value, reach in zip(outputs, thresholds, strict=True)]
            found: dict[str, list[Any]] = {"low": low, "high": high}
            if self.wider_than is not None:
                found["is_abstained"] = [2 * reach > self.wider_than for reach in thresholds]
            return found
        sets: list[Sequence[str]]
        if self.kind == "binary":
            sets = [OF_TWO[value <= most, 1 - value <= most] for value, most in zip(outputs, thresholds, strict=True)]
        else:
            sets = [
                [name for name, value in zip(self.classes, values, strict=True) if 1 - value <= most]
                for values, most in zip(outputs, thresholds, strict=True)
            ]
        certain = [len(item) == 1 for item in sets]
        found = {"prediction_set": sets, "is_certain": certain}
        if self.abstains:
            found["is_abstained"] = [not sure for sure in certain]
        return found

    def of_columns(self, outputs: np.ndarray[Any, Any], columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """The fields of many rows, given as columns."""
        return self.fields(outputs.tolist(), self.thresholds(columns, len(outputs)))

    def as_columns(
        self, outputs: np.ndarray[Any, Any], columns: Mapping[str, Sequence[Any]]
    ) -> dict[str, np.ndarray[Any, Any]]:
        """The fields of many rows as a table holds them: arrays, of which a set is one text."""
        found = self.of_columns(outputs, columns)
        if "prediction_set" in found:
            found["prediction_set"] = [SEPARATOR.join(item) for item in found["prediction_set"]]
        types = {"prediction_set": object, "low": np.float64, "high": np.float64}
        return {name: np.array(values, dtype=types.get(name, np.bool_)) for name, values in found.items()}


def text(value: Any) -> str:
    """A category as text, a missing one as the empty text."""
    return "" if value is None or value != value else str(value)  # noqa: PLR0124 - only NaN differs from itself
