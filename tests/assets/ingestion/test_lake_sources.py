"""Lake sources: one version is landed as a file would be, only new data files are read, and what cannot be read says why."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pydantic import ValidationError
from pyiceberg.types import StringType

from assets.errors import ContractError, SourceError
from assets.ingestion import extracts, forgotten, landing
from assets.ingestion.forgotten import KeyColumn
from assets.storage.home import Home
from tests.lake import ICEBERG, counts, good, iceberg, land, rows_read, sales, source

DELTA = {"path": "sales"}


class Delta:
    """A Delta table in a folder."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "sales"

    def append(self, rows: pa.Table) -> None:
        """Add rows as a version."""
        write_deltalake(self.place, rows, mode="append")

    def delete(self, condition: str) -> None:
        """Delete rows, as a version."""
        DeltaTable(self.place).delete(condition)

    @property
    def version(self) -> str:
        """The latest version."""
        return str(DeltaTable(self.place).version())


class Iceberg:
    """An Iceberg table of a catalogue in a folder."""

    def __init__(self, folder: Path) -> None:
        self.table = iceberg(folder)

    def append(self, rows: pa.Table) -> None:
        """Add rows as a snapshot."""
        self.table.append(rows)

    def delete(self, condition: str) -> None:
        """Delete rows, as a snapshot."""
        self.table.delete(condition)

    @property
    def version(self) -> str:
        """The current snapshot."""
        return str(self.table.current_snapshot().snapshot_id)


