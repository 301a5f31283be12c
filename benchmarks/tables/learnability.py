"""Learnability: whether a table's target can be learnt at all, judged apart from the product. Runs in ``.venv-tables``.

Five-fold cross-validation of a plain booster and of a linear model, against the constant of each fold. A target is learnable
where one of them is surely better by one measure; of a table with time, also on rows that are later than those it has seen.

That nothing was sure does not show that nothing can be learnt. A target is unlearnable where not even a hint is found: with
every column, by any kind that the target could be, by order too, with the error of one look instead of all. Between the two
lies what nobody can say.
"""

from __future__ import annotations

import json
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
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
BATCHES = 20
Advantages = dict[str, dict[str, float]]


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
        ``learnable``: true, false, or none where it cannot be said; ``forward``, where there is time: whether rows of a time
        can surely be learnt from the rows before; ``advantages``, by model and measure.
    """
    frame = frame[frame[target].notna()]
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=seed).sort_index()
    order = None if time is None else pd.to_datetime(frame[time].astype(str), errors="coerce", format="mixed")
    view = View(frame, target, kind, order)
    found: dict[str, Any] = {"advantages": view.crossed(seed), "rows": len(frame), "features": view.features.shape[1]}
    seen = [found["advantages"]]
    if order is not None:
        seen.append(view.forward(seed))
        found["forward"] = _any_above(seen[-1], "low")
    if _any_above(found["advantages"], "low") and found.get("forward", True):
        return {"learnable": True, **found}
    for of_kind in sorted({kind, "regression"} if types.is_numeric_dtype(frame[target]) else {kind}):
        wider = View(frame, target, of_kind, order, every_column=True)
        seen += [wider.crossed(seed), *([wider.forward(seed)] if order is not None else [])]
    return {"learnable": None if any(_any_above(advantages, "hint") for advantages in seen) else False, **found}


class View:
    """A table as a judge sees it: features, labels, and the order of its rows where there is time."""

    def __init__(
        self, frame: pd.DataFrame, target: str, kind: str, moments: pd.Series | None, *, every_column: bool = False
    ) -> None:
        self.kind = kind
        self.features = plain_models.features(frame, target, every_column=every_column)
        self.labels = labels_of(frame[target], kind)
        self.order = np.argsort(moments.to_numpy() if moments is not None else np.arange(len(frame)), kind="stable")

    def crossed(self, seed: int) -> Advantages:
        """By folds that know no time."""
        folding = KFold if self.kind == "regression" else StratifiedKFold
        repeats = 1 if len(self.labels) > MOST_ROWS // 2 else REPEATS
        splits = [
            list(folding(FOLDS, shuffle=True, random_state=seed + repeat).split(self.features, self.labels))
            for repeat in range(repeats)
        ]
        return self._advantages(splits, seed, None)

    def forward(self, seed: int) -> Advantages:
        """The later half of the rows in five blocks, each by all rows before it.

        Rows that follow each other are alike, so the error is that of the means of `BATCHES` batches of them.
        """
        cuts = np.linspace(len(self.order) // 2, len(self.order), FOLDS + 1).astype(int)
        split = [(self.order[:start], self.order[start:end]) for start, end in pairwise(cuts)]
        return self._advantages([split], seed, np.array_split(self.order[cuts[0] :], BATCHES))

    def _advantages(self, splits: list[list[tuple[Array, Array]]], seed: int, batches: list[Array] | None) -> Advantages:
        """By model and measure: the mean advantage over the constant per row, and the low ends of its intervals.

        Two models by two measures are four chances to be lucky: to be sure, each is asked for a quarter of the error
        (Bonferroni).
        """
        if self.features.shape[1] == 0:
            return {}
        found, measures = {}, MEASURES[self.kind]
        for model in ("booster", "linear"):
            sums, times = np.zeros((len(measures), len(self.labels))), np.zeros(len(self.labels))
            for train, test in (part for split in splits for part in split):
                taught, asked = self.features.iloc[train], self.features.iloc[test]
                outputs = plain_models.fitted(model, taught, self.labels[train], self.kind, seed)(asked)
                sums[:, test] += _gains(self.labels[train], self.labels[test], outputs, self.kind)
                times[test] += 1
            for measure, summed in zip(measures, sums, strict=True):
                gains = np.divide(summed, times, where=times > 0, out=np.zeros_like(summed))
                found[f"{model}: {measure}"] = self._bounds(measure, gains, times > 0, batches)
        return found

    def _bounds(self, measure: str, gains: Array, is_judged: Array, batches: list[Array] | None) -> dict[str, float]:
        mean = float(np.mean(gains[is_judged]))
        if batches is None:
            is_area = measure == "rank" and self.kind == "binary"
            spread = _influences(gains[is_judged], self.labels[is_judged]) if is_area else gains[is_judged]
        else:
            spread = np.array([np.mean(gains[batch]) for batch in batches])
        error = float(np.std(spread, ddof=1) / np.sqrt(len(spread)))
        chance = 1 - CONFIDENCE
        sure, one = (float(stats.t.isf(part, len(spread) - 1)) for part in (chance / 4, chance))
        low = mean - sure * error if measure in SURE[self.kind] else -np.inf
        return {"mean": mean, "low": low, "hint": mean - one * error}


def labels_of(column: pd.Series, kind: str) -> Array:
    """Numbers, or the classes' numbers."""
    if kind == "regression":
        return np.asarray(column.to_numpy(float))
    encoded: Array = LabelEncoder().fit_transform(column.astype(str))
    return encoded


