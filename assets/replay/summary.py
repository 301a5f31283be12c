"""What a replay came to: each policy's money, metric, trainings and alarms, and which policy to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from assets.errors import DataError
from assets.methods.kinds import KINDS, sign_of
from assets.methods.policies import PolicyCost, costs_of
from assets.methods.ranking import Array
from assets.monitoring.alarms import allowed_loss
from assets.replay.experiment_arms import TREATMENT
from assets.replay.experiment_summary import summarised_experiments
from assets.spec import ProductSpec

BLOCK, REPLICATES = 14, 2000
"""Days of a block of the bootstrap, and how often it draws."""


def summarised(
    spec: ProductSpec, told: Mapping[str, str], journals: Mapping[str, Sequence[Mapping[str, Any]]], **about: Any
) -> dict[str, Any]:
    """The record of a replay.

    Parameters
    ----------
    spec : ProductSpec
        The product, as it was played.
    told : mapping of str to str
        What each policy is, by name.
    journals : mapping of str to sequence of mapping
        What was told of each step of each policy, from step 0.
    **about
        What else belongs into the record: which months, which steps, what was injected.

    Raises
    ------
    DataError
        If no row that was played has a label.
    """
    days, daily = daily_costs(journals)
    if not days:
        raise DataError(f"{spec.name}: no row that was played has a label, so no policy has a cost. Play others.")
    trainings = [trainings_of(journal) for journal in journals.values()]
    fixed = np.array(trainings) * spec.replay.training_cost
    found = costs_of(
        daily, fixed, block=BLOCK, replicates=REPLICATES, confidence=spec.promotion.confidence, seed=spec.model.seed
    )
    policies = [
        {"name": name, "told": told[name], "trainings": count, **asdict(cost), **_of(spec, journal)}
        for (name, journal), count, cost in zip(journals.items(), trainings, found, strict=True)
    ]
    return {
        "product": spec.name,
        "description": spec.description,
        "metric": spec.metric,
        "lower_is_better": spec.metric in KINDS[spec.kind].LOWER_IS_BETTER,
        "unit": spec.cost.unit,
        "confidence": spec.promotion.confidence,
        "training_cost": spec.replay.training_cost,
        "split": spec.split.model_dump(mode="json", exclude_none=True),
        "days": len(days),
        "block_days": BLOCK,
        "policies": policies,
        "recommendation": _recommendation(list(journals), found, trainings, spec.cost.unit),
        **about,
    }


def daily_costs(journals: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[list[str], Array]:
    """The days that have a cost, and what each cost under each policy, of shape (n_policies, n_days)."""
    days = sorted({day for journal in journals.values() for step in journal[1:] for day in step["answers"]["days"]})
    costs = [_daily(journal) for journal in journals.values()]
    return days, np.array([[of_days.get(day, 0.0) for day in days] for of_days in costs])


def trainings_of(journal: Sequence[Mapping[str, Any]]) -> int:
    """How often was trained; the first training, which all share, aside."""
    return sum(step.get("trained") is not None for step in journal[1:])


def _daily(journal: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The cost of each day; a day may be of two steps where they meet."""
    found: dict[str, float] = {}
    for step in journal[1:]:
        for day, cost in step["answers"]["days"].items():
            found[day] = found.get(day, 0.0) + cost
    return found


def _of(spec: ProductSpec, journal: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What else is told of a policy."""
    steps = [_step(spec, step, spec.model.seed + step["step"]) for step in journal[1:]]
    trained = [step["trained"] for step in journal[1:] if step.get("trained") is not None]
    judged = np.array([(step["metric"]["value"], step["labelled"]) for step in steps if step["metric"]])
    alarms = [step["alarm"] for step in steps]
    return {
        "promotions": sum(step["promoted"] for step in steps),
        "refusals": sum(step["refused"] for step in steps),
        "experiments": summarised_experiments(journal),
        "training_seconds": sum(item["seconds"] for item in trained),
        "mean_metric": float(np.average(judged[:, 0], weights=judged[:, 1])) if len(judged) else None,
        "alarms": {name: alarms.count(name) for name in ("true", "false", "missed")},
        "blocked": sum(bool(step["contract"]) for step in steps),
        "first": journal[0]["trained"],
        "steps": steps,
    }


def _step(spec: ProductSpec, step: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What is shown of a step: metric and money with their intervals, alarms in hindsight, and what was decided."""
    answers, trained, experiment = step["answers"], step["trained"] or {}, step.get("experiment") or {}
    costs = np.array(list(answers["days"].values()))
    drawn = np.random.default_rng(seed).choice(costs, (500, len(costs))).sum(axis=1) if len(costs) else np.zeros(1)
    low, high = np.quantile(drawn, [(1 - spec.promotion.confidence) / 2, (1 + spec.promotion.confidence) / 2])
    return {
        "from": step["from"],
        "to": step["to"],
        "rows": answers["rows"],
        "labelled": answers["labelled"],
        "metric": answers["metric"],
        "cost": {"value": float(costs.sum()), "low": float(low), "high": float(high)},
        "versions": [f"v{item['version']}" + (f" | v{item['beside']}" if "beside" in item else "") for item in step["served"]],
        "alarms": step["alarms"],
        "alarm": _in_hindsight(spec, step),
        "decisions": step["decisions"],
        "trained": step["trained"],
        "promoted": trained.get("promoted", False) or experiment.get("outcome") == TREATMENT,
        "refused": bool(trained) and not trained["promoted"] and "experiment" not in trained,
        "experiment": {name: experiment[name] for name in ("name", "outcome", "told")} if experiment else None,
        "contract": step["contract"],
    }


def _in_hindsight(spec: ProductSpec, step: Mapping[str, Any]) -> str | None:
    """Whether a step's alarms were true: the metric, with all labels, was worse than on the reference by more than allowed."""
    reference, metric = step.get("reference"), step["answers"]["metric"]
    if reference is None or metric is None:
        return None
    sign = sign_of(spec.kind, spec.metric)
    worse = sign * (reference - metric["value"]) > allowed_loss(spec, reference)
    if step["alarms"]:
        return "true" if worse else "false"
    return "missed" if worse else None


def _recommendation(names: list[str], found: list[PolicyCost], trainings: list[int], unit: str) -> dict[str, Any]:
    """Which policy to take, why, and how sure that is: the one that cost least, and those that may be as good."""
    best = min(range(len(found)), key=lambda place: found[place].total)
    others = [(name, item, count) for name, item, count in zip(names, found, trainings, strict=True) if item is not found[best]]
    same = [name for name, item, _ in others if item.regret == item.regret_low == item.regret_high == 0]
    near = [
        f"{name} (by {item.regret:,.0f}, between {item.regret_low:,.0f} and {item.regret_high:,.0f}; {count} trainings)"
        for name, item, count in others
        if item.regret_low <= 0 and name not in same
    ]
    because = f"It cost least: {found[best].total:,.0f} {unit} with {trainings[best]} trainings"
    because += f", and as much did {', '.join(same)}" if same else ""
    if near:
        because += f". Not surely dearer: {', '.join(near)}"
    elif len(same) < len(others):
        because += ". All others are surely dearer"
    sure = f"In {found[best].best_share:.0%} of {REPLICATES:,} draws of {BLOCK}-day blocks none is cheaper"
    return {"policy": names[best], "because": because, "sure": sure, "best_share": found[best].best_share}
