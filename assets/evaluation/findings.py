"""Findings: one requirement and whether the evidence meets it, with what the answer rests on.

A finding is *required* of every model, *declared* (the user's YAML gives the limit) or *watched* (reported, and a warning
where it is unusual). Which requirements there are stands in `assets.promotion.gate_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from assets.spec.gates import BoundGate, Leveled

Basis = Literal["required", "declared", "watched"]

Figure = tuple[float, float, float]
"""A figure with the ends of its interval."""


@dataclass(frozen=True)
class Finding:
    """One requirement of a gate, and whether the evidence meets it.

    Parameters
    ----------
    gate, requirement, evidence : str
        The gate, what it asks, and what was found.
    passed : bool
        Whether it is met.
    basis : {"required", "declared", "watched"}
        What it rests on; a watched finding only warns.
    key : str
        By what name a person can accept it; empty where nobody can.
    remedy : str
        What to do about it.
    accepted : str, optional
        By whom, when and why it was accepted.
    """

    gate: str
    requirement: str
    evidence: str
    passed: bool
    basis: Basis = "required"
    key: str = ""
    remedy: str = ""
    accepted: str | None = None

    @property
    def refuses(self) -> bool:
        """Whether it alone refuses the model."""
        return not self.passed and self.basis != "watched" and self.accepted is None

    @property
    def outcome(self) -> str:
        """Whether it is met, in a sign or a word."""
        if self.passed:
            return "✓"
        if self.accepted is not None:
            return f"accepted {self.accepted}"
        return "✗" if self.refuses else "warns"

    @property
    def missed(self) -> str:
        """A requirement that is not met, in a line."""
        return f"{self.requirement}: not met, {self.evidence}"


def told_gain(gain: Mapping[str, float], rows: int) -> str:
    """A gain with its interval, and the rows that it rests on."""
    return f"gain {gain['value']:.4g} [{gain['low']:.4g}, {gain['high']:.4g}] on {rows:,} rows"


def more_rows(gain: Mapping[str, float], rows: int) -> str:
    """About how many rows would make a gain of this size sure: its error falls with the square root of the rows."""
    if gain["value"] <= 0:
        return "More rows like these would not help: bring features that say more, or another estimator."
    needed = int(np.ceil(rows * ((gain["value"] - gain["low"]) / gain["value"]) ** 2 / 100.0)) * 100
    return f"If the gain is real, about {needed:,} rows would show it; or bring features that say more."


def declared(gate: Leveled) -> Basis:
    """The basis of a limit that is declared: it refuses, unless it is declared to warn only."""
    return "declared" if gate.level == "blocking" else "watched"


def figure_of(estimate: Mapping[str, Any] | None) -> Figure | None:
    """An estimate of the evidence as a figure; None where it is not there."""
    value = None if estimate is None else estimate.get("value")
    if estimate is None or value is None or not np.isfinite(value):
        return None
    ends = [estimate.get(end) for end in ("low", "high")]
    low, high = (value if end is None or not np.isfinite(end) else end for end in ends)
    return value, low, high


def exactly(value: float | None) -> Figure | None:
    """A figure without chance in it, such as a size; None where it is not there."""
    return figure_of({"value": value})


def limited(
    draft: Finding,
    figure: Figure | None,
    *,
    low: float | None = None,
    high: float | None = None,
    as_share: bool = False,
    of: str = "",
    is_usual: bool = False,
) -> Finding:
    """Complete a finding: whether a figure keeps its bounds, or not surely breaks them.

    Parameters
    ----------
    draft : Finding
        The finding without its evidence; its requirement is the figure's name.
    figure : Figure or None
        The figure; None where the evidence lacks it, which is a refusal.
    low, high : float, optional
        The bounds. One is broken where the whole interval lies beyond it.
    as_share : bool
        Whether to write figures in percent.
    of : str
        What to say after the figure.
    is_usual : bool
        Whether the bounds are what is usual, and declared by nobody.
    """

    def told(number: float) -> str:
        return f"{number:.0%}" if as_share else f"{number:.4g}"

    bounds = [f"{word} {told(bound)}" for word, bound in (("at least", low), ("at most", high)) if bound is not None]
    requirement = f"{draft.requirement} is {'usually ' if is_usual else ''}{' and '.join(bounds)}"
    if figure is None:
        # evidence that is not there is a refusal, whoever asks for it
        return Finding(draft.gate, requirement, "the evidence does not give it", passed=False, remedy="Run again.")
    value, least, most = figure
    interval = f" [{told(least)}, {told(most)}]" if least != most else ""
    basis: Basis
    surely_broken = (low is not None and most < low) or (high is not None and least > high)
    broken = (low is not None and value < low) or (high is not None and value > high)
    evidence = f"{told(value)}{interval}{of}"
    if broken and not surely_broken:
        evidence, basis = f"{evidence}: beyond it, but not surely", "watched"
    else:
        basis = draft.basis
    return replace(draft, requirement=requirement, evidence=evidence, passed=not broken, basis=basis)


def bounded(draft: Finding, figure: Figure | None, bound: BoundGate | None, usual: BoundGate) -> Finding:
    """Complete a finding about a figure that the declaration may bound.

    Parameters
    ----------
    draft, figure
        As `limited` takes them.
    bound : BoundGate or None
        The declared bound, which refuses a model that surely breaks it, unless its level is ``warning``.
    usual : BoundGate
        What is usual: the finding only warns beyond it, where no bound is declared.
    """
    basis: Basis = "watched" if bound is None else declared(bound)
    limit = bound or usual
    return limited(replace(draft, basis=basis), figure, low=limit.min, high=limit.max, is_usual=bound is None)
