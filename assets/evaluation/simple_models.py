"""Simple models beside the model: a linear and an additive one, fitted on the rows that it was fitted on.

A model that is not surely better than these is no reason to give up a formula that can be read.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examination import Examination
from assets.features.snapshots import Snapshot
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.methods.ranking import Array
from assets.methods.simple_models import SIMPLE_MODELS
from assets.spec import ProductSpec
from assets.storage.asset_result import ROWS
from assets.storage.home import Home
from assets.training.candidates import deciding_metric, outputs_of_scores, raw_outputs
from assets.training.estimators import fit, model_frame

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 50_000
"""The rows that a simple model is fitted on, at most, and that it answers: more change it little."""
MOST_VALUES = 20_000_000
"""The values of encoded columns that are held at once, at most (160 MB): a category has a column for each of its values."""


def compare(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Fit the simple models, and hold the model against each on the same test rows and draws.

    The record holds ``rows`` and ``fitted_rows``, the ``model``'s deciding metric, and for each simple model its own and the
    ``gain`` of the model over it, with an interval; positive is better. All decide by their outputs taken at their word.
    """
    case = Case.load(home, spec, snapshot, model_digest)
    learnt, part, random = case.learnt, case.parts["test"], np.random.default_rng(spec.model.seed)
    most = max(2, min(MOST_ROWS, MOST_VALUES // _width(spec, learnt.rows)))
    taught, asked = (_some(len(rows.rows), most, random) for rows in (learnt, part))
    told, given = (model_frame(spec, rows.rows.iloc[places]) for rows, places in ((learnt, taught), (part, asked)))
    labels = part.labels(spec)[asked]
    outputs = {"model": case.model.predict(case.columns("test", asked))}
    for name, by_kind in SIMPLE_MODELS.items():
        simple = _declared(spec, *by_kind[spec.kind != "regression"])
        outputs[name] = _answers(simple, told, given, learnt.labels(spec)[taught])
    clusters, ones = part.clusters(spec)[asked], np.ones(len(labels))
    weights = cluster_weights(clusters, spec.evaluation.bootstrap_replicates, spec.model.seed)
    functions = {name: deciding_metric(spec, labels, given) for name, given in outputs.items()}
    values = {name: float(function(ones)) for name, function in functions.items()}
    drawn = replicate(functions, clusters, weights)
    found: dict[str, Any] = {"metric": spec.metric, "rows": len(labels), "fitted_rows": len(taught), "model": values["model"]}
    for name in SIMPLE_MODELS:
        gains = case.sign * (drawn["model"] - drawn[name])
        gain = interval(case.sign * (values["model"] - values[name]), gains, spec.evaluation.confidence)
        found[name] = {"value": values[name], "gain": vars(gain)}
    return case.publish(home, EXAMINATION.name, found)


def _declared(spec: ProductSpec, estimator: str, parameters: Mapping[str, Any]) -> ProductSpec:
    """The product with a simple estimator, fitted on its rows at once."""
    chosen = {"estimator": estimator, "parameters": dict(parameters), "categories": "codes", "learning": None}
    return spec.model_copy(update={"model": spec.model.model_copy(update=chosen)})


def _answers(simple: ProductSpec, learnt: pd.DataFrame, asked: pd.DataFrame, labels: Array) -> Array:
    """What a simple model says of the rows that are asked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it could be fitted further is no news of the model that is examined
        return outputs_of_scores(simple, raw_outputs(simple, fit(simple, learnt, labels), asked), None)


def _width(spec: ProductSpec, rows: pd.DataFrame) -> int:
    """The columns of a linear model's encoding, at most."""
    sizes = {name: 0 if item.ngrams is None else item.ngrams.size for name, item in spec.columns.items()}
    return sum(
        sizes[name] or (rows[name].nunique() + 1 if item.type == "category" else 1) for name, item in spec.columns.items()
    )


def _some(count: int, most: int, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Places of rows, drawn where there are too many."""
    return np.arange(count) if count <= most else np.sort(random.choice(count, most, replace=False))


def _figures(_: ProductSpec, record: Mapping[str, Any]) -> dict[str, Any]:
    own = {"metric": record["metric"], "model": record["model"], ROWS: record["rows"]}
    return own | {name: record[name]["value"] for name in SIMPLE_MODELS}


EXAMINATION = Examination(
    "simple_models",
    compare,
    _figures,
    "A linear and an additive model on the same rows, and by how much the model is better.",
    ("numpy", "onnxruntime", "pandas", "scikit-learn"),
    reads=frozenset(("evaluation",)),
)
