"""Federated pipeline: what clients agreed on and learnt, as the pipeline that any other training gives.

Its steps are fitted on rows that are made up of the vocabularies, for their form; then they take over what was agreed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from assets.methods.federated.boosting import Boosted
from assets.methods.federated.rounds import Federated
from assets.spec import ProductSpec
from assets.training.estimators import model_frame, pipeline
from assets.training.federated.declaration import columns_by_type
from assets.training.federated.tree_estimator import take_over

if TYPE_CHECKING:
    import pandas as pd


def pipeline_of(spec: ProductSpec, found: Federated | Boosted) -> Any:
    """The fitted pipeline of a federated model.

    Returns
    -------
    sklearn.pipeline.Pipeline
    """
    built = pipeline(spec, list(spec.columns))
    if isinstance(found, Boosted):
        made_up = built.named_steps["columns"].fit_transform(_made_up(spec, found.bins.vocabularies))
        take_over(built.named_steps["estimator"], spec.kind, found, made_up)
        return built
    return _linear(spec, built, found)


def _made_up(spec: ProductSpec, vocabularies: tuple[np.ndarray[Any, Any], ...]) -> pd.DataFrame:
    """Rows that hold every known value, and as many as there are classes at least."""
    import pandas as pd

    categories, numbers = columns_by_type(spec)
    count = max([len(known) for known in vocabularies] + [len(spec.target.classes or ()), 2]) + 1
    rows: dict[str, Any] = {name: np.arange(count, dtype=np.float64) for name in numbers}
    for name, known in zip(categories, vocabularies, strict=True):
        rows[name] = known[np.arange(count) % len(known)].astype(object)
    return model_frame(spec, pd.DataFrame(rows))


def _linear(spec: ProductSpec, built: Any, found: Federated) -> Any:
    """The pipeline of a linear model."""
    encoding, numbers = found.encoding, columns_by_type(spec)[1]
    columns = built.named_steps["columns"].fit(_made_up(spec, encoding.vocabularies))
    if numbers:
        missing, scale = (columns.named_transformers_["numbers"].named_steps[name] for name in ("missing", "scale"))
        missing.set_params(strategy="mean")
        missing.statistics_ = encoding.means.copy()
        scale.mean_, scale.scale_, scale.var_ = encoding.means.copy(), encoding.scales.copy(), encoding.scales**2
    last = built.named_steps["estimator"]
    coefficients, intercepts = found.weights[:-1].T.copy(), found.weights[-1].copy()
    last.n_features_in_ = encoding.width - 1
    if spec.kind == "regression":
        last.coef_ = coefficients[0] * encoding.label_scale
        last.intercept_ = float(intercepts[0] * encoding.label_scale + encoding.label_mean)
    else:
        last.classes_ = np.arange(2.0 if spec.kind == "binary" else len(spec.target.classes or ()))
        last.coef_, last.intercept_, last.n_iter_ = coefficients, intercepts, np.array([0], dtype=np.int32)
    return built
