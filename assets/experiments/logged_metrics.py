"""Logged metrics: the units of each arm in a metric, by the prediction log with its outcomes, or by the arm log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from assets.experiments.arm_moments import ArmMoments, arm_moments
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
    home: Home, spec: ProductSpec, stage: Stage, metrics: Collection[str], ends: Sequence[datetime]
) -> dict[str, ArmMoments]:
    """What the units of each arm add up to in some metrics, from the beginning of a stage to each look; each log is read once.

    Parameters
    ----------
    home, spec, stage
        Which experiment.
    metrics : collection of str
        ``cost``, ``outcome`` or ``decision`` of answered rows; ``error`` or ``latency_ms`` of requests.
    ends : sequence of datetime
        The moments of looks, rising (aware).

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    arms = [arm.name for arm in stage.arms]
    # services change to a stage a moment after it began: what they dealt by the shares before is not of it
    shares = " or ".join(f"(arm = {literal(arm.name)} and abs(propensity - {arm.share!r}) < 1e-9)" for arm in stage.arms)
    begun = f"moment >= {literal(stage.began_at)}::timestamptz"
    mine = f"experiment = {literal(stage.experiment)} and {begun} and ({shares})"
    found: dict[str, ArmMoments] = {}
    if of_requests := [metric for metric in metrics if metric in REQUESTS]:
        with connected(home, spec.name) as connection:
            given = {"table": arm_store.table(), "lines_of": arm_store.lines_of}
            view(connection, "requests", arm_store.files(home, spec.name), COLUMNS, **given)  # type: ignore[arg-type]
            for metric in of_requests:
                rows = connection.sql(
                    f"select arm, entity as unit, moment, {value_of(spec, metric)} as value from "
                    f"(select *, ended_at_utc::timestamptz as moment from requests) where {mine}"
                )
                found[metric] = arm_moments(rows, arms, ends)
    if of_rows := [metric for metric in metrics if metric not in REQUESTS]:
        started = datetime.fromisoformat(stage.started_at)
        before = f"moment < {literal(stage.started_at)}::timestamptz"
        with joined(home, spec, begin=(started - PAST).date().isoformat()) as answered:
            for metric in of_rows:
                rows = answered.query(
                    "answered",
                    f"select case when {mine} then arm end as arm, unit, moment, {value_of(spec, metric)} as value from "
                    f"(select *, answered_at as moment from answered) where {mine} or {before}",
                )
                found[metric] = arm_moments(rows, arms, ends)
    return found
