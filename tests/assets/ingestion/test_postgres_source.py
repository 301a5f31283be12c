"""PostgreSQL sources: what is landed is what the table holds, and only rows above the cursor are read where that is enough."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from assets.errors import ContractError, SourceError
from assets.ingestion import extracts
from assets.ingestion.landed_tables import Landed
from assets.storage.home import Home
from tests import lake
from tests.databases import postgres
from tests.lake import counts, good, rows_read

POSTGRES = {"connection": "SHOP_DATABASE", "table": "shop.sales", "cursor": "updated_at"}
COLUMNS = {
    **lake.COLUMNS,
    "updated_at": {"type": "timestamp"},
    "note": {"type": "text", "nullable": True, "null_values": []},
    "is_gift": {"type": "boolean", "nullable": True},
}


@pytest.fixture(scope="module")
def server() -> Iterator[psycopg.Connection[Any]]:
    """A PostgreSQL of these tests' own."""
    with postgres() as connection:
        if connection is None:
            pytest.skip("PostgreSQL is not installed")
        yield connection


@pytest.fixture
def database(server: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> psycopg.Connection[Any]:
    """A table of ten sales in January, named by `SHOP_DATABASE`, whose connection holds a password."""
    server.execute("drop schema if exists shop cascade")
    server.execute("create schema shop")
    server.execute(
        "create table shop.sales (id bigint, day timestamptz, amount numeric, updated_at timestamptz, note text, is_gift boolean)"
    )
    server.execute(
        "insert into shop.sales select i, '2020-01-05 03:00+03', i / 4.0, '2020-03-01'::timestamptz + i * interval '1 minute' "
        "from generate_series(1, 10) i"
    )
    monkeypatch.setenv("SHOP_DATABASE", f"host={server.info.host} user=tester dbname=postgres password=topsecret")
    return server


def land(home: Home, **declared: Any) -> dict[str, Landed]:
    """What is landed of the table, by month."""
    return lake.land(home, Path("/"), postgres={**POSTGRES, **declared}, columns=COLUMNS)


def note(landed: dict[str, Landed]) -> str:
    """Why the table was read whole again."""
    (told,) = {record.version["note"] for record in landed.values() if record.version}
    return str(told)


def test_values_land_as_the_database_holds_them(home: Home, database: psycopg.Connection[Any]) -> None:
    """Moments in UTC, an empty text apart from none, quotes and line ends, whatever the database's own settings are."""
    database.execute("alter database postgres set timezone = 'Asia/Tokyo'")
    database.execute("alter database postgres set datestyle = 'German'")
    database.execute("delete from shop.sales where id > 3")
    database.execute("update shop.sales set note = E'a,\"b\"\\n\\\\N', is_gift = true where id = 1")
    database.execute("update shop.sales set note = '', is_gift = false where id = 2")
    landed = land(home)
    rows = good(home, landed, "2020-01")
    assert [(str(row[1]), row[2]) for row in rows] == [("2020-01-05 00:00:00", value) for value in (0.25, 0.5, 0.75)]
    assert [row[4] for row in rows] == ['a,"b"\n\\N', "", None]
    assert [row[5] for row in rows] == [True, False, None]
    database.execute("alter database postgres reset all")


def test_only_rows_above_the_cursor_are_read(home: Home, database: psycopg.Connection[Any]) -> None:
    """New rows are added, changed ones replace those with their key, nothing is read where nothing changed."""
    assert rows_read(land(home)) == 10
    assert rows_read(land(home)) == 0
    database.execute("insert into shop.sales values (11, '2020-02-01', 1, '2020-03-02')")
    database.execute("update shop.sales set amount = 3.5, updated_at = '2020-03-03' where id = 4")
    landed = land(home)
    assert (rows_read(landed), note(landed)) == (2, "")
    assert counts(landed) == {"2020-01": (10, 0), "2020-02": (1, 0)}
    assert next(row[2] for row in good(home, landed, "2020-01") if row[0] == 4) == 3.5


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ("insert into shop.sales values (12, '2020-01-01', 1, '2020-02-02')", 11),
        ("delete from shop.sales where id = 4", 9),
    ],
    ids=["a row that comes late", "a row that is deleted"],
)
def test_what_the_cursor_does_not_tell_is_found_by_counting(
    home: Home, database: psycopg.Connection[Any], change: str, left: int
) -> None:
    """The table is read whole, and the landing says why."""
    land(home)
    database.execute(change)
    landed = land(home)
    assert "rows came late, changed without a key, or were deleted" in note(landed)
    assert counts(landed)["2020-01"] == (left, 0)
    assert rows_read(land(home)) == 0


