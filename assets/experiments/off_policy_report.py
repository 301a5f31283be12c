"""Off-policy report: what a decision rule that was never served would have cost a row, from the log of experiments.

The models of all arms are asked again what they would have decided of each row, so that the probability of the logged decision
is known: see `assets.methods.decision_propensity`. The estimates are those of `assets.methods.off_policy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.experiments.assigned_rows import LEFT_OUT, MOST, AssignedRows, assigned_rows, dealt_stages
from assets.experiments.candidate_rules import CandidateRule, is_kept, loaded
from assets.methods.bootstrap import Array
from assets.methods.decision_propensity import Decisions, decision_propensity
from assets.methods.off_policy import OffPolicyEvaluation, PolicyValue, evaluate
from assets.methods.row_costs import row_costs
from assets.rendering.number_text import number_text
from assets.spec import ProductSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd

FEWEST_UNITS = 30
"""Intervals by unit rest on at least so many."""
MOST_CONTRADICTED = 0.01
"""The largest share of rows whose own arm's model may decide otherwise than the log says."""
CLOSE = 1e-6
"""The relative difference of values that are the same plan, of a graph in single precision."""


@dataclass(frozen=True)
class OffPolicyReport:
    """What a rule would have cost a row.

    Parameters
    ----------
    product : str
        Of which product.
    experiment : str or None
        The experiment whose rows it rests on; None for all.
    rule : CandidateRule
        The rule.
    taken_at, first, last : str
        When it was estimated, and when the first and the last row was answered (UTC, ISO 8601).
    experiments : tuple of str
        The experiments that the rows come from.
    units, usable : int
        Units of the rows; and how many rows could have been used, of which at most the latest 200,000 are.
    left_out : dict of str to int
        Rows that say nothing, by reason: see `assigned_rows.LEFT_OUT`; and ``contradicted``, whose own arm's model decides
        otherwise when it is asked again.
    evaluation : OffPolicyEvaluation
        The estimates in the unit of the declared costs a row, the overlap, and warnings.
    logged : PolicyValue
        What the logged decisions cost on the same rows, with its interval by unit.
    difference : PolicyValue
        The doubly robust estimate less that, row by row, so that what both have in common does not blur it.
    """

    product: str
    experiment: str | None
    rule: CandidateRule
    taken_at: str
    first: str
    last: str
    experiments: tuple[str, ...]
    units: int
    usable: int
    left_out: dict[str, int]
    evaluation: OffPolicyEvaluation
    logged: PolicyValue
    difference: PolicyValue

    @property
    def told(self) -> str:
        """What is found, in a sentence."""
        best, logged = self.evaluation.best, self.logged
        return (
            f"{self.rule.told[0].upper()}{self.rule.told[1:]} would have cost {_between(best)} a row ({best.estimator}), the "
            f"logged decisions cost {_between(logged)} on the same rows; the difference is {_between(self.difference)}."
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know."""
        capped = f"of {self.usable:,} rows that say what a rule would cost, the latest {MOST:,} were scored"
        return (*((capped,) if self.usable > MOST else ()), *self.evaluation.warnings)

    def as_json(self) -> dict[str, Any]:
        """The record, as docs/experiments.md describes it."""
        rule = {"told": self.rule.told, "version": self.rule.version, "model_digest": self.rule.model.digest}
        best = self.evaluation.best.estimator
        return {
            "product": self.product,
            "experiment": self.experiment,
            "rule": {**rule, "decision": self.rule.decision},
            "taken_at": self.taken_at,
            "from": self.first,
            "to": self.last,
            "experiments": list(self.experiments),
            "rows": self.evaluation.overlap.rows,
            "units": self.units,
            "usable": self.usable,
            "left_out": self.left_out,
            "values": asdict(self.evaluation)["values"],
            "best": best,
            "logged": asdict(self.logged),
            "difference": asdict(self.difference),
            "overlap": asdict(self.evaluation.overlap),
            "warnings": list(self.warnings),
            "told": self.told,
        }

    @property
    def digest(self) -> str:
        """The digest of what was found, whenever that was."""
        return value_digest({name: value for name, value in self.as_json().items() if name != "taken_at"})


def off_policy_report(
    home: Home, spec: ProductSpec, rule: CandidateRule, now: datetime, *, experiment: str | None = None
) -> OffPolicyReport:
    """Estimate what a rule would have cost on the rows that experiments dealt to arms.

    The doubly robust estimate expects of a decision what the control's model says of the row: it was fitted before the
    experiment began, so it did not see the row.

    Parameters
    ----------
    home, spec
        Whose log.
    rule : CandidateRule
        The rule.
    now : datetime
        When it is estimated (aware).
    experiment : str, optional
        Only by the rows of this experiment.

    Raises
    ------
    DataError
        If no row can be used, there are fewer than 30 units, or the models decide otherwise than the log says.
    OverlapError
        If the log says too little of the rule.
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    stages = dealt_stages(home, spec, experiment)
    arms = {arm.model_digest: arm.version for stage in stages for arm in stage.arms}
    models = {digest: loaded(home, spec, number, digest) for digest, number in arms.items() if is_kept(home, spec, digest)}
    models[rule.model.digest] = rule.model
    found = assigned_rows(home, spec, stages, models, experiment)
    rows = [_scored(spec, found, place, models, rule) for place in np.unique(found.rows["/stage"])]
    contradicted = sum(int((~part.is_as_logged).sum()) for part in rows)
    if contradicted > MOST_CONTRADICTED * len(found.rows):
        raise DataError(
            f"{spec.name}: of {contradicted:,} of {len(found.rows):,} logged rows the model that answered them decides "
            f"otherwise when it is asked again; at most {MOST_CONTRADICTED:.0%} may be so. What was logged is not what was "
            "asked: name an experiment whose log is whole with --experiment NAME."
        )
    kept = np.concatenate([part.is_as_logged for part in rows])
    costs, propensities, chosen, never, of_logged, of_rule = (
        np.concatenate([getattr(part, name) for part in rows])[kept]
        for name in ("costs", "propensities", "chosen", "never_taken", "expected_of_logged", "expected_of_rule")
    )
    frame = found.rows.loc[np.concatenate([part.places for part in rows])[kept]]
    units = np.unique(frame["/unit"].to_numpy(dtype=str), return_inverse=True)[1]
    if (number := int(units.max(initial=-1)) + 1) < FEWEST_UNITS:
        raise DataError(
            f"{spec.name}: the {len(frame):,} logged rows are of {number} units, and an interval needs {FEWEST_UNITS}. Wait "
            "for the outcomes of more."
        )
    evaluation = evaluate(costs, propensities, chosen, expected=(of_logged, of_rule), units=units, never_taken=never)
    # what a row is expected to cost by the rule, less what it did cost: the estimate then is that of the difference
    paired = evaluate(costs, propensities, chosen, expected=(of_logged, of_rule - costs), units=units, never_taken=never)
    certain = np.ones(len(costs))
    logged = evaluate(costs, certain, certain, units=units)
    return OffPolicyReport(
        spec.name,
        experiment,
        rule,
        now.isoformat(timespec="seconds"),
        frame["/answered_at"].min().isoformat(),
        frame["/answered_at"].max().isoformat(),
        tuple(sorted({stages[place].experiment for place in frame["/stage"].unique()})),
        number,
        found.usable,
        {**found.left_out, "contradicted": contradicted},
        evaluation,
        logged.best,
        paired.best,
    )


WHY_LEFT_OUT = {**LEFT_OUT, "contradicted": "the model that answered them decides otherwise when it is asked again"}
"""Why rows are left out of a report."""


@dataclass(frozen=True)
class _Scored:
    """The rows of a stage, each array of shape (n_rows,)."""

    places: np.ndarray[Any, Any]
    is_as_logged: np.ndarray[Any, Any]
    costs: Array
    propensities: Array
    chosen: Array
    never_taken: Array
    expected_of_logged: Array
    expected_of_rule: Array


def _scored(spec: ProductSpec, found: AssignedRows, place: int, models: Mapping[str, Model], rule: CandidateRule) -> _Scored:
    """Ask the models of a stage's arms, and the rule, about its rows."""
    stage, rows = found.stages[place], found.rows[found.rows["/stage"] == place]
    outputs = {
        digest: _outputs(models[digest], rows) for digest in {*(arm.model_digest for arm in stage.arms), rule.model.digest}
    }
    decided = np.column_stack([models[arm.model_digest].decide(outputs[arm.model_digest]) for arm in stage.arms])
    names = [arm.name for arm in stage.arms]
    own = decided[np.arange(len(rows)), rows["/arm"].map(names.index).to_numpy()]
    by_rule, shares = rule.decide(outputs[rule.model.digest]), np.array([arm.share for arm in stage.arms])
    labels, expects = _labels(spec, rows["/outcome"]), outputs[stage.control.model_digest]
    return _Scored(
        rows.index.to_numpy(),
        _is_as_logged(spec, rows["/decision"], own),
        row_costs(spec.kind, labels, own, spec.prices),
        decision_propensity(shares, decided, own),
        (by_rule == own).astype(np.float64),
        (decision_propensity(shares, decided, by_rule) == 0).astype(np.float64),
        _expected(spec, expects, own),
        _expected(spec, expects, by_rule),
    )


def _outputs(model: Model, rows: pd.DataFrame) -> Array:
    return model.predict({name: rows[name].to_numpy() for name in model.signature["features"]})


def _classes(spec: ProductSpec) -> Sequence[str]:
    return spec.target.classes or ()


def _is_as_logged(spec: ProductSpec, logged: pd.Series, decided: Decisions) -> np.ndarray[Any, Any]:
    """Whether the log says the same decision."""
    if spec.kind == "binary":
        return np.asarray(logged == np.where(decided, "true", "false"))
    if spec.kind == "multiclass":
        return np.asarray(logged == np.asarray(_classes(spec), dtype=object)[decided])
    return np.asarray(np.isclose(logged.astype("float64").to_numpy(), decided, rtol=CLOSE, atol=CLOSE))


def _labels(spec: ProductSpec, outcomes: pd.Series) -> Array:
    if spec.kind == "multiclass":
        outcomes = outcomes.map({name: place for place, name in enumerate(_classes(spec))})
    return np.asarray(outcomes.to_numpy(dtype=np.float64))


def _expected(spec: ProductSpec, outputs: Array, decided: Decisions) -> Array:
    """The expected cost of decisions by a model's outputs; of a value, the cost if that value came."""
    if spec.kind == "multiclass":
        return np.asarray((outputs @ np.asarray(spec.prices["costs"], dtype=np.float64))[np.arange(len(decided)), decided])
    return row_costs(spec.kind, outputs, decided, spec.prices)


def _between(value: PolicyValue) -> str:
    return f"{number_text(value.value)} ({number_text(value.low)} to {number_text(value.high)})"
