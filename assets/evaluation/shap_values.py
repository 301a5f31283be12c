"""Shapley values of a fitted pipeline's answers, by feature, and how they add up to what is served.

Lundberg and Lee (2017); trees exactly and fast by Lundberg and others (2020), path-dependent; linear models in closed form;
anything else by sampling permutations over a small background (Štrumbelj and Kononenko 2014).
"""

from __future__ import annotations

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.methods.calibration import Scaling, chances, log_chances, of_two
from assets.methods.raw_scores import is_boosted
from assets.spec import ProductSpec
from assets.training.estimators import model_frame

if TYPE_CHECKING:
    import pandas as pd

BACKGROUND = 20
"""Rows that stand for an absent feature, where an estimator is explained by sampling."""

SAMPLED_ROWS = 40
"""Rows that are explained, where it is by sampling."""


@dataclass(frozen=True)
class Contributions:
    """What each feature adds to each row's output, before calibration.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_features, n_outputs)
        By feature in declared order; log-odds, probabilities or the target's unit.
    base : ndarray of shape (n_outputs,)
        What is there without any feature.
    outputs : ndarray of shape (n_samples,) or (n_samples, n_classes)
        What base and values add up to, calibrated: what should be served.
    method, unit : str
        How they were found, and what they are in.
    """

    values: np.ndarray[Any, np.dtype[np.float64]]
    base: np.ndarray[Any, np.dtype[np.float64]]
    outputs: np.ndarray[Any, np.dtype[np.float64]]
    method: str
    unit: str


def explain(spec: ProductSpec, fitted: Any, rows: pd.DataFrame, background: pd.DataFrame) -> Contributions:
    """Explain a fitted pipeline's answers to rows; those explained by sampling are the first `SAMPLED_ROWS`.

    Parameters
    ----------
    spec : ProductSpec
        The declaration.
    fitted : Pipeline or ScaledClassifier
        From the model's folder.
    rows, background : DataFrame
        Rows of a snapshot: those to explain, and training rows that stand for an absent feature.
    """
    from assets.methods.scaled import ScaledClassifier

    scaling = None
    if isinstance(fitted, ScaledClassifier):
        scaling, fitted = Scaling(fitted.slope, tuple(fitted.intercepts)), fitted.classifier
    transformer, estimator = fitted.named_steps["columns"], fitted.named_steps["estimator"]
    if any(name == "source" for name, _, _ in transformer.transformers_):
        return _by_feature(spec, fitted, scaling, model_frame(spec, rows), model_frame(spec, background))
    matrix, others = (_matrix(transformer, model_frame(spec, part)) for part in (rows, background))
    values, base, method, in_margin = _shapley(spec, estimator, matrix, others)
    values = values.reshape(*values.shape[:2], -1)
    by_feature = np.zeros((len(values), len(spec.columns), values.shape[2]))
    places = {name: place for place, name in enumerate(spec.columns)}
    for column, name in enumerate(_owners(transformer)):
        by_feature[:, places[name]] += values[:, column]
    base = np.atleast_1d(np.asarray(base, dtype=np.float64))
    sums = base + by_feature.sum(axis=1)
    if spec.kind == "regression":
        has_log_link = in_margin and _has_log_link(estimator)
        unit = f"log of {spec.target.unit or 'the target'}" if has_log_link else spec.target.unit or "the target's unit"
        return Contributions(by_feature, base, np.exp(sums[:, 0]) if has_log_link else sums[:, 0], method, unit)
    outputs, unit = _chances(spec, sums, scaling, in_margin=in_margin), "log-odds" if in_margin else "probability"
    return Contributions(by_feature, base, outputs, method, unit)


def import_shap() -> Any:
    """SHAP, imported in a thread of its own.

    It keeps the exceptions of the optional imports that failed, and with them the frames of whoever imports it: the rows that
    are explained would stay in memory as long as the process.
    """
    if "shap" in sys.modules:
        return import_module("shap")  # another thread may be about it: that is waited for
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(import_module, "shap").result()


