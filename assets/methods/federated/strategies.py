"""Federated strategies: what a plan asks for, a linear model by rounds of updates or boosted trees by sums over bins."""

from __future__ import annotations

from assets.methods.federated.boosting import Boosted, boost
from assets.methods.federated.coordinator import Grid
from assets.methods.federated.plan import Plan
from assets.methods.federated.rounds import Federated, federate


def agree(plan: Plan, grid: Grid) -> Federated | Boosted:
    """Train on the rows of all clients as the plan says.

    Parameters
    ----------
    plan : Plan
        What all take part by.
    grid : Grid
        Who reaches the clients.

    Raises
    ------
    DataError
        If too few clients answer.
    """
    return federate(plan, grid) if plan.trees is None else boost(plan, grid)
