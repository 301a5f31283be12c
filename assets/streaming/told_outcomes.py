"""Told outcomes: which of those that were told of a champion's answers are new, and which were learned already.

An outcome is told by the row of a request, or by an entity and a moment, and then belongs to the entity's last answer before
it that the log holds. A request whose line reaches the log later changes that answer. So an outcome has an identity of its
own, a keyed digest of entity and moment, by which it is found again whatever row it belongs to by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.monitoring.logged_outcomes import KEYED
from assets.storage import pseudonym_key
from assets.storage.home import Home
from assets.storage.sql import literal
from assets.streaming.label_journal import Label, LabelJournal

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BATCH = 20_000
"""The labels that pass through Python's memory at a time; DuckDB spills what is more to disk."""
NAMED = 3
"""The contradicted labels that are named."""
SCHEMA = "request_id varchar, row_number bigint, told_at_ms bigint, identity varchar, by_entity boolean"
SAME = (
    "select l.request_id, l.row_number, t.request_id as told_id, t.row_number as told_number, t.outcome, "
    "l.by_entity and t.by_entity as is_moved "
    "from tellings t join learned l on t.identity = l.identity and (t.by_entity or l.by_entity)"
)
"""Labels with outcomes of the same entity and moment, where one of the two was told by the entity; both, and perhaps moved."""
FRESH = """
with firsts as (
    select distinct on (request_id, row_number) * from tellings t
    where (request_id, row_number) not in (
        select (request_id, row_number) from learned union all select (told_id, told_number) from same where is_moved
    )
    and not exists (from learned l where l.identity = t.identity and (l.by_entity or t.by_entity))
    order by request_id, row_number, told_at_ms, observed_at, outcome
),
numbered as (
    select *, row_number() over each as number, bool_or(by_entity) over (partition by identity) as is_one from firsts
    window each as (partition by identity order by told_at_ms, request_id)
)
select request_id, row_number, told_at_ms, identity, by_entity, identity is null or number = 1 or not is_one as is_new
from numbered
"""
"""Of each row the first outcome that may be its label, and whether it is one: another may be the same outcome."""
NEW = "select * exclude (is_new) from fresh where is_new"

IDENTIFIED = """
select distinct on (request_id, row_number) request_id, row_number, told_at_ms, t.identity, t.by_entity
from learned l join tellings t using (request_id, row_number, told_at_ms) where l.identity is null and t.identity is not null
order by request_id, row_number, t.observed_at, t.outcome
"""
"""Labels that an earlier version took, with the outcomes that they were told by."""


@dataclass(frozen=True)
class Contradicted:
    """Labels of which several values were told; the one that was told first stands.

    Parameters
    ----------
    count : int
    named : tuple of str
        The first of them, as ``request/row``.
    """

    count: int = 0
    named: tuple[str, ...] = ()


class ToldOutcomes:
    """The outcomes that were told of a champion's answers, beside the labels that have their places in its journal.

    Parameters
    ----------
    connection : DuckDBPyConnection
        With the views of `assets.monitoring.logged_outcomes.answered`.
    home : Home
        Whose key identities are made by.
    digest : str
        The champion's. Answers of which the log keeps less than was asked do not count.
    journal : LabelJournal
        Its journal.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, home: Home, digest: str, journal: LabelJournal) -> None:
        self.connection = connection
        has_entities = bool(connection.execute("select 1 from log where entity is not null limit 1").fetchall())
        self.key = pseudonym_key.secret(home).hex() if has_entities else None
        identity = f"case when o.row_number = 0 then {self.identity('l.entity')} end"
        connection.execute(
            "create temp table tellings as select o.request_id, o.row_number, epoch_ms(told_at) as told_at_ms, observed_at, "
            f"outcome, by_entity, {identity} as identity from (select {KEYED} from resolved where outcome is not null) o "
            f"join (select {KEYED} from log where model_digest = ? and hidden is null) l using (key, more_key)",
            [digest],
        )
        connection.execute(f"create temp table learned ({SCHEMA})")
        connection.execute(f"create temp view same as {SAME}")
        for labels in journal.known(BATCH):
            connection.register("given", as_table(labels))
            connection.execute("insert into learned from given")
            connection.unregister("given")
        connection.execute(f"create temp table identified as {IDENTIFIED}")
        found = connection.execute("from identified")
        while given := found.fetchmany(BATCH):
            journal.identify([Label(*label) for label in given])
        connection.execute(
            "update learned set identity = i.identity, by_entity = i.by_entity from identified i "
            "where learned.request_id = i.request_id and learned.row_number = i.row_number"
        )

    def identity(self, entity: str) -> str:
        """The expression of an outcome's identity, by that of its entity; null where that is."""
        if self.key is None:
            return "cast(null as varchar)"
        return f"left(sha256({literal(self.key)} || ' ' || epoch_ms(observed_at) || ' ' || {entity}), 32)"

    def by_entity(self) -> str:
        """A query of the outcomes that were told by entity: ``identity``, ``told_at_ms``, ``outcome``."""
        columns = f"{self.identity('entity')} as identity, epoch_ms(told_at) as told_at_ms, min(outcome) as outcome"
        return f"select {columns} from told where request_id is null and outcome is not null group by all"

    def fresh(self) -> Iterator[list[Label]]:
        """The labels that have no place yet, in the order in which they were told, some at a time.

        Of several outcomes of one row the first stands; so it does of several of one entity and moment, where one is told by
        the entity. A row to which an outcome moved that another row was learned by is left out, whatever else is told of it.
        Where a row's first outcome is another's, its next one is asked for at once: another look at these logs finds nothing.
        """
        is_all = False
        while not is_all:
            self.connection.execute(f"create or replace temp table fresh as {FRESH}")
            found = self.connection.execute(f"{NEW} order by told_at_ms, request_id, row_number")
            while labels := found.fetchmany(BATCH):
                yield [Label(*label) for label in labels]
            self.connection.execute(f"insert into learned {NEW}")
            is_all = not self.connection.execute("select 1 from fresh where not is_new limit 1").fetchall()

    def contradicted(self) -> Contradicted:
        """The labels with a place of which another value was told too."""
        found = self.connection.execute(
            "with again as (select request_id, row_number, t.outcome from learned join tellings t using (request_id, "
            "row_number) union all select request_id, row_number, outcome from same) "
            "select request_id || '/' || row_number, count(*) over () from again group by request_id, row_number "
            f"having min(outcome) != max(outcome) order by request_id, row_number limit {NAMED}"
        ).fetchall()
        return Contradicted(found[0][1], tuple(name for name, _ in found)) if found else Contradicted()


def as_table(labels: Sequence[Label]) -> pa.Table:
    """Labels as DuckDB takes them."""
    import pyarrow as pa

    kinds = (pa.string(), pa.int64(), pa.int64(), pa.string(), pa.bool_())
    columns = zip(Label._fields, zip(*labels, strict=True), kinds, strict=True)
    return pa.table({name: pa.array(values, kind) for name, values, kind in columns})
