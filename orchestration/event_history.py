"""Dagster's history: how its SQLite files are kept open while runs write to it, and what is read of it without Dagster."""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from assets.errors import DigestError
from assets.storage import metadata
from assets.storage.home import Home
from assets.storage.metadata import Part
from orchestration.staleness.run_tags import BY_HAND, LAUNCHER


@contextmanager
def held_open(folder: Path) -> Iterator[None]:
    """Keep each database under a folder open beside Dagster, and let its write-ahead log be synced only when it is full.

    Dagster opens a connection for each event and closes it, and the close of a database's last connection writes the whole
    log back and syncs it: some 1,500 times in a run. With another connection open it stays. Every commit survives the
    process; when the machine stops, the last ones may be missing, and what they recorded is made again
    (https://www.sqlite.org/wal.html, section 2.3; `pragma synchronous`).
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    held: dict[str, sqlite3.Connection] = {}

    @cache
    def is_ours(path: str) -> bool:
        return Path(path).resolve().is_relative_to(folder)

    def hold(connection: Any, _: Any) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        path = connection.execute("pragma database_list").fetchone()[2]
        if not path or not is_ours(path):
            return
        connection.execute("pragma synchronous = normal")
        if path not in held and connection.execute("pragma journal_mode").fetchone()[0] == "wal":
            held[path] = sqlite3.connect(path, check_same_thread=False)
            held[path].execute("pragma schema_version").fetchone()  # it counts once it has read

    event.listen(Engine, "connect", hold)
    try:
        yield
    finally:
        event.remove(Engine, "connect", hold)
        for connection in held.values():
            connection.close()


def last_run(home: Home) -> dict[str, str] | None:
    """The run that was started last: ``run_id``, ``status``, ``ended_at``; None where there was none.

    Read from the database itself, as to import Dagster takes longer than all else that `loopline status` does.
    """
    found = _read(home, Part.RUNS, "select run_id, status, end_time from runs order by id desc limit 1")
    if not found:
        return None
    ((run_id, state, ended),) = found
    ended_at = datetime.fromtimestamp(ended, UTC).isoformat(timespec="seconds") if ended else ""
    return {"run_id": run_id, "status": state, "ended_at": ended_at}


def unfinished(home: Home) -> list[tuple[str, str]]:
    """Runs that have not ended, each with its status; not those of `loopline run`, as the home's lock tells of them."""
    return _read(
        home,
        Part.RUNS,
        "select run_id, lower(status) from runs where status in ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING') "
        "and run_id not in (select run_id from run_tags where key = ? and value = ?)",
        (LAUNCHER, BY_HAND),
    )


def ended(home: Home) -> dict[str, float]:
    """When each run that has ended did so (seconds since 1970), but for the one that was started last."""
    return dict(
        _read(
            home,
            Part.RUNS,
            "select run_id, end_time from runs where end_time is not null and id < (select max(id) from runs)",
        )
    )


def recorded(home: Home) -> set[str]:
    """All runs."""
    return {row[0] for row in _read(home, Part.RUNS, "select run_id from runs")}


LATEST = (
    "(select max(id) from event_logs where dagster_event_type in ('ASSET_MATERIALIZATION', 'ASSET_OBSERVATION') "
    "group by asset_key, partition, dagster_event_type)"
)
"""The last materialization and observation of each asset or partition."""


def code_versions(home: Home) -> set[str]:
    """The code versions of what was made last of any asset or partition."""
    made = _read(home, Part.EVENTS, f"select event from event_logs where id in {LATEST}")
    return {version for (event,) in made for version in re.findall(r'"dagster/code_version": "(\w+)"', event)}


def code_changes(home: Home, since: datetime) -> list[tuple[str, str, str]]:
    """The assets that were made by other code than before, since a moment (aware): key, when, and the code version."""
    made = _read(
        home,
        Part.EVENTS,
        "select asset_key, event, timestamp from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' order by id",
    )
    last: dict[str, str] = {}
    found = []
    for key, event, at in made:
        version = next(iter(re.findall(r'"dagster/code_version": "(\w+)"', event)), "")
        moment = (at if isinstance(at, datetime) else datetime.fromisoformat(at)).replace(tzinfo=UTC)
        if version and last.get(key, version) != version and moment >= since:
            found.append(("/".join(json.loads(key)), moment.isoformat(timespec="seconds"), version))
        last[key] = version or last.get(key, "")
    return found


