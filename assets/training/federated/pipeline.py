"""Federated pipeline: what clients agreed on and learnt, as the pipeline that any other training gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.federated.rounds import Federated
from assets.spec import ProductSpec
from assets.training.estimators import model_frame, pipeline
from assets.training.federated.declaration import columns_by_type


def pipeline_of(spec: ProductSpec, found: Federated) -> Any:
    """The fitted pipeline of a federated linear model.

    Its steps are fitted on rows that are made up of the vocabularies, for their form; then they take over what was agreed on.

    Returns
    -------
    sklearn.pipeline.Pipeline
    """
    import pandas as pd

    encoding = found.encoding
    built = pipeline(spec, list(spec.columns))
    categories, numbers = columns_by_type(spec)
    count = max([len(known) for known in encoding.vocabularies], default=1) + 1
    rows: dict[str, Any] = {name: np.arange(count, dtype=np.float64) for name in numbers}
    for name, known in zip(categories, encoding.vocabularies, strict=True):
        rows[name] = known[np.arange(count) % len(known)].astype(object)
    columns = built.named_steps["columns"].fit(model_frame(spec, pd.DataFrame(rows)))
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
