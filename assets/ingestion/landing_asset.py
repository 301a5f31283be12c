"""The assets `landing`: a table of a source, or some of its months, landed anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assets.ingestion import landing
from assets.ingestion.landed_tables import Landed
from assets.spec import SourceSpec
from assets.storage.asset_result import ROWS, AssetResult
from assets.storage.home import Home


def land_table(home: Home, source: SourceSpec, table: str, folder: Path) -> AssetResult:
    """Land a table that is not partitioned."""
    return _result(home, landing.land(home, source, table, folder))


def land_months(home: Home, source: SourceSpec, table: str, folder: Path, months: Sequence[str]) -> dict[str, Landed]:
    """Land months of a table, such as ``2013-04``, each with its record."""
    return {str(record.partition): record for record in landing.land(home, source, table, folder, sorted(months))}


def month_result(home: Home, record: Landed) -> AssetResult:
    """The result of one landed month."""
    return _result(home, [record])


def _result(home: Home, records: Sequence[Landed]) -> AssetResult:
    version = "+".join(f"{record.digest[:32]}.{record.quarantine_digest[:32]}" for record in records)
    return AssetResult(version, _figures(home, records), home.root / records[0].file)


def _figures(home: Home, records: Sequence[Landed]) -> dict[str, Any]:
    reasons: dict[str, int] = {}
    for record in records:
        for reason, count in record.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return {
        ROWS: sum(record.rows_good for record in records),
        "rows_in": sum(record.rows_in for record in records),
        "rows_quarantined": sum(record.rows_quarantined for record in records),
        "reasons": reasons,
        **_version(records[0]),
        "quarantine": home.root / records[0].quarantine_file,
    }


def _version(record: Landed) -> dict[str, Any]:
    """Which version of a table elsewhere was read, and how many rows were read anew for it."""
    return {} if record.version is None else {f"table_{name}": value for name, value in record.version.items() if value != ""}
