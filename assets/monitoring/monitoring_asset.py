"""The asset `monitoring`: what became of the champion since it was validated, with a check that warns of alarms."""

from __future__ import annotations

from typing import Any

from assets.features import snapshots
from assets.monitoring import champion_monitor
from assets.monitoring.watching import write_page
from assets.promotion.ledger import require_champion
from assets.spec import ProductSpec
from assets.storage.asset_result import ROWS, AssetResult, CheckResult, Link, Markdown
from assets.storage.home import Home

ALARMS = "alarms"


def watch_champion(home: Home, spec: ProductSpec) -> AssetResult:
    """Look at the champion on the rows that came since it was validated."""
    watched = champion_monitor.monitor(home, spec, snapshots.current(home, spec.name), require_champion(home, spec.name))
    record, page = watched.record, write_page(home, watched.record)
    alarms = record["alarms"]
    figures: dict[str, Any] = {
        "periods": len(record["periods"]),
        "alarms": Markdown("\n".join(f"- **{alarm['kind']}** {alarm['what']}: {alarm['told']}" for alarm in alarms)),
        "page": Link(home.relative(page)),
        "record": watched.path,
    }
    if record["periods"]:
        figures |= _last_figures(record)
    result = CheckResult(ALARMS, not alarms, {"alarms": alarms}, warns=True)
    return AssetResult(watched.digest, figures, watched.path, [result])


def _last_figures(record: dict[str, Any]) -> dict[str, Any]:
    """What the UI plots over time: the last period's rows, and its deciding metric, expected and realised."""
    last, metric = record["periods"][-1], record["metric"]
    given = {name: last.get(name, {}).get(metric) for name in ("expected", "realised")}
    return {"last_period": last["name"], ROWS: last["rows"]} | {
        f"{name}_{metric}": item["value"] for name, item in given.items() if item is not None
    }
