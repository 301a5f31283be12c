"""Lake tables in the graph: a landing is skipped where the table's rows did not change, and lineage names the version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from assets.features import lake_tables, snapshots
from assets.features.lake_asset import publish_to_lake
from assets.features.snapshot_asset import publish_snapshot
from assets.ingestion import landing
from assets.promotion import ledger
from assets.promotion.ledger_state import Entry
from assets.promotion.registry_retention import Stored
from assets.serving import batch_predictions, predictions_asset
from assets.spec import ProductSpec, SourceSpec
from assets.storage.home import Home
from orchestration import resources
from orchestration.assembly import assemble
from orchestration.components import Source
from orchestration.dagster_resources import HomeResource
from orchestration.operations.catalog import lineage
from orchestration.operations.storage import prune
from orchestration.operations.storage.prune import Pruned
from orchestration.operations.storage.retention import Retention
from orchestration.staleness.run_loop import run
from tests import lake, shop


def executed(home: Home, folder: Path, source: SourceSpec) -> dict[str, str]:
    """What a run of a source makes, and why."""
    declared: dg.Definitions = Source(source, folder).build_defs(None)
    with resources.instance(home) as instance:
        return run(assemble(declared, HomeResource(folder=str(home.root))), instance, home).executed


def test_months_of_an_unchanged_table_are_skipped(home: Home, tmp_path: Path) -> None:
    """Nothing runs after a vacuum, which is a version without new rows; a new row lands the months again."""
    place, source = tmp_path / "sales", lake.source(delta={"path": "sales"})
    write_deltalake(place, lake.sales([1], 1))
    assert {"landing/shop/sales[2020-01]", "landing/shop/sales[2020-02]"} <= {*executed(home, tmp_path, source)}
    DeltaTable(place).vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert executed(home, tmp_path, source) == {}
    write_deltalake(place, lake.sales([2], 2), mode="append")
    assert "landing/shop/sales[2020-02]" in executed(home, tmp_path, source)


def entry(product: str, snapshot: str) -> Entry:
    """What the ledger says of a version that was learnt from a snapshot."""
    return Entry(1, "", product, "promoted", 1, "m", snapshot, None, None, "", "", 0, 0, "", "")


def test_lineage_names_the_version_that_was_read_and_the_one_that_was_published(home: Home, tmp_path: Path) -> None:
    """And finds a published version that holds other rows."""
    source = {"delta": {"path": "customers"}, "key": ["customer_id"], "columns": shop.COLUMNS}
    spec = shop.product("churn", source=source, publish="delta")
    write_deltalake(tmp_path / "customers", pa.Table.from_pandas(shop.customers(900), preserve_index=False))
    own = spec.as_source()
    assert own is not None
    landing.land(home, own, "data", tmp_path)
    snapshot = publish_snapshot(home, spec).data_version
    publish_to_lake(home, spec)
    served = entry("churn", snapshot)
    (landed,) = lineage._landed(home, served)
    assert landed.name.endswith(f"from the Delta table {tmp_path / 'customers'} at version 0")
    assert list(lineage._lake(home, served)) == [lineage.Link("lake", "lake/churn/snapshot at version 0", snapshot)]

    place = home.lake / "churn" / "snapshot"
    told = CommitProperties(custom_metadata={"loopline.digest": snapshot})
    DeltaTable(place).update({"age": "1.0"}, commit_properties=told)
    assert [link.problem for link in lineage._lake(home, served)] == ["its rows are not those of the snapshot"]
    for file in place.glob("*.parquet"):
        file.unlink()
    (link,) = lineage._lake(home, served)
    assert link.problem.startswith("it cannot be read")


def test_a_product_that_publishes_has_the_asset(home: Home, tmp_path: Path) -> None:
    """One that declares nothing has none."""

    def keys(**parts: str) -> set[str]:
        graph = shop.definitions(home, tmp_path, shop.product("churn", **parts)).resolve_asset_graph()
        return {key.to_user_string() for key in graph.get_all_asset_keys()}

    assert keys(publish="iceberg") - keys() == {"churn/lake"}


def test_prune_keeps_the_versions_that_kept_snapshots_became(home: Home, tmp_path: Path) -> None:
    """The current one, and the one that a kept model was trained on; the one between them goes."""
    spec = shop.product("churn", publish="delta", retention={"snapshots_days": 0, "refused_days": 0})
    customers, digests = shop.customers(600), []
    for age in (30, 40, 50):
        customers["age"] = age
        customers.to_csv(tmp_path / "customers.csv", index=False)
        own = spec.as_source()
        assert own is not None
        landing.land(home, own, "data", tmp_path)
        digests.append(publish_snapshot(home, spec).data_version)
        publish_to_lake(home, spec)
    challenger = Stored(1, "run", "model", "m" * 64, digests[0], is_challenger=True, is_pruned=False, folders=())
    done = Pruned()
    rule = Retention(home, spec, [challenger], datetime.now(UTC) + timedelta(days=1))
    prune._tidy_lake(home, rule, done, is_dry=False)
    assert done.items["files of lake tables"] == 1
    table = lake_tables.found(home, "churn", lake_tables.SNAPSHOT)
    assert table is not None
    for digest, is_kept in zip(digests, (True, False, True), strict=True):
        version = lake_tables.version_of(table, digest)
        assert version is not None
        if is_kept:
            table.write(version, tmp_path / "rows.parquet")
        else:
            with pytest.raises(FileNotFoundError):
                table.write(version, tmp_path / "rows.parquet")


MONTHLY = {"month": "signed_up_at", "start": "2024-01", "end": "2024-10"}


def published_rows(home: Home, digest: str, scratch: Path) -> pd.DataFrame:
    """The rows of the version that a snapshot became, which are the snapshot's, by their key."""
    table = lake_tables.found(home, "churn", lake_tables.SNAPSHOT)
    assert table is not None
    version = lake_tables.version_of(table, digest)
    assert version is not None
    snapshot = home.snapshots / "churn" / f"{digest}.parquet"
    assert lake_tables.digest_of(home, table, version) == lake_tables.rows_digest(home, snapshot)
    table.write(version, scratch / "rows.parquet")
    return pd.read_parquet(scratch / "rows.parquet").set_index("customer_id").sort_index()


