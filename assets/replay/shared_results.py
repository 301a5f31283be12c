"""What policies have in common: a step's model, what is found out about it, and what the gate says of it.

Each is made once, by whoever needs it first. What a champion's answers came to is in `answers`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from assets.errors import DataError
from assets.evaluation import evidence
from assets.evaluation.evidence import Evidence
from assets.evaluation.examinations import examinations_of
from assets.features.snapshots import Snapshot
from assets.promotion import error_budget, gate, verdicts
from assets.promotion.ledger_state import Standing
from assets.replay.history import landed
from assets.replay.once import once
from assets.replay.settings import Replay
from assets.storage.digests import value_digest
from assets.storage.locks import exclusive
from assets.training import training


@dataclass(frozen=True)
class Judged:
    """What came of a challenger: whether it is promoted, why, and the digest of the gate's verdict."""

    promoted: bool
    told: str
    digest: str


def model_of(replay: Replay, step: int) -> tuple[str, float]:
    """The digest of the model that a step's snapshot gives, and the seconds that its training took.

    Raises
    ------
    DataError
        If the snapshot breaks its contract, or cannot teach.
    """
    record = replay.folder / "steps" / f"{step:03d}-model.json"
    snapshot, breaks = landed(replay, step)
    if breaks:
        raise DataError(f"step {step}: the snapshot breaks its contract: {'; '.join(breaks)}")

    def trained() -> dict[str, Any]:
        started = time.perf_counter()
        made = training.train(replay.shared, replay.spec, snapshot)
        return {"digest": made.digest, "seconds": time.perf_counter() - started, "rows": made.train_rows}

    found = once(record, trained)
    return str(found["digest"]), float(found["seconds"])


def evidence_of(replay: Replay, snapshot: Snapshot, digest: str) -> dict[str, Evidence]:
    """All that can be found out about a model on the snapshot it was trained on."""
    with exclusive(replay.folder / "steps" / f"{digest[:16]}.lock"):
        known = evidence.found(replay.shared, replay.spec.name, digest, snapshot.digest)
        return {
            name: known.get(name) or examination.look(replay.shared, replay.spec, snapshot, digest)
            for name, examination in examinations_of(replay.spec).items()
        }


def judged(replay: Replay, snapshot: Snapshot, digest: str, standing: Standing) -> Judged:
    """The gate's verdict; a challenger that does not beat the champion is refused before anything else is asked."""
    named: list[Any] = [snapshot.digest, digest, standing.champion_digest, sorted({*standing.withdrawn, *standing.invalid})]
    if replay.spec.promotion.error_budget is not None:  # the level is that of this policy's past
        named.append(error_budget.error_budget(replay.shared, replay.spec, standing.entries).next_level)
    record = replay.folder / "verdicts" / f"{value_digest(named)[:32]}.json"
    return Judged(**once(record, lambda: asdict(_judged(replay, snapshot, digest, standing))))


def _judged(replay: Replay, snapshot: Snapshot, digest: str, standing: Standing) -> Judged:
    def judge(evidence: dict[str, Evidence]) -> verdicts.Verdict:
        return gate.judge(replay.shared, replay.spec, snapshot, evidence=evidence, challenger_digest=digest, standing=standing)

    if standing.champion is not None:
        first = judge({})
        lost = [item.missed for item in first.findings if item.gate == "champion" and item.refuses]
        if lost:
            return Judged(promoted=False, told=f"refused: {'; '.join(lost)}", digest=first.digest)
    verdict = judge(evidence_of(replay, snapshot, digest))
    return Judged(verdict.promoted, verdict.told, verdict.digest)
