"""What hindsight tells, in sentences and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.rendering.plotting import INK, MUTED, figure, legend, svg

WIDE = (9.2, 3.2)
BOUND = "It is a bound and no policy: part of what it gains is chance, which nobody can know beforehand."


def sentences(found: Mapping[str, Any], unit: str) -> list[str]:
    """The best course and what keeps within each budget, a sentence each.

    Parameters
    ----------
    found : mapping
        From `summarised_hindsight`.
    unit : str
        The unit of costs.
    """
    course = ", ".join(item["at"][:10] for item in found["course"])
    taken = f"takes the models of {course}" if course else "keeps the first model"
    cost = f"{found['total']:,.0f} {unit} [{found['low']:,.0f}, {found['high']:,.0f}]"
    told = [f"The oracle, which knows all outcomes, {taken}: {cost}, of {found['models']} models that were trained. {BOUND}"]
    if (budget := found.get("training_budget")) is not None:
        pays = f"{budget['units_a_year']:,.0f} {unit} a year pay for {_counted(budget['trainings'])}"
        told.append(f"{pays}: {_to_take(budget)}. With so many the oracle costs {budget['total']:,.0f}.")
    if (budget := found.get("loss_budget")) is not None:
        allows = f"{budget['units_a_year']:,.0f} {unit} a year beyond the oracle are {budget['allowed']:,.0f} over these days"
        sure = f" Surely within: {', '.join(budget['surely_within']) or 'none'}." if budget["within"] else ""
        needs = f"The oracle needs {_counted(budget['fewest_trainings'])} for that."
        told.append(f"{allows}: {_to_take(budget)}.{sure} {needs}")
    return told


def _counted(trainings: int) -> str:
    return "1 training" if trainings == 1 else f"{trainings} trainings"


def _to_take(budget: Mapping[str, Any]) -> str:
    return f"take {budget['take']}" if budget["take"] else "no policy that was played keeps within"


def fewer_trainings(record: Mapping[str, Any], folder: Path) -> str:
    """What trainings are worth: the least cost with at most so many, and the policies beside it."""
    found = record["hindsight"]
    title = f"{record['unit']} with at most so many trainings: the oracle, and each policy with its own"
    with figure(title, "trainings", record["unit"], WIDE, folder / "hindsight.png") as (axes, buffer):
        axes.step(range(len(found["fewer"])), found["fewer"], where="post", color=INK, label="oracle", linewidth=1.6)
        for policy in record["policies"]:
            axes.scatter([policy["trainings"]], [policy["total"]], color=MUTED, s=30)
            axes.annotate(f" {policy['name']}", (policy["trainings"], policy["total"]), fontsize=8, color=INK)
        legend(axes)
    return svg(buffer, title)
