"""Published lake tables: a version holds the rows of its snapshot, and what is needed survives every clean-up."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.errors import DataError
from assets.features import lake_tables, published_iceberg, snapshots
from assets.features.lake_publication import SMALL_FILES, LakeTable
from assets.features.snapshot_asset import publish_snapshot
from assets.features.snapshots import Snapshot
from assets.ingestion import landing
from assets.spec import ProductSpec
from assets.storage.home import REPOSITORY, Home
from tests import shop

FORMATS = ("delta", "iceberg")


def product(kind: str) -> ProductSpec:
    """The shop's churn, published to a lake."""
    return shop.product("churn", publish=kind)


def snapshot(home: Home, folder: Path, spec: ProductSpec, frame: Any) -> Snapshot:
    """Land customers, and publish them as a snapshot."""
    frame.to_csv(folder / "customers.csv", index=False)
    source = spec.as_source()
    assert source is not None
    landing.land(home, source, "data", folder)
    publish_snapshot(home, spec)
    return snapshots.current(home, "churn")


def held(home: Home) -> LakeTable:
    """The product's table of snapshots, as it lies in the home."""
    found = lake_tables.found(home, "churn", lake_tables.SNAPSHOT)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", FORMATS)
def test_each_version_holds_the_rows_of_its_snapshot(home: Home, tmp_path: Path, kind: str) -> None:
    """Rows changed, came and went; by digest, the first version is still the first snapshot. Twice is once."""
    spec, customers = product(kind), shop.customers(3000)
    first = snapshot(home, tmp_path, spec, customers[:2500])
    made = lake_tables.publish_snapshot(home, spec, first)
    assert lake_tables.publish_snapshot(home, spec, first) == made
    changed = customers[5:].copy()
    changed.loc[changed.index[:7], "visits"] = 1.0
    second = snapshot(home, tmp_path, spec, changed)
    lake_tables.publish_snapshot(home, spec, second)

    table = held(home)
    assert [version.digest for version in table.versions()] == [first.digest, second.digest]
    for published in (first, second):
        version = lake_tables.version_of(table, published.digest)
        assert version is not None
        assert lake_tables.digest_of(home, table, version) == lake_tables.rows_digest(home, published.path)

    lake_tables.publish_snapshot(home, spec, first)
    assert [version.digest for version in held(home).versions()] == [first.digest, second.digest, first.digest]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_version_that_is_needed_is_never_vacuumed(home: Home, tmp_path: Path, kind: str) -> None:
    """The files of the others go, and so does what a killed publication left; a dry run removes nothing."""
    spec, customers = product(kind), shop.customers(900)
    published = []
    for begin in range(3):
        changed = customers.copy()
        changed.loc[changed.index[begin * 300 :], "age"] = 20 + begin
        published.append(snapshot(home, tmp_path, spec, changed))
        lake_tables.publish_snapshot(home, spec, published[-1])
    place = home.lake / "churn" / lake_tables.SNAPSHOT
    left = place / ("data" if kind == "iceberg" else "") / "left-by-a-kill.parquet"
    shutil.copy(published[0].path, left)
    needed = {published[0].digest, published[2].digest}
    would = held(home).tidy(needed, is_dry=True)
    assert left.exists()
    done = held(home).tidy(needed, is_dry=False)
    assert not left.exists()
    assert done.files >= max(would.files, 2)
    table = held(home)
    for item in (published[0], published[2]):
        version = lake_tables.version_of(table, item.digest)
        assert version is not None
        assert lake_tables.digest_of(home, table, version) == lake_tables.rows_digest(home, item.path)
    version = lake_tables.version_of(table, published[1].digest)
    if version is not None:
        with pytest.raises(FileNotFoundError):
            table.write(version, tmp_path / "gone.parquet")
    assert held(home).tidy(needed, is_dry=False).files <= 1, "a second time there is next to nothing to do"


@pytest.mark.parametrize("kind", FORMATS)
def test_many_small_files_are_compacted_and_the_rows_stay(home: Home, tmp_path: Path, kind: str) -> None:
    """Each publication of a month adds one."""
    spec = product(kind)
    months = [f"{2000 + number // 12}-{number % 12 + 1:02d}" for number in range(SMALL_FILES + 2)]
    for number, month in enumerate(months):
        rows = tmp_path / f"{month}.parquet"
        pq.write_table(pa.table({"customer_id": [f"C{number}"], "probability": [0.5]}), rows)
        lake_tables.publish_predictions(home, spec, month, rows, digest=f"digest of {month}", told={})
    table = lake_tables.found(home, "churn", lake_tables.PREDICTIONS)
    assert table is not None
    table.tidy(set(), is_dry=False)
    table.write(table.versions()[-1], tmp_path / "all.parquet")
    found = pq.read_table(tmp_path / "all.parquet").sort_by("loopline_month").to_pydict()
    assert found["loopline_month"] == months
    data = [
        path for path in (home.lake / "churn" / lake_tables.PREDICTIONS).rglob("*.parquet") if "_delta_log" not in path.parts
    ]
    assert len(data) < SMALL_FILES


