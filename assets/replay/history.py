"""History: what was known at each step, cut from all that ever came; nothing of the future is in a cut."""

from __future__ import annotations

from typing import Any

from assets.features import data_contract, publish
from assets.features.known_rows import as_published, known_rows
from assets.features.snapshots import Snapshot, opened
from assets.replay.once import once
from assets.replay.settings import Replay
from assets.replay.what_if import injected
from assets.storage.drafts import draft_folder
from assets.storage.publishing import publishing, read_json, write_json
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, literal, parquet

KEEPS = "keeps.json"
"""Whether the whole history keeps its contract: then so does each row of a cut."""


def prepare(replay: Replay) -> None:
    """Write the history that is played: as it was, or with what is injected."""
    if replay.history.exists():
        return
    given = parquet(str(replay.snapshot.path))
    query = f"select * from {given}" if replay.what_if is None else injected(replay.spec, replay.what_if, given)
    order = ", ".join(identifier(name) for name in (str(replay.spec.features.event_time), replay.spec.features.entity))
    with draft_folder(replay.shared) as scratch, scratch_database(scratch) as connection:
        connection.execute(f"create temp table {publish.CANDIDATE} as {query} order by {order}")
        write_json(replay.folder / KEEPS, not data_contract.check(publish.table(connection), as_published(replay.spec)))
        with publishing(replay.history) as temporary:
            connection.execute(f"copy {publish.CANDIDATE} to {literal(str(temporary))} (format parquet, compression zstd)")


def landed(replay: Replay, step: int) -> tuple[Snapshot, list[str]]:
    """The rows of a step as a snapshot, made once for all policies, and how they break their contract.

    It holds the rows of all steps so far. A label that was not known at the step's clock is missing, and so is what else is
    known only with it.
    """
    home, record = replay.shared, replay.folder / "steps" / f"{step:03d}.json"
    found = once(record, lambda: _cut(replay, step))
    return opened(home, replay.spec.name, found["digest"]), list(found["breaks"])


def _cut(replay: Replay, step: int) -> dict[str, Any]:
    spec = as_published(replay.spec)
    known = known_rows(spec, parquet(str(replay.history)), before=replay.bounds[step], clock=replay.clock(step))
    with draft_folder(replay.shared) as scratch, scratch_database(scratch) as connection:
        connection.execute(f"create temp table {publish.CANDIDATE} as {known}")
        breaks = data_contract.check(publish.table(connection), spec, rows_keep=bool(read_json(replay.folder / KEEPS)))
        digest = publish.write(replay.shared.prepare(), spec, connection).digest
    return {"breaks": [str(item) for item in breaks], "digest": digest}
