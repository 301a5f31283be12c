"""Lake tables of the tests' own: sales of two months, as Delta or Iceberg, and the source that declares them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from assets.ingestion import landing
from assets.ingestion.landed_tables import Landed
from assets.spec import SourceSpec
from assets.storage.home import Home

COLUMNS = {"id": {"type": "integer"}, "day": {"type": "timestamp"}, "amount": {"type": "number", "max": 5}}


def sales(ids: Sequence[int], month: int, amount: float = 1.0) -> pa.Table:
    """Sales of one day; `other` is a column that nobody declares."""
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "day": pa.array([datetime(2020, month, 3)] * len(ids), pa.timestamp("us", tz="UTC")),
            "amount": pa.array([amount] * len(ids), pa.float64()),
            "other": pa.array(["x"] * len(ids), pa.string()),
        }
    )


def source(**table: Any) -> SourceSpec:
    """A source of one table that is cut into January and February 2020."""
    declared = {
        "description": "A sale.",
        "key": ["id"],
        "columns": COLUMNS,
        "partition": {"month": "day", "start": "2020-01", "end": "2020-02"},
        **table,
    }
    return SourceSpec.model_validate({"name": "shop", "description": "Sales.", "tables": {"sales": declared}})


def land(home: Home, folder: Path, **table: Any) -> dict[str, Landed]:
    """What is landed of it, by month."""
    return {record.partition: record for record in landing.land(home, source(**table), "sales", folder)}


def counts(landed: dict[str, Landed]) -> dict[str, tuple[int, int]]:
    """The good and the bad rows of each month."""
    return {name: (record.rows_good, record.rows_quarantined) for name, record in landed.items()}


def rows_read(landed: dict[str, Landed]) -> int:
    """How many rows were read from the table itself."""
    (version,) = {record.version["rows_read"] for record in landed.values() if record.version}
    return int(version)


def good(home: Home, landed: dict[str, Landed], month: str) -> list[tuple[Any, ...]]:
    """The good rows of a month, in the order of their keys."""
    with duckdb.connect() as connection:
        return connection.execute(f"select * from read_parquet('{home.root / landed[month].file}') order by id").fetchall()


def iceberg(folder: Path) -> Any:
    """An empty Iceberg table `shop.orders` of a new SQLite catalogue in a folder."""
    from pyiceberg.catalog import load_catalog

    catalog = load_catalog("shop", type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    catalog.create_namespace("shop")
    return catalog.create_table("shop.orders", schema=sales([], 1).schema)


ICEBERG = {"catalog": "sqlite:///catalog.db", "table": "shop.orders"}
