"""A transfer beside scratch and the source as it is, over sizes of few rows that are drawn several times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.features.labelled_rows import LabelledRows
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.methods.kinds import sign_of
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training.candidates import deciding_metric, outputs_of_scores, raw_outputs
from assets.training.estimators import model_frame
from assets.training.learning import learner_of, plainly
from assets.training.transfer.way import source_of

DRAWS, REPLICATES, TESTED = 5, 200, 5_000
SIDES = ("scratch", "untouched", "refit", "boost", "features")
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Curve:
    """What is measured.

    Parameters
    ----------
    what : str
        What the rows are called.
    home, sources
        Where the source lies, and its digest by its product.
    learnt_by : callable
        The product that is learnt by a side.
    taught, asked : LabelledRows
        From which rows are drawn, and by which they are judged.
    """

    what: str
    home: Home
    sources: dict[str, str]
    learnt_by: Callable[[str], ProductSpec]
    taught: LabelledRows
    asked: LabelledRows

    def rows(self, sizes: Sequence[int]) -> Iterator[Row]:
        """For each size the deciding metric of all sides, and the gain of refit over the better of scratch and untouched."""
        random, spec = np.random.default_rng(1), self.learnt_by("scratch")
        test = some(self.asked, random.permutation(len(self.asked.rows))[:TESTED])
        labels, clusters = test.labels(spec), np.unique(test.clusters(spec), return_inverse=True)[1]
        weights = np.vstack([np.ones(int(clusters.max()) + 1), cluster_weights(clusters, REPLICATES, 1)])
        frame, sign = model_frame(spec, test.rows), sign_of(spec.kind, spec.metric)
        untouched = self._untouched(frame)
        learners = {side: learner_of(self.home, self.learnt_by(side), self.sources) for side in SIDES[2:]}
        for size in sizes:
            drawn: dict[str, list[Any]] = {side: [] for side in SIDES}
            for _ in range(DRAWS):
                part = some(self.taught, random.permutation(len(self.taught.rows))[:size])
                given, taught = model_frame(spec, part.rows), part.labels(spec)
                for side in SIDES:
                    outputs = untouched
                    if side != "untouched":
                        fitted = learners.get(side, plainly)(self.learnt_by(side), given, taught, part.rows).fitted
                        outputs = outputs_of_scores(spec, raw_outputs(spec, fitted, frame), None)
                    metric = {"metric": deciding_metric(spec, labels, outputs)}
                    drawn[side].append(replicate(metric, clusters, weights)["metric"])
            picked = np.vstack([np.arange(DRAWS), random.integers(0, DRAWS, (REPLICATES, DRAWS))])
            mean = {
                side: np.array([np.mean([values[place][row] for place in picked[row]]) for row in range(REPLICATES + 1)])
                for side, values in drawn.items()
            }
            told = "; ".join(f"{side} {shown(mean[side])}" for side in SIDES)
            yield f"{self.what}, {size:,}: {spec.metric}", told, ""
            best = max(("scratch", "untouched"), key=lambda side: sign * mean[side][0])
            gain = shown(sign * (mean["refit"] - mean[best]))
            yield f"{self.what}, {size:,}: gain of refit over the better of both ({best})", gain, "at least 0 within noise"

    def _untouched(self, frame: Any) -> Any:
        spec = self.learnt_by("refit")
        scores = source_of(self.home, spec, self.sources).scores.transform(frame)
        if spec.kind == "regression":
            return scores[:, 0]
        return outputs_of_scores(spec, np.column_stack([np.zeros(len(scores)), scores]), None)


def some(part: LabelledRows, places: Any) -> LabelledRows:
    """Some rows of a part, in their order."""
    return LabelledRows(part.name, part.window, part.rows.iloc[np.sort(places)], {}, 0)


def shown(values: Any) -> str:
    """The first of values, with the interval of the others."""
    found = interval(float(values[0]), values[1:], 0.95)
    return f"{found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"