KINDS: dict[str, tuple[Callable[[Path], Any], dict[str, Any], str]] = {
    "delta": (Delta, DELTA, "version"),
    "iceberg": (Iceberg, ICEBERG, "snapshot"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_new_data_files_are_read_and_the_result_is_that_of_reading_all(home: Home, tmp_path: Path, kind: str) -> None:
    """After an append the new rows are read, after a delete those of the rewritten file; a version can be named."""
    make, declared, pin = KINDS[kind]
    table = make(tmp_path)
    table.append(sales([1, 2], 1))
    table.append(sales([3, 4, 2], 2))
    first = land(home, tmp_path, **{kind: declared})
    assert counts(first) == {"2020-01": (2, 0), "2020-02": (2, 1)}, "a key that repeats is found across data files"
    assert first["2020-02"].reasons == {"duplicate of an earlier row": 1}
    assert first["2020-01"].version is not None
    assert first["2020-01"].version["version"] == table.version
    assert rows_read(first) == 5
    pinned = int(table.version)

    table.append(sales([5], 2, 9.0))
    second = land(home, tmp_path, **{kind: declared})
    assert rows_read(second) == 1
    assert counts(second)["2020-02"] == (2, 2)
    assert second["2020-01"].digest == first["2020-01"].digest, "a month without new rows stays as it is"

    table.delete("id = 3")
    third = land(home, tmp_path, **{kind: declared})
    assert rows_read(third) < 6
    assert [row[0] for row in good(home, third, "2020-02")] == [4]
    elsewhere = Home(tmp_path / "elsewhere").prepare()
    whole = land(elsewhere, tmp_path, **{kind: declared})
    assert [record.digest for record in whole.values()] == [record.digest for record in third.values()]

    again = land(home, tmp_path, **{kind: {**declared, pin: pinned}})
    assert [record.digest for record in again.values()] == [record.digest for record in first.values()]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_other_months_are_not_read_where_the_months_column_is_named(home: Home, tmp_path: Path, kind: str) -> None:
    """March is neither landed nor counted; without the column it goes to quarantine."""
    make, declared, _ = KINDS[kind]
    table = make(tmp_path)
    for month in (1, 2, 3):
        table.append(sales([month], month))
    assert counts(land(home, tmp_path, **{kind: declared}))["unassigned"] == (0, 1)
    landed = land(home, tmp_path, **{kind: {**declared, "month_column": "day"}})
    assert rows_read(landed) == 2
    assert sum(record.rows_in for record in landed.values()) == 2
    with pytest.raises(SourceError, match=r"month_column 'amount' is a double\. Name a column that is a date"):
        land(home, tmp_path, **{kind: {**declared, "month_column": "amount"}})


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_of_a_table_changes_with_its_rows_and_with_nothing_else(home: Home, tmp_path: Path, kind: str) -> None:
    """By it a run knows that there is nothing to do; a table that is not there has none."""
    make, declared, _ = KINDS[kind]
    spec = source(**{kind: declared}).tables["sales"]
    assert extracts.state(spec, tmp_path) == ""
    table = make(tmp_path)
    table.append(sales([1], 1))
    before = extracts.state(spec, tmp_path)
    assert before == land(home, tmp_path, **{kind: declared})["2020-01"].source_digest
    assert extracts.state(spec, tmp_path) == before
    table.append(sales([2], 1))
    assert extracts.state(spec, tmp_path) != before


def test_a_vacuum_is_no_new_state(tmp_path: Path) -> None:
    """It is a version of the table, and holds the same rows."""
    table, spec = Delta(tmp_path), source(delta=DELTA).tables["sales"]
    table.append(sales([1, 2], 1))
    table.delete("id = 1")
    before, version = extracts.state(spec, tmp_path), table.version
    DeltaTable(table.place).vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert table.version != version
    assert extracts.state(spec, tmp_path) == before


def test_a_table_with_deletion_vectors_is_read_whole(home: Home, tmp_path: Path) -> None:
    """Its data files still hold the deleted row."""
    write_deltalake(tmp_path / "sales", sales(range(8), 1), configuration={"delta.enableDeletionVectors": "true"})
    assert rows_read(land(home, tmp_path, delta=DELTA)) == 8
    DeltaTable(tmp_path / "sales").delete("id = 3")
    landed = land(home, tmp_path, delta={**DELTA, "month_column": "day"})
    assert [row[0] for row in good(home, landed, "2020-01")] == [0, 1, 2, 4, 5, 6, 7]


def test_a_table_with_mapped_columns_is_read_by_their_names(home: Home, tmp_path: Path) -> None:
    """Its data files name the columns otherwise."""
    mapped = {"delta.columnMapping.mode": "name", "delta.minReaderVersion": "2", "delta.minWriterVersion": "5"}
    write_deltalake(tmp_path / "sales", sales([7], 1, 2.5), configuration=mapped)
    landed = land(home, tmp_path, delta=DELTA)
    assert [(row[0], row[2]) for row in good(home, landed, "2020-01")] == [(7, 2.5)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_type_is_refused_until_it_is_accepted(home: Home, tmp_path: Path, kind: str) -> None:
    """The error names the column with both types, and how to accept; what was landed stays. A new column is no break."""
    make, declared, _ = KINDS[kind]
    table = make(tmp_path)
    table.append(sales([1], 1))
    before = land(home, tmp_path, **{kind: declared})
    changed = sales([1], 1).set_column(2, "amount", pa.array(["1.5"])).append_column("more", pa.array(["y"]))
    if kind == "delta":
        write_deltalake(table.place, changed, mode="overwrite", schema_mode="overwrite")
    else:
        with table.table.update_schema(allow_incompatible_changes=True) as update:
            update.delete_column("amount")
        with table.table.update_schema() as update:
            update.add_column("amount", StringType())
            update.add_column("more", StringType())
        table.table.overwrite(changed)
    with pytest.raises(
        ContractError, match=r"its schema changed: amount was double and is string\. Nothing was landed"
    ) as refused:
        land(home, tmp_path, **{kind: declared})
    assert (home.root / before["2020-01"].file).exists()
    digest = str(refused.value).rpartition("accept_schema: ")[2][:12]
    landed = land(home, tmp_path, **{kind: {**declared, "accept_schema": digest}})
    assert [row[2] for row in good(home, landed, "2020-01")] == [1.5]
    land(home, tmp_path, **{kind: declared})


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_lacks_a_column_is_refused(home: Home, tmp_path: Path, kind: str) -> None:
    """Such as the column of its time."""
    make, declared, _ = KINDS[kind]
    make(tmp_path).append(sales([1], 1))
    columns = {"id": {"type": "integer"}, "sold_at": {"type": "timestamp"}}
    partition = {"month": "sold_at", "start": "2020-01", "end": "2020-02"}
    with pytest.raises(SourceError, match=r"the table lacks \['sold_at'\]\. It has id, day, amount, other"):
        land(home, tmp_path, **{kind: declared}, columns=columns, partition=partition)


def test_a_version_that_is_not_there_is_told_with_those_that_are(home: Home, tmp_path: Path) -> None:
    """By number, by a moment before the first, and one whose files were vacuumed."""
    table = Delta(tmp_path)
    with pytest.raises(SourceError, match=r"sales: there is none\. Correct 'delta'"):
        land(home, tmp_path, delta=DELTA)
    table.append(sales([1, 2], 1))
    table.delete("id = 1")
    with pytest.raises(SourceError, match=r"has no version 9\. Its log tells of versions 0 \(\d{4}.*\) to 1 \(\d{4}"):
        land(home, tmp_path, delta={**DELTA, "version": 9})
    with pytest.raises(SourceError, match=r"has no version as of 2001-01-01\. Its log tells of versions 0"):
        land(home, tmp_path, delta={**DELTA, "as_of": "2001-01-01"})
    assert counts(land(home, tmp_path, delta={**DELTA, "as_of": "2999-01-01"}))["2020-01"] == (1, 0)
    shutil.rmtree(home.extracts)
    DeltaTable(table.place).vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(SourceError, match=r"a file of version 0 is gone .* The version was vacuumed"):
        land(home, tmp_path, delta={**DELTA, "version": 0})


def test_a_catalogue_that_cannot_be_used_says_why(home: Home, tmp_path: Path) -> None:
    """No file, no table, no snapshot, no server, a file of the table that is gone."""
    with pytest.raises(SourceError, match=r"there is no catalogue .*catalog\.db"):
        land(home, tmp_path, iceberg=ICEBERG)
    table = Iceberg(tmp_path)
    with pytest.raises(SourceError, match="holds no rows to read at empty"):
        land(home, tmp_path, iceberg=ICEBERG)
    table.append(sales([1], 1))
    with pytest.raises(SourceError, match="the catalogue has no such table"):
        land(home, tmp_path, iceberg={**ICEBERG, "table": "shop.nothing"})
    with pytest.raises(SourceError, match=rf"has no snapshot 7; .* {table.version} \("):
        land(home, tmp_path, iceberg={**ICEBERG, "snapshot": 7})
    with pytest.raises(SourceError, match=r"has no snapshot as of 2001-01-01"):
        land(home, tmp_path, iceberg={**ICEBERG, "as_of": "2001-01-01"})
    with pytest.raises(SourceError, match=r"cannot be read \(ConnectionError.* Check the catalogue"):
        land(home, tmp_path, iceberg={**ICEBERG, "catalog": "http://127.0.0.1:1"})
    for file in tmp_path.glob("warehouse/**/*.parquet"):
        file.unlink()
    with pytest.raises(SourceError, match=r"the catalogue names a file that is gone"):
        land(home, tmp_path, iceberg=ICEBERG)


def test_a_damaged_extract_is_read_again(home: Home, tmp_path: Path) -> None:
    """It is a cache, and its digest is held against its bytes."""
    Delta(tmp_path).append(sales([1, 2], 1))
    before = land(home, tmp_path, delta=DELTA)
    assert rows_read(land(home, tmp_path, delta=DELTA)) == 0
    (piece,) = (home.extracts / "shop" / "sales").glob("*.parquet")
    piece.write_bytes(piece.read_bytes()[:-1] + b"?")
    after = land(home, tmp_path, delta=DELTA)
    assert rows_read(after) == 2
    assert after["2020-01"].digest == before["2020-01"].digest


def test_nothing_is_kept_of_a_table_with_forgotten_entities(home: Home, tmp_path: Path) -> None:
    """The table still holds their rows; the landing leaves them out, and the home holds them nowhere."""
    Delta(tmp_path).append(sales([1, 2], 1))
    land(home, tmp_path, delta=DELTA)
    spec = source(delta=DELTA)
    column = KeyColumn.of("shop", "sales", spec.tables["sales"], "id")
    assert column is not None
    forgotten.remember(home, column, "1")
    (first,) = (item for item in landing.land(home, spec, "sales", tmp_path) if item.partition == "2020-01")
    assert (first.rows_in, first.rows_good) == (1, 1)
    assert not list(home.extracts.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"file": "a.csv", "delta": DELTA}, "needs exactly one of file, delta, iceberg, postgres, and has file, delta"),
        ({}, "and has none"),
        ({"delta": {}}, "exactly one of 'path' and 'uri'"),
        ({"delta": {**DELTA, "version": 1, "as_of": "2020-01-01"}}, "has both 'version' and 'as_of'"),
        ({"delta": {**DELTA, "as_of": "yesterday"}}, "which is no moment"),
        ({"delta": {"uri": "s3://key:secret@bucket/t"}}, "holds credentials in 'uri'"),
        ({"delta": {**DELTA, "month_column": "when"}}, "month_column 'when', which 'columns' does not declare"),
        ({"iceberg": {**ICEBERG, "catalog": "mysql://x"}}, "has a catalogue at mysql://"),
        ({"postgres": {"connection": "DB", "table": "t", "cursor": "at"}}, "the cursor 'at', which 'columns' does not declare"),
        ({"postgres": {"connection": "DB", "cursor": "day"}}, "exactly one of 'table' and 'query'"),
        ({"postgres": {"connection": "postgresql://u:p@h/d", "table": "t", "cursor": "day"}}, "should match pattern"),
    ],
)
def test_a_declaration_of_two_places_or_none_is_refused(table: dict[str, Any], told: str) -> None:
    """And so are credentials in a declaration."""
    with pytest.raises(ValidationError) as refused:
        source(**table)
    assert told in str(refused.value)
