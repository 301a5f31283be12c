"""Retraining triggers: the registry of what may start a training, and what has happened of it.

An event is named by what happened, so the same news twice is one event. Whether it starts a training is for
`retraining_decisions`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from assets.errors import DigestError
from assets.features import snapshots
from assets.registries import Registry
from assets.spec import ProductSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import published, read_json

DRIFT, QUALITY = ("data", "model", "concept", "volume"), ("quality", "expected_quality", "coverage")
"""The kinds of alarm that are events of drift, and of quality."""


@dataclass(frozen=True)
class Event:
    """What may start a training.

    Parameters
    ----------
    trigger : str
        Its kind, as it is declared in ``retrain.triggers``; or ``manual``.
    name : str
        What happened, as a digest: the same news has the same name.
    told : str
        What happened, for people; it is carried to the model version and the ledger.
    """

    trigger: str
    name: str
    told: str


@dataclass(frozen=True)
class RetrainingTrigger:
    """One kind of news that may start a training.

    Parameters
    ----------
    name, description : str
        By what name ``retrain.triggers`` lists it, and what happens.
    event : callable
        Gives the event, if there is one: of the home, the declaration and the moment (UTC, aware).
    reads_alarms : bool
        Whether it reads what the monitoring said; a replay looks only where a policy has such a trigger.
    """

    name: str
    description: str
    event: Callable[[Home, ProductSpec, datetime], Event | None]
    reads_alarms: bool = False


def events(home: Home, spec: ProductSpec, now: datetime) -> list[Event]:
    """What has happened, of all that is declared, in the order of the declaration.

    Parameters
    ----------
    home : Home
        Holds the snapshot, the model and what the monitoring said.
    spec : ProductSpec
        The declaration.
    now : datetime
        The moment (UTC, aware) up to which a schedule may have come due.
    """
    found = (RETRAINING_TRIGGERS[name].event(home, spec, now) for name in spec.retrain.triggers)
    return [event for event in found if event is not None]


def manual(reason: str, now: datetime) -> Event:
    """What a person asks for."""
    return Event("manual", value_digest([reason, now.isoformat()])[:16], reason)


def _drift(home: Home, spec: ProductSpec, _: datetime) -> Event | None:
    return _alarms(home, spec, "drift", DRIFT)


def _quality(home: Home, spec: ProductSpec, _: datetime) -> Event | None:
    return _alarms(home, spec, "quality", QUALITY)


def _alarms(home: Home, spec: ProductSpec, trigger: str, kinds: Sequence[str]) -> Event | None:
    """The alarms of these kinds that stand in the last period."""
    place = home.monitoring / spec.name / "current.json"
    if not place.exists():
        return None
    record = read_json(place.parent / read_json(place)["file"])
    standing = [alarm for alarm in record["alarms"] if alarm["kind"] in kinds]
    if not standing:
        return None
    last = record["periods"][-1]["name"]
    told = "; ".join(f"{alarm['what']}: {alarm['told']}" for alarm in standing[:3])
    more = f", and {len(standing) - 3} more" if len(standing) > 3 else ""
    return _event(trigger, [record["model_digest"], last], f"{trigger} in {last}: {told}{more}")


def _new_data(home: Home, spec: ProductSpec, _: datetime) -> Event | None:
    """A snapshot that no model was trained on."""
    snapshot, taught = snapshots.current(home, spec.name), _taught_on(home, spec)
    if taught in (None, snapshot.digest):
        return None
    return _event("new_data", [snapshot.digest], f"new data: snapshot {snapshot.digest[:12]} of {snapshot.rows:,} rows")


def _labels(home: Home, spec: ProductSpec, _: datetime) -> Event | None:
    """Enough labels that the last model did not know of."""
    snapshot, taught = snapshots.current(home, spec.name), _taught_on(home, spec)
    if taught in (None, snapshot.digest):
        return None
    try:
        before = _labelled(spec, snapshots.opened(home, spec.name, str(taught)))
    except DigestError:
        return None  # the earlier snapshot is gone: nobody can say how many are new
    new = _labelled(spec, snapshot) - before
    if new < spec.retrain.min_new_labels:
        return None
    return _event("labels", [snapshot.digest], f"labels: {new:,} more are known than when the last model was trained")


def _labelled(spec: ProductSpec, snapshot: snapshots.Snapshot) -> int:
    import pyarrow.parquet as pq

    column = pq.read_table(snapshot.path, columns=[spec.target.column]).column(0)
    return len(column) - int(column.null_count)


def _due(_: Home, spec: ProductSpec, now: datetime) -> Event | None:
    """The last moment at which the schedule was due; those that nobody looked at before it are one with it."""
    from zoneinfo import ZoneInfo

    from croniter import croniter

    local = now.astimezone(ZoneInfo(spec.schedule.time_zone))
    due = croniter(spec.schedule.cron, local).get_prev(datetime)
    return _event(
        "schedule", [due.astimezone(UTC).isoformat()], f"schedule: due {due:%Y-%m-%d %H:%M} {spec.schedule.time_zone}"
    )


RETRAINING_TRIGGERS = Registry(
    "RETRAINING_TRIGGERS",
    (
        RetrainingTrigger("new_data", "There is a snapshot that no model was trained on.", _new_data),
        RetrainingTrigger("labels", "`retrain.min_new_labels` labels are known that the last model did not know.", _labels),
        RetrainingTrigger("drift", "An alarm of drift stands.", _drift, reads_alarms=True),
        RetrainingTrigger("quality", "An alarm of quality stands, expected or realised.", _quality, reads_alarms=True),
        RetrainingTrigger("schedule", "The product's `schedule` came due.", _due),
    ),
)


def _taught_on(home: Home, spec: ProductSpec) -> str | None:
    """The snapshot that the last model was trained on."""
    path = home.models / spec.name / "current.json"
    return str(published(path, "")["snapshot_digest"]) if path.exists() else None


def _event(trigger: str, named: list[str], told: str) -> Event:
    return Event(trigger, value_digest([trigger, *named])[:16], told)
