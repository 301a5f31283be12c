"""The asset `off_policy`: what the newest version would have cost on live traffic, with a check of the overlap."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from assets.errors import OverlapError
from assets.experiments import off_policy_page
from assets.experiments.candidate_rules import candidate_rule
from assets.experiments.off_policy_report import off_policy_report
from assets.spec import ProductSpec
from assets.storage.asset_result import ROWS, AssetResult, CheckResult, FailedCheckError, Link
from assets.storage.home import Home

OVERLAP = "overlap"


def evaluate_off_policy(home: Home, spec: ProductSpec) -> AssetResult:
    """Estimate from the log of experiments what the newest version would have cost."""
    try:
        report = off_policy_report(home, spec, candidate_rule(home, spec), datetime.now(UTC))
    except OverlapError as error:
        raise FailedCheckError(CheckResult(OVERLAP, passed=False, description=str(error)), error) from error
    record, page = off_policy_page.publish(home, report)
    best, overlap = report.evaluation.best, asdict(report.evaluation.overlap)
    figures = {
        "told": report.told,
        "version": report.rule.version,
        ROWS: report.evaluation.overlap.rows,
        "units": report.units,
        "cost": best.value,
        "cost_low": best.low,
        "cost_high": best.high,
        "logged_cost": report.logged.value,
        "difference": report.difference.value,
        "left_out": report.left_out,
        "page": Link(home.relative(page)),
        "record": record,
    }
    return AssetResult(report.digest, figures, record, [CheckResult(OVERLAP, passed=True, metadata=overlap)])
