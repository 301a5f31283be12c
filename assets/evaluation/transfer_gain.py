"""Transfer gain: a model that was learnt from another, beside the same estimator from scratch and the source as it is.

All three answer the same rows, of which none was learnt from, and are compared in the same draws of clusters. A curve repeats
it on fewer rows of the product, drawn several times: how many rows it takes until the source is no longer worth having.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examination import Examination
from assets.features import snapshots
from assets.features.labelled_rows import LabelledRows, joined
from assets.features.snapshots import Snapshot
from assets.methods.bootstrap import Array, cluster_weights, interval, replicate, widened
from assets.methods.calibration import of_two
from assets.methods.folds import widening
from assets.methods.kinds import KINDS
from assets.spec import ProductSpec
from assets.spec.applicability import learnt_by
from assets.storage.asset_result import ROWS
from assets.storage.home import Home
from assets.training import cross_fitting
from assets.training.candidates import deciding_metric, is_known, outputs_of_scores, raw_outputs
from assets.training.estimators import model_frame
from assets.training.learning import plainly, sources_in
from assets.training.transfer.way import declared, source_of
from assets.training.way_of_learning import Learner
from bentos.runtime import Model

if TYPE_CHECKING:
    from assets.training.transfer.source import Source

SIZES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
"""The rows of the curve, beside all that there are."""
DRAWS = {2_000: 5, 20_000: 2}
"""How often rows are drawn, up to so many of them."""
TESTED, REPLICATES = 5_000, 200
"""How many test rows the curve asks, and how often they are drawn."""
SIDES = ("transfer", "scratch", "untouched")
Metric = Callable[[Array], float]


@dataclass(frozen=True)
class Sides:
    """The deciding metric of the three on the same rows, as functions of the rows' weights.

    Parameters
    ----------
    metrics : dict of callable
        By `SIDES`.
    clusters : ndarray of int of shape (n_samples,)
        The cluster of each row.
    widening : float
        By what standard errors exceed those of rows that one model answered.
    """

    metrics: dict[str, Metric]
    clusters: np.ndarray[Any, Any]
    widening: float = 1.0

    def drawn(self, weights: Array) -> dict[str, Array]:
        """Each metric in each replicate, the first as the rows are; shape (replicates + 1,)."""
        whole = np.vstack([np.ones(weights.shape[1]), weights])
        return replicate(self.metrics, self.clusters, whole)


OVERLAPS = ("shared_entities", "later_source_rows", "shared_validation_entities")


def measure_gain(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Compare, and write the record.

    The record holds ``transfer``, ``scratch`` and ``untouched``, the deciding metric of each; ``gain`` over the other two,
    where positive is better; ``curve``, the same on fewer rows; and of the rows that the source was learnt from, how many are
    among the rows that judge (``shared_entities``), how many are later than the first of these (``later_source_rows``), and how
    many are validation rows (``shared_validation_entities``).
    """
    case = Case.load(home, spec, snapshot, model_digest)
    sources = sources_in(case.model.signature)
    source, learn = source_of(home, spec, sources), case.learner()
    whole = _cross_fitted(case, source, learn) if case.model.signature["is_cross_fitted"] else _tested(case, source, learn)
    weights = cluster_weights(whole.clusters, spec.evaluation.bootstrap_replicates, spec.model.seed)
    found = _told(case, whole.drawn(weights), whole.widening)
    curve = [*_curve(case, source, learn)]
    product = declared(spec).product
    record = {
        "how": declared(spec).how,
        "source": product or "a file",
        "source_digest": source.digest,
        "metric": spec.metric,
        "rows": len(whole.clusters),
        **found,
        "curve": curve,
        "table": _table(spec, curve),
        **(_overlap(home, case, product, sources[product]) if product else dict.fromkeys(OVERLAPS, 0)),
    }
    return case.publish(home, "transfer", record)


def _tested(case: Case, source: Source, learn: Learner) -> Sides:
    """The three on the test rows."""
    part = case.parts["test"]
    answers = _answers(case, source, learn, case.learnt, part)
    return _sides(case.spec, part.labels(case.spec), answers, part.clusters(case.spec))


