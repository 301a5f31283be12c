"""Error budget: what each decision between a challenger and the champion spent of the product's budget of false promotions.

It follows from the entries of the ledger (`assets.promotion.budget_tests`): each promotion or refusal against a champion is a
test, and so is each experiment that asks whether an arm is better, from its start on, however it ends. A promotion against the
gate spent the level of a test that did not reject.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

from assets.methods import error_budget as online
from assets.methods.error_budget import Spent
from assets.promotion.budget_tests import Test, tests_of
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.home import Home

SHOWN = 0.1
"""The budget by which the past is shown where none is declared."""


@dataclass(frozen=True)
class Spending:
    """A decision, and what it spent.

    Parameters
    ----------
    entry, version, recorded_at, event, actor
        The ledger's entry.
    level : float
        What it spent: the level of its test.
    is_assumed : bool
        Whether the level is not in its verdict (an earlier version of Loopline made it, or it was pruned) and is taken to be
        that of the declaration.
    is_promotion : bool
        Whether the test rejected: the gate promoted.
    left : float
        What was left after it.
    experiment : str or None
        The experiment that it is, or that the promotion followed from.
    """

    entry: int
    version: int
    recorded_at: str
    event: str
    actor: str
    level: float
    is_assumed: bool
    is_promotion: bool
    left: float
    experiment: str | None = None


@dataclass(frozen=True)
class ErrorBudget:
    """What a product has spent of its budget of false promotions.

    Parameters
    ----------
    product : str
        The product.
    budget : float
        The largest share of false promotions among all promotions.
    is_enforced : bool
        Whether it is declared, so that the gate tests at `next_level`; it is only shown otherwise.
    spendings : tuple of Spending
        What each decision spent, in order.
    next_level : float
        What the next decision would spend by LORD++.
    next_level_under_dependence : float
        What it might spend by e-LOND, whose promise holds however decisions depend on each other.
    """

    product: str
    budget: float
    is_enforced: bool
    spendings: tuple[Spending, ...]
    next_level: float
    next_level_under_dependence: float

    @property
    def promotions(self) -> int:
        """How many decisions promoted."""
        return sum(item.is_promotion for item in self.spendings)

    @property
    def spent(self) -> float:
        """What all decisions spent: so many false promotions are expected at most."""
        return sum(item.level for item in self.spendings)

    @property
    def left(self) -> float:
        """What is left; below 0 where more was spent than promotions earned."""
        return self.spendings[-1].left if self.spendings else self.budget

    @property
    def estimate(self) -> float:
        """The estimated share of false promotions: what was spent over the promotions, at most 1."""
        return min(1.0, self.spent / max(1, self.promotions))

    @property
    def told(self) -> str:
        """What was spent, what is left and what the next decision costs, in a line."""
        tried = sum(item.experiment is not None for item in self.spendings)
        by_traffic = f" ({tried} by experiments)" if tried else ""
        counted = f"{len(self.spendings)} decisions against a champion{by_traffic}, {self.promotions} promotions"
        rule = "the gate tests at it" if self.is_enforced else "shown only: promotion.error_budget is not declared"
        return (
            f"{counted}: spent {self.spent:.4f} of {self.budget * max(1, self.promotions):.4f}, left {self.left:.4f}; at most "
            f"{self.estimate:.1%} of promotions are expected to be false. The next level is {self.next_level:.4f} ({rule})"
        )

    def as_json(self) -> dict[str, Any]:
        """The documented record."""
        figures = {"promotions": self.promotions, "spent": self.spent, "left": self.left, "estimate": self.estimate}
        return {**asdict(self), **figures}


def error_budget(home: Home, spec: ProductSpec, entries: Iterable[Entry]) -> ErrorBudget:
    """What the decisions of the past spent, and what the next may.

    Parameters
    ----------
    home, spec : Home, ProductSpec
        Where the verdicts lie, and what is declared.
    entries : iterable of Entry
        The product's entries, in order.

    Raises
    ------
    DigestError
        If a verdict was changed.
    """
    budget = spec.promotion.error_budget or SHOWN
    past: list[Spent] = []
    spendings = []
    for item in tests_of(home, entries).tests.values():
        entry = item.entry
        assumed = _declared_level(spec, past) if item.level is None else item.level
        past.append(Spent(assumed, item.is_promotion))
        spendings.append(
            Spending(
                entry.number,
                entry.version,
                entry.recorded_at,
                entry.event,
                entry.actor,
                assumed,
                item.level is None,
                item.is_promotion,
                online.left(past, budget),
                item.experiment,
            )
        )
    return ErrorBudget(
        spec.name,
        budget,
        spec.promotion.error_budget is not None,
        tuple(spendings),
        online.lord_level(past, budget),
        online.e_lond_level(past, budget),
    )


def level_of(home: Home, spec: ProductSpec, entries: tuple[Entry, ...], test: Test) -> float:
    """The level at which a challenger is tested now.

    Without a declared budget it is that of the declared confidence. With one it is what the budget gives to the next test; a
    test that the ledger holds already (of the same model, rows and champion) is not paid for twice, and has the level it had.
    Nor is that of an arm while its experiment runs: what the experiment spends is for the arm that it promotes, too.
    """
    if spec.promotion.error_budget is None:
        return _declared_level(spec, [])
    known = error_budget(home, spec, entries)
    sequence = tests_of(home, entries)
    key = sequence.key_of(test)
    if key is not None:
        level = known.spendings[list(sequence.tests).index(key)].level
        # the arms of an experiment share what it spends
        return level / max(1, len(sequence.treatments)) if isinstance(key, int) else level
    return known.next_level


def experiment_level(home: Home, spec: ProductSpec, entries: tuple[Entry, ...], false_positive: float) -> float:
    """The level of an experiment that starts now: what it declares, or what the budget has for it, if that is less."""
    if spec.promotion.error_budget is None:
        return false_positive
    return min(false_positive, error_budget(home, spec, entries).next_level)


def before(entries: Sequence[Entry], verdict: str) -> list[Entry]:
    """The entries before the first that rests on a verdict; all of them where none does yet."""
    return list(takewhile(lambda entry: entry.verdict != verdict, entries))


def _declared_level(spec: ProductSpec, past: list[Spent]) -> float:
    budget = spec.promotion.error_budget
    return round(1 - spec.promotion.confidence, 12) if budget is None else online.lord_level(past, budget)
