"""The asset `shadow`: the report of the shadow that answers, or answered last, with a check that it is fit for a canary."""

from __future__ import annotations

from datetime import UTC, datetime

from assets.experiments import experiment_report
from assets.promotion import ledger
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult, CheckResult, Link
from assets.storage.digests import value_digest
from assets.storage.home import Home

FIT = "fit"


def report_shadow(home: Home, spec: ProductSpec) -> AssetResult:
    """Report the shadow, if the last experiment is one."""
    last = experiment_report.last_stage(home, ledger.trusted(home, spec.name).entries)
    if last is None or last[1].kind != "shadow":
        told = "no experiment was started" if last is None else f"the last experiment, '{last[1].experiment}', is no shadow"
        return AssetResult(value_digest(told), {"told": told}, None, [CheckResult(FIT, passed=True, warns=True)])
    record, page = experiment_report.report(home, spec, datetime.now(UTC))
    figures = {"experiment": record["experiment"], "told": record["told"], "page": Link(home.relative(page))}
    result = CheckResult(FIT, bool(record["is_fit"]), {"told": record["told"]}, warns=True)
    return AssetResult(value_digest(record), figures, page, [result])