SURE = {
    "binary": ("log loss", "rank"),
    "multiclass": ("log loss", "accuracy"),
    "regression": ("squared error", "absolute error"),
}
MEASURES = {**SURE, "multiclass": (*SURE["multiclass"], "rank"), "regression": (*SURE["regression"], "rank")}


def _gains(taught: Array, labels: Array, outputs: Array, kind: str) -> Array:
    """What each row is better off than with the constant, by each measure, shape (n_measures, n_samples)."""
    if kind == "regression":
        mean, median = np.mean(taught), np.median(taught)
        return np.array(
            [
                (labels - mean) ** 2 - (labels - outputs) ** 2,
                np.abs(labels - median) - np.abs(labels - outputs),
                _standard_ranks(labels) * _standard_ranks(outputs),
            ]
        )
    # in time, a class may come that the earlier rows lack
    classes = 1 + int(max(labels.max(), taught.max()))
    outputs = np.pad(outputs, ((0, 0), (0, classes - outputs.shape[1])))
    shares = np.bincount(taught, minlength=classes) / len(taught)
    of_row = np.arange(len(labels)), labels
    lost = np.log(np.clip(outputs[of_row], 1e-6, 1)) - np.log(np.clip(shares[labels], 1e-6, 1))
    order = _order_gains(outputs, labels)
    if kind == "multiclass":
        return np.array([lost, (outputs.argmax(axis=1) == labels) * 1.0 - (labels == shares.argmax()), order])
    return np.array([lost, order])


def _standard_ranks(values: Array) -> Array:
    """Ranks of mean 0 and variance 1; the mean of the products of two of them is Spearman's correlation."""
    ranks = stats.rankdata(values)
    spread = float(ranks.std())
    return np.asarray((ranks - ranks.mean()) / spread if spread > 0 else np.zeros(len(values)))


def _order_gains(outputs: Array, labels: Array) -> Array:
    """The part of this fold's rows of other classes that have less of a chance of a row's class, less a half."""
    found = np.zeros(len(labels))
    for label in np.unique(labels):
        is_own = labels == label
        ranks, among_own = stats.rankdata(outputs[:, label]), stats.rankdata(outputs[is_own, label])
        found[is_own] = (ranks[is_own] - among_own) / max(int(np.sum(~is_own)), 1) - 0.5
    return found


def _influences(gains: Array, labels: Array) -> Array:
    """How much each row moves the mean rank gain, about that mean: its variance is that of DeLong et al. 1988.

    A row is compared with the rows of the other class only, so each class's mean is the gain again, and their errors add up.
    """
    mean = np.mean(gains)
    own = np.where(labels == 1, np.mean(labels == 1), np.mean(labels == 0))
    return np.asarray(mean + (gains - mean) / own)


def _any_above(advantages: Advantages, bound: str) -> bool:
    return any(found[bound] > 0 for found in advantages.values())


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # those of a solver that stops early, and of names of features
    main(Path(sys.argv[1]), Path(sys.argv[2]))
