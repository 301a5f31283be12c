"""Online models as pipelines: the state at a moment as the fitted scikit-learn pipeline that gives the same scores.

So what was learned row by row leaves as every linear model does: as ONNX, SQL, and a copy for the registry.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from assets.errors import DataError
from assets.methods.online_linear import LinearState
from assets.spec import ProductSpec
from assets.training.estimators import pipeline
from assets.training.online.state import Vocabulary


def as_pipeline(spec: ProductSpec, state: LinearState, numbers: list[str], vocabulary: Vocabulary) -> Any:
    """The pipeline of a state: unknown categories weigh nothing, a missing number counts as the mean of those learned.

    Parameters
    ----------
    spec : ProductSpec
        Declares the estimator that the model leaves as.
    state : LinearState
        What was learned.
    numbers, vocabulary
        The names of the features, and of the values, that the state's lists are of.

    Raises
    ------
    DataError
        If nothing was learned, or the weights are beyond double precision.
    """
    import pandas as pd

    _require_finite(spec, state)
    seen, weights = _seen(state, vocabulary)
    live = [place for place, count in enumerate(state.counts) if count]
    columns = [name for name in spec.columns if name in seen or name in {numbers[place] for place in live}]
    if not columns:
        raise DataError(f"{spec.name}: no label has arrived of the rows to train on, so nothing was learned. Land labels.")
    rows = max([2, *map(len, seen.values())])
    example = {
        name: np.resize(np.array(seen[name], dtype=object), rows) if name in seen else np.arange(rows) % 2.0 for name in columns
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is fitted to have its shape only
        fitted = pipeline(spec, columns).fit(pd.DataFrame(example, columns=columns), np.arange(rows) % 2.0)
    transformer, last = fitted.named_steps["columns"], fitted.named_steps["estimator"]
    spread = np.sqrt(state.variances[live])
    if live:
        imputer, scaler = (step for _, step in transformer.named_transformers_["numbers"].steps)
        imputer.statistics_ = state.means[live].copy()
        scaler.mean_, scaler.var_ = state.means[live].copy(), state.variances[live].copy()
        scaler.scale_, scaler.n_samples_seen_ = np.where(spread > 0, spread, 1.0), state.counts[live].astype(np.int64)
    # a number that never varied was never followed, so its weight is 0
    learned = np.array([*weights, *np.where(spread > 0, state.weights[live], 0.0)], dtype=np.float64)
    if spec.kind == "binary":
        last.coef_, last.intercept_ = learned[None], np.array([state.intercept])
    else:
        last.coef_, last.intercept_ = learned, float(state.intercept)
        del last.rank_, last.singular_
    return fitted


def _seen(state: LinearState, vocabulary: Vocabulary) -> tuple[dict[str, list[str]], list[float]]:
    """The values that learned rows had, by column, and their weights in that order; a column without any is left out."""
    told = iter(zip(state.category_counts, state.category_weights, strict=True))
    seen: dict[str, list[str]] = {}
    weights: list[float] = []
    for name, values in vocabulary.items():
        known = sorted((value, weight) for value, (count, weight) in zip(values, told, strict=False) if count)
        if known:
            seen[name] = [value for value, _ in known]
            weights += [weight for _, weight in known]
    return seen, weights


def _require_finite(spec: ProductSpec, state: LinearState) -> None:
    parts = (state.means, state.variances, state.weights, state.category_weights, [state.intercept])
    if not all(np.isfinite(part).all() for part in parts):
        raise DataError(
            f"{spec.name}: the online model diverged within {state.rows} rows: weights beyond double precision. Lower "
            "'model.learning.online.rate', or set 'clip'; a wild value of a feature belongs into quarantine: declare its 'max'."
        )
