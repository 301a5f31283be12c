"""Hindsight: the least that retraining could have cost, had all outcomes been known, and what each policy costs beyond that.

A step's clock ends a span: then the model that was trained on the step may take over, or who serves goes on. What each model
would have cost in each span is found by letting it answer the rows, from the snapshot of the step in which they came; the best
course is `assets.methods.hindsight`. It chooses among the models that the played policies trained, so no policy that trains and
promotes at clocks can cost less. An experiment, of which two arms answer, and a model that learns online are not bound by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from assets.errors import SpecificationError
from assets.methods.hindsight import best_courses
from assets.methods.policies import block_days
from assets.methods.ranking import Array
from assets.replay.answers import ScoredRows, of_answers, outcomes
from assets.replay.history import landed
from assets.replay.settings import Replay
from assets.replay.summary import BLOCK, REPLICATES, daily_costs, trainings_of
from assets.serving.batch_predictions import keyed_answers
from assets.storage.publishing import read_json, write_json
from bentos.runtime import Model

Journals = Mapping[str, Sequence[Mapping[str, Any]]]
DAYS_A_YEAR = 365
ROUNDING = 1e-9
"""So that a budget of three trainings pays for three, whatever their price is in binary."""


def trained_models(replay: Replay, journals: Journals) -> dict[int, str]:
    """The digest of the model of each step on which a policy trained; the last step's has nothing left to answer."""
    online = {policy.name for policy in replay.policies if policy.online is not None}
    return {
        step["step"]: str(step["trained"]["digest"])
        for name, journal in journals.items()
        if name not in online
        for step in journal[: replay.steps[-1]]
        if "digest" in (step.get("trained") or {})
    }


