"""Label journal: in which order the labels of a champion's answers were learned, and the states that they came to.

A label is written down before it is learned, so that its place never changes; a state is written in one transaction with the
number of labels that it has learned. Whoever was killed in between learns the labels since the last state again, in the same
order. The journal holds no feature, no outcome and no entity: these stay in the logs, encrypted where those are.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

TABLES = """
create table if not exists told (name text primary key, value text not null) strict;
create table if not exists labels (
    place integer primary key, request_id text not null, row_number integer not null, told_at_ms integer not null,
    identity text, by_entity integer not null default 0, unique (request_id, row_number)
) strict;
create table if not exists states (
    rows integer primary key, place integer not null, name text not null, digest text not null, content text
) strict;
"""


CURRENT = "current.json"
"""The file beside the journals that says which state is served."""
LOOKED, WAITING = "looked_at", "waiting"
"""What a look notes beside where learning began."""
LATER = {"identity": "text", "by_entity": "integer not null default 0"}
"""Columns of labels that a journal lacks which an earlier version began."""


class Label(NamedTuple):
    """A label by the row of the request that it belongs to, and the outcome that it was told by.

    Parameters
    ----------
    request_id, row_number : str, int
        The row.
    told_at_ms : int
        When the outcome was told.
    identity : str, optional
        The outcome's entity and moment as a keyed digest (`assets.streaming.told_outcomes`), where the answer has an entity.
    by_entity : bool
        Whether the outcome was told by its entity.
    """

    request_id: str
    row_number: int
    told_at_ms: int
    identity: str | None = None
    by_entity: bool = False


COLUMNS = ", ".join(Label._fields)


def _label(found: Sequence[Any]) -> Label:
    request_id, row_number, told_at_ms, identity, by_entity = found
    return Label(request_id, row_number, told_at_ms, identity, bool(by_entity))


@dataclass(frozen=True)
class Kept:
    """A state that was kept.

    Parameters
    ----------
    rows : int
        The labels that it has learned.
    place : int
        The place of the last of them.
    name : str
        A digest over where learning began and all labels so far, with their features.
    digest : str
        The state's own.
    content : dict
        ``state`` and ``guard``; ``stopped`` says why updates ended with it, or is None.
    """

    rows: int
    place: int
    name: str
    digest: str
    content: dict[str, Any]


class LabelJournal:
    """The journal of one champion.

    Parameters
    ----------
    connection : sqlite3.Connection
        To its file.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        connection.executescript(TABLES)
        there = {name for _, name, *_ in connection.execute("pragma table_info(labels)")}
        for name in LATER.keys() - there:
            connection.execute(f"alter table labels add column {name} {LATER[name]}")

    def begin(self, beginning: str, since: str) -> str:
        """Begin, or go on; where learning begins otherwise than it did, all labels are learned again in their order.

        Parameters
        ----------
        beginning : str
            A digest of the promoted state, the declaration and the learner's code.
        since : str
            The first day (UTC) whose answers are learned; who goes on keeps to that of the first time.

        Returns
        -------
        str
            The first day.
        """
        told = dict(self.connection.execute("select name, value from told"))
        with self.connection:
            if told.get("beginning") != beginning:
                self.connection.execute("delete from states")
            first: str = told.get("since", since)
            given = {"beginning": beginning, "since": first}
            self.connection.executemany("insert or replace into told values (?, ?)", given.items())
        return first

    def note(self, looked_at: datetime, waiting: int) -> None:
        """Note that somebody looked for labels at a moment (aware), and how many wait."""
        with self.connection:
            noted = {LOOKED: looked_at.astimezone(UTC).isoformat(timespec="milliseconds"), WAITING: str(waiting)}
            self.connection.executemany("insert or replace into told values (?, ?)", noted.items())

    def known(self, most: int) -> Iterator[list[Label]]:
        """The labels that have a place, so many at a time."""
        found = self.connection.execute(f"select {COLUMNS} from labels order by place")
        while labels := found.fetchmany(most):
            yield list(map(_label, labels))

    def take(self, labels: Sequence[Label]) -> None:
        """Give labels their places, in this order; who has one keeps it."""
        with self.connection:
            self.connection.executemany(f"insert or ignore into labels ({COLUMNS}) values (?, ?, ?, ?, ?)", labels)

    def identify(self, labels: Sequence[Label]) -> None:
        """Note the outcomes that labels were told by, which an earlier version did not; their places stay."""
        query = "update labels set identity = ?, by_entity = ? where request_id = ? and row_number = ?"
        given = [(label.identity, label.by_entity, label.request_id, label.row_number) for label in labels]
        with self.connection:
            self.connection.executemany(query, given)

    def after(self, place: int, most: int) -> list[tuple[int, Label]]:
        """The labels behind a place, with theirs, in order."""
        query = f"select place, {COLUMNS} from labels where place > ? order by place limit ?"
        return [(number, _label(label)) for number, *label in self.connection.execute(query, (place, most))]

    def drop(self, places: Sequence[int]) -> None:
        """Forget labels that were never learned, and whose answers are in the log no more."""
        with self.connection:
            self.connection.executemany("delete from labels where place = ?", [(place,) for place in places])

    def keep(self, kept: Kept) -> None:
        """Keep a state; of earlier ones only the digests stay."""
        with self.connection:
            self.connection.execute("update states set content = null")
            content = json.dumps(kept.content, sort_keys=True)
            given = (kept.rows, kept.place, kept.name, kept.digest, content)
            self.connection.execute("insert into states values (?, ?, ?, ?, ?)", given)

    def last(self) -> Kept | None:
        """The last state that was kept."""
        found = self.connection.execute("select * from states order by rows desc limit 1").fetchone()
        if found is None:
            return None
        rows, place, name, digest, content = found
        return Kept(rows, place, name, digest, json.loads(content))

    def digests(self) -> list[tuple[int, str, str]]:
        """Of each state that was kept: the labels it has learned, its name and its digest."""
        return list(self.connection.execute("select rows, name, digest from states order by rows"))


@contextmanager
def journal(path: Path) -> Iterator[LabelJournal]:
    """The journal of a file, which is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    try:
        # what was committed outlives a power cut too
        connection.execute("pragma synchronous = full")
        yield LabelJournal(connection)
    finally:
        connection.close()