def _cross_fitted(case: Case, source: Source, learn: Learner) -> Sides:
    """The three on all rows, each answered by models that had not seen it."""
    spec, rows = case.spec, joined(list(case.parts.values()), "all")
    folds = cross_fitting.folds_of(spec, rows, spec.model.seed)
    scores = {
        name: cross_fitting.out_of_fold(spec, rows, folds, by)[0] for name, by in (("transfer", learn), ("scratch", plainly))
    }
    answers = {name: outputs_of_scores(spec, given, None) for name, given in scores.items()} | {
        "untouched": _untouched(spec, source, rows)
    }
    judged = np.flatnonzero(is_known(answers["transfer"]))
    numbers = np.full(len(rows.rows), -1)
    numbers[judged] = np.arange(len(judged))
    rules = tuple((numbers[fold.test], KINDS[spec.kind].indifferent(spec.prices)) for fold in folds)
    labels = rows.labels(spec)[judged]
    metrics = {
        name: cross_fitting.functions(spec, labels, given[judged], rules)[spec.metric] for name, given in answers.items()
    }
    clusters = np.unique(rows.clusters(spec)[judged], return_inverse=True)[1]
    return Sides(metrics, clusters, widening(cross_fitting.FOLDS, 1))


def _answers(case: Case, source: Source, learn: Learner, taught: LabelledRows, asked: LabelledRows) -> dict[str, Array]:
    """What the three say of rows, each learnt from others."""
    spec, frame, labels = case.spec, model_frame(case.spec, taught.rows), taught.labels(case.spec)
    answers = {}
    for name, by in (("transfer", learn), ("scratch", plainly)):
        fitted = by(spec, frame, labels, taught.rows).fitted
        answers[name] = outputs_of_scores(spec, raw_outputs(spec, fitted, model_frame(spec, asked.rows)), None)
    return answers | {"untouched": _untouched(spec, source, asked)}


def _untouched(spec: ProductSpec, source: Source, asked: LabelledRows) -> Array:
    """What the source says as it is."""
    scores = np.asarray(source.scores.transform(model_frame(spec, asked.rows)))
    if spec.kind == "regression":
        return scores[:, 0]
    return outputs_of_scores(spec, of_two(scores) if spec.kind == "binary" else scores, None)


def _sides(spec: ProductSpec, labels: Array, answers: Mapping[str, Array], clusters: np.ndarray[Any, Any]) -> Sides:
    return Sides({name: deciding_metric(spec, labels, answers[name]) for name in SIDES}, clusters)


def _curve(case: Case, source: Source, learn: Learner) -> list[dict[str, Any]]:
    """The three on fewer rows, drawn several times."""
    spec, learnt, random = case.spec, case.learnt, np.random.default_rng(case.spec.model.seed)
    test = case.parts["test"]
    chosen = np.sort(random.permutation(len(test.rows))[:TESTED])
    asked = _some(test, chosen)
    clusters = np.unique(test.clusters(spec)[chosen], return_inverse=True)[1]
    weights = cluster_weights(clusters, min(REPLICATES, spec.evaluation.bootstrap_replicates), spec.model.seed)
    labels, classes = asked.labels(spec), len(np.unique(learnt.labels(spec)))
    found = []
    for size in (*(size for size in SIZES if size < len(learnt.rows)), len(learnt.rows)):
        draws = 1 if size == len(learnt.rows) else next((count for most, count in DRAWS.items() if size <= most), 1)
        sides = []
        for _ in range(draws):
            taught = _some(learnt, np.sort(random.permutation(len(learnt.rows))[:size]))
            if spec.kind == "regression" or len(np.unique(taught.labels(spec))) == classes:
                sides.append(_sides(spec, labels, _answers(case, source, learn, taught, asked), clusters))
        if sides:
            drawn = [item.drawn(weights) for item in sides]
            picked = np.vstack([np.arange(len(sides)), random.integers(0, len(sides), (len(weights), len(sides)))])
            mean = {
                name: np.concatenate(
                    [
                        [np.mean([item[name][0] for item in drawn])],
                        np.array(
                            [np.mean([drawn[place][name][row] for place in picked[row]]) for row in range(1, len(weights) + 1)]
                        ),
                    ]
                )
                for name in SIDES
            }
            found.append({"rows": size, "draws": len(sides), **_told(case, mean, 1.0)})
    return found


