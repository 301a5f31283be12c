"""Judged rows: the rows that an evaluation rests on, with what the model and the baselines say of them.

They are the test rows; or, where the model was fitted with cross-fitting, all rows that a fold left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from assets.evaluation.evidence import Case
from assets.features.labelled_rows import LabelledRows
from assets.methods import baselines
from assets.methods.kinds import KINDS
from assets.methods.ranking import Array
from assets.training import cross_fitting
from assets.training.cross_fitting import Functions
from assets.training.decision_rule import joined_rules

BASELINES = ("constant", "table")
SHOWN = 0
"""The repeat whose answers are drawn in plots and counted by slice and month."""


@dataclass(frozen=True)
class JudgedRows:
    """Rows, and what is said of them.

    Parameters
    ----------
    rows : LabelledRows
        The rows.
    labels, clusters : ndarray of shape (n_samples,)
        What came, and the clusters of the bootstrap.
    outputs : dict of ndarray
        The answers of ``model``, ``constant`` and ``table``.
    said : ndarray of shape (n_samples,)
        What the model decides.
    functions : dict of dict of callable
        All metrics of each, as functions of the rows' weights.
    squared : dict of callable or None
        The squared calibration error of each.
    widening : float
        By what standard errors exceed those of as many independent answers.
    told : dict
        How they came to be judged.
    rule : dict
        The model's decision rule for them.
    """

    rows: LabelledRows
    labels: Array
    clusters: np.ndarray[Any, Any]
    outputs: dict[str, Array] = field(repr=False)
    said: np.ndarray[Any, Any] = field(repr=False)
    functions: dict[str, Functions] = field(repr=False)
    squared: dict[str, Callable[[Array], float] | None] = field(repr=False)
    widening: float
    told: dict[str, Any]
    rule: dict[str, Any] = field(repr=False)

    @property
    def are_cross_fitted(self) -> bool:
        """Whether models of other folds answered them, and not the model itself."""
        return self.widening > 1


def judged(case: Case) -> JudgedRows:
    """The rows by which a model is judged, as its signature says that it was fitted."""
    return _cross_fitted(case) if case.model.signature["is_cross_fitted"] else tested(case)


def validated(case: Case) -> JudgedRows:
    """Rows that are no test rows: those of validation, or where the model was fitted on them all that a fold left out."""
    if case.has_learnt_validation:
        return _cross_fitted(replace(case, parts={name: case.parts[name] for name in ("train", "validate")}))
    found = tested(replace(case, parts={**case.parts, "test": case.parts["validate"]}))
    return replace(found, told={"method": "validation rows"})


def tested(case: Case) -> JudgedRows:
    """The test rows, which the model itself answers."""
    kind, spec, part = KINDS[case.spec.kind], case.spec, case.parts["test"]
    labels, taught = case.labels("test"), case.taught()
    outputs = {
        "model": case.model.predict(case.columns("test")),
        "constant": baselines.constant(taught, len(labels)),
        "table": baselines.table(case.learnt.rows, taught, part.rows, spec.baseline.by),
    }
    rules = {"model": case.tested_rule(outputs["model"])} | dict.fromkeys(BASELINES, kind.indifferent(spec.prices))
    return JudgedRows(
        part,
        labels,
        part.clusters(spec),
        outputs,
        case.model.decide(outputs["model"]),
        {name: kind.metric_functions(labels, given, rules[name], spec.prices) for name, given in outputs.items()},
        {name: kind.squared_calibration(labels, given) for name, given in outputs.items()},
        1.0,
        {"method": "test rows"},
        rules["model"],
    )


def _cross_fitted(case: Case) -> JudgedRows:
    """All rows that a fold left out, answered by the models of the folds."""
    kind, spec = KINDS[case.spec.kind], case.spec
    found = cross_fitting.cross_fit(spec, case.parts, case.learner())
    squared = (kind.squared_calibration(found.labels, item.outputs) for item in found.repeats)
    known = [item for item in squared if item is not None]
    return JudgedRows(
        found.rows,
        found.labels,
        found.clusters,
        {"model": found.repeats[SHOWN].outputs, **found.baselines},
        found.repeats[SHOWN].said,
        {"model": cross_fitting.metric_functions(spec, found), **cross_fitting.baseline_functions(spec, found)},
        {
            "model": cross_fitting.mean(known) if known else None,
            **{name: kind.squared_calibration(found.labels, given) for name, given in found.baselines.items()},
        },
        found.widening,
        {"method": "cross-fitting", "folds": found.folds, "repeats": len(found.repeats), "widening": found.widening},
        joined_rules(case.model.decision, found.repeats[SHOWN].rules, len(found.labels)),
    )
