"""Cross-fitting: what a product's estimators say of rows that they were not fitted on.

With few rows, three parts are too small to choose, calibrate and judge by. Here every row is answered by models that were
fitted on others: in order of time where the split is, else dealt to folds. Chernozhukov and others (2018) call it
cross-fitting; the intervals account for the overlap of the folds (`assets.methods.folds.widening`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assets.errors import DataError
from assets.features.copy_groups import dealing
from assets.features.labelled_rows import LabelledRows, joined
from assets.methods import baselines
from assets.methods.abstention import decided_all
from assets.methods.folds import Fold, dealt_folds, expanding_folds, widening
from assets.methods.kinds import KINDS
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.training.candidate_race import still_running
from assets.training.candidates import choose, is_known, outputs_of_scores, raw_outputs
from assets.training.decision_rule import fold_rule
from assets.training.estimators import candidates, model_frame, threads_for
from assets.training.learning import judges_by_folds, plainly
from assets.training.uncertainty import HeldOut, latest_or_all, require_rows
from assets.training.way_of_learning import Learner
from bentos.decisions import decide

FOLDS, REPEATS = 5, 2
FEWEST = 20
"""The rows that a fold must have to train on."""

BY_FOLD = ("cost_per_1000", "interval_coverage", "roc_auc", "roc_auc_macro")
"""The metrics that are taken within each fold: by its own decision rule, or of ranks, as scores of two folds' models are not
comparable (Forman and Scholz 2010)."""

Functions = dict[str, Callable[[Array], float]]
Rules = tuple[tuple[np.ndarray[Any, Any], dict[str, Any]], ...]
"""The rows of each fold, and the rule by which they are decided."""


@dataclass(frozen=True)
class Answers:
    """The answers of one repeat: outputs, decisions, and the rule of each fold."""

    outputs: Array
    said: np.ndarray[Any, Any]
    rules: Rules


@dataclass(frozen=True)
class CrossFitted:
    """All rows that were judged, with the answers of every repeat and those of the baselines.

    Parameters
    ----------
    rows : LabelledRows
        The rows, from all parts.
    labels, clusters : ndarray of shape (n_samples,)
        Their labels, and the clusters of the bootstrap.
    repeats : tuple of Answers
        One for each way in which the rows were dealt.
    baselines : dict of ndarray
        The answers of ``constant`` and ``table``.
    widening : float
        By what standard errors exceed those of as many rows judged by one model.
    """

    rows: LabelledRows
    labels: Array
    clusters: np.ndarray[Any, Any]
    repeats: tuple[Answers, ...] = field(repr=False)
    baselines: dict[str, Array] = field(repr=False)
    widening: float
    folds: int


def is_wanted(spec: ProductSpec, parts: Sequence[LabelledRows]) -> bool:
    """Whether these training and validation rows are few enough, and can be cut into folds that the way of learning allows."""
    are_few = sum(len(part.rows) for part in parts) < spec.evaluation.cross_fitted_below and judges_by_folds(spec)
    return are_few and len(_usable(spec, joined(parts, "fitted"), spec.model.seed)) > 1


def out_of_fold(
    spec: ProductSpec,
    rows: LabelledRows,
    folds: Sequence[Fold],
    learn: Learner = plainly,
    among: Sequence[int] | None = None,
) -> tuple[Array, ...]:
    """What each candidate says of each row by the fold that it was left out of; NaN for rows of no fold.

    Parameters
    ----------
    spec, rows, folds
        The declaration, the labelled rows, and how they are dealt.
    learn : callable
        Who learns from a fold's training rows (`assets.training.learning.learner_of`).
    among : sequence of int, optional
        The candidates that take part; the others, and those that leave the race, have NaN from then on.
    """
    frame, labels, clusters = model_frame(spec, rows.rows), rows.labels(spec), rows.clusters(spec)
    classes = {"regression": 0, "binary": 2}.get(spec.kind, len(spec.target.classes or ()))
    declared = candidates(spec)
    running = list(range(len(declared)) if among is None else among)
    found = tuple(np.full((len(labels), classes) if classes else len(labels), np.nan) for _ in declared)
    with threads_for(frame):
        for number, fold in enumerate(folds, start=1):
            for place in running:
                taught = rows.rows.iloc[fold.train]
                learnt = learn(declared[place], frame.iloc[fold.train], labels[fold.train], taught)
                found[place][fold.test] = raw_outputs(spec, learnt.fitted, frame.iloc[fold.test])
            if spec.split.by == "random" and number < len(folds):
                known = np.concatenate([done.test for done in folds[:number]])
                running = still_running(spec, labels[known], [given[known] for given in found], clusters[known], running)
    return found


def folds_of(spec: ProductSpec, rows: LabelledRows, seed: int) -> list[Fold]:
    """The folds of some rows: blocks in order of time, or dealt by strata or groups; what cannot be trained on is left out.

    Raises
    ------
    DataError
        If fewer than two are left: what is chosen on one is judged by another.
    """
    usable = _usable(spec, rows, seed)
    if len(usable) < 2:
        raise DataError(
            f"{spec.name}: {len(rows.rows)} labelled rows cannot be cut into two folds or more, each with {FEWEST} other rows "
            "of two values of the target to train on. Bring more rows, or set evaluation.cross_fitted_below to 0."
        )
    return usable


def _usable(spec: ProductSpec, rows: LabelledRows, seed: int) -> list[Fold]:
    labels, split = rows.labels(spec), spec.split
    if split.by == "random":
        keys = rows.rows[spec.features.entity].to_numpy()
        folds = dealt_folds(keys, FOLDS, seed, **dealing(spec, rows.rows))
    else:
        known = rows.rows[spec.target.known_at] if spec.target.known_at else None
        folds = expanding_folds(rows.rows[spec.features.event_time], known, FOLDS)
    return [fold for fold in folds if len(fold.test) and len(fold.train) >= FEWEST and len(np.unique(labels[fold.train])) > 1]


def cross_fit(spec: ProductSpec, parts: Mapping[str, LabelledRows], learn: Learner = plainly) -> CrossFitted:
    """Judge a declaration by all its labelled rows.

    Each fold's candidate, scaling and decision rule are chosen on the other folds' answers; in order of time on those of
    earlier folds, so the first is not judged.
    """
    rows = joined(list(parts.values()), "all")
    in_time = spec.split.by != "random"
    labels, clusters = rows.labels(spec), rows.clusters(spec)
    among: list[int] | None = None
    repeats, taught = [], KINDS[spec.kind].indicators(labels, len(spec.target.classes or ()))
    for number in range(1 if in_time else REPEATS):
        folds = folds_of(spec, rows, spec.model.seed + number)
        scores = out_of_fold(spec, rows, folds, learn, among)
        asked = np.concatenate([fold.test for fold in folds])
        among = [place for place, given in enumerate(scores) if is_known(given[asked]).all()]
        repeats.append(_answers(spec, rows, clusters, [scores[place] for place in among], folds, in_time=in_time))
    judged = np.flatnonzero(is_known(repeats[0].outputs))
    answered = _baselines(spec, rows, taught, folds, in_time=in_time)
    kept = LabelledRows("all", None, rows.rows.iloc[judged], rows.unlabelled, rows.late_labels)
    return CrossFitted(
        kept,
        labels[judged],
        kept.clusters(spec),
        tuple(_only(item, judged) for item in repeats),
        {name: outputs[judged] for name, outputs in answered.items()},
        widening(FOLDS, len(repeats)),
        FOLDS,
    )


def require_choosing_rows(spec: ProductSpec, parts: Mapping[str, LabelledRows]) -> None:
    """Refuse rows that are too few for the width of answers: the model's, or a fold's by which abstaining is judged."""
    in_time, seed = spec.split.by != "random", spec.model.seed
    fitted = folds_of(spec, joined([parts["train"], parts["validate"]], "fitted"), seed)
    require_rows(spec, _choosing(spec, fitted, in_time=in_time))
    for number in range(0 if spec.abstain is None else 1 if in_time else REPEATS):
        folds = folds_of(spec, joined(list(parts.values()), "all"), seed + number)
        found = [others for place in range(len(folds)) if (others := _others(folds, place, in_time=in_time))]
        require_rows(spec, min(_choosing(spec, others, in_time=in_time) for others in found), of_fold=True)


def _others(folds: Sequence[Fold], number: int, *, in_time: bool) -> list[Fold]:
    """The folds by whose answers a fold is judged: in order of time those before it."""
    return list(folds[:number]) if in_time else [*folds[:number], *folds[number + 1 :]]


def _choosing(spec: ProductSpec, folds: Sequence[Fold], *, in_time: bool) -> int:
    """How many of the rows that these folds answered choose a width."""
    places = np.concatenate([fold.test for fold in folds])
    latest = np.isin(places, folds[-1].test) if in_time else None
    return int(latest_or_all(spec, latest, len(places)).sum())


def metric_functions(spec: ProductSpec, found: CrossFitted) -> Functions:
    """All metrics as functions of the rows' weights: the mean over the repeats."""
    by_repeat = [functions(spec, found.labels, item.outputs, item.rules) for item in found.repeats]
    return {name: mean([functions[name] for functions in by_repeat]) for name in by_repeat[0]}


