"""History: what was known at each step, cut from all that ever came; nothing of the future is in a cut."""

from __future__ import annotations

from typing import Any

from assets import contracts, features
from assets.snapshots import Snapshot, opened
from assets.spec import ProductSpec
from assets.sql import identifier, literal, parquet
from assets.storage import publishing, read_json, write_json
from assets.what_if import injected
from orchestration.replay.once import once
from orchestration.replay.settings import Replay

KEEPS = "keeps.json"
"""Whether the whole history keeps its contract: then so does each row of a cut."""


def prepare(replay: Replay) -> None:
    """Write the history that is played: as it was, or with what is injected."""
    import duckdb

    if replay.history.exists():
        return
    given = parquet(str(replay.snapshot.path))
    query = f"select * from {given}" if replay.what_if is None else injected(replay.spec, replay.what_if, given)
    order = ", ".join(identifier(name) for name in (str(replay.spec.features.event_time), replay.spec.features.entity))
    with duckdb.connect() as connection:
        connection.execute(f"create temp table {features.CANDIDATE} as {query} order by {order}")
        write_json(replay.folder / KEEPS, not contracts.check(features.table(connection), _as_published(replay)))
        with publishing(replay.history) as temporary:
            connection.execute(f"copy {features.CANDIDATE} to {literal(str(temporary))} (format parquet, compression zstd)")


def landed(replay: Replay, step: int) -> tuple[Snapshot, list[str]]:
    """The rows of a step as a snapshot, made once for all policies, and how they break their contract.

    It holds the rows of all steps so far. A label that was not known at the step's clock is missing, and so is what else is
    known only with it.
    """
    home, record = replay.shared, replay.folder / "steps" / f"{step:03d}.json"
    found = once(record, lambda: _cut(replay, step))
    return opened(home, replay.spec.name, found["digest"]), list(found["breaks"])


def _cut(replay: Replay, step: int) -> dict[str, Any]:
    import duckdb

    spec = _as_published(replay)
    hidden = ""
    if (known := spec.target.known_at) is not None:
        later = f"{identifier(known)} > timestamp '{replay.clock(step)}'"
        masked = [spec.target.column, known, *spec.target.unlabelled_because]
        hidden = ", ".join(f"case when {later} then null else {identifier(name)} end as {identifier(name)}" for name in masked)
    with duckdb.connect() as connection:
        connection.execute(
            f"create temp table {features.CANDIDATE} as select *{f' replace ({hidden})' if hidden else ''} "
            f"from {parquet(str(replay.history))} "
            f"where {identifier(str(spec.features.event_time))} < timestamp '{replay.bounds[step]}'"
        )
        breaks = contracts.check(features.table(connection), spec, rows_keep=bool(read_json(replay.folder / KEEPS)))
        digest = features.write(replay.shared.prepare(), spec, connection).digest
    return {"breaks": [str(item) for item in breaks], "digest": digest}


def _as_published(replay: Replay) -> ProductSpec:
    """The product as it reads its own snapshot: what that holds is a label already."""
    return replay.spec.model_copy(update={"target": replay.spec.target.model_copy(update={"positive": None})})
