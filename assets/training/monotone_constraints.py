"""Monotone constraints: estimators that can hold a declared direction are told to, in the order of their encoded columns.

Others are not: whether predictions keep the direction is measured of every model (`assets.evaluation.robustness`).
"""

from __future__ import annotations

from typing import Any

from assets.spec import ProductSpec
from assets.training.boosters import MONOTONE, constraints, library

SIGNS = {"increasing": 1, "decreasing": -1, None: 0}


def constrain(spec: ProductSpec, last: Any, columns: list[str]) -> None:
    """Constrain an unfitted estimator that gets a column for each feature, unless its parameters do so themselves.

    Parameters
    ----------
    spec : ProductSpec
        The specification.
    last : estimator
        Unfitted; with the parameter ``monotonic_cst`` (scikit-learn's trees) or ``monotone_constraints`` (LightGBM and others).
    columns : list of str
        The features that are used, in order.
    """
    name = _parameter(last)
    used = [spec.columns[column] for column in columns]
    if name is None or name in spec.model.parameters or not any(item.monotone for item in used):
        return
    categories = [item for item in used if item.type == "category" and item.ngrams is None]
    signs = [0] * len(categories) + [SIGNS[item.monotone] for item in used if item.type == "number"]
    signs += [0] * sum(item.ngrams.size for item in used if item.ngrams is not None)
    if spec.model.categories == "target_means":
        signs += [0] * len(categories)
    last.set_params(**{name: constraints(type(last), signs)})


def _parameter(last: Any) -> str | None:
    if library(type(last)) in MONOTONE:
        return "monotone_constraints"
    return "monotonic_cst" if "monotonic_cst" in last.get_params(deep=False) else None
