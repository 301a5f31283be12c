"""What policies have in common: a step's model, what is found out about it, and what a champion's answers came to.

Each is made once, by whoever needs it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from assets import evidence, scoring, training
from assets.errors import DataError
from assets.evidence import Evidence
from assets.methods.expected import Draws, realised
from assets.methods.kinds import KINDS
from assets.monitoring import COST, DRAWS
from assets.snapshots import Snapshot
from assets.standing import Entry
from assets.storage import exclusive, read_json, value_digest, write_json
from bentos.runtime import Model
from orchestration.examining import EXAMINATIONS
from orchestration.replay.history import landed
from orchestration.replay.settings import Replay


@dataclass(frozen=True)
class Served:
    """Who answered from when to when (UTC, without a zone)."""

    champion: Entry
    start: datetime
    end: datetime


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
    with exclusive(record.with_suffix(".lock")):
        if not record.exists():
            started = datetime.now(UTC)
            made = training.train(replay.shared, replay.spec, snapshot)
            seconds = (datetime.now(UTC) - started).total_seconds()
            write_json(record, {"digest": made.digest, "seconds": seconds, "rows": made.train_rows})
    found = read_json(record)
    return str(found["digest"]), float(found["seconds"])


def evidence_of(replay: Replay, snapshot: Snapshot, digest: str) -> dict[str, Evidence]:
    """All that can be found out about a model on the snapshot it was trained on."""
    with exclusive(replay.folder / "steps" / f"{digest[:16]}.lock"):
        known = evidence.found(replay.shared, replay.spec.name, digest, snapshot.digest)
        return {
            stage: known.get(stage) or look(replay.shared, replay.spec, snapshot, digest)
            for stage, look in EXAMINATIONS.items()
        }


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
    with exclusive(record.with_suffix(".lock")):
        if not record.exists():
            write_json(record, _answered(replay, snapshot, served))
    return dict(read_json(record))


def _answered(replay: Replay, snapshot: Snapshot, served: Sequence[Served]) -> dict[str, Any]:
    import pandas as pd
    import pyarrow.parquet as pq

    spec, kind = replay.spec, KINDS[replay.spec.kind]
    time, target = str(spec.features.event_time), spec.target.column
    inside = [(time, ">=", served[0].start), (time, "<", served[-1].end)]
    came_of = pq.read_table(replay.history, columns=[spec.features.entity, target], filters=inside).to_pandas()
    truth = came_of.set_index(came_of[spec.features.entity].astype(str))[target]
    labels, outputs, days, costs = [], [], [], []
    rows = 0
    for item in served:
        scorer = scoring.Scorer(replay.shared, spec, snapshot, item.champion, item.start.replace(tzinfo=UTC))
        table = scorer.between(item.start, item.end)
        if table is None:
            continue
        rows += len(table)
        came = truth.loc[table[spec.features.entity]]
        known = came.notna().to_numpy()
        if not known.any():
            continue
        model = Model.load(replay.shared.models / spec.name / item.champion.model_digest, item.champion.model_digest)
        said, label = scoring.outputs_in(table, model)[known], _numbers(replay, came[known])
        local = table[time][known].dt.tz_localize("UTC").dt.tz_convert(spec.features.time_zone).dt.strftime("%Y-%m-%d")
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
