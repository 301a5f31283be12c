"""What policies have in common: a step's model, what is found out about it, and what a champion's answers came to.

Each is made once, by whoever needs it first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from assets.errors import DataError
from assets.evaluation import evidence
from assets.evaluation.evidence import Evidence
from assets.evaluation.examinations import EXAMINATIONS
from assets.features.snapshots import Snapshot
from assets.methods.expected import Draws, realised
from assets.methods.kinds import KINDS
from assets.monitoring.champion_monitor import COST, DRAWS
from assets.promotion import error_budget, gate, verdicts
from assets.promotion.ledger_state import Entry, Standing
from assets.replay.history import landed
from assets.replay.once import once
from assets.replay.settings import Replay
from assets.serving import batch_predictions
from assets.storage.digests import value_digest
from assets.storage.locks import exclusive
from assets.training import training
from bentos.runtime import Model


@dataclass(frozen=True)
class Served:
    """Who answered from when to when (UTC, without a zone)."""

    champion: Entry
    start: datetime
    end: datetime


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
            for name, examination in EXAMINATIONS.items()
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


def answered(replay: Replay, step: int, snapshot: Snapshot, served: Sequence[Served]) -> dict[str, Any]:
    """What the answers of a step came to, once all labels are there.

    The rows are scored from the snapshot of the step, which knows no later label; what became of them is in the history.

    Returns
    -------
    dict
        ``rows`` and ``labelled``; ``metric``: the deciding one with its interval; ``days``: the cost of each local day.
    """
    named = [[item.champion.model_digest, str(item.start), str(item.end)] for item in served]
    record = replay.folder / "answers" / f"{step:03d}-{value_digest(named)[:16]}.json"
    return dict(once(record, lambda: _answered(replay, snapshot, served)))


def _answered(replay: Replay, snapshot: Snapshot, served: Sequence[Served]) -> dict[str, Any]:
    import pandas as pd
    import pyarrow.parquet as pq

    spec, kind = replay.spec, KINDS[replay.spec.kind]
    moment, target = str(spec.features.event_time), spec.target.column
    inside = [(moment, ">=", served[0].start), (moment, "<", served[-1].end)]
    came_of = pq.read_table(replay.history, columns=[spec.features.entity, target], filters=inside).to_pandas()
    truth = came_of.set_index(came_of[spec.features.entity].astype(str))[target]
    labels, outputs, days, costs = [], [], [], []
    rows = 0
    for item in served:
        scorer = batch_predictions.Scorer(replay.shared, spec, snapshot, item.champion, item.start.replace(tzinfo=UTC))
        table = scorer.between(item.start, item.end)
        if table is None:
            continue
        rows += len(table)
        came = truth.loc[table[spec.features.entity]]
        known = came.notna().to_numpy()
        if not known.any():
            continue
        model = Model.load(replay.shared.models / spec.name / item.champion.model_digest, item.champion.model_digest)
        said, label = batch_predictions.outputs_in(table, model)[known], _numbers(replay, came[known])
        local = table[moment][known].dt.tz_localize("UTC").dt.tz_convert(spec.features.time_zone).dt.strftime("%Y-%m-%d")
        for day, places in pd.Series(np.arange(len(local))).groupby(local.to_numpy()):
            chosen = places.to_numpy()
            functions = kind.metric_functions(label[chosen], said[chosen], model.decision, spec.prices)
            costs.append((str(day), float(functions[COST](np.ones(len(chosen)))) * len(chosen) / 1000))
        labels.append(label)
        outputs.append(said)
        days.append(local.to_numpy())
    totals: dict[str, float] = {}
    for day, cost in costs:
        totals[day] = totals.get(day, 0.0) + cost
    found: dict[str, Any] = {"rows": rows, "labelled": sum(map(len, labels)), "days": totals, "metric": None}
    if labels and len(np.unique(np.concatenate(labels))) > 1:
        functions = kind.metric_functions(np.concatenate(labels), np.concatenate(outputs), model.decision, spec.prices)
        clusters = np.unique(np.concatenate(days), return_inverse=True)[1]
        draws = Draws(clusters, DRAWS, spec.promotion.confidence, spec.model.seed)
        found["metric"] = realised({spec.metric: functions[spec.metric]}, draws).get(spec.metric)
    return found


def _numbers(replay: Replay, came: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Labels as the statistics take them."""
    if replay.spec.kind == "multiclass":
        return np.asarray([float((replay.spec.target.classes or ()).index(value)) for value in came])
    return np.asarray(came.astype("float64"))