def _shapley(spec: ProductSpec, estimator: Any, matrix: Any, background: Any) -> tuple[Any, Any, str, bool]:
    """Values, base, method, and whether they are in log-odds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.linear_model._base import LinearModel

    shap = import_shap()
    try:
        explainer = shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
    except (TypeError, ValueError, AttributeError, shap.utils._exceptions.InvalidModelError):  # noqa: SLF001 - it has no other name
        explainer = None
    if explainer is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on the shape of LightGBM's values, which is looked at here
            values = np.asarray(explainer.shap_values(matrix, check_additivity=False), dtype=np.float64)
        # boosted trees add up log-odds, forests and single trees probabilities
        return values, explainer.expected_value, "trees", hasattr(estimator, "learning_rate") or is_boosted(estimator)
    if isinstance(estimator, (LinearModel, LogisticRegression)):
        coefficients = np.atleast_2d(estimator.coef_)
        middle = background.mean(axis=0)
        values = (matrix - middle)[:, :, None] * coefficients.T[None]
        return values, middle @ coefficients.T + estimator.intercept_, "linear", True

    def answers(given: Any) -> Any:
        return estimator.predict(given) if spec.kind == "regression" else estimator.predict_proba(given)

    sampled = shap.explainers.Permutation(answers, background[:BACKGROUND], seed=spec.model.seed)
    found = sampled(matrix[:SAMPLED_ROWS], max_evals=10 * (2 * matrix.shape[1] + 1), silent=True)
    return found.values, found.base_values[0], "sampling", False  # noqa: PD011 - an explanation, no frame


def _by_feature(
    spec: ProductSpec, fitted: Any, scaling: Scaling | None, rows: pd.DataFrame, others: pd.DataFrame
) -> Contributions:
    """By sampling over the features themselves: the score of another model is no column that belongs to one of them."""
    import pandas as pd

    from assets.methods.scaled import ScaledClassifier
    from assets.training.estimators import outputs_of, threads_for

    served = fitted if scaling is None else ScaledClassifier(fitted, scaling.slope, list(scaling.intercepts))
    texts = {name: sorted({*rows[name], *others[name]}) for name, item in spec.columns.items() if item.type == "category"}

    def coded(frame: pd.DataFrame) -> Any:
        columns = [frame[name].map(texts[name].index) if name in texts else frame[name] for name in spec.columns]
        return np.column_stack(columns).astype(np.float64)

    def answers(given: Any) -> Any:
        columns = {
            name: np.array(texts[name], dtype=object)[given[:, place].astype(int)] if name in texts else given[:, place]
            for place, name in enumerate(spec.columns)
        }
        return outputs_of(spec, served, pd.DataFrame(columns))

    asked = coded(rows.iloc[:SAMPLED_ROWS])
    sampled = import_shap().explainers.Permutation(answers, coded(others)[:BACKGROUND], seed=spec.model.seed)
    with threads_for(rows):  # once: to look for the libraries that have threads takes longer than an answer
        found = sampled(asked, max_evals=10 * (2 * asked.shape[1] + 1), silent=True)
    values = np.asarray(found.values, dtype=np.float64).reshape(*asked.shape, -1)
    base = np.atleast_1d(np.asarray(found.base_values[0], dtype=np.float64))
    outputs = base + values.sum(axis=1)
    unit = spec.target.unit or "the target's unit" if spec.kind == "regression" else "probability"
    return Contributions(values, base, outputs if spec.kind == "multiclass" else outputs[:, 0], "sampling", unit)


def _has_log_link(estimator: Any) -> bool:
    """Whether a boosted regressor adds up the logarithm of what it answers."""
    objective = getattr(estimator, "objective", None) or getattr(estimator, "loss", None)
    return objective in ("poisson", "gamma", "tweedie")


def _chances(spec: ProductSpec, sums: Any, scaling: Scaling | None, *, in_margin: bool) -> Any:
    """From base plus contributions to the probabilities that are served: link, then calibration."""
    found = sums
    if in_margin:
        scores = of_two(sums) if sums.shape[1] == 1 else sums
        found = chances(scores) if scaling is None else scaling.apply(scores)
    elif scaling is not None:
        found = scaling.apply(log_chances(sums))
    return found[:, 1] if spec.kind == "binary" else found


def _matrix(transformer: Any, frame: pd.DataFrame) -> Any:
    return np.asarray(transformer.transform(frame), dtype=np.float64)


def _owners(transformer: Any) -> list[str]:
    """The feature behind each encoded column."""
    owners: list[str] = []
    for name, step, used in transformer.transformers_:
        if name == "categories" and hasattr(step, "drop_idx_"):
            owners += [feature for feature, known in zip(used, step.categories_, strict=True) for _ in known]
        elif name == "target_means":
            owners += [feature for feature in used for _ in np.atleast_1d(step.target_mean_)]
        elif name == "texts":
            owners += [feature for feature, size in zip(used, step.sizes, strict=True) for _ in range(size)]
        elif name in ("categories", "numbers"):
            owners += list(used)
    return owners