@pytest.mark.parametrize("kind", FORMATS)
def test_a_months_predictions_take_the_place_of_earlier_ones_of_that_month(home: Home, tmp_path: Path, kind: str) -> None:
    """Other months stay; a key that is gone from the month goes; what was published already makes no version."""
    spec = product(kind)

    def publish(month: str, digest: str, chances: dict[str, float]) -> None:
        rows = tmp_path / "rows.parquet"
        models = pa.array(["m"] * len(chances)).dictionary_encode()
        pq.write_table(pa.table({"customer_id": [*chances], "probability": [*chances.values()], "model": models}), rows)
        lake_tables.publish_predictions(home, spec, month, rows, digest=digest, told={"model": "m"})

    publish("2020-01", "a", {"C1": 0.1, "C2": 0.2})
    publish("2020-02", "b", {"C1": 0.3})
    publish("2020-01", "c", {"C2": 0.9, "C3": 0.4})
    publish("2020-02", "b", {"C1": 0.3})
    table = lake_tables.found(home, "churn", lake_tables.PREDICTIONS)
    assert table is not None
    assert [version.digest for version in table.versions()] == ["a", "b", "c"]
    table.write(table.versions()[-1], tmp_path / "now.parquet")
    with duckdb.connect() as connection:
        asked = f"select loopline_month, customer_id, probability from '{tmp_path}/now.parquet' order by all"
        assert connection.execute(asked).fetchall() == [("2020-01", "C2", 0.9), ("2020-01", "C3", 0.4), ("2020-02", "C1", 0.3)]


def test_an_iceberg_table_of_a_moved_home_is_made_anew(home: Home, tmp_path: Path) -> None:
    """Its addresses are absolute, and lead nowhere; the rows are those of the current snapshot."""
    spec = product("iceberg")
    lake_tables.publish_snapshot(home, spec, snapshot(home, tmp_path, spec, shop.customers(600)))
    moved = Home(tmp_path / "moved")
    home.root.rename(moved.root)
    current = snapshots.current(moved, "churn")
    lake_tables.publish_snapshot(moved, spec, current)
    (version,) = held(moved).versions()
    assert lake_tables.digest_of(moved, held(moved), version) == lake_tables.rows_digest(moved, current.path)


def test_only_data_files_with_a_changed_row_are_written_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are taken over by the next version."""
    monkeypatch.setattr(published_iceberg, "MOST_ROWS", 1)
    monkeypatch.setattr(published_iceberg, "BATCH", 2048)
    spec, customers = product("iceberg"), shop.customers(9000)
    lake_tables.publish_snapshot(home, spec, snapshot(home, tmp_path, spec, customers))
    data = home.lake / "churn" / lake_tables.SNAPSHOT / "data"
    before = {*data.glob("*.parquet")}
    customers.loc[8999, "age"] = 33
    lake_tables.publish_snapshot(home, spec, snapshot(home, tmp_path, spec, customers))
    assert len(before) > 2
    assert len({*data.glob("*.parquet")} - before) == 1


def test_formats_are_those_that_a_product_may_declare() -> None:
    """So that each is tested here."""
    declared = get_args(get_args(ProductSpec.model_fields["publish"].annotation)[0])
    assert declared == FORMATS


@pytest.mark.parametrize("kind", FORMATS)
def test_a_product_with_other_columns_goes_on_in_the_same_table(home: Home, tmp_path: Path, kind: str) -> None:
    """Its earlier version keeps its own; a single month of other columns is refused."""
    spec, customers = product(kind), shop.customers(600)
    first = snapshot(home, tmp_path, spec, customers)
    lake_tables.publish_snapshot(home, spec, first)
    groups = {"all": {"plan": {}, "spend": {}, "visits": {"max_missing": 0.3}}}
    features = {"entity": "customer_id", "event_time": "signed_up_at", "groups": groups}
    changed = shop.product("churn", publish=kind, features=features)
    second = snapshot(home, tmp_path, changed, customers)
    lake_tables.publish_snapshot(home, changed, second)
    table = held(home)
    for published in (first, second):
        version = lake_tables.version_of(table, published.digest)
        assert version is not None
        assert lake_tables.digest_of(home, table, version) == lake_tables.rows_digest(home, published.path)

    rows = tmp_path / "rows.parquet"
    for month, name in (("2020-01", "probability"), ("2020-02", "prediction")):
        pq.write_table(pa.table({"customer_id": ["C1"], name: [0.5]}), rows)
        if name == "probability":
            lake_tables.publish_predictions(home, spec, month, rows, digest=month, told={})
        else:
            with pytest.raises(DataError, match=r"monthly_predictions: the predictions of 2020-02 have other columns"):
                lake_tables.publish_predictions(home, spec, month, rows, digest=month, told={})


@pytest.mark.parametrize("kind", FORMATS)
def test_a_publication_that_is_killed_leaves_the_version_before(home: Home, tmp_path: Path, kind: str) -> None:
    """Readers meet a whole version, and the next publication is that of a table that nobody killed."""
    spec, customers = product(kind), shop.customers(3000)
    first = snapshot(home, tmp_path, spec, customers[:1500])
    second = snapshot(home, tmp_path, spec, customers[700:])
    digests = {item.digest: lake_tables.rows_digest(home, item.path) for item in (first, second)}
    command = [sys.executable, "-m", "tests.assets.features.published_until_killed", str(home.root), kind]
    for seconds in ("0.02", "0.15"):
        assert subprocess.run([*command, seconds], cwd=REPOSITORY, check=False).returncode == -signal.SIGKILL
        held_now = held(home)
        last = held_now.versions()[-1]
        assert lake_tables.digest_of(home, held_now, last) == digests[last.digest]
    for item in (first, second):
        lake_tables.publish_snapshot(home, spec, item)
        last = held(home).versions()[-1]
        assert (last.digest, lake_tables.digest_of(home, held(home), last)) == (item.digest, digests[item.digest])
