"""What the assets that watch a product do."""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets import monitoring, snapshots
from assets.spec import ProductSpec
from assets.storage import Home
from orchestration.components.product_steps import champion_of
from orchestration.step import Made
from orchestration.watching import write_page

ALARMS = "alarms"


def alarms_check(product: str) -> dg.AssetCheckSpec:
    """The check that warns of alarms that stand; it holds nothing up."""
    return dg.AssetCheckSpec(
        ALARMS,
        asset=dg.AssetKey([product, "monitoring"]),
        description="No alarm stands: volume, drift of data, model and concept, quality before and after labels.",
    )


def watch_champion(spec: ProductSpec, home: Home) -> Made:
    """Look at the champion on the rows that came since it was validated."""
    watched = monitoring.monitor(home, spec, snapshots.current(home, spec.name), champion_of(spec, home))
    record, page = watched.record, write_page(home, watched.record)
    alarms = record["alarms"]
    figures: dict[str, Any] = {
        "periods": len(record["periods"]),
        "alarms": dg.MetadataValue.md("\n".join(f"- **{alarm['kind']}** {alarm['what']}: {alarm['told']}" for alarm in alarms)),
        "page": dg.MetadataValue.url(page.as_uri()),
        "record": dg.MetadataValue.path(str(watched.path)),
    }
    if record["periods"]:
        figures |= _last_figures(record)
    result = dg.AssetCheckResult(
        passed=not alarms,
        asset_key=dg.AssetKey([spec.name, "monitoring"]),
        check_name=ALARMS,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"alarms": dg.MetadataValue.json(alarms)},
    )
    return Made(watched.digest, figures, watched.path, [result])


def _last_figures(record: dict[str, Any]) -> dict[str, Any]:
    """What the UI plots over time: the last period's rows, and its deciding metric, expected and realised."""
    last, metric = record["periods"][-1], record["metric"]
    given = {name: last.get(name, {}).get(metric) for name in ("expected", "realised")}
    return {"last_period": last["name"], "dagster/row_count": last["rows"]} | {
        f"{name}_{metric}": item["value"] for name, item in given.items() if item is not None
    }
