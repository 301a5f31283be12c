"""Budget tests: which entries of the ledger tested a challenger against a champion, in the order of their levels.

A promotion or a refusal against a champion is a test, once for each model, rows and champion; its level stands in the verdict
that the entry names. An experiment of kind ``test`` is one from its start on, when its level was fixed, and does not reject
until it promotes an arm: levels that are given out meanwhile may not count on it (Zrnic, Ramdas and Jordan 2021, Asynchronous
online testing of multiple hypotheses). What the gate says of an arm while the experiment runs, or as it is decided, is the same
test.
Canaries and shadows ask whether a version does harm and not whether it is better, so they test nothing; nor do rollbacks,
invalidations, acceptances and the promotion of a first model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from assets.errors import DigestError
from assets.promotion import experiment_records, verdict_records
from assets.promotion.experiment_records import Stage
from assets.promotion.ledger_state import RUNNING, Entry
from assets.storage.home import Home

Test = tuple[str, str, int | None]
"""What tells one test from another: the challenger's digest, the snapshot's, and the champion's version."""


@dataclass(frozen=True)
class BudgetTest:
    """A test, and the entry of the ledger by which it is known.

    Parameters
    ----------
    entry : Entry
        The latest that is of it.
    level : float or None
        What it spent; None where no record says.
    is_promotion : bool
        Whether it rejected: the gate promoted.
    experiment : str or None
        The experiment that it is.
    """

    entry: Entry
    level: float | None
    is_promotion: bool = False
    experiment: str | None = None


class BudgetTests:
    """All tests of a product.

    Attributes
    ----------
    tests : dict of BudgetTest
        In order; by what tells them apart: a `Test`, or the number of the entry by which an experiment started.
    treatments : frozenset of str
        The models of the arms of the experiment that runs or was just decided, but the control's.
    """

    def __init__(self) -> None:
        self.tests: dict[Test | int, BudgetTest] = {}
        self.treatments: frozenset[str] = frozenset()
        self._start: Entry | None = None
        self._decided = 0
        self._of_arms: dict[Test, int] = {}

    def key_of(self, test: Test) -> Test | int | None:
        """Under which key a test was made already, or is paid for by the experiment that runs; None for a new one."""
        key = self._of_arms.get(test, test)
        if key in self.tests:
            return key
        is_of_an_arm = self._start is not None and test[0] in self.treatments and test[2] == self._start.replaced
        return self._start.number if self._start is not None and is_of_an_arm else None

    def add(self, home: Home, entry: Entry) -> None:
        """Take the next entry of the product into account."""
        if self._decided and entry.number != self._decided + 1:
            self._end()
        if entry.event == "experiment":
            self._add_stage(home, entry)
        elif entry.event in ("promotion", "refusal"):
            self._add_decision(home, entry)
        is_barred = entry.event == "invalidation" and entry.model_digest in self.treatments
        has_followed = bool(self._decided) and self._decided != entry.number
        if has_followed or is_barred or entry.event in ("promotion", "rollback"):
            self._end()

    def _add_stage(self, home: Home, entry: Entry) -> None:
        name, stage = entry.stage
        if stage.startswith("start"):
            self._end()
            found = _record(home, entry)
            if found is None or found.kind == "test":
                level = None if found is None else found.level
                digests = [entry.model_digest] if found is None else [arm.model_digest for arm in found.treatments]
                self._start, self.treatments = entry, frozenset(digests)
                self.tests[entry.number] = BudgetTest(entry, level, experiment=name)
        elif self._start is not None and not stage.startswith(RUNNING):
            self.tests[self._start.number] = replace(self.tests[self._start.number], entry=entry)
            if stage.startswith("decide"):
                self._decided = entry.number  # what the gate says of the arm comes with it
            else:
                self._end()

    def _add_decision(self, home: Home, entry: Entry) -> None:
        verdict = _verdict(home, entry)
        if entry.replaced is None or entry.verdict is None or verdict.get("level", 1.0) is None:
            return  # nobody served, or who served could not be compared with
        test: Test = (entry.model_digest, entry.snapshot_digest, entry.replaced)
        is_promotion = entry.event == "promotion" and not entry.overridden
        key = self.key_of(test)
        before = None if key is None else self.tests[key]
        if isinstance(key, int) and before is not None:
            self._of_arms[test] = key
            self.tests[key] = replace(before, entry=entry, is_promotion=is_promotion)
        else:
            level = verdict.get("level")
            self.tests[test] = BudgetTest(entry, None if level is None else float(level), is_promotion)

    def _end(self) -> None:
        self._start, self._decided, self.treatments = None, 0, frozenset()


def tests_of(home: Home, entries: Iterable[Entry]) -> BudgetTests:
    """The tests among the entries of a product, which come in order.

    Raises
    ------
    DigestError
        If a verdict was changed.
    """
    found = BudgetTests()
    for entry in entries:
        found.add(home, entry)
    return found


def _record(home: Home, entry: Entry) -> Stage | None:
    """The stage that an entry records; None where it is gone."""
    try:
        return experiment_records.read(home, entry)
    except DigestError:
        return None


def _verdict(home: Home, entry: Entry) -> dict[str, Any]:
    """The verdict that an entry rests on; empty where it was pruned, or made in the home of a replay."""
    path = verdict_records.place_of(home, entry)
    return verdict_records.read(path, str(entry.verdict)) if path.exists() else {}
