"""How the snapshots of two revisions differ: rows and columns that came or went, and the values that changed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import Any

from assets.features.snapshots import Snapshot
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, parquet

NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "UTINYINT",
    "UINTEGER",
    "UBIGINT",
)


@dataclass(frozen=True)
class ColumnChange:
    """A column that both snapshots hold and whose values differ.

    Parameters
    ----------
    name : str
        The column.
    rows : int
        Rows of both snapshots in which it differs; a value that is missing in one of them differs.
    share : float
        The share of the rows of both snapshots.
    distance : float or None
        Numbers: the mean absolute difference where both have one, in standard deviations of the former values; None where
        these do not vary. Others: half the sum of the absolute differences in the shares of their values (total variation).
    """

    name: str
    rows: int
    share: float
    distance: float | None


@dataclass(frozen=True)
class FeatureChanges:
    """How a snapshot differs from the one before.

    Parameters
    ----------
    rows : int
        The rows, by entity, that both hold.
    rows_added, rows_removed : int
        Rows of one of them alone.
    columns_added, columns_removed : tuple of str
        Columns of one of them alone.
    changed : tuple of ColumnChange
        The other columns that differ, the one with most rows first.
    """

    rows: int
    rows_added: int
    rows_removed: int
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    changed: tuple[ColumnChange, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.rows_added or self.rows_removed or self.columns_added or self.columns_removed or self.changed)


def feature_changes(before: Snapshot, after: Snapshot, entity: str) -> FeatureChanges:
    """Compare two snapshots row by row.

    Parameters
    ----------
    before, after : Snapshot
        The snapshots.
    entity : str
        The column that names a row, in both.
    """
    with tempfile.TemporaryDirectory() as scratch, scratch_database(scratch) as connection:
        for name, snapshot in (("before", before), ("after", after)):
            connection.execute(f"create view {name} as select * from {parquet(str(snapshot.path))}")
        types = {name: _types(connection, name) for name in ("before", "after")}
        key = identifier(entity)
        counted = f"""
            select count(*) filter (where b.{key} is not null and a.{key} is not null),
                count(*) filter (where b.{key} is null), count(*) filter (where a.{key} is null)
            from (select {key} from before) as b full join (select {key} from after) as a on a.{key} = b.{key}"""
        ((rows, added, removed),) = connection.execute(counted).fetchall()
        common = [name for name in types["before"] if name in types["after"] and name != entity]
        changed = _changed(connection, common, types, key, rows)
    return FeatureChanges(
        rows,
        added,
        removed,
        tuple(name for name in types["after"] if name not in types["before"]),
        tuple(name for name in types["before"] if name not in types["after"]),
        tuple(changed),
    )


def _types(connection: Any, view: str) -> dict[str, str]:
    return {str(row[0]): str(row[1]) for row in connection.execute(f"describe {view}").fetchall()}


def _changed(connection: Any, names: list[str], types: dict[str, dict[str, str]], key: str, rows: int) -> list[ColumnChange]:
    """The common columns that differ, all counted in one pass."""
    if not names or not rows:
        return []
    counts = ", ".join(f"count(*) filter (where {_other(name, types)})" for name in names)
    joined = f"from before as b join after as a on a.{key} = b.{key}"
    (found,) = connection.execute(f"select {counts} {joined}").fetchall()
    differing = [(name, int(count)) for name, count in zip(names, found, strict=True) if count]
    changes = [ColumnChange(name, count, count / rows, _distance(connection, name, types, joined)) for name, count in differing]
    return sorted(changes, key=lambda item: (-item.rows, item.name))


def _other(name: str, types: dict[str, dict[str, str]]) -> str:
    """Whether a column differs; where its type does, by its text."""
    column = identifier(name)
    if types["before"][name] == types["after"][name] or _are_numbers(name, types):
        return f"b.{column} is distinct from a.{column}"
    return f"b.{column}::varchar is distinct from a.{column}::varchar"


def _distance(connection: Any, name: str, types: dict[str, dict[str, str]], joined: str) -> float | None:
    column = identifier(name)
    if _are_numbers(name, types):
        query = f"select avg(abs(a.{column}::double - b.{column}::double)) / nullif(stddev_pop(b.{column}::double), 0) {joined}"
    else:
        query = f"""
            with pairs as (select b.{column}::varchar as former, a.{column}::varchar as present {joined}),
            former as (select former as value, count(*) as rows from pairs group by 1),
            present as (select present as value, count(*) as rows from pairs group by 1)
            select sum(abs(coalesce(former.rows, 0) - coalesce(present.rows, 0))) / 2.0 / (select count(*) from pairs)
            from former full join present on former.value is not distinct from present.value"""
    ((found,),) = connection.execute(query).fetchall()
    return None if found is None else float(found)


def _are_numbers(name: str, types: dict[str, dict[str, str]]) -> bool:
    return all(types[side][name].partition("(")[0] in NUMBERS for side in ("before", "after"))