def baseline_functions(spec: ProductSpec, found: CrossFitted) -> dict[str, Functions]:
    """The same metrics of each baseline, which was fitted on the folds of the last repeat."""
    rule = KINDS[spec.kind].indifferent(spec.prices)
    rules = tuple((places, rule) for places, _ in found.repeats[-1].rules)
    return {name: functions(spec, found.labels, outputs, rules) for name, outputs in found.baselines.items()}


def functions(spec: ProductSpec, labels: Array, outputs: Array, rules: Rules) -> Functions:
    """All metrics of answers, as functions of the rows' weights; some are taken within each fold (`BY_FOLD`)."""
    kind = KINDS[spec.kind]
    found = kind.metric_functions(labels, outputs, decided_all(rules[0][1]), spec.prices)
    by_fold = [(places, kind.metric_functions(labels[places], outputs[places], rule, spec.prices)) for places, rule in rules]
    for name in BY_FOLD:
        if name in found:
            found[name] = _pooled([(places, given[name]) for places, given in by_fold])
    return found


def mean(functions: list[Callable[[Array], float]]) -> Callable[[Array], float]:
    """The mean of some functions of the rows' weights."""
    return lambda weights: float(np.mean([function(weights) for function in functions]))


def _pooled(parts: list[tuple[np.ndarray[Any, Any], Callable[[Array], float]]]) -> Callable[[Array], float]:
    """The mean over rows of what is measured in each part; a part in which it is not defined takes no part."""

    def whole(weights: Array) -> float:
        drawn = [(weights[places], function) for places, function in parts]
        measured = [(given.sum(), function(given)) for given, function in drawn if given.any()]
        held = [(mass, value) for mass, value in measured if not np.isnan(value)]
        return float(sum(mass * value for mass, value in held) / sum(mass for mass, _ in held)) if held else float("nan")

    return whole


