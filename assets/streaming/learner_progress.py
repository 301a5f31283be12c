"""Learner progress: when the learner of a champion's labels last looked, and which outcomes it has not seen since.

A learner that ended says nothing; what it left says when it looked, and the outcomes that were told later that it is gone.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from assets.monitoring import outcome_store
from assets.observability.learner_silence import SILENT_MINUTES
from assets.promotion.ledger_state import Entry
from assets.storage import day_files
from assets.storage.day_files import PARQUET
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.streaming.label_journal import CURRENT, LOOKED, WAITING
from assets.training.learning import LEARNING
from bentos.runtime import read_signature


@dataclass(frozen=True)
class LearnerProgress:
    """How far the labels of a champion's answers are learned.

    Parameters
    ----------
    looked_at : str or None
        When a learner last looked (UTC); None if none ever did.
    learned, waiting : int
        The labels that the served state learned since the promotion, and those that wait until there are enough for the next.
    unseen : int
        The outcomes that were told since the last look, or since the promotion.
    unseen_since : str or None
        When the first of them was told (UTC).
    stopped : str or None
        Why the promoted state answers again: nothing more is learned of this champion.
    """

    looked_at: str | None
    learned: int
    waiting: int
    unseen: int
    unseen_since: str | None
    stopped: str | None

    def is_behind(self, now: datetime, silent: int = SILENT_MINUTES) -> bool:
        """Whether outcomes wait for a look for longer than the minutes that a learner may be silent."""
        since = self.unseen_since
        return since is not None and now - datetime.fromisoformat(since) > timedelta(minutes=silent)

    def told(self, product: str, now: datetime, silent: int = SILENT_MINUTES) -> str:
        """The progress in a sentence."""
        if self.stopped is not None:
            return f"answers as it was promoted again: {self.stopped}"
        looked = "no learner has looked" if self.looked_at is None else f"a learner looked {_ago(self.looked_at, now)}"
        learned = f"{self.learned:,} labels learned since the promotion, {self.waiting:,} wait; {looked}"
        if self.unseen_since is None or not self.is_behind(now, silent):
            return learned
        return (
            f"{learned}; {self.unseen:,} outcomes were told since, the first {_ago(self.unseen_since, now)}: "
            f"run `loopline learn-online {product}`"
        )


def progress(home: Home, champion: Entry) -> LearnerProgress | None:
    """How far the labels of a champion's answers are learned; None where it was trained without `updates`."""
    folder = home.models / champion.product / champion.model_digest
    learning = read_signature(folder).get(LEARNING) if (folder / "model.json").exists() else None
    if learning is None:
        return None
    from assets.training.online.way import UPDATES

    if UPDATES not in learning:
        return None
    noted = _noted(home.updates(champion.product) / f"{champion.model_digest}.sqlite")
    looked_at = noted.get(LOOKED)
    learned, stopped = 0, None
    current = home.updates(champion.product) / CURRENT
    if current.exists() and (record := read_json(current))["model_digest"] == champion.model_digest:
        learned, stopped = record["rows"], record["stopped"] and record["stopped"]["reason"]
    count, first = (0, None) if stopped else _told_after(home, champion.product, looked_at or champion.recorded_at)
    return LearnerProgress(looked_at, learned, int(noted.get(WAITING, 0)), count, first, stopped)


def _noted(journal: Path) -> dict[str, str]:
    """What the last look noted, read beside who may be writing."""
    if not journal.exists():
        return {}
    # not read-only: what a learner that was killed in a transaction left could not be rolled back, and not be read
    with closing(sqlite3.connect(f"file:{journal}?mode=rw", uri=True, timeout=30)) as connection:
        return dict(connection.execute("select name, value from told")) if day_files.holds(connection, "told") else {}


def _told_after(home: Home, product: str, moment: str) -> tuple[int, str | None]:
    """How many outcomes were told after a moment, and when the first of them was."""
    after = datetime.fromisoformat(moment).astimezone(UTC)
    count = 0
    firsts: list[str] = []
    with day_files.shared(home, product):
        for file in outcome_store.files(home, product):
            if day_files.day_of(file) >= after.date().isoformat():
                found, first = _lines_after(file, after)
                count, firsts = count + found, [*firsts, *([first] if first else [])]
    return count, min(firsts, default=None)


def _lines_after(file: Path, after: datetime) -> tuple[int, str | None]:
    if file.suffix == PARQUET:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        told = pq.read_table(file, columns=["told_at_utc"])["told_at_utc"]
        later = told.filter(pc.greater(told, after))
        return len(later), pc.min(later).as_py().isoformat(timespec="milliseconds") if len(later) else None
    with day_files.reading(file) as connection:
        if not day_files.holds(connection, "outcomes"):
            return 0, None
        query = "select count(*), min(told_at_utc) from outcomes where told_at_utc > ?"
        count, first = connection.execute(query, [after.isoformat(timespec="milliseconds")]).fetchone()
        return int(count), first


def _ago(moment: str, now: datetime) -> str:
    """How long ago a moment was.

    Examples
    --------
    >>> now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> [_ago(moment, now) for moment in ("2026-03-02T11:59:30Z", "2026-03-02T09:10:00Z", "2026-02-27T12:00:00Z")]
    ['30 seconds ago', '2.8 hours ago', '3 days ago']
    """
    seconds = max((now - datetime.fromisoformat(moment)).total_seconds(), 0.0)
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit} ago"
    return f"{seconds:.0f} seconds ago"