def needed(home: Home) -> set[str]:
    """The runs that hold the last materialization, observation or check of any asset or partition."""
    latest = (
        f"select run_id from event_logs where id in {LATEST} "
        "union select run_id from asset_check_executions where id in (select max(id) from asset_check_executions "
        "group by asset_key, check_name, partition, execution_status)"
    )
    return {row[0] for row in _read(home, Part.EVENTS, latest)}


def forget_checks(home: Home, run: str) -> None:
    """Remove the checks of a run; Dagster leaves them when it deletes the run itself."""
    metadata.write(home, Part.EVENTS, "delete from asset_check_executions where run_id = ?", [(run,)])


def forget_snapshots(home: Home) -> None:
    """Remove what Dagster recorded of jobs and plans of runs that are gone; it leaves that when it deletes a run."""
    stored = {
        name: (number, zlib.decompress(body).decode())
        for number, name, body in _read(home, Part.RUNS, "select id, snapshot_id, snapshot_body from snapshots")
    }
    texts = [body for (body,) in _read(home, Part.RUNS, "select run_body from runs")]
    needed: set[str] = set()
    while texts:  # a job names the one that it is a part of
        named = {name for text in texts for name in re.findall(r'"\w*snapshot_id": "(\w+)"', text)} & stored.keys() - needed
        needed |= named
        texts = [stored[name][1] for name in named]
    last = max((stored[name][0] for name in needed), default=0)  # those after it may be of a run that is about to start
    gone = [(name,) for name, (number, _) in stored.items() if name not in needed and number < last]
    if gone:
        metadata.write(home, Part.RUNS, "delete from snapshots where snapshot_id = ?", gone)


def last_made(home: Home, keys: Iterable[Iterable[str]]) -> datetime | None:
    """When the last of some assets, each given by the parts of its key, was made; None where none ever was."""
    names = [json.dumps(list(key)) for key in keys]
    query = f"select max(last_materialization_timestamp) from asset_keys where asset_key in ({', '.join('?' * len(names))})"
    found = _read(home, Part.EVENTS, query, names)
    if not found or not found[0][0]:
        return None
    made = found[0][0]  # text in SQLite, a time in PostgreSQL
    return (made if isinstance(made, datetime) else datetime.fromisoformat(made)).replace(tzinfo=UTC)


def evaluated(home: Home) -> list[tuple[tuple[str, ...], str, str, bool]]:
    """Checks that were evaluated, in order: the asset's key, the check, the run, and whether it passed."""
    query = (
        "select asset_key, check_name, run_id, execution_status from asset_check_executions "
        "where execution_status in ('SUCCEEDED', 'FAILED') order by id"
    )
    found = _read(home, Part.EVENTS, query)
    return [(tuple(json.loads(key)), check, run, state == "SUCCEEDED") for key, check, run, state in found]


def made(home: Home, key: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """The materializations of an asset, in order: the run, and the tags with the versions of code, inputs and output."""
    query = (
        "select run_id, event from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' and asset_key = ? order by id"
    )
    rows = _read(home, Part.EVENTS, query, [json.dumps(list(key))])
    events = [(run, json.loads(event)["dagster_event"]["event_specific_data"]) for run, event in rows]
    return [(run, event["materialization"]["tags"] or {}) for run, event in events]


def started_by_themselves(home: Home) -> list[str]:
    """The runs that a schedule or a sensor started."""
    query = "select distinct run_id from run_tags where key in ('dagster/schedule_name', 'dagster/sensor_name')"
    return [run for (run,) in _read(home, Part.RUNS, query)]


def _read(home: Home, part: Part, query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    try:
        return metadata.read(home, part, query, values)
    except sqlite3.DatabaseError as error:
        raise DigestError(
            f"{part.named(home)} cannot be read ({error}). Restore it from a backup, or delete the folder dagster of this "
            "home: `loopline run` then makes everything anew."
        ) from error
