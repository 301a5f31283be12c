"""Standing: what follows from the entries of the ledger: who serves, who was withdrawn, who is invalid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Event = Literal["promotion", "refusal", "rollback", "invalidation", "acceptance", "experiment"]


GATE = "gate"
"""Who decides when nobody else does."""
LEDGER = "*"
"""What stands for a product in an entry about the ledger itself; no product can be called so."""


def tag_of_version(version: int, model_digest: str) -> str:
    """What is made of a version is called so: its number, and the beginning of its digest."""
    return f"v{version}-{model_digest[:8]}"


RUNNING = ("start", "step")
"""How the stages of an experiment begin after which it runs; after all others it has ended."""


@dataclass(frozen=True)
class Decision:
    """What is to be recorded about one version: by whom, why, and resting on which verdict.

    Parameters
    ----------
    version, model_digest
        The version that it is about.
    snapshot_digest : str
        The snapshot on whose test rows it was judged last.
    actor, reason : str
        Who decided, and why.
    verdict : str, optional
        The digest of the gate's verdict that it rests on.
    by_hand, overridden : bool
        Whether a person decided, and whether against the gate.
    at : datetime, optional
        When it was decided (UTC, aware), where that is not now: a replay has a clock of its own.
    finding : str, optional
        The gate's finding that is accepted, by its key; or of which experiment it is which stage, as ``name:stage``.
    """

    version: int
    model_digest: str
    snapshot_digest: str
    actor: str
    reason: str
    verdict: str | None = None
    by_hand: bool = False
    overridden: bool = False
    at: datetime | None = None
    finding: str | None = None


@dataclass(frozen=True)
class Entry:
    """One entry of the ledger.

    Parameters
    ----------
    number : int
        Its place, from 1.
    recorded_at : str
        When it was recorded (UTC, ISO 8601).
    product, event, version, model_digest, snapshot_digest, actor, reason, verdict, by_hand, overridden
        What happened to which version of which product: see `Decision`. The last two are 0 or 1.
    replaced : int or None
        The version that was champion before.
    previous, digest : str
        The digest of the entry before, and of this one.
    finding : str or None
        The gate's finding that an acceptance is of; or an experiment and its stage.
    """

    number: int
    recorded_at: str
    product: str
    event: Event
    version: int
    model_digest: str
    snapshot_digest: str
    replaced: int | None
    verdict: str | None
    actor: str
    reason: str
    by_hand: int
    overridden: int
    previous: str
    digest: str
    finding: str | None = None

    @property
    def content(self) -> dict[str, Any]:
        """All that is recorded, of which the digest is taken; without a finding, as before findings could be accepted."""
        left_out = {"digest"} if self.finding else {"digest", "finding"}
        return {name: value for name, value in vars(self).items() if name not in left_out}

    @property
    def tag(self) -> str:
        """What is made of the version is called so: its number, and the beginning of its digest."""
        return tag_of_version(self.version, self.model_digest)

    @property
    def stage(self) -> tuple[str, str]:
        """Of which experiment it is which stage; empty texts for other events."""
        name, _, stage = str(self.finding or "").partition(":") if self.event == "experiment" else ("", "", "")
        return name, stage

    @property
    def told(self) -> str:
        """Who, when and why, for a message."""
        return f"by {self.actor} on {self.recorded_at[:10]} ({self.reason})"


@dataclass(frozen=True)
class Standing:
    """What follows from a product's entries.

    Parameters
    ----------
    entries : tuple of Entry
        All entries of the product, in order.
    champion : Entry or None
        The entry by which the present champion serves.
    served : tuple of Entry
        The entries by which versions came to serve, in order.
    withdrawn : dict of str to Entry
        Models by digest that a person rolled back, or replaced by another; only a person may bring them back.
    invalid : dict of str to Entry
        Models by digest that may never be served again.
    accepted : dict of str to Entry
        The gate's findings by key that a person accepted, each by its latest acceptance.
    running : Entry or None
        The latest stage of the experiment that runs. It ends with its last stage, and when another champion serves.
    """

    entries: tuple[Entry, ...]
    champion: Entry | None
    served: tuple[Entry, ...]
    withdrawn: dict[str, Entry]
    invalid: dict[str, Entry]
    accepted: dict[str, Entry]
    running: Entry | None = None

    @classmethod
    def after(cls, entries: Iterable[Entry]) -> Standing:
        """Replay a product's entries."""
        found = tuple(entries)
        champion: Entry | None = None
        served: list[Entry] = []
        withdrawn: dict[str, Entry] = {}
        invalid: dict[str, Entry] = {}
        accepted: dict[str, Entry] = {}
        running: Entry | None = None
        for entry in found:
            before = champion
            if entry.event == "acceptance":
                accepted[str(entry.finding)] = entry
            elif entry.event == "experiment":
                running = entry if entry.stage[1].startswith(RUNNING) else None
            elif entry.event == "invalidation":
                invalid[entry.model_digest] = entry
                champion = None if champion and champion.model_digest == entry.model_digest else champion
            elif entry.event != "refusal":
                if entry.by_hand and champion is not None:
                    withdrawn[champion.model_digest] = entry
                withdrawn.pop(entry.model_digest, None)
                champion = entry
                served.append(entry)
            if running is not None and (champion is not before or running.model_digest in invalid):
                running = None
        return cls(found, champion, tuple(served), withdrawn, invalid, accepted, running)

    @property
    def champion_digest(self) -> str | None:
        """The champion's model digest."""
        return self.champion.model_digest if self.champion else None

    @property
    def fallback(self) -> Entry | None:
        """The version that served last before the champion and may still serve."""
        rolled_back = {digest for digest, entry in self.withdrawn.items() if entry.event == "rollback"}
        barred = {self.champion_digest, *rolled_back, *self.invalid}
        return next((entry for entry in reversed(self.served) if entry.model_digest not in barred), None)

    @property
    def vacancy(self) -> str:
        """Why nobody is served, and what to do; to run again what was refused would change nothing."""
        last = self.entries[-1] if self.entries else None
        if last is None or last.event in ("acceptance", "experiment"):
            return "nothing is served yet. Run `loopline run`."
        if last.event == "refusal":
            return f"version {last.version} was refused, and nothing is served. `loopline report {last.product}` says why."
        return f"nothing is served since version {last.version} was declared invalid. Train another: `loopline run`."

    def refused_by(self, version: int, verdict: str | None) -> Entry | None:
        """The refusal of a version by a verdict, if it is recorded."""
        told = ("refusal", version, verdict)
        return next((entry for entry in self.entries if (entry.event, entry.version, entry.verdict) == told), None)
