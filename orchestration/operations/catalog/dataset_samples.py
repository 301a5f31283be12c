"""Dataset samples: a few rows of a dataset, without the columns that a product declares private."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from assets.ingestion import landed_tables
from assets.spec import ProductSpec
from assets.spec.privacy import hidden
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.storage.sql import parquet
from orchestration.operations.catalog.dataset import Dataset

ROWS = 5
HIDDEN = "hidden"
"""What a sample shows of a private column."""


def mark_private(found: Iterable[Dataset], specs: Iterable[ProductSpec]) -> None:
    """Mark the columns that products do not keep: by name in all that is of the product or that it rests on, and by lineage.

    Parameters
    ----------
    found : iterable of Dataset
        All datasets; those that hold such a column are marked.
    specs : iterable of ProductSpec
        The declared products.
    """
    by_name = {dataset.name: dataset for dataset in found}
    for spec in specs:
        private = {name for name, treatment in spec.privacy.items() if treatment != "keep"}
        if not private:
            continue
        near, waiting = set(), [name for name in by_name if name.startswith(f"{spec.name}/")]
        while waiting:
            name = waiting.pop()
            if name in by_name and name not in near:
                near.add(name)
                waiting += by_name[name].producers
        for name in near:
            by_name[name].private |= private
        columns = [(name, column) for name in near for column in hidden(spec.privacy, _names(by_name[name]))]
        while columns:  # a column may have had another name before
            name, column = columns.pop()
            for origin in next((item.made_of for item in by_name[name].columns if item.name == column), ()):
                above, _, before = origin.rpartition(".")
                if above in by_name and before not in by_name[above].private:
                    by_name[above].private.add(before)
                    columns.append((above, before))


def take(dataset: Dataset, home: Home) -> None:
    """Give a dataset that is Parquet a few rows; the warehouse is not opened, as a run may hold it."""
    path = _file(dataset, home)
    if path is None or not path.exists():
        return
    import duckdb

    with duckdb.connect() as connection:
        relation = connection.execute(f"select * from {parquet(str(path))} limit {ROWS}")
        names = [str(item[0]) for item in relation.description or ()]
        rows = relation.fetchall()
    dataset.sample = [
        names,
        *([_cell(value, is_private=name in dataset.private) for name, value in zip(names, row, strict=True)] for row in rows),
    ]


def _file(dataset: Dataset, home: Home) -> Path | None:
    first, *rest = dataset.name.split("/")
    if dataset.kind == "landed table":
        records = landed_tables.records(home, *rest)
        return home.root / records[-1].file if records else None
    if dataset.kind == "snapshot" and dataset.digest:
        return next(iter((home.snapshots / first).glob(f"{dataset.digest[:12]}*.parquet")), None)
    record = home.predictions / first / "current.json"
    if dataset.kind == "predictions" and rest == ["predictions"] and record.exists():
        return record.with_name(str(read_json(record)["file"]))
    return None


def _names(dataset: Dataset) -> list[str]:
    return [column.name for column in dataset.columns]


def _cell(value: Any, *, is_private: bool) -> str:
    if is_private:
        return HIDDEN
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)[:60]
