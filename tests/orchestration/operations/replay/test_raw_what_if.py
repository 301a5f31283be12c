"""Raw what-ifs go through landing, contract and warehouse as real files do, and change what they name and nothing else."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from assets.errors import SpecificationError
from assets.features import snapshots
from assets.features.snapshots import Snapshot, read
from assets.ingestion import forgotten
from assets.spec import ProductSpec, SourceSpec, read_declaration
from assets.spec.product import DATA
from assets.spec.replay import WhatIfSpec
from assets.storage.home import Home
from orchestration.operations.replay.raw_what_if import altered_history, landed_altered
from orchestration.operations.verification.verify import verify
from tests.models import snapshot_of
from tests.replays import everyone, spec_of
from tests.world import REPOSITORY, World


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the customers' file lies."""
    folder = tmp_path_factory.mktemp("customers")
    everyone(2000).to_csv(folder / "customers.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def spec() -> ProductSpec:
    """Customers, as their file has them."""
    return spec_of()


@pytest.fixture(scope="module")
def home(folder: Path) -> Home:
    """A home to replay in."""
    return Home(folder / "home").prepare()


@pytest.fixture(scope="module")
def snapshot(home: Home, spec: ProductSpec) -> Snapshot:
    """The history as it was."""
    return snapshot_of(home, spec, everyone(2000))


def what_if(*raw: dict[str, Any]) -> WhatIfSpec:
    """A what-if of raw files alone."""
    return WhatIfSpec.model_validate({"name": "other", "description": "Otherwise.", "raw": list(raw)})


@pytest.fixture(scope="module")
def altered(home: Home, spec: ProductSpec, snapshot: Snapshot, folder: Path) -> Any:
    """Makes the history with what happens."""
    own = spec.as_source()
    assert own is not None

    def make(*raw: dict[str, Any]) -> tuple[pd.DataFrame, list[str]]:
        made, told = altered_history(home, spec, [(own, folder)], snapshot, what_if(*raw))
        return read(made), told

    return make


def test_what_happens_to_no_row_changes_none(snapshot: Snapshot, altered: Any) -> None:
    """The file is read, written, landed and published anew: the same rows, to the last value."""
    rows, told = altered({"kind": "rows_lost", "table": "churn.data", "where": "false"})
    pd.testing.assert_frame_equal(rows, read(snapshot))
    assert told == ["churn.data: rows_lost for 0 rows"]


def test_lost_rows_are_not_there(snapshot: Snapshot, altered: Any) -> None:
    """Those that the condition names, and all others as they were."""
    rows, told = altered({"kind": "rows_lost", "table": "churn.data", "where": "plan = 'free'"})
    before = read(snapshot)
    expected = before[before["plan"] != "free"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, expected)
    assert told == [f"churn.data: rows_lost for {len(before) - len(expected):,} rows"]


def test_doubled_rows_are_quarantined(snapshot: Snapshot, altered: Any) -> None:
    """The contract knows a second row of a key, so the history is as it was, and it is told."""
    rows, told = altered({"kind": "rows_doubled", "table": "churn.data", "where": "plan = 'free'"})
    pd.testing.assert_frame_equal(rows, read(snapshot))
    doubled = int((read(snapshot)["plan"] == "free").sum())
    assert told[0] == f"churn.data: rows_doubled for {doubled:,} rows"
    assert f"{doubled:,} rows are quarantined" in told[1]


def test_another_unit_goes_through_the_contract(snapshot: Snapshot, altered: Any) -> None:
    """What the contract allows is a feature then; what it does not is quarantined with its reason."""
    rows, told = altered(
        {"kind": "unit_changes", "table": "churn.data", "columns": ["age"], "factor": 2.0, "where": "plan = 'free'"}
    )
    before = read(snapshot).set_index("customer_id")
    after = rows.set_index("customer_id")
    free = before["plan"] == "free"
    too_old = free & (before["age"] * 2 > 120)
    assert 0 < too_old.sum() < free.sum()
    assert set(after.index) == set(before.index[~too_old])
    kept = before[~too_old]
    expected = kept["age"].where(kept["plan"] != "free", kept["age"] * 2)
    pd.testing.assert_series_equal(after["age"].sort_index(), expected.sort_index())
    assert f"{too_old.sum():,} rows are quarantined" in told[1]
    assert "age" in told[1]


def test_it_is_made_once_and_verifies(home: Home, altered: Any) -> None:
    """The second look reads the first's history; the home holds no unknown file."""
    injection = {"kind": "rows_lost", "table": "churn.data", "where": "visits > 10"}
    altered(injection)
    made = {path: path.stat().st_mtime_ns for path in home.replays.rglob("*.parquet")}
    altered(injection)
    assert {path: path.stat().st_mtime_ns for path in home.replays.rglob("*.parquet")} == made
    assert verify(home, deep=True).problems == []


def test_erased_people_do_not_come_back(snapshot: Snapshot, home: Home, spec: ProductSpec, folder: Path, altered: Any) -> None:
    """Their rows are in the raw file still, and neither counted nor landed; what was made before is not read."""
    injection = {"kind": "rows_lost", "table": "churn.data", "where": "visits > 11"}
    rows, _ = altered(injection)
    key, own = str(rows["customer_id"].iloc[0]), spec.as_source()
    assert own is not None
    column = forgotten.KeyColumn.of("churn", DATA, own.tables[DATA], "customer_id")
    assert column is not None
    other = Home(folder / "other").prepare()
    shutil.copytree(home.snapshots, other.snapshots, dirs_exist_ok=True)
    before, _ = altered_history(other, spec, [(own, folder)], snapshot, what_if(injection))
    assert key in set(read(before)["customer_id"])
    forgotten.remember(other, column, key)
    after, told = altered_history(other, spec, [(own, folder)], snapshot, what_if(injection))
    assert set(rows["customer_id"]) - set(read(after)["customer_id"]) == {key}
    of_hers = what_if({"kind": "rows_lost", "table": "churn.data", "where": f"customer_id = '{key}'"})
    assert altered_history(other, spec, [(own, folder)], snapshot, of_hers)[1] == ["churn.data: rows_lost for 0 rows"]
    assert (other.keys / "pseudonym.key").exists()
    assert list(other.temporary.glob("*")) == [], told


def test_a_changed_contract_makes_it_anew(spec: ProductSpec, snapshot: Snapshot, home: Home, folder: Path) -> None:
    """Though the real rows keep the old and the new one, those that are altered may not."""
    own = spec.as_source()
    assert own is not None
    other = what_if({"kind": "unit_changes", "table": "churn.data", "columns": ["age"], "factor": 2.0})
    strict, _ = altered_history(home, spec, [(own, folder)], snapshot, other)
    table = own.tables[DATA]
    wider = {**table.columns, "age": table.columns["age"].model_copy(update={"max": 1000.0})}
    loose = own.model_copy(update={"tables": {DATA: table.model_copy(update={"columns": wider})}})
    made, told = altered_history(home, spec, [(loose, folder)], snapshot, other)
    assert made.rows == snapshot.rows > strict.rows
    assert told == [f"churn.data: unit_changes for {snapshot.rows:,} rows"]


def test_tables_of_one_file_are_altered_apart(tmp_path: Path) -> None:
    """What happens to one table of a database happens to no other."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        for name, numbers in {"orders": (1, 2, 3), "returns": (7, 8)}.items():
            database.execute(f"create table {name} (id integer)")
            database.executemany(f"insert into {name} values (?)", [(number,) for number in numbers])
    tables = {
        name: {"description": name, "file": "shop.db", "relation": name, "key": ["id"], "columns": {"id": {"type": "integer"}}}
        for name in ("orders", "returns")
    }
    source = SourceSpec.model_validate(
        {"name": "shop", "folder": ".", "description": "A shop.", "owner": "team:shop", "tables": tables}
    )
    lost = what_if(
        {"kind": "rows_lost", "table": "shop.orders", "where": "id = 2"},
        {"kind": "rows_lost", "table": "shop.returns", "where": "id = 8"},
    )
    landed, told = landed_altered(Home(tmp_path / "home").prepare(), [(source, tmp_path)], lost.raw)
    ids = {name: sorted(pd.read_parquet(files)["id"]) for (_, name), files in landed.items()}
    assert ids == {"orders": [1, 3], "returns": [7]}
    assert told == ["shop.orders: rows_lost for 1 rows", "shop.returns: rows_lost for 1 rows"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "table": (
        {"kind": "rows_lost", "table": "churn.other"},
        "names churn.other, on which churn does not rest. It rests on churn.data",
    ),
    "column": (
        {"kind": "unit_changes", "table": "churn.data", "columns": ["agee"], "factor": 2.0},
        "churn.data has no column agee. It has: ",
    ),
    "unit": ({"kind": "unit_changes", "table": "churn.data", "columns": ["plan"], "factor": 2.0}, "plan is no number"),
    "condition": ({"kind": "rows_lost", "table": "churn.data", "where": "pln = 'x'"}, "the condition cannot be evaluated"),
    "days": ({"kind": "rows_lost", "table": "churn.data", "start": date(2024, 7, 1)}, "declares no 'partition.day'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_happen_is_told(altered: Any, name: str) -> None:
    """A table, column, condition or day that is not there: one error, with what there is."""
    given, message = REFUSED[name]
    with pytest.raises(SpecificationError, match=message):
        altered(given)


def test_rows_that_come_late_are_not_known_before(world: World, ran: Home, tmp_path: Path) -> None:
    """A register of aeroplanes that is delivered in May: no flight before has their age, and from then on all is as it was."""
    late = what_if({"kind": "rows_late", "table": "flights.planes", "delivered": date(2013, 5, 3)})
    before, home = snapshots.current(ran, "flight_delay"), Home(tmp_path / "home").prepare()
    made, told = altered_history(home, world.product, [(world.source, Path("/"))], before, late)
    delivered = "new.scheduled_departure_utc >= timestamp '2013-05-03 04:00:00'"  # midnight in New York, in UTC
    found = duckdb.sql(f"""
        select {delivered}, count(*), count(old.plane_age_years), count(new.plane_age_years),
            bool_and(new is not distinct from old)
        from '{made.path}' as new full join '{before.path}' as old using (flight_id) group by 1 order by 1
    """).fetchall()
    assert [(is_delivered, is_same) for is_delivered, *_, is_same in found] == [(False, False), (True, True)]
    (_, rows, had, has, _), (_, later, kept, still, _) = found
    assert rows + later == before.rows
    assert had > 0.5 * rows
    assert has == 0
    assert kept == still > 0.5 * later
    assert told[-1] == "flights.planes: what is late is delivered on 2013-05-03"


def test_rows_of_the_product_itself_cannot_come_late(altered: Any) -> None:
    """A customer that is not landed cannot be asked about."""
    late = {"kind": "rows_late", "table": "churn.data", "where": "plan = 'free'", "delivered": date(2024, 7, 1)}
    with pytest.raises(SpecificationError, match=r"of its rows are made of the rows of churn.data that are late"):
        altered(late)


@pytest.mark.parametrize("file", ["weather_day_lost", "weather_late", "weather_in_celsius", "flights_twice"])
def test_the_examples_name_what_is_there(file: str, world: World) -> None:
    """Each is read as it stands."""
    read_as = read_declaration(REPOSITORY / "docs" / "what_if" / f"{file}.yaml", WhatIfSpec, whole=True)
    assert read_as.name == file
    for item in read_as.raw:
        table = world.source.tables[item.table.removeprefix("flights.")]
        assert set(item.columns) <= set(table.names)
