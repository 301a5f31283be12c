"""Rivals: the served model beside a plain LightGBM, a linear model and FLAML, on the same test rows. Runs in ``.venv-tables``.

The rows are those that the product predicted as its test rows; rivals learn from all other rows of the file that have a target.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, mean_absolute_error, roc_auc_score

from benchmarks.tables import plain_models
from benchmarks.tables.plain_models import Array
from benchmarks.tables.results import Results

METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "mae"}
"""The figure in which models are compared; the latter two are better when lower."""
REPLICATES, CONFIDENCE = 500, 0.95
ROUNDING = 1e-6
"""The share of a figure below which a difference is one of rounding, as between two linear models of the same rows."""
MOST_TAUGHT = 50_000
"""Rivals learn from at most so many rows, drawn by seed."""


def main(cache: Path, wanted: Path, with_automl: str) -> None:
    """Compare what was not compared yet."""
    judged = Results(cache / "rivals.jsonl", ("key",))
    known = judged.all()
    for record in json.loads(wanted.read_text(encoding="utf-8")):
        predictions = cache / "predictions" / f"{Path(record['file']).stem}.parquet"
        if (record["key"],) in known or not predictions.exists():
            continue
        seconds = record["run_seconds"] if with_automl == "automl" else 0.0
        found = compare(plain_models.read(cache / "files" / record["file"]), pd.read_parquet(predictions), record, seconds)
        judged.add({"key": record["key"], "name": record["name"], "variant": record["variant"], **found})


def compare(
    frame: pd.DataFrame, predictions: pd.DataFrame, record: dict[str, Any], automl_seconds: float = 0.0
) -> dict[str, Any]:
    """All figures, and the product's gain over the better of the plain models with its interval (positive is better).

    Parameters
    ----------
    frame : pandas.DataFrame
        The file.
    predictions : pandas.DataFrame
        What the product answered for its test rows.
    record : dict
        Of the run; it names the product's target, kind, classes and positive value.
    automl_seconds : float
        How long FLAML may search; 0 leaves it out.
    """
    declared, target = record["declared"], record["target"]
    kind = declared["kind"]
    places = _places(frame, predictions, declared["entity"])
    if places is None:
        return {"compared": False, "why": f"no column of the file is the entity {declared['entity']!r}"}
    codes = _codes(frame[target], declared)
    is_known = ~np.isnan(codes)
    kept = is_known[places]
    test, outputs = places[kept], _outputs(predictions, declared)[kept]
    is_taught = is_known.copy()
    is_taught[test] = False
    taught = np.flatnonzero(is_taught)
    if len(taught) > MOST_TAUGHT:
        taught = np.random.default_rng(0).choice(taught, MOST_TAUGHT, replace=False)
    if len(test) < 20 or (kind != "regression" and len(set(codes[test])) < 2):
        return {"compared": False, "why": "too few test rows, or of one class"}
    rows = plain_models.features(frame, target)
    labels = codes if kind == "regression" else codes.astype(int)
    answers = {"product": outputs}
    for model in ("booster", "linear"):
        answers[model] = plain_models.fitted(model, rows.iloc[taught], labels[taught], kind)(rows.iloc[test])
    if automl_seconds:
        answers["automl"] = _automl(rows.iloc[taught], labels[taught], rows.iloc[test], kind, automl_seconds)
    figures = {name: float(figure(kind, labels[test], given)) for name, given in answers.items()}
    sign = 1.0 if kind == "binary" else -1.0
    best = max(("booster", "linear"), key=lambda name: sign * figures[name])
    low, high = _gain_interval(kind, labels[test], answers["product"], answers[best], sign)
    gain = sign * (figures["product"] - figures[best])
    is_worse = high < -ROUNDING * abs(figures[best])
    return {
        "compared": True, "metric": METRICS[kind], "figures": figures, "best_plain": best, "test_rows": len(test),
        "taught_rows": len(taught), "gain": gain, "low": low, "high": high, "surely_worse": bool(is_worse),
    }  # fmt: skip


def figure(kind: str, labels: Array, outputs: Array) -> float:
    """The figure of one kind of target."""
    if kind == "regression":
        return float(mean_absolute_error(labels, outputs))
    if kind == "binary":
        return float(roc_auc_score(labels, outputs if outputs.ndim == 1 else outputs[:, 1]))
    chances = np.clip(outputs, 1e-6, 1)
    return float(log_loss(labels, chances / chances.sum(axis=1, keepdims=True), labels=np.arange(chances.shape[1])))


def _gain_interval(kind: str, labels: Array, ours: Array, theirs: Array, sign: float) -> tuple[float, float]:
    """Of a paired bootstrap that draws test rows."""
    random = np.random.default_rng(0)
    gains: list[float] = []
    while len(gains) < REPLICATES:
        drawn = random.integers(0, len(labels), len(labels))
        if kind != "binary" or 0 < labels[drawn].mean() < 1:
            gains.append(sign * (figure(kind, labels[drawn], ours[drawn]) - figure(kind, labels[drawn], theirs[drawn])))
    low, high = np.quantile(gains, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _places(frame: pd.DataFrame, predictions: pd.DataFrame, entity: str) -> Array | None:
    """The row of the file that each prediction is of."""
    keys = predictions[entity].astype(str)
    if entity == "source_row":
        return np.asarray(keys.to_numpy(int) - 1)
    slug = re.sub(r"[^a-z0-9]+", "_", entity.lower()).strip("_")
    for name in frame:
        if re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_") == slug:
            if not frame[name].is_unique:
                return None
            found: Array = pd.Index(frame[name].astype(str)).get_indexer(keys)
            return None if (found < 0).any() else found
    return None


def _codes(column: pd.Series, declared: dict[str, Any]) -> Array:
    """The target as numbers, or as the declared classes' numbers; what is none of them is missing."""
    if declared["kind"] == "regression":
        return np.asarray(column.to_numpy(float))
    texts = column.astype(str).str.removesuffix(".0").str.lower().where(column.notna())
    classes = [str(name).removesuffix(".0").lower() for name in declared["classes"]]
    if declared["kind"] == "binary":
        yes = str(declared["positive"]).removesuffix(".0").lower()
        return np.asarray((texts == yes).astype(float).where(column.notna()).to_numpy(float))
    return np.asarray(texts.map({name: float(place) for place, name in enumerate(classes)}).to_numpy(float))


def _outputs(predictions: pd.DataFrame, declared: dict[str, Any]) -> Array:
    if declared["kind"] == "multiclass":
        return np.asarray(predictions[[f"probability_{name}" for name in declared["classes"]]].to_numpy(float))
    return np.asarray(predictions["prediction" if declared["kind"] == "regression" else "probability"].to_numpy(float))


def _automl(rows: pd.DataFrame, labels: Array, asked: pd.DataFrame, kind: str, seconds: float) -> Array:
    from flaml import AutoML

    automl = AutoML()
    automl.fit(
        rows, labels, task="regression" if kind == "regression" else "classification", metric=METRICS[kind],
        time_budget=seconds, n_jobs=1, seed=1, verbose=0,
    )  # fmt: skip
    if kind == "regression":
        return np.asarray(automl.predict(asked), dtype=float)
    chances = np.asarray(automl.predict_proba(asked))
    found = np.zeros((len(asked), int(labels.max()) + 1))
    found[:, np.asarray(automl.classes_, dtype=int)] = chances
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # those of solvers that stop early
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
