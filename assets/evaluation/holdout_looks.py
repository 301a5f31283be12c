"""Looks at the test rows from notebooks: each is a record of its own in the home, and what they cost follows from their number.

A look is of a model on test rows: the same model on the same rows again tells nothing new and is counted once. What production
runs decide is counted by the budget of false promotions (`assets.promotion.error_budget`), not here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from assets.methods.holdout_reuse import flattery, widening, widening_of_chosen
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.publishing import read_json, write_json

BUDGET = 10
"""How many models are shown all their figures on the same test rows: an interval that holds for the best of ten is 1.4 times as
wide as that of one."""

Kind = Literal["evaluation", "ladder"]


@dataclass(frozen=True)
class Look:
    """One look.

    Parameters
    ----------
    product, rows_digest, model_digest : str
        Of which model, on which test rows.
    kind : {"evaluation", "ladder"}
        Whether all figures were shown, or the Ladder answered.
    at, actor : str
        When (UTC, ISO 8601), and who looked.
    is_beyond : bool
        Whether no budget was left, and the look was asked for all the same.
    released : float or None
        What the Ladder answered.
    climbed : bool or None
        Whether the model became the Ladder's best.
    """

    product: str
    rows_digest: str
    model_digest: str
    kind: Kind
    at: str
    actor: str
    is_beyond: bool = False
    released: float | None = None
    climbed: bool | None = None


@dataclass(frozen=True)
class Reuse:
    """How often some test rows were looked at, and what that costs.

    Parameters
    ----------
    looks : tuple of Look
        In order.
    confidence : float
        That of the intervals that are shown.
    budget : int
        How many models may be shown all their figures.
    """

    looks: tuple[Look, ...]
    confidence: float
    budget: int = BUDGET

    @property
    def shown(self) -> int:
        """How many models were shown all their figures on these rows."""
        return len({item.model_digest for item in self.looks if item.kind == "evaluation"})

    @property
    def ladder(self) -> tuple[Look, ...]:
        """The looks that the Ladder answered."""
        return tuple(item for item in self.looks if item.kind == "ladder")

    @property
    def best(self) -> Look | None:
        """The Ladder's best so far."""
        return next((item for item in reversed(self.ladder) if item.climbed), None)

    @property
    def left(self) -> int:
        """How many more models may be shown all their figures."""
        return max(0, self.budget - self.shown)

    @property
    def widening(self) -> float:
        """By what factor the interval of the best of these models grows, if none was chosen by what an earlier look told."""
        return widening(self.confidence, self.shown)

    @property
    def widening_of_chosen(self) -> float:
        """The same where each was chosen by what the earlier looks told."""
        return widening_of_chosen(self.shown)

    def flattery(self, low: float, high: float) -> float:
        """By how much the best of these models is flattered at most, by the ends of its interval."""
        from scipy.stats import norm

        return flattery((high - low) / (2 * float(norm.ppf((1 + self.confidence) / 2))), self.shown)

    @property
    def told(self) -> str:
        """Count and cost, in a sentence."""
        models = "1 model of notebooks was" if self.shown == 1 else f"{self.shown} models of notebooks were"
        counted = f"{models} shown all figures on these test rows, {self.left} more may be"
        asked = f"; the Ladder answered {len(self.ladder)} times" if self.ladder else ""
        if self.shown < 2:
            return f"{counted}{asked}"
        return (
            f"{counted}{asked}. An interval that holds for the best of them is {self.widening:.2f} times as wide as the one "
            f"shown, or {self.widening_of_chosen:.1f} times where each was chosen by what the looks before it told"
        )


def reuse(home: Home, product: str, rows_digest: str, confidence: float, budget: int = BUDGET) -> Reuse:
    """The looks at some test rows of a product, with what they cost.

    Raises
    ------
    DigestError
        If a record was changed.
    """
    files = sorted(_folder(home, product, rows_digest).glob("*.json"))
    return Reuse(tuple(Look(**read_json(file)) for file in files), confidence, budget)


def record(
    home: Home,
    product: str,
    rows_digest: str,
    model_digests: Iterable[str],
    *,
    actor: str,
    kind: Kind = "evaluation",
    **more: Any,
) -> None:
    """Record a look at each model, before anything is shown of it; one whose figures were shown on these rows is left out."""
    folder = _folder(home, product, rows_digest)
    with exclusive(home.research / "looks.lock"):
        number = len(list(folder.glob("*.json")))
        known = {item.model_digest for item in reuse(home, product, rows_digest, 0.0).looks if item.kind == "evaluation"}
        for digest in dict.fromkeys(model_digests):
            if kind != "evaluation" or digest not in known:
                number += 1
                look = Look(product, rows_digest, digest, kind, datetime.now(UTC).isoformat(), actor, **more)
                write_json(folder / f"{number:06d}.json", asdict(look))


def _folder(home: Home, product: str, rows_digest: str) -> Path:
    return home.research / product / "looks" / rows_digest[:12]
