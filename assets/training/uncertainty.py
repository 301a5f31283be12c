"""The thresholds of a model's intervals or sets, chosen on rows that it was not fitted on; they are part of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.methods import conformal
from assets.methods.adaptive_conformal import summary
from assets.methods.conformal import Slice
from assets.methods.ranking import Array
from assets.methods.regression import COVERAGE
from assets.spec import ProductSpec
from bentos.runtime import as_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HeldOut:
    """The rows by which a model's choices are made, their labels, and which of them choose the width of its answers."""

    rows: pd.DataFrame
    labels: Array
    calibrating: np.ndarray[Any, Any]

    def decided(self, spec: ProductSpec, decision: dict[str, Any], answers: Array) -> dict[str, Any]:
        """What a signature says of decisions and uncertainty, by what was answered to these rows; raises like `calibrated`."""
        chosen = self.calibrating
        told = calibrated(spec, self.labels[chosen], answers[chosen], self.rows[chosen])
        if told is None:
            return {"decision": decision}
        margin = {"margin": told["threshold"]} if spec.kind == "regression" else {}
        return {"decision": {**decision, **margin}, "uncertainty": told}


def coverage_of(spec: ProductSpec) -> float:
    """The promised share of outcomes inside: the declared one, or that of every interval."""
    return COVERAGE if spec.uncertainty is None else spec.uncertainty.coverage


def slices_of(by: Sequence[str], rows: pd.DataFrame) -> list[Slice]:
    """The slice of each row by the texts of some categories, as the service cuts them."""
    return conformal.slices_of([as_text(rows[name].to_numpy()) for name in by], len(rows))


def calibrated(spec: ProductSpec, labels: Array, outputs: Array, rows: pd.DataFrame) -> dict[str, Any] | None:
    """What a model's signature says of its uncertainty; None where none is declared.

    Parameters
    ----------
    spec : ProductSpec
        The declaration.
    labels, outputs : ndarray of shape (n_samples,), and (n_samples,) or (n_samples, n_classes)
        What came, and what is served for these rows by models that were not fitted on them.
    rows : DataFrame of n_samples rows
        With the columns that cut slices.

    Raises
    ------
    DataError
        If the rows are too few for the declared coverage.
    """
    declared = spec.uncertainty
    if declared is None:
        return None
    require_rows(spec, len(labels))
    scores = conformal.scores(spec.kind, labels, outputs)
    groups = slices_of(declared.by, rows)
    found = conformal.mondrian(scores, groups, declared.coverage)
    slices: list[dict[str, Any]] = [
        {"values": list(group), "rows": found.rows[group], "threshold": reach} for group, reach in found.slices.items()
    ]
    followed: dict[str, Any] = {}
    if declared.adaptive:
        # what a threshold is chosen by until later labels are enough
        followed["scores"] = summary(scores).tolist()
        for item in slices:
            inside = np.array([group == tuple(item["values"]) for group in groups])
            item["scores"] = summary(scores[inside]).tolist()
    too_few = [{"values": list(group), "rows": count} for group, count in found.rows.items() if group not in found.slices]
    abstain = None if spec.abstain is None else spec.abstain.model_dump(mode="json")
    return {
        **declared.model_dump(mode="json"),
        "rows": len(labels),
        "threshold": found.whole,
        **followed,
        "slices": slices,
        "too_few": too_few,
        **({} if abstain is None else {"abstain": abstain}),
    }


def require_rows(spec: ProductSpec, rows: int, *, of_fold: bool = False) -> None:
    """Refuse rows that are too few for the declared coverage.

    Raises
    ------
    DataError
        With how many would do.
    """
    coverage = coverage_of(spec)
    if rows < (least := conformal.least_rows(coverage)):
        where = " in one of the folds by which 'abstain' is judged" if of_fold else ""
        remedy = "Bring more rows, set evaluation.cross_fitted_below to 0" if of_fold else "Validate on more rows"
        raise DataError(
            f"{spec.name}: {rows} rows choose the width of its answers{where}; a coverage of {coverage:g} needs at least "
            f"{least}, or no finite width covers enough. {remedy}, or lower uncertainty.coverage."
        )


def latest_or_all(spec: ProductSpec, latest: np.ndarray[Any, Any] | None, rows: int) -> np.ndarray[Any, Any]:
    """Which of the rows of cross-fitting choose the width: the latest where they are enough, as errors change in time."""
    if latest is not None and latest.sum() >= max(conformal.FEWEST, conformal.least_rows(coverage_of(spec))):
        return latest
    return np.ones(rows, dtype=bool)
