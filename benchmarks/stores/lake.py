"""How long it takes to land a lake table.

10 million rows of six columns with a key, in a Parquet file, a Delta table and an Iceberg table on the same disk. Each is
landed by a process of its own: read, judged, written. Then a tenth of the rows is appended to the tables and landed. Seconds
are those of the processor, of all threads, so that other work on the machine does not count.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from assets.ingestion import landing
from assets.spec import SourceSpec
from assets.storage.home import Home
from benchmarks.measuring import Measured, measure

ROWS = 10_000_000
MADE = """
    select i as id, timestamp '2020-01-01' + to_seconds(i * 3) as at, (hash(i) % 100000) / 100.0 as amount,
        'shop ' || (hash(i + 1) % 500) as shop, (hash(i + 2) % 9 + 1)::bigint as items, hash(i + 3) % 2 = 0 as is_gift
    from range({first}, {after}) as rows(i)
"""
COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "integer"},
    "at": {"type": "timestamp"},
    "amount": {"type": "number", "min": 0, "max": 1000},
    "shop": {"type": "text"},
    "items": {"type": "integer", "min": 1},
    "is_gift": {"type": "boolean"},
}
ASKED = "at most 1.5x, 1,500 MB"
PLACES: dict[str, dict[str, Any]] = {
    "parquet": {"file": "sales.parquet"},
    "delta": {"delta": {"path": "sales"}},
    "iceberg": {"iceberg": {"catalog": "sqlite:///catalog.db", "table": "shop.sales"}},
}


def rows() -> list[tuple[str, str, str]]:
    """Seconds and memory, in a folder of the disk on which temporary files lie."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _add(folder, 0, ROWS)
        first = {kind: _landed(folder, kind) for kind in PLACES}
        _add(folder, ROWS, ROWS + ROWS // 10)
        again = {kind: _landed(folder, kind) for kind in PLACES}
    return [
        ("Parquet file", _told(first["parquet"]), ""),
        *(
            (
                f"{kind.capitalize()} table",
                f"{_told(item)}, {_ratio(item, first['parquet'])}x of Parquet",
                ASKED,
            )
            for kind, item in first.items()
            if kind != "parquet"
        ),
        *(
            (
                f"{kind.capitalize()}, a tenth appended",
                f"{_told(item)}, {_ratio(item, again['parquet'])}x of a Parquet file of all rows",
                "",
            )
            for kind, item in again.items()
            if kind != "parquet"
        ),
    ]


def add(folder: Path, first: int, after: int) -> None:
    """Add rows to the file, the Delta table and the Iceberg table."""
    from deltalake import write_deltalake
    from pyiceberg.catalog import load_catalog

    catalog = load_catalog("shop", type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=folder.as_uri())
    catalog.create_namespace_if_not_exists("shop")
    with duckdb.connect() as connection:
        everything = MADE.format(first=0, after=after)
        connection.execute(f"copy ({everything}) to '{folder}/sales.parquet' (format parquet)")
        made = MADE.format(first=first, after=after)
        write_deltalake(folder / "sales", connection.sql(made).to_arrow_reader(1 << 17), mode="append")
        for begin in range(first, after, 1_000_000):
            piece = connection.sql(MADE.format(first=begin, after=min(begin + 1_000_000, after))).to_arrow_table()
            catalog.create_table_if_not_exists("shop.sales", schema=piece.schema).append(piece)


def land(folder: Path, kind: str) -> None:
    """Land one of them into the home beside it."""
    table = {"description": "A sale.", "key": ["id"], "columns": COLUMNS, **PLACES[kind]}
    source = SourceSpec.model_validate({"name": "shop", "description": "Sales.", "folder": ".", "tables": {"sales": table}})
    (record,) = landing.land(Home(folder / f"home-{kind}").prepare(), source, "sales", folder)
    print(record.rows_good)


def _add(folder: Path, first: int, after: int) -> None:
    """In a process of its own: what it holds would count as the memory of those that are started after it."""
    measure(["-m", "benchmarks.stores.lake", str(folder), "add", str(first), str(after)], folder / "unused")


def _landed(folder: Path, kind: str) -> Measured:
    return measure(["-m", "benchmarks.stores.lake", str(folder), kind], folder / "unused")


def _told(item: Measured) -> str:
    return f"{item.cpu_seconds:.1f} s, {item.peak_mb:,.0f} MB, {int(item.printed):,} rows"


def _ratio(item: Measured, other: Measured) -> str:
    return f"{item.cpu_seconds / other.cpu_seconds:.2f}"


if __name__ == "__main__":
    if sys.argv[2:] and sys.argv[2] == "add":
        add(Path(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1:]:
        land(Path(sys.argv[1]), sys.argv[2])
    else:
        for row in rows():
            print(*row, sep=" | ")