def _told(case: Case, drawn: Mapping[str, Array], wide: float) -> dict[str, Any]:
    """Each metric and each gain, with its interval."""
    confidence = case.spec.evaluation.confidence

    def estimate(values: Array) -> dict[str, float]:
        return vars(interval(float(values[0]), widened(float(values[0]), values[1:], wide), confidence))

    gains = {name: estimate(case.sign * (drawn["transfer"] - drawn[name])) for name in SIDES[1:]}
    return {**{name: estimate(drawn[name]) for name in SIDES}, "gain": gains}


def _some(part: LabelledRows, places: Any) -> LabelledRows:
    return LabelledRows(part.name, part.window, part.rows.iloc[places], {}, 0)


def _overlap(home: Home, case: Case, product: str, digest: str) -> dict[str, int]:
    """Rows that the source was learnt from: how many are among the rows that judge, and how many are later than the first.

    Cross-fitting judges by rows of all parts. Of a product with rows enough, validation rows choose calibration and decision
    rule (``shared_validation_entities``); a source whose rows are weighted takes none of them.
    """
    spec, signature = case.spec, Model.load(home.models / product / digest, digest).signature
    frame = snapshots.read(snapshots.opened(home, product, signature["snapshot_digest"]))
    is_cross_fitted = case.model.signature["is_cross_fitted"]
    time = spec.features.event_time
    test = joined(list(case.parts.values()), "all").rows if is_cross_fitted else case.parts["test"].rows
    windows = [signature["windows"].get(name) for name in signature["fitted_on"]]
    if time in frame and all(windows):
        first, last = (np.datetime64(edge(window[place] for window in windows)[:19]) for place, edge in ((0, min), (1, max)))
        frame = frame[(frame[time] >= first) & (frame[time] < last)]
    shared = frame[spec.features.entity].isin(test[spec.features.entity]).sum() if spec.features.entity in frame else 0
    later = (frame[time] >= test[time].min()).sum() if time in frame and spec.split.by != "random" else 0
    choosing = case.parts["validate"].rows.iloc[: 0 if is_cross_fitted or declared(spec).how == "weights" else None]
    known = frame[spec.features.entity].isin(choosing[spec.features.entity]).sum() if spec.features.entity in frame else 0
    return {"shared_entities": int(shared), "later_source_rows": int(later), "shared_validation_entities": int(known)}


def _table(spec: ProductSpec, curve: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The curve as the report shows it."""

    def told(estimate: Mapping[str, float]) -> str:
        return f"{estimate['value']:.4g} [{estimate['low']:.4g}, {estimate['high']:.4g}]"

    head = ["rows", "draws", *(f"{spec.metric}, {name}" for name in SIDES), "gain over scratch", "gain over the source"]
    rows = [
        [
            f"{item['rows']:,}",
            str(item["draws"]),
            *(told(item[name]) for name in SIDES),
            *(told(item["gain"][name]) for name in SIDES[1:]),
        ]
        for item in curve
    ]
    return {"columns": head, "rows": rows}


def _figures(_: ProductSpec, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        ROWS: record["rows"],
        **{name: record[name]["value"] for name in SIDES},
        "gain_over_scratch": record["gain"]["scratch"]["value"],
        "gain_over_untouched": record["gain"]["untouched"]["value"],
    }


EXAMINATION = Examination(
    "transfer",
    measure_gain,
    _figures,
    "A model learnt from another, beside the same estimator from scratch and the source as it is, over a curve of rows.",
    ("numpy", "onnxruntime", "scikit-learn", "lightgbm"),
    reads=frozenset(("evaluation",)),
    applies=learnt_by("transfer"),
)
