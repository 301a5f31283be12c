"""Learnability: whether a table's target can be learnt at all, judged apart from the product. Runs in ``.venv-tables``.

Five-fold cross-validation of a plain booster and of a linear model, against the constant of each fold. A target is learnable
where one of them is surely better by one measure. The product plays no part in it.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import LabelEncoder

from benchmarks.tables import plain_models
from benchmarks.tables.plain_models import Array
from benchmarks.tables.results import Results

FOLDS, REPEATS = 5, 2
MOST_ROWS = 20_000
"""Of larger tables so many rows are judged, drawn by seed."""
CONFIDENCE = 0.95


def main(cache: Path, wanted: Path) -> None:
    """Judge what was not judged yet, by the digest of the file and what is asked of it."""
    judged = Results(cache / "learnability.jsonl", ("key",))
    known = judged.all()
    for entry in json.loads(wanted.read_text(encoding="utf-8")):
        if (entry["key"],) not in known:
            frame = plain_models.read(cache / "files" / entry["file"])
            found = judge(frame, entry["target"], entry["kind"], entry["time"])
            judged.add({"key": entry["key"], "name": entry["name"], **found})


def judge(frame: pd.DataFrame, target: str, kind: str, time: str | None = None, seed: int = 0) -> dict[str, Any]:
    """Whether the target is learnable, with each model's advantage over the constant and its lowest likely value.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table.
    target, kind, time : str
        What is asked of it.
    seed : int
        For folds, models, and the rows of large tables.

    Returns
    -------
    dict
        ``learnable``; ``learnable_forward``, where there is time, for the last fifth of the rows by the ones before;
        ``advantages``, by model and measure.
    """
    frame = frame[frame[target].notna()]
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=seed).sort_index()
    features = plain_models.features(frame, target)
    labels = labels_of(frame[target], kind)
    if features.shape[1] == 0:
        return {"learnable": False, "advantages": {}, "rows": len(frame), "features": 0}
    folding = KFold if kind == "regression" else StratifiedKFold
    repeats = 1 if len(frame) > MOST_ROWS // 2 else REPEATS
    splits = [
        list(folding(FOLDS, shuffle=True, random_state=seed + repeat).split(features, labels)) for repeat in range(repeats)
    ]
    advantages = _advantages(features, labels, kind, splits, seed)
    found = {"learnable": _is_sure(advantages), "advantages": advantages, "rows": len(frame), "features": features.shape[1]}
    if time is not None:
        moments = pd.to_datetime(frame[time].astype(str), errors="coerce", format="mixed").rank(method="first").to_numpy()
        is_late = moments > 0.8 * len(frame)
        forward = _advantages(features, labels, kind, [[(np.flatnonzero(~is_late), np.flatnonzero(is_late))]], seed)
        found["learnable_forward"] = _is_sure(forward)
    return found


def labels_of(column: pd.Series, kind: str) -> Array:
    """Numbers, or the classes' numbers."""
    if kind == "regression":
        return np.asarray(column.to_numpy(float))
    encoded: Array = LabelEncoder().fit_transform(column.astype(str))
    return encoded


def _advantages(
    features: pd.DataFrame, labels: Array, kind: str, splits: list[list[tuple[Array, Array]]], seed: int
) -> dict[str, dict[str, float]]:
    """By model and measure: the mean advantage over the constant per row, and the low end of its interval.

    Two models by two measures are four chances to be lucky: each is asked for a quarter of the error (Bonferroni).
    """
    sure = stats.norm.isf((1 - CONFIDENCE) / 4)
    found = {}
    for model in ("booster", "linear"):
        sums = np.zeros((2, len(labels)))
        times = np.zeros(len(labels))
        for split in splits:
            for train, test in split:
                outputs = plain_models.fitted(model, features.iloc[train], labels[train], kind, seed)(features.iloc[test])
                sums[:, test] += _gains(labels[train], labels[test], outputs, kind)
                times[test] += 1
        for measure, gains in zip(MEASURES[kind], (sums[:, times > 0] / times[times > 0]), strict=True):
            spread = _influences(gains, labels[times > 0]) if measure == "rank" else gains
            error = float(np.std(spread, ddof=1) / np.sqrt(len(gains)))
            found[f"{model}: {measure}"] = {"mean": float(np.mean(gains)), "low": float(np.mean(gains) - sure * error)}
    return found


MEASURES = {
    "binary": ("log loss", "rank"),
    "multiclass": ("log loss", "accuracy"),
    "regression": ("squared error", "absolute error"),
}


def _gains(taught: Array, labels: Array, outputs: Array, kind: str) -> Array:
    """What each row is better off than with the constant, by two measures, shape (2, n_samples)."""
    if kind == "regression":
        mean, median = np.mean(taught), np.median(taught)
        return np.array(
            [
                (labels - mean) ** 2 - (labels - outputs) ** 2,
                np.abs(labels - median) - np.abs(labels - outputs),
            ]
        )
    # in time, a class may come that the earlier rows lack
    classes = 1 + int(max(labels.max(), taught.max()))
    outputs = np.pad(outputs, ((0, 0), (0, classes - outputs.shape[1])))
    shares = np.bincount(taught, minlength=classes) / len(taught)
    of_row = np.arange(len(labels)), labels
    lost = np.log(np.clip(outputs[of_row], 1e-6, 1)) - np.log(np.clip(shares[labels], 1e-6, 1))
    if kind == "multiclass":
        return np.array([lost, (outputs.argmax(axis=1) == labels) * 1.0 - (labels == shares.argmax())])
    # the part of the other class's rows of this fold that each row is rightly ordered against, less a half
    ranks = stats.rankdata(outputs[:, 1])
    among_own = np.zeros(len(labels))
    for label in (0, 1):
        among_own[labels == label] = stats.rankdata(outputs[labels == label, 1])
    others = np.where(labels == 1, np.sum(labels == 0), np.sum(labels == 1))
    below = (ranks - among_own) / np.maximum(others, 1)
    return np.array([lost, np.where(labels == 1, below - 0.5, 0.5 - below)])


def _influences(gains: Array, labels: Array) -> Array:
    """How much each row moves the mean rank gain, about that mean: its variance is that of DeLong et al. 1988.

    A row is compared with the rows of the other class only, so each class's mean is the gain again, and their errors add up.
    """
    mean = np.mean(gains)
    own = np.where(labels == 1, np.mean(labels == 1), np.mean(labels == 0))
    return np.asarray(mean + (gains - mean) / own)


def _is_sure(advantages: dict[str, dict[str, float]]) -> bool:
    return any(found["low"] > 0 for found in advantages.values())


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # those of a solver that stops early, and of names of features
    main(Path(sys.argv[1]), Path(sys.argv[2]))
