"""Features: publish the feature relation as an immutable snapshot, Parquet named by the digest of its bytes.

How features are computed stands in `dbt_project/models/features`; reading a snapshot stands in `assets.snapshots`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import WarehouseError
from assets.snapshots import Snapshot
from assets.spec import ProductSpec
from assets.storage import Home, publish_by_digest, write_json

if TYPE_CHECKING:
    import duckdb
    import ibis.expr.types as ir


def relation(connection: duckdb.DuckDBPyConnection, spec: ProductSpec) -> ir.Table:
    """The feature relation in the warehouse, as an ibis table.

    Raises
    ------
    WarehouseError
        If it does not exist, or the warehouse's last build did not pass.
    """
    import ibis
    from ibis.common.exceptions import TableNotFound

    schema, name = spec.features.relation.split(".")
    try:
        return ibis.duckdb.from_connection(connection).table(name, database=schema)
    except TableNotFound as error:
        raise WarehouseError(
            f"{spec.name}: the warehouse has no relation {spec.features.relation}. Build it with `loopline run`, or "
            "correct features.relation."
        ) from error


def publish(home: Home, spec: ProductSpec, connection: duckdb.DuckDBPyConnection) -> Snapshot:
    """Publish the feature relation, once its contract is known to hold, as the current snapshot.

    Parameters
    ----------
    home : Home
        Where to publish.
    spec : ProductSpec
        The specification; its columns, and no others, are published.
    connection : duckdb.DuckDBPyConnection
        A connection to the warehouse.
    """
    columns = ", ".join(f'"{column}"' for column in spec.snapshot_columns)
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        temporary = Path(scratch) / "snapshot.parquet"
        row = connection.execute(
            f"copy (select {columns} from {spec.features.relation} "
            f"order by {spec.features.event_time}, {spec.features.entity}) "
            f"to '{temporary}' (format parquet, compression zstd)"
        ).fetchone()
        path, digest = publish_by_digest(temporary, home.snapshots / spec.name, ".parquet")
    rows = int(row[0]) if row else 0
    write_json(home.snapshots / spec.name / "current.json", {"digest": digest, "rows": rows})
    return Snapshot(path, digest, rows)
