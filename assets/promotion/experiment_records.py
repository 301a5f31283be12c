"""Experiment records: what each stage of an experiment rests on, one file a stage, whose digest its entry of the ledger has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assets.errors import DigestError
from assets.promotion.ledger_state import Entry, Standing
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import published, write_json

PLANNED = "planned_units"
"""What is added to a declaration when it starts: the units that it is planned to have, fixed before the first came."""

LEVEL = "error_level"
"""What is added to the declaration of a test: the chance of calling an arm better that is not, which its arms share. It is
`false_positive`, or what is left of the product's error budget for it, where that is less."""


@dataclass(frozen=True)
class Arm:
    """Who answers in an arm, and which share of the entities it has."""

    name: str
    version: int
    model_digest: str
    share: float


@dataclass(frozen=True)
class Stage:
    """A stage of an experiment.

    Parameters
    ----------
    experiment, kind : str
        Its name; and ``test``, ``canary`` or ``shadow``.
    salt : str
        What makes the places of its entities its own.
    arms : tuple of Arm
        The control last: an entity that another arm answers is answered by it also when its share has grown.
    started_at, began_at : str
        When the experiment started, and this stage, or the one that ended with it (UTC, ISO 8601).
    declared : mapping
        The experiment as it was declared when it started.
    evidence : mapping
        What was found at the look that this stage follows from; empty for the first.
    """

    experiment: str
    kind: str
    salt: str
    arms: tuple[Arm, ...]
    started_at: str
    began_at: str
    declared: Mapping[str, Any]
    evidence: Mapping[str, Any]

    @property
    def level(self) -> float:
        """The chance of calling an arm better that is not; 0 for those who do not ask that."""
        return float(self.declared.get(LEVEL, self.declared["false_positive"])) if self.kind == "test" else 0.0

    @property
    def control(self) -> Arm:
        """The champion's arm."""
        return self.arms[-1]

    @property
    def treatments(self) -> tuple[Arm, ...]:
        """The other arms."""
        return self.arms[:-1]


def write(home: Home, product: str, stage: Stage) -> str:
    """Keep a stage, and return its digest."""
    record = asdict(stage)
    digest = value_digest(record)
    path = _place(home, product, stage.experiment, digest)
    if not path.exists():
        write_json(path, record)
    return digest


def read(home: Home, entry: Entry) -> Stage:
    """The stage that an entry of the ledger records.

    Raises
    ------
    DigestError
        If it is gone, or was changed.
    """
    digest = str(entry.verdict)
    path = _place(home, entry.product, entry.stage[0], digest)
    record = published(path, "a stage of an experiment is gone")
    if value_digest(record) != digest:
        raise DigestError(f"{path} was changed after it was published. Restore it from a backup.")
    return Stage(**{**record, "arms": tuple(Arm(**arm) for arm in record["arms"])})


def running(home: Home, standing: Standing) -> Stage | None:
    """The stage of the experiment that runs, if one does; raises like `read`."""
    return None if standing.running is None else read(home, standing.running)


def _place(home: Home, product: str, name: str, digest: str) -> Path:
    return home.experiments / product / f"{name}-{digest[:16]}.json"
