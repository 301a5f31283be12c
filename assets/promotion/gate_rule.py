"""Gate rule: one thing that the gate asks of a challenger, as `gates` lists them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assets.evaluation.findings import Finding
from assets.spec import ProductSpec
from assets.spec.applicability import Condition, every

Records = Mapping[str, Mapping[str, Any]]
"""The records of the examinations, by name."""


@dataclass(frozen=True)
class GateRule:
    """One thing that the gate asks of a challenger.

    Parameters
    ----------
    name : str
        Its name, which its findings carry; the asset check on the verdict has it too.
    description : str
        What it asks.
    findings : callable, optional
        Compares the declaration with the records. None for a rule that `gate` itself asks, as it needs rows or the ledger.
    declared_in : str
        The part of the declaration that it reads; empty where nothing is declared, or where it takes a `limit`.
    limit : str
        The figure that ``gates.rules.NAME`` bounds; empty where the rule takes no limit there.
    phase : str
        The phase of CRISP-ML(Q) (Studer and others 2021) that it belongs to.
    reads : frozenset of str
        The parts of the declaration that it reads, beside those that every rule may read.
    distributions : tuple of str
        The libraries that it rests on.
    applies : callable
        Whether it asks something of models of a product (`assets.spec.applicability`).
    """

    name: str
    description: str
    findings: Callable[[ProductSpec, Records], Iterator[Finding]] | None = None
    declared_in: str = ""
    limit: str = ""
    phase: str = "4 Evaluation"
    reads: frozenset[str] = frozenset()
    distributions: tuple[str, ...] = ()
    applies: Condition = every

    @property
    def declared(self) -> str:
        """Where its limits are declared; empty where it has none."""
        return f"gates.rules.{self.name}" if self.limit else self.declared_in
