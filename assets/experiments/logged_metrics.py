"""Logged metrics: the units of each arm in a metric, by the prediction log with its outcomes, or by the arm log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from assets.experiments.arm_moments import ArmMoments, arm_moments, numbered
from assets.experiments.decision_stakes import decision_of
from assets.experiments.metric_values import REQUESTS, value_of
from assets.monitoring import arm_store
from assets.monitoring.log_views import connected, view
from assets.monitoring.logged_outcomes import joined
from assets.promotion.experiment_records import Stage
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.sql import literal

PAST = timedelta(days=28)
"""How long before an experiment what its units did counts as their past."""
COLUMNS = ("request_id", "ended_at_utc", "experiment", "arm", "propensity", "entity", "status", "milliseconds")


def logged_metrics(
    home: Home, spec: ProductSpec, stage: Stage, metrics: Sequence[str], ends: Sequence[datetime]
) -> dict[str, ArmMoments]:
    """What the units of each arm add up to in metrics, from the beginning of a stage to each look.

    Each log is read once, however many metrics are asked of it.

    Parameters
    ----------
    home, spec, stage
        Which experiment.
    metrics : sequence of str
        ``cost``, ``outcome`` or ``decision`` of answered rows; ``error`` or ``latency_ms`` of requests.
    ends : sequence of datetime
        The moments of looks, rising (aware).

    Returns
    -------
    dict of str to ArmMoments
        By metric.

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    arms = [arm.name for arm in stage.arms]
    # services change to a stage a moment after it began: what they dealt by the shares before is not of it
    dealt = " ".join(
        f"when arm = {literal(arm.name)} and abs(propensity - {arm.share!r}) < 1e-9 then {place}"
        for place, arm in enumerate(stage.arms)
    )
    mine = (
        f"case when experiment = {literal(stage.experiment)} and {{moment}} >= {_moment(stage.began_at)} then case {dealt} end"
    )
    of_requests = sorted({metric for metric in metrics if metric in REQUESTS})
    of_rows = sorted(set(metrics).difference(REQUESTS))
    found: dict[str, ArmMoments] = {}
    if of_requests:
        with connected(home, spec.name) as connection:
            connection.execute("set preserve_insertion_order = false")
            given = {"table": arm_store.table(), "lines_of": arm_store.lines_of}
            files = [file for file in arm_store.files(home, spec.name) if file.stem >= stage.began_at[:10]]
            view(connection, "requests", files, COLUMNS, **given)  # type: ignore[arg-type]
            marks = numbered(f"({mine.format(moment='ended_at_utc')} end)", "entity", "ended_at_utc", ends)
            marked = ", ".join(f"{expression} as {name}" for name, expression in marks.items())
            rows = connection.sql(f"select {marked}, {_named(spec, of_requests)} from requests")
            found |= arm_moments(rows, arms, len(ends), of_requests)
    if of_rows:
        started = datetime.fromisoformat(stage.started_at)
        past = f"when answered_at < {_moment(stage.started_at)} then {len(arms)}"
        # of texts only hashes and numbers are carried through the join with outcomes
        marks = numbered(f"({mine.format(moment='answered_at')} {past} end)", "entity", "answered_at", ends)
        marks["decided"] = decision_of(spec, "decision")
        with joined(home, spec, begin=(started - PAST).date().isoformat(), marks=marks) as relation:
            rows = relation.query("answered", f"select {', '.join(marks)}, {_named(spec, of_rows)} from answered")
            found |= arm_moments(rows, arms, len(ends), of_rows)
    return found


def _moment(written: str) -> str:
    return f"{literal(written)}::timestamptz"


def _named(spec: ProductSpec, metrics: Sequence[str]) -> str:
    return ", ".join(f"{value_of(spec, metric)} as {metric}" for metric in metrics)