def score_step(replay: Replay, step: int, digests: Sequence[str]) -> None:
    """Let models answer the rows of a step, and record what that costs by span and day; what is recorded is not made again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lacking = [digest for digest in dict.fromkeys(digests) if not replay.hindsight_of(step, digest).exists()]
    if not lacking:
        return
    start, end, moment = replay.bounds[step - 1], replay.bounds[step], str(replay.spec.features.event_time)
    rows = pq.read_table(landed(replay, step)[0].path, filters=[(moment, ">=", start), (moment, "<", end)])
    came = outcomes(replay, replay.history, start, end)
    for digest in lacking:
        model = Model.load(replay.shared.models / replay.spec.name / digest, digest)
        table = pa.table(keyed_answers(replay.spec, model, rows)).to_pandas()
        write_json(replay.hindsight_of(step, digest), _by_span_and_day(replay, of_answers(replay, model, table, came)))


def _by_span_and_day(replay: Replay, rows: ScoredRows) -> list[tuple[int, str, float]]:
    """The cost of labelled rows, summed over each day of each span."""
    clocks = np.array([replay.clock(step) for step in replay.steps[:-1]], dtype="datetime64[us]")
    spans = np.searchsorted(clocks, rows.moments.astype("datetime64[us]"), side="right")
    found: dict[tuple[int, str], float] = {}
    for span, day, cost in zip(spans, rows.days, rows.costs, strict=True):
        if not np.isnan(cost):
            found[int(span), str(day)] = found.get((int(span), str(day)), 0.0) + float(cost)
    return [(*key, cost) for key, cost in sorted(found.items())]


def summarised_hindsight(
    replay: Replay, journals: Journals, *, training_budget: float | None = None, loss_budget: float | None = None
) -> dict[str, Any]:
    """The best course, what each policy costs beyond it, and what keeps within a budget.

    Parameters
    ----------
    replay, journals
        What was played, each step's rows answered by `score_step`.
    training_budget, loss_budget : float, optional
        Units a year that trainings may cost, and that a policy may cost beyond the best course.

    Returns
    -------
    dict
        ``total`` with its interval, ``course``: who takes over when; ``fewer``: the least cost with at most so many trainings;
        ``policies``: by name, the regret with its interval. The same days are drawn for the course as for the policies, and it
        is found anew in each draw.

    Raises
    ------
    SpecificationError
        If there is a budget for trainings and they cost nothing.
    """
    spec, models = replay.spec, trained_models(replay, journals)
    days, daily = daily_costs(journals)
    counts = np.array([trainings_of(journal) for journal in journals.values()])
    places = block_days(len(days), BLOCK, REPLICATES, spec.model.seed)
    drawn = np.apply_along_axis(np.bincount, 1, places, minlength=len(days))
    weights = np.concatenate([np.ones((1, len(days))), drawn])  # first the days as they were
    best = best_courses(_costs(replay, models, days, weights), spec.replay.training_cost, len(models) - 1)
    own = daily @ weights.T + (counts * spec.replay.training_cost)[:, None]
    regrets = own - best.totals[:, -1]
    ends = [(1 - spec.promotion.confidence) / 2, (1 + spec.promotion.confidence) / 2]
    bound = {policy.name: policy.online is None and policy.experiment is None for policy in replay.policies}
    policies = {
        name: {"regret": float(regret[0]), **_ends(regret[1:], ends), "is_bound": bound[name], "trainings": int(count)}
        for name, regret, count in zip(journals, regrets, counts, strict=True)
    }
    fewer = [float(total) for total in best.totals[0]]
    enough = fewer.index(fewer[-1])
    found: dict[str, Any] = {
        "total": fewer[-1],
        **_ends(best.totals[1:, -1], ends),
        "models": len(models),
        "course": _told_course(replay, models, best.courses[-1]),
        "fewer": fewer[: enough + 1],
        "policies": policies,
    }
    if training_budget is not None:
        allowed = _affordable(replay, training_budget)
        most = min(allowed, len(models) - 1)
        within = [name for name, item in policies.items() if item["trainings"] <= allowed]
        found["training_budget"] = {
            "units_a_year": training_budget,
            "trainings": allowed,
            "total": fewer[most],
            "course": _told_course(replay, models, best.courses[most]),
            "within": within,
            "take": min(within, key=lambda name: policies[name]["regret"], default=None),
        }
    if loss_budget is not None:
        found["loss_budget"] = _within_loss(fewer, policies, loss_budget, _years(replay))
    return found


def _costs(replay: Replay, models: Mapping[int, str], days: Sequence[str], weights: Array) -> Array:
    """What each span costs under each model, of shape (n_draws, n_spans, n_models)."""
    spans, place = len(replay.steps), {day: number for number, day in enumerate(days)}
    by_day = np.zeros((len(days), spans, spans))
    for taken, digest in models.items():
        for step in replay.steps[taken:]:
            for span, day, cost in read_json(replay.hindsight_of(step, digest)):
                by_day[place[day], span, taken] += cost
    found = np.tensordot(weights, by_day, axes=1)
    found[:, :, [step for step in range(spans) if step not in models]] = np.inf
    return np.asarray(found)


def _told_course(replay: Replay, models: Mapping[int, str], course: Sequence[int]) -> list[dict[str, Any]]:
    """Who takes over when."""
    taken = [span for span, model in enumerate(course) if span and model == span]
    return [{"step": step, "at": replay.aware_clock(step).isoformat(), "digest": models[step]} for step in taken]


def _years(replay: Replay) -> float:
    """How long was played, days without rows included."""
    return (replay.bounds[-1] - replay.bounds[0]) / timedelta(days=DAYS_A_YEAR)


def _affordable(replay: Replay, budget: float) -> int:
    """How many trainings a budget of a year pays for over what was played."""
    price = replay.spec.replay.training_cost
    if price == 0:
        raise SpecificationError(
            f"{replay.spec.name}: a training costs nothing, so every policy is within a budget for trainings. Declare "
            "'replay.training_cost', or ask for --loss-budget."
        )
    return math.floor(budget * _years(replay) / price + ROUNDING)


def _within_loss(fewer: Sequence[float], policies: Mapping[str, Any], budget: float, years: float) -> dict[str, Any]:
    allowed = budget * years
    within = [name for name, item in policies.items() if item["regret"] <= allowed]
    return {
        "units_a_year": budget,
        "allowed": allowed,
        "fewest_trainings": next(count for count, total in enumerate(fewer) if total - fewer[-1] <= allowed),
        "within": within,
        "surely_within": [name for name in within if policies[name]["high"] <= allowed],
        "take": min(within, key=lambda name: (policies[name]["trainings"], policies[name]["regret"]), default=None),
    }


def _ends(values: Array, ends: Sequence[float]) -> dict[str, float]:
    low, high = np.quantile(values, ends)
    return {"low": float(low), "high": float(high)}
