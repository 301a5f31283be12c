"""Lake tables in the graph: a landing is skipped where the table's rows did not change, and lineage names the version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from assets.features import lake_tables
from assets.features.lake_asset import publish_to_lake
from assets.features.snapshot_asset import publish_snapshot
from assets.ingestion import landing
from assets.promotion.ledger_state import Entry
from assets.promotion.registry_retention import Stored
from assets.spec import SourceSpec
from assets.storage.home import Home
from orchestration import resources
from orchestration.assembly import assemble
from orchestration.components import Source
from orchestration.dagster_resources import HomeResource
from orchestration.operations import lineage, prune
from orchestration.operations.prune import Pruned
from orchestration.operations.retention import Retention
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
