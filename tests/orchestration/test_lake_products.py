"""A product over a lake table: run whole, skipped where the table did not change, and its lineage names the version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from assets.spec import ProductSpec
from assets.storage.home import Home
from orchestration.operations import lineage
from tests import shop


def product(**parts: Any) -> ProductSpec:
    """The shop's churn over a Delta table."""
    source = {"delta": {"path": "customers"}, "key": ["customer_id"], "columns": shop.COLUMNS}
    return shop.product("churn", source=source, **parts)


def test_a_product_over_a_delta_table(home: Home, tmp_path: Path) -> None:
    """It runs whole, then not at all, also after a vacuum; a new version runs it again; lineage tells the version."""
    rows = pa.Table.from_pandas(shop.customers(), preserve_index=False)
    write_deltalake(tmp_path / "customers", rows.slice(0, 1500))
    spec = product()
    first = shop.run_products(home, tmp_path, spec)
    assert "landing/churn/data" in first.executed
    assert shop.run_products(home, tmp_path, spec).executed == {}
    DeltaTable(tmp_path / "customers").vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert shop.run_products(home, tmp_path, spec).executed == {}
    (landing,) = (link for link in lineage.chain(home, "churn") if link.stage == "landing")
    assert landing.name.endswith(f"from the Delta table {tmp_path / 'customers'} at version 0")

    write_deltalake(tmp_path / "customers", rows.slice(1500), mode="append")
    again = shop.run_products(home, tmp_path, spec)
    assert "landing/churn/data" in again.executed
