"""Answers: what was said of the rows of a step, by a champion or by the arms of an experiment, and what it came to.

The rows are scored from the snapshot of the step, which knows no later label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.features.snapshots import Snapshot
from assets.methods.abstention import ABSTAINED, decided_all, of_rows, paid, with_abstention
from assets.methods.expected import Draws, realised
from assets.methods.kinds import KINDS
from assets.methods.ranking import Array
from assets.methods.row_costs import row_costs
from assets.monitoring.champion_monitor import DRAWS
from assets.promotion.ledger_state import Entry
from assets.replay.experiment_arms import CONTROL, TREATMENT, Trial
from assets.replay.once import once
from assets.replay.settings import Replay
from assets.serving import batch_predictions
from assets.storage.digests import value_digest
from bentos.runtime import Model

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


@dataclass(frozen=True)
class Served:
    """Who answered from when to when (UTC, without a zone); beside the champion, the treatment of an experiment."""

    champion: Entry
    start: datetime
    end: datetime
    trial: Trial | None = None


@dataclass(frozen=True)
class ScoredRows:
    """What a model says of rows, and what it costs.

    Parameters
    ----------
    keys, days : ndarray of str of shape (n_rows,)
        The entities, and the local days.
    moments : ndarray of datetime64 of shape (n_rows,)
        When the rows came (UTC).
    labels, costs : ndarray of shape (n_rows,)
        NaN where the label is not known.
    outputs : ndarray of shape (n_rows,) or (n_rows, n_classes)
    decided : ndarray of shape (n_rows,)
    decision : dict
        The decision rule of the model.
    """

    keys: np.ndarray[Any, Any]
    days: np.ndarray[Any, Any]
    moments: np.ndarray[Any, Any]
    labels: Array
    costs: Array
    outputs: Array
    decided: np.ndarray[Any, Any]
    decision: dict[str, Any]


def scored(
    replay: Replay, snapshot: Snapshot, by: Entry, came: pd.DataFrame, *, start: datetime, end: datetime
) -> ScoredRows | None:
    """What a version says of the rows between two moments; None where there are none.

    Parameters
    ----------
    replay, snapshot
        What is played, and the rows.
    by : Entry
        The version.
    came : DataFrame
        From `outcomes`: what is known of what came.
    start, end : datetime
        The first moment and the first after it (UTC, without a zone).
    """
    spec = replay.spec
    table = batch_predictions.Scorer(replay.shared, spec, snapshot, by, start.replace(tzinfo=UTC)).between(start, end)
    if table is None:
        return None
    return of_answers(replay, Model.load(replay.shared.models / spec.name / by.model_digest, by.model_digest), table, came)


def of_answers(replay: Replay, model: Model, table: pd.DataFrame, came: pd.DataFrame) -> ScoredRows:
    """What a table of a model's answers comes to, given what came."""
    spec = replay.spec
    outputs, keys, moments = (
        batch_predictions.outputs_in(table, model),
        table[spec.features.entity],
        table[str(spec.features.event_time)],
    )
    labels, decided = came["label"].loc[keys].to_numpy(), model.decide(outputs)
    days = moments.dt.tz_localize("UTC").dt.tz_convert(spec.features.time_zone).dt.strftime("%Y-%m-%d")
    costs = row_costs(spec.kind, labels, decided, spec.prices)
    decision = dict(model.decision)
    if "is_abstained" in table:
        decision = with_abstention(
            decision, table["is_abstained"].to_numpy(), model.signature["uncertainty"]["abstain"]["cost"]
        )
        costs = np.where(np.isnan(labels), np.nan, paid(costs, decision))
    return ScoredRows(keys.to_numpy(), days.to_numpy(), moments.to_numpy(), labels, costs, outputs, decided, decision)


def outcomes(replay: Replay, path: Path, start: datetime, end: datetime, columns: Sequence[str] = ()) -> pd.DataFrame:
    """What came of the rows between two moments, by entity, as a file of rows knows it.

    Parameters
    ----------
    replay : Replay
        What is played.
    path : Path
        The history, which knows all, or a snapshot.
    start, end : datetime
        The first moment and the first after it (UTC, without a zone).
    columns : sequence of str
        Further columns.

    Returns
    -------
    DataFrame
        ``label`` (a number; NaN where it is not known) and the further columns, the index being the entity as text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    spec, moment = replay.spec, str(replay.spec.features.event_time)
    wanted = dict.fromkeys((spec.features.entity, spec.target.column, *columns))
    table = pq.read_table(path, columns=list(wanted), filters=[(moment, ">=", start), (moment, "<", end)])
    found = table.select(list(dict.fromkeys(columns))).to_pandas()
    found.index = table[spec.features.entity].cast(pa.string()).to_pandas()
    came = table[spec.target.column].to_pandas()
    labels, known = np.full(len(came), np.nan), came.notna().to_numpy()
    labels[known] = _numbers(replay, came[known])
    return found.assign(label=labels)


def units_of(path: Path, replay: Replay, unit: str, keys: np.ndarray[Any, Any]) -> list[str | None]:
    """The units of rows as text, as requests give them; None for a row without one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    entity = replay.spec.features.entity
    table = pq.read_table(path, columns=list(dict.fromkeys((entity, unit))))
    of_rows = dict(zip(table[entity].cast(pa.string()).to_pylist(), table[unit].cast(pa.string()).to_pylist(), strict=True))
    return [of_rows[key] for key in keys]