def _answers(
    spec: ProductSpec,
    rows: LabelledRows,
    clusters: np.ndarray[Any, Any],
    scores: Sequence[Array],
    folds: Sequence[Fold],
    *,
    in_time: bool,
) -> Answers:
    labels = rows.labels(spec)
    outputs, rules = np.full_like(outputs_of_scores(spec, scores[0], None), np.nan), []
    said = np.zeros(len(labels), dtype=int) if spec.kind != "regression" else np.full(len(labels), np.nan)
    for number, fold in enumerate(folds):
        others = _others(folds, number, in_time=in_time)
        if not others:
            continue
        places = np.concatenate([item.test for item in others])
        latest = np.isin(places, others[-1].test) if in_time else None
        numbered = np.unique(clusters[places], return_inverse=True)[1]
        choice = choose(spec, labels[places], [given[places] for given in scores], numbered, latest)
        outputs[fold.test] = choice.outputs(spec, [given[fold.test] for given in scores])
        said[fold.test] = decide(spec.kind, outputs[fold.test], choice.decision)
        held_out = HeldOut(rows.rows.iloc[places], labels[places], latest_or_all(spec, latest, len(places)))
        rules.append((fold.test, fold_rule(spec, choice, held_out, outputs[fold.test], rows.rows.iloc[fold.test])))
    return Answers(outputs, said, tuple(rules))


def _only(answers: Answers, judged: np.ndarray[Any, Any]) -> Answers:
    """The answers of the judged rows, numbered anew."""
    numbers = np.full(len(answers.outputs), -1)
    numbers[judged] = np.arange(len(judged))
    rules = tuple((numbers[places], rule) for places, rule in answers.rules)
    return Answers(answers.outputs[judged], answers.said[judged], rules)


def _baselines(
    spec: ProductSpec, rows: LabelledRows, taught: Array, folds: Sequence[Fold], *, in_time: bool
) -> dict[str, Array]:
    """What a constant and a table of means answer; the constant is the mean of all rows, or in time of those before.

    A mean of the other folds' rows would be lower where this fold's labels are high, and so rank rows the wrong way.
    """
    found = {"constant": baselines.constant(taught, len(taught)), "table": np.full_like(taught, np.nan, dtype=np.float64)}
    for fold in folds:
        train, asked = rows.rows.iloc[fold.train], rows.rows.iloc[fold.test]
        found["table"][fold.test] = baselines.table(train, taught[fold.train], asked, spec.baseline.by)
        if in_time:
            found["constant"][fold.test] = baselines.constant(taught[fold.train], len(fold.test))
    return found
