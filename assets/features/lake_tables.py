"""Lake tables of a product: its snapshots, and its monthly predictions, as Delta or Iceberg tables in the home.

A version tells the digest of what was published with it, by which a version is found and held against the published file.
"""

from __future__ import annotations

from pathlib import Path

from assets.features.lake_publication import LakeTable, LakeVersion, Publication
from assets.features.published_delta import PublishedDelta
from assets.features.published_iceberg import PublishedIceberg
from assets.features.snapshots import Snapshot
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.digests import value_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, parquet

SNAPSHOT, PREDICTIONS = "snapshot", "monthly_predictions"
"""The tables of a product."""
MODEL = "loopline.model"
"""The metadata of a version of predictions: the model that made them."""


def table(home: Home, spec: ProductSpec, name: str) -> LakeTable:
    """One of a product's tables, in the format that the product declares; it need not exist."""
    place = home.lake / spec.name / name
    return PublishedIceberg(catalog(home), place) if spec.publish == "iceberg" else PublishedDelta(place)


def found(home: Home, product: str, name: str) -> LakeTable | None:
    """One of a product's tables as it lies in the home, whatever is declared now; None if there is none."""
    place = home.lake / product / name
    if (place / "_delta_log").exists():
        return PublishedDelta(place)
    return PublishedIceberg(catalog(home), place) if (place / "metadata").exists() else None


def catalog(home: Home) -> Path:
    """The SQLite file of the home's Iceberg catalogue."""
    return home.lake / "catalog.db"


def publish_snapshot(home: Home, spec: ProductSpec, snapshot: Snapshot) -> LakeVersion:
    """Make a snapshot the latest version of the product's table of snapshots, if it is not already."""
    return table(home, spec, SNAPSHOT).publish(Publication(snapshot.path, spec.features.entity, snapshot.digest))


def publish_predictions(
    home: Home, spec: ProductSpec, month: str, rows: Path, *, digest: str, told: dict[str, str]
) -> LakeVersion:
    """Put a month's predictions in the place of what the product's table holds of that month."""
    published = Publication(rows, spec.features.entity, digest, month=month, told=told)
    return table(home, spec, PREDICTIONS).publish(published)


def version_of(held: LakeTable, digest: str) -> LakeVersion | None:
    """The latest version by which rows of a digest were published; None if there is none."""
    return next((item for item in reversed(held.versions()) if item.digest == digest), None)


def rows_digest(home: Home, rows: Path) -> str:
    """The digest of the rows of a Parquet file, whatever their order and the file's layout.

    It is taken of their number and of the sum of their MD5 sums, so that it needs no more memory than a row.
    """
    with draft_folder(home) as scratch, scratch_database(scratch) as connection:
        names = sorted(str(row[0]) for row in connection.execute(f"describe from {parquet(str(rows))}").fetchall())
        row = f"to_json([{', '.join(f'{identifier(name)}::varchar' for name in names)}])::varchar"
        sums = ", ".join(f"sum(md5_number_{half}({row})::hugeint)::varchar" for half in ("lower", "upper"))
        return value_digest([names, connection.execute(f"select count(*), {sums} from {parquet(str(rows))}").fetchone()])


def digest_of(home: Home, held: LakeTable, version: LakeVersion) -> str:
    """The digest of the rows of a version; see `rows_digest`."""
    with draft_folder(home) as scratch:
        held.write(version, scratch / "rows.parquet")
        return rows_digest(home, scratch / "rows.parquet")


def remove(home: Home, product: str) -> None:
    """Remove a product's tables with all their versions: the next run publishes the current snapshot anew."""
    manifest.remove(home.lake / product)