def score(home: Home, spec: ProductSpec, month: str) -> int:
    """Score a month as `loopline predict --month` does; how many rows its table holds then."""
    champion = ledger.require_champion(home, "churn")
    scorer = batch_predictions.Scorer(home, spec, snapshots.current(home, "churn"), champion, datetime.now(UTC))
    predictions_asset.publish_month(scorer, month, scorer.batch(month))
    table = lake_tables.found(home, "churn", lake_tables.PREDICTIONS)
    assert table is not None
    table.write(table.versions()[-1], home.temporary / "scored.parquet")
    scored = pd.read_parquet(home.temporary / "scored.parquet")
    assert scored["loopline_month"].unique().tolist() == [month]
    return len(scored)


@pytest.mark.parametrize("publish", ["delta", "iceberg"])
def test_a_run_publishes_each_snapshot_once_and_prune_keeps_what_the_ledger_needs(
    home: Home, tmp_path: Path, publish: str
) -> None:
    """Each version leads to its snapshot; a changed month is merged by key; only versions that nothing rests on are vacuumed."""
    source = {"file": "customers.csv", "key": ["customer_id"], "columns": shop.COLUMNS, "partition": MONTHLY}
    parts = {"source": source, "publish": publish, "retention": {"snapshots_days": 0, "refused_days": 0}}
    spec = shop.product("churn", **parts, serving={"months": {"start": "2024-10", "end": "2024-10"}})
    customers = shop.customers()
    month = customers["signed_up_at"].dt.month

    def ran() -> tuple[set[str], str]:
        customers.to_csv(tmp_path / "customers.csv", index=False)
        return set(shop.run_products(home, tmp_path, spec).executed), snapshots.current(home, "churn").digest

    executed, first = ran()
    assert "churn/lake" in executed
    before = published_rows(home, first, tmp_path)
    assert ran() == (set(), first)
    assert score(home, spec, "2024-10") == int((month == 10).sum())

    customers.loc[month == 3, "visits"] = 1.0
    customers = customers.drop(customers.index[month == 3][:3])
    executed, second = ran()
    assert {"landing/churn/data[2024-03]", "churn/snapshot", "churn/lake"} <= executed
    after = published_rows(home, second, tmp_path)
    assert len(after) == len(before) - 3
    changed = after["visits"].fillna(-1) != before.loc[after.index, "visits"].fillna(-1)
    assert after[changed]["signed_up_at"].dt.month.unique().tolist() == [3]
    if publish == "delta":
        told = DeltaTable(home.lake / "churn" / "snapshot").history(1)[0]["operationMetrics"]
        assert (told["num_target_rows_updated"], told["num_target_rows_deleted"]) == (changed.sum(), 3)
    assert published_rows(home, first, tmp_path).equals(before)

    customers.loc[customers["signed_up_at"].dt.month == 9, "visits"] = 2.0
    _, third = ran()
    table = lake_tables.found(home, "churn", lake_tables.SNAPSHOT)
    assert table is not None
    assert [item.digest for item in table.versions()] == [first, second, third]
    needed = {entry.snapshot_digest for entry in ledger.standing(home, "churn").served} | {third}
    assert {first, second} - needed
    done = prune.prune(home, [spec], ["churn"], now=datetime.now(UTC) + timedelta(days=1))
    assert done.items["files of lake tables"] > 0
    assert len(published_rows(home, third, tmp_path)) == len(after)
    assert first not in needed or published_rows(home, first, tmp_path).equals(before)
    for digest in {first, second} - needed:
        version = lake_tables.version_of(table, digest)
        if version is not None:  # Iceberg's catalogue names it no more
            with pytest.raises(FileNotFoundError):
                table.write(version, tmp_path / "rows.parquet")
    assert ran() == (set(), third)
