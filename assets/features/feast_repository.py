"""Feast repository: the features of a product as definitions for Feast, with the rows of the current snapshot."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import DataError
from assets.features import offline_features, point_in_time, snapshots
from assets.features.point_in_time import KNOWN, Lookup
from assets.spec.online import OnlineSpec
from assets.storage.sql import identifier, literal

if TYPE_CHECKING:
    from assets.spec import ProductSpec
    from assets.storage.home import Home

STORE = """\
# Written by `loopline features export feast`; Feast 0.67.
project: {product}
provider: local
registry: data/registry.db
entity_key_serialization_version: 3
offline_store: {{type: duckdb}}
online_store: {{type: sqlite, path: data/online_store.db}}
"""
HEAD = '''\
"""The features of {product}, written by `loopline features export feast` of snapshot {snapshot}.

Rows are known since `{known_at}` (UTC). Feast reads them as of a moment as `loopline features get` does.
"""

from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource
from feast.types import Float64, Int64, String
from feast.value_type import ValueType

HERE = Path(__file__).resolve().parent
rows = FileSource(name="{product}_rows", path=str(HERE / "data" / "{product}.parquet"), timestamp_field="{known_at}")
'''
KNOWN_AT = "known_at"


@dataclass(frozen=True)
class FeastRepository:
    """What was written.

    Parameters
    ----------
    folder : Path
        Where.
    snapshot : str
        The digest of the snapshot.
    rows : int
        Its rows by key and moment.
    views : list of str
        The feature views, one for each group of features that is looked up.
    """

    folder: Path
    snapshot: str
    rows: int
    views: list[str]


def write(home: Home, spec: ProductSpec, folder: Path) -> FeastRepository:
    """Write a repository that `feast apply` and `feast materialize` take.

    Parameters
    ----------
    home, spec
        Where the snapshot lies, and the product.
    folder : Path
        Where to write; it does not exist yet, or is empty. It appears whole or not at all.

    Raises
    ------
    DataError
        If the folder holds something, rows have no time, or hours are such that Feast cannot take them.
    """
    lookup, snapshot = Lookup.of(spec), snapshots.current(home, spec.name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists and is not empty. Give another folder.")
    if lookup.known_at is None:
        raise DataError(f"{spec.name}: Feast needs the moment since which a row is known. Declare features.event_time.")
    _require_hours(spec)
    with offline_features.connected(home) as (connection, scratch):
        made = scratch / "feast"
        (made / "data").mkdir(parents=True)
        kinds = point_in_time.key_types(connection, lookup, snapshot.path)
        point_in_time.rows_by_key(connection, lookup, snapshot.path)
        columns = ", ".join(
            [
                *(identifier(name) for name in lookup.key),
                # Feast takes moments with their zone
                f"timezone('UTC', known_at) as {KNOWN_AT}",
                *(f"{identifier(name)}::{_sql_type(spec, name)} as {identifier(name)}" for name in lookup.features),
            ]
        )
        target = literal(str(made / "data" / f"{spec.name}.parquet"))
        rows = connection.execute(
            f"copy (select {columns} from {KNOWN} order by known_at) to {target} (format parquet, compression zstd)"
        ).fetchone()
        (made / "feature_store.yaml").write_text(STORE.format(product=spec.name), encoding="utf-8")
        text, views = _definitions(spec, lookup, kinds, snapshot.digest)
        (made / "features.py").write_text(text, encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, folder)
    return FeastRepository(folder, snapshot.digest, int(rows[0]) if rows else 0, views)


def _require_hours(spec: ProductSpec) -> None:
    """Refuse hours that Feast's DuckDB engine cannot take: through ibis, days may not mix with a rest; its Dask drops rows."""
    online = spec.serving.online or OnlineSpec()
    hours = {hours for group in spec.features.groups if (hours := online.ttl_of(group)) is not None}
    if odd := sorted(item for item in hours if item >= 24 and item % 24):
        raise DataError(
            f"{spec.name}: Feast's DuckDB engine takes less than 24 hours, or whole days, and serving.online has {odd}. "
            "Round them."
        )


def _sql_type(spec: ProductSpec, name: str) -> str:
    return "varchar" if spec.columns[name].type == "category" else "double"


def _definitions(spec: ProductSpec, lookup: Lookup, kinds: dict[str, str], snapshot: str) -> tuple[str, list[str]]:
    """The text of the definitions, and the names of the feature views."""
    online, parts, views = spec.serving.online or OnlineSpec(), [], []
    parts.append(HEAD.format(product=spec.name, snapshot=snapshot[:12], known_at=KNOWN_AT))
    for name, kind in kinds.items():
        value = "STRING" if point_in_time.is_text(kind) else "INT64"
        parts.append(f'{name} = Entity(name="{name}", join_keys=["{name}"], value_type=ValueType.{value})\n')
    for group, declared in spec.features.groups.items():
        names = [name for name in declared if name in lookup.features]
        if not names:
            continue
        view, hours = f"{spec.name}_{group}", online.ttl_of(group)
        views.append(view)
        age = "timedelta(0)" if hours is None else f"timedelta(hours={hours!r})"
        keys = [
            f'Field(name="{name}", dtype={"String" if point_in_time.is_text(kind) else "Int64"})'
            for name, kind in kinds.items()
        ]
        fields = [
            f'Field(name="{name}", dtype={"String" if spec.columns[name].type == "category" else "Float64"})' for name in names
        ]
        listed = "".join(f"        {field},\n" for field in [*keys, *fields])
        parts.append(
            f'{view} = FeatureView(\n    name="{view}",\n    entities=[{", ".join(kinds)}],\n    ttl={age},\n'
            f"    schema=[\n{listed}    ],\n    source=rows,\n)\n"
        )
    parts.append(f'{spec.name}_service = FeatureService(name="{spec.name}", features=[{", ".join(views)}])\n')
    return "\n".join(parts), views
