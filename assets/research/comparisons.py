"""Comparisons of variants on the same rows, by the gate's own tests; and who may look at the test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import DataError
from assets.evaluation import holdout_looks
from assets.evaluation.evidence import Case
from assets.methods.holdout_reuse import Rung, ladder
from assets.methods.paired import TESTS, Gain
from assets.promotion import champion_challenger
from assets.promotion.champion_challenger import Rival
from assets.research.answers import Comparison
from bentos.runtime import Model

if TYPE_CHECKING:
    from assets.research.variant import Bench, Variant


def may_look(bench: Bench, case: Case, digests: Sequence[str], *, beyond_budget: bool) -> bool:
    """Whether all figures of these models may be shown on the test rows; the look is recorded before they are."""
    spec, rows = case.spec, case.parts["test"].digest(case.spec)
    known = holdout_looks.reuse(bench.home, spec.name, rows, spec.evaluation.confidence, bench.budget)
    unseen = set(digests).difference(item.model_digest for item in known.looks if item.kind == "evaluation")
    is_beyond = len(unseen) > known.left
    if is_beyond and not beyond_budget:
        return False
    holdout_looks.record(bench.home, spec.name, rows, digests, actor=bench.actor, is_beyond=is_beyond)
    return True


def compared(bench: Bench, first: Variant, second: Variant | Model, *, beyond_budget: bool) -> Comparison:
    """Compare a variant with another, or with the model that serves.

    Raises
    ------
    DataError
        If the rows lack what one of them needs, or no look is left and both have learnt the validation rows.
    """
    case = on_all_columns(bench, first)
    other = second if isinstance(second, Model) else second.model
    digests = [first.digest] if isinstance(second, Model) else [first.digest, other.digest]
    part = "test"
    if not may_look(bench, case, digests, beyond_budget=beyond_budget):
        part = "validate"
        if case.has_learnt_validation or "validate" in other.signature["fitted_on"]:
            raise DataError(
                f"{bench.spec.name}: no look at the test rows is left of {bench.budget}, and these models have learnt the "
                "validation rows. Give beyond_budget=True, which is recorded, or ask the Ladder: variant.ladder()."
            )
        case = replace(case, parts={**case.parts, "test": case.parts["validate"]})
    found, high, saving_high = both_ways(case, other)
    spec = bench.spec
    answer = Comparison(
        first.digest,
        other.digest,
        spec.metric,
        spec.cost.unit,
        found.gain,
        found.saving,
        high,
        saving_high,
        spec.promotion.confidence,
        "test rows" if part == "test" else "validation rows",
        len(case.parts["test"].rows),
        spec.promotion.min_gain,
        first.reuse,
    )
    first.compared.append(answer)
    return answer


def rung(bench: Bench, variant: Variant) -> Rung:
    """What the Ladder answers of a variant; it is recorded before it is told."""
    case, spec = on_all_columns(bench, variant), bench.spec
    rows = case.parts["test"].digest(spec)
    best = holdout_looks.reuse(bench.home, spec.name, rows, spec.evaluation.confidence, bench.budget).best
    outputs, labels = case.model.predict(case.columns("test")), case.labels("test")
    value = case.metrics_of(labels, outputs, case.tested_rule(outputs))[spec.metric](np.ones(len(labels)))
    before, error = None, 0.0
    if best is not None:
        before = best.released
        if best.model_digest == case.model.digest:
            return Rung(float(before or 0.0), climbed=False)
        model = Model.load(bench.home.models / spec.name / best.model_digest, best.model_digest)
        error = champion_challenger.against(case, _rival(case, model), outputs, spec.promotion.confidence).gain.error
    answer = ladder(before, value, error, len(labels), sign=case.sign)
    told = {"released": answer.released, "climbed": answer.climbed}
    holdout_looks.record(bench.home, spec.name, rows, [variant.digest], actor=bench.actor, kind="ladder", **told)
    return answer


def both_ways(case: Case, other: Model) -> tuple[champion_challenger.Comparison, float, float]:
    """The gate's comparison, and what gain and saving surely stay below: the same tests with the two exchanged."""
    spec, rival, outputs = case.spec, _rival(case, other), case.model.predict(case.columns("test"))
    found = champion_challenger.against(case, rival, outputs, spec.promotion.confidence)
    own = case.metrics_of(case.labels("test"), outputs, case.tested_rule(outputs))
    theirs = rival.metrics(slice(None))

    def high(metric: str, sign: float) -> float:
        exchanged: Gain = TESTS[spec.promotion.test](
            (theirs[metric], own[metric]),
            case.parts["test"].clusters(spec),
            sign=sign,
            confidence=spec.promotion.confidence,
            replicates=spec.evaluation.bootstrap_replicates,
            seed=spec.model.seed,
        )
        return -exchanged.low

    return found, high(spec.metric, case.sign), high(champion_challenger.COST, -1.0)


def on_all_columns(bench: Bench, variant: Variant) -> Case:
    """A variant's model on the declared product's rows, which have the features of every variant."""
    return replace(variant.case, snapshot=bench.snapshot, parts=bench.parts)


def _rival(case: Case, model: Model) -> Rival:
    found = Rival.champion(case, model)
    if isinstance(found, str):
        raise DataError(f"{case.spec.name}: the two cannot be compared: {found}.")
    return found