def test_another_server_is_another_table(
    home: Home, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy with the same number of rows up to the same cursor is read whole: its rows may be others."""
    land(home)
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        (Path(folder) / "copy").symlink_to(database.info.host)
        monkeypatch.setenv("SHOP_DATABASE", f"host={folder}/copy user=tester dbname=postgres")
        database.execute("update shop.sales set amount = 3.5 where id = 4")
        landed = land(home)
    assert rows_read(landed) == 10
    assert next(row[2] for row in good(home, landed, "2020-01") if row[0] == 4) == 3.5


def test_landed_step_by_step_or_at_once_is_the_same(home: Home, database: psycopg.Connection[Any], tmp_path: Path) -> None:
    """Where the cursor told every change."""
    land(home)
    for number in range(1, 6):
        database.execute(f"update shop.sales set amount = 2, updated_at = '2020-04-0{number}' where id = {2 * number}")
        step = land(home)
    assert note(step) == ""
    whole = land(Home(tmp_path / "elsewhere").prepare())
    assert good(home, step, "2020-01") == good(Home(tmp_path / "elsewhere"), whole, "2020-01")


def test_a_query_and_its_months_are_read_by_the_database(home: Home, database: psycopg.Connection[Any]) -> None:
    """Rows of other months never leave it."""
    database.execute("insert into shop.sales values (11, '2020-05-01', 1, '2020-03-02')")
    query = {"table": None, "query": "select * from shop.sales where id > 8"}
    assert counts(land(home, **query)) == {"2020-01": (2, 0), "2020-02": (0, 0), "unassigned": (0, 1)}
    landed = land(home, **query, month_column="day")
    assert sum(record.rows_in for record in landed.values()) == 2


def test_a_cursor_that_cannot_be_one_is_refused(home: Home, database: psycopg.Connection[Any]) -> None:
    """One that went back, is null in a row, or has no order."""
    with pytest.raises(SourceError, match=r"the cursor note is a text\. Name a column that is a number"):
        land(home, cursor="note")
    land(home)
    database.execute("delete from shop.sales where id > 5")
    with pytest.raises(
        SourceError, match=r"the cursor updated_at went back from 2020-03-01 00:10:00\+00 to 2020-03-01 00:05:00\+00"
    ):
        land(home)
    database.execute("update shop.sales set updated_at = null where id = 3")
    with pytest.raises(SourceError, match=r"the cursor updated_at is null in 1 of 5 rows"):
        land(home)


def test_a_changed_type_is_refused(home: Home, database: psycopg.Connection[Any]) -> None:
    """Also where every value can still be read."""
    land(home)
    database.execute("alter table shop.sales alter amount type text")
    with pytest.raises(ContractError, match=r"its schema changed: amount was numeric and is text"):
        land(home)


def test_no_error_and_no_file_holds_the_password(
    home: Home, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with the connection."""
    land(home)
    for given in (
        "postgresql//tester:topsecret@host",
        "host=/nowhere user=tester password=topsecret",
        "password=topsecret port=x",
    ):
        monkeypatch.setenv("SHOP_DATABASE", given)
        with pytest.raises(SourceError) as refused:
            land(home)
        assert "topsecret" not in "".join(map(str, (refused.value, refused.value.__cause__)))
        assert "SHOP_DATABASE" in str(refused.value)
        assert extracts.state(lake.source(postgres=POSTGRES, columns=COLUMNS).tables["sales"], Path("/")) == ""
    monkeypatch.delenv("SHOP_DATABASE")
    with pytest.raises(SourceError, match="the environment variable SHOP_DATABASE is not set"):
        land(home)
    assert not [path for path in home.root.rglob("*") if path.is_file() and b"topsecret" in path.read_bytes()]


def test_a_table_that_is_not_there_is_told(home: Home, database: psycopg.Connection[Any]) -> None:
    """And so is an empty one."""
    with pytest.raises(SourceError, match=r'relation "nothing" does not exist'):
        land(home, table="nothing")
    database.execute("delete from shop.sales")
    with pytest.raises(SourceError, match="holds no rows to read"):
        land(home)
