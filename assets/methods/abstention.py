"""Abstention: what a row costs that is not decided, as the answer is too uncertain.

A decision rule may say of the very rows that it is applied to which are not decided (``abstained``, booleans) and what each of
them costs (``abstain_cost``). Without, every row is decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assets.methods.ranking import Array

ABSTAINED, COST = "abstained", "abstain_cost"


def with_abstention(decision: Mapping[str, Any], abstained: np.ndarray[Any, Any], cost: float) -> dict[str, Any]:
    """A decision rule that says which of some rows are not decided, and what each of these costs."""
    return {**decision, ABSTAINED: abstained, COST: cost}


def of_rows(decision: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """The rule for some of its rows.

    Examples
    --------
    >>> of_rows({"threshold": 0.5}, [True, False])
    {'threshold': 0.5}
    >>> of_rows({"abstained": np.array([True, False]), "abstain_cost": 2.0}, np.array([1]))["abstained"].tolist()
    [False]
    """
    return {**decision, ABSTAINED: decision[ABSTAINED][rows]} if ABSTAINED in decision else dict(decision)


def decided_all(decision: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as if every row were decided."""
    return {name: value for name, value in decision.items() if name not in (ABSTAINED, COST)}


def paid(costs: Array, decision: Mapping[str, Any]) -> Array:
    """What each row costs: its decision's, or that of abstaining.

    Examples
    --------
    >>> paid(np.array([5.0, 0.0]), {"abstained": np.array([True, False]), "abstain_cost": 2.0}).tolist()
    [2.0, 0.0]
    """
    return np.where(decision[ABSTAINED], decision[COST], costs) if ABSTAINED in decision else costs
