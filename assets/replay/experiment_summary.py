"""What the experiments of a policy came to: how they were decided, and, in hindsight, what is true and what deciding cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assets.replay.experiment_arms import CONTROL, TREATMENT


def summarised_experiments(journal: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The experiments of a policy, from what was told of its steps.

    Parameters
    ----------
    journal : sequence of mapping
        What was told of each step, from step 0.

    Returns
    -------
    list of dict
        ``name``, ``version`` and ``against`` (the champion), ``started`` and ``ended`` (None while it runs), ``looks``,
        ``outcome`` (None while it runs) and ``told``; and in hindsight, from all labels: ``arms`` (rows, what they cost, and
        what they would have cost under the other arm), ``truth`` (the treatment less the control, a row, on all rows),
        ``worse`` (the arm that costs more), ``worse_rows`` (which it answered) and ``worse_cost`` (what they cost more).
    """
    found: dict[str, dict[str, Any]] = {}
    for step in journal:
        for name, arms in step.get("answers", {}).get("arms", {}).items():
            _add(found[name]["arms"], arms)
        if (seen := step.get("experiment")) is not None:
            item = found[seen["name"]]
            item["looks"] += seen["looks"]
            item |= {"outcome": seen["outcome"], "told": seen["told"]}
            item["ended"] = seen["looks"][-1]["at"] if seen["outcome"] else None
        trained = step.get("trained")
        if trained is not None and "experiment" in trained:
            found[trained["experiment"]] = {
                "name": trained["experiment"],
                "version": trained["version"],
                "against": trained["against"],
                "started": trained["at"],
                "ended": None,
                "looks": [],
                "outcome": None,
                "told": None,
                "arms": {},
            }
    return [item | _in_hindsight(item["arms"]) for item in found.values()]


def _add(total: dict[str, dict[str, float]], arms: Mapping[str, Mapping[str, float]]) -> None:
    for arm, figures in arms.items():
        before = total.get(arm, {})
        total[arm] = {name: before.get(name, 0) + value for name, value in figures.items()}


def _in_hindsight(arms: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Outcomes do not depend on who answered, so all rows tell what each arm would have cost; no live experiment knows it."""
    labelled = sum(arm["labelled"] for arm in arms.values())
    if not labelled:
        return {"truth": None, "worse": None, "worse_rows": 0, "worse_cost": 0.0}
    control, treatment = arms[CONTROL], arms[TREATMENT]
    more = (treatment["cost"] + control["other_cost"]) - (control["cost"] + treatment["other_cost"])
    if more == 0:
        return {"truth": 0.0, "worse": None, "worse_rows": 0, "worse_cost": 0.0}
    worse = TREATMENT if more > 0 else CONTROL
    cost = arms[worse]["cost"] - arms[worse]["other_cost"]
    return {"truth": more / labelled, "worse": worse, "worse_rows": arms[worse]["rows"], "worse_cost": cost}
