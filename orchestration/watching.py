"""What commands and assets that watch a product have in common."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from assets import ledger, monitor_page, monitoring, snapshots
from assets.errors import GateRefusedError
from assets.spec import ProductSpec
from assets.storage import Home


def write_page(home: Home, record: dict[str, Any]) -> Path:
    """Write the monitor's page, with what people and gates decided so far."""
    entries = ledger.standing(home, record["product"]).entries
    return monitor_page.write(home, record, [asdict(entry) for entry in entries])


def look_back(home: Home, spec: ProductSpec, as_of: datetime) -> dict[str, Any]:
    """What the monitoring would have said at a moment, of today's champion; it is not kept.

    Raises
    ------
    GateRefusedError
        If nobody is served.
    """
    champion = ledger.standing(home, spec.name).champion
    if champion is None:
        raise GateRefusedError(f"{spec.name}: no version is champion, so nobody is watched. Run `loopline run`.")
    return monitoring.look(home, spec, snapshots.current(home, spec.name), champion, as_of)
