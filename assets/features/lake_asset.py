"""The asset `lake`: the current snapshot as the latest version of a Delta or Iceberg table."""

from __future__ import annotations

from assets.features import lake_tables, snapshots
from assets.spec import ProductSpec
from assets.storage.asset_result import ROWS, AssetResult
from assets.storage.home import Home


def publish_to_lake(home: Home, spec: ProductSpec) -> AssetResult:
    """Merge the current snapshot into the product's lake table; one that holds it already stays as it is."""
    snapshot = snapshots.current(home, spec.name)
    version = lake_tables.publish_snapshot(home, spec, snapshot)
    place = home.lake / spec.name / lake_tables.SNAPSHOT
    figures = {
        ROWS: snapshot.rows,
        "format": spec.publish,
        "version": version.version,
        "digest": snapshot.digest,
        "path": place,
    }
    return AssetResult(snapshot.digest, figures, place)