def answered(replay: Replay, step: int, snapshot: Snapshot, served: Sequence[Served]) -> dict[str, Any]:
    """What the answers of a step came to, once all labels are there.

    Returns
    -------
    dict
        ``rows`` and ``labelled``; ``metric``: the deciding one with its interval; ``days``: the cost of each local day;
        ``arms``: by experiment and arm, its rows, their cost, and what they would have cost under the other arm.
    """
    named = [[item.champion.model_digest, str(item.start), str(item.end), item.trial and item.trial.named] for item in served]
    record = replay.folder / "answers" / f"{step:03d}-{value_digest(named)[:16]}.json"
    return dict(once(record, lambda: _answered(replay, snapshot, served)))


def _answered(replay: Replay, snapshot: Snapshot, served: Sequence[Served]) -> dict[str, Any]:
    came = outcomes(replay, replay.history, served[0].start, served[-1].end)
    parts: list[tuple[ScoredRows, np.ndarray[Any, np.dtype[np.bool_]]]] = []
    arms: dict[str, Any] = {}
    for item in served:
        rows = scored(replay, snapshot, item.champion, came, start=item.start, end=item.end)
        if rows is None:
            continue
        if item.trial is None:
            parts.append((rows, np.ones(len(rows.keys), dtype=bool)))
            continue
        other = scored(replay, snapshot, item.trial.treatment, came, start=item.start, end=item.end)
        assert other is not None  # noqa: S101 - they are the same rows
        treated = item.trial.treats(units_of(snapshot.path, replay, item.trial.unit, rows.keys))
        parts += [(rows, ~treated), (other, treated)]
        arms[item.trial.stage.experiment] = {
            CONTROL: _arm(rows, other, ~treated),
            TREATMENT: _arm(other, rows, treated),
        }
    return came_to(replay, parts, arms)


def came_to(
    replay: Replay, parts: Sequence[tuple[ScoredRows, np.ndarray[Any, np.dtype[np.bool_]]]], arms: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What scored rows, of each part those that are chosen, came to; see `answered`."""
    spec, kind = replay.spec, KINDS[replay.spec.kind]
    kept = [(rows, chosen & ~np.isnan(rows.labels)) for rows, chosen in parts]
    totals: dict[str, float] = {}
    for rows, chosen in kept:
        names, places = np.unique(rows.days[chosen], return_inverse=True)
        for name, cost in zip(names, np.bincount(places, rows.costs[chosen], minlength=len(names)), strict=True):
            totals[str(name)] = totals.get(str(name), 0.0) + float(cost)
    found: dict[str, Any] = {
        "rows": sum(int(chosen.sum()) for _, chosen in parts),
        "labelled": sum(int(chosen.sum()) for _, chosen in kept),
        "days": dict(sorted(totals.items())),
        "metric": None,
        "arms": arms or {},
    }
    labels = np.concatenate([np.zeros(0), *(rows.labels[chosen] for rows, chosen in kept)])
    if len(np.unique(labels)) > 1:
        outputs = np.concatenate([rows.outputs[chosen] for rows, chosen in kept])
        # of the deciding metric alone: where that is the cost, abstaining is in the rule of the rows that are kept
        rules = [of_rows(rows.decision, chosen) for rows, chosen in kept]
        functions = kind.metric_functions(labels, outputs, _joined(rules), spec.prices)
        clusters = np.unique(np.concatenate([rows.days[chosen] for rows, chosen in kept]), return_inverse=True)[1]
        draws = Draws(clusters, DRAWS, spec.promotion.confidence, spec.model.seed)
        found["metric"] = realised({spec.metric: functions[spec.metric]}, draws).get(spec.metric)
    return found


def _joined(rules: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last of some rules, with what each says of its own rows."""
    if not all(ABSTAINED in rule for rule in rules):
        return decided_all(rules[-1])
    return {**rules[-1], ABSTAINED: np.concatenate([rule[ABSTAINED] for rule in rules])}


def _arm(own: ScoredRows, other: ScoredRows, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, float]:
    """The rows that an arm answered, and what they cost under it and under the other."""
    known = chosen & ~np.isnan(own.labels)
    costs = {"cost": float(own.costs[known].sum()), "other_cost": float(other.costs[known].sum())}
    return {"rows": int(chosen.sum()), "labelled": int(known.sum()), **costs}


def _numbers(replay: Replay, came: Any) -> Array:
    """Labels as the statistics take them."""
    if replay.spec.kind == "multiclass":
        return np.asarray([float((replay.spec.target.classes or ()).index(value)) for value in came])
    return np.asarray(came.astype("float64"))
