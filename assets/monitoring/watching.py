"""What commands and assets that watch a product have in common."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from assets.errors import DataError
from assets.features import snapshots
from assets.monitoring import champion_monitor, evidently_report, monitor_page
from assets.monitoring.scored_rows import Monitored, not_watched
from assets.promotion import ledger
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.drafts import draft_folder
from assets.storage.home import REPOSITORY, Home

EVIDENTLY = REPOSITORY / ".venv-evidently" / "bin" / "python"


def write_page(home: Home, record: dict[str, Any], name: str = monitor_page.PAGE) -> Path:
    """Write the monitor's page, with what people and gates decided so far."""
    entries = ledger.standing(home, record["product"]).entries
    return monitor_page.write(home, record, [asdict(entry) for entry in entries], name)


def look_back(home: Home, spec: ProductSpec, as_of: datetime) -> dict[str, Any]:
    """What the monitoring would have said at a moment, of today's champion; it is not kept.

    Raises
    ------
    LedgerError
        If nobody is served.
    """
    return champion_monitor.look(
        home, spec, snapshots.current(home, spec.name), ledger.require_champion(home, spec.name), as_of
    )


def second_opinion(home: Home, spec: ProductSpec) -> Path:
    """Evidently's page of the last period against the reference, from a sample of both.

    Raises
    ------
    DataError
        If Evidently is not set up, or there is no period after the reference.
    """
    import numpy as np
    import pandas as pd

    if not EVIDENTLY.exists():
        raise DataError("Evidently is not set up. Run `make evidently`.")
    if (told := not_watched(spec)) is not None:
        raise DataError(f"{spec.name}: {told}.")
    rows = Monitored.load(home, spec, snapshots.current(home, spec.name), ledger.require_champion(home, spec.name).model_digest)
    last = [days & rows.later for days in rows.periods.values() if (days & rows.later).any()]
    if not last:
        raise DataError(f"{spec.name}: no rows came since the champion was validated. Land more, and run `loopline run`.")
    frame, random = pd.DataFrame(rows.features), np.random.default_rng(spec.model.seed)
    page = home.monitoring / spec.name / "evidently.html"
    with draft_folder(home) as scratch:
        paths = [scratch / name for name in ("reference.parquet", "period.parquet")]
        for path, days in zip(paths, (~rows.later, last[-1]), strict=True):
            places = np.flatnonzero(rows.rows(days))
            chosen = random.choice(places, min(evidently_report.MOST, len(places)), replace=False)
            frame.iloc[np.sort(chosen)].to_parquet(path)
        command = [str(EVIDENTLY), "-P", evidently_report.__file__, *map(str, paths), str(page)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"{spec.name}: Evidently failed: {done.stderr.strip().splitlines()[-1]}")
    manifest.record(page)
    return page
