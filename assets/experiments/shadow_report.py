"""Shadow report: a champion's answers against those of the challenger in its shadow, and whether it is fit for a canary."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from assets.experiments import shadow_fitness, shadow_page
from assets.experiments.shadow_figures import ShadowFigures
from assets.experiments.shadow_pairs import Period, paired
from assets.promotion.experiment_records import Stage
from assets.spec import ProductSpec
from assets.storage import log_keys
from assets.storage.home import Home
from assets.storage.publishing import write_json

NOT_KNOWN = (
    "the shadow's own time, at a lower priority and without HTTP; the champion's is not logged: compare with "
    "loopline_request_duration_seconds"
)
"""What is said of the latency."""


def write(home: Home, spec: ProductSpec, stage: Stage, period: Period) -> tuple[dict[str, Any], Path]:
    """Compare, and publish the record and its page as ``NAME-report.json`` and ``.html``.

    Parameters
    ----------
    home, spec
        Whose logs.
    stage : Stage
        The shadow's.
    period : Period
        When it answered.

    Returns
    -------
    dict
        The record: see docs/experiments.md.
    Path
        The page.

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    record = compared(home, spec, stage, period)
    write_json(home.experiments / spec.name / f"{stage.experiment}-report.json", record)
    return record, shadow_page.write(home, record)


def compared(home: Home, spec: ProductSpec, stage: Stage, period: Period) -> dict[str, Any]:
    """The record, not published; raises like `write`."""
    (shadow,), alpha, is_sealed = stage.treatments, 1 - spec.evaluation.confidence, bool(log_keys.keys(home))
    record: dict[str, Any] = {
        "product": spec.name,
        "experiment": stage.experiment,
        "kind": stage.kind,
        "target": spec.kind,
        "champion": {"version": stage.control.version, "model_digest": stage.control.model_digest},
        "shadow": {"version": shadow.version, "model_digest": shadow.model_digest},
        "from": period.begin.isoformat(timespec="seconds"),
        "to": period.end.isoformat(timespec="seconds"),
        "confidence": spec.evaluation.confidence,
        "is_sealed": is_sealed,
    }
    with paired(home, spec, stage, period) as connection:
        figures = ShadowFigures(connection, spec)
        record["counts"] = figures.counts()
        if record["counts"]["compared_rows"]:
            record["outputs"] = figures.outputs()
            record["decisions"] = figures.decisions(alpha)
            record["money"] = figures.money(alpha)
            record["largest"] = {by: figures.largest(by, is_sealed=is_sealed) for by in ("stake", "cost_gap")}
            record["latency"] = {**figures.latency(), "told": NOT_KNOWN}
    found = shadow_fitness.rules(record, spec.gates.latency.row_p99_ms)
    record["rules"] = [asdict(rule) for rule in found]
    record["is_fit"] = all(rule.passed for rule in found)
    record["told"] = shadow_fitness.told(f"{spec.name} version {shadow.version}", found, record)
    return record
