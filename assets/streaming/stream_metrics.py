"""Stream metrics: a stream's rows, broken rules, predictions and labels in Prometheus's text format, as a file or pushed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError

from assets.streaming.window_counts import ALL, ANY_BAD

FILE, JOB = "metrics.prom", "loopline-stream"


def registry_of(name: str, record: Mapping[str, Any], outcomes: Mapping[str, Any] | None, window_seconds: int) -> Any:
    """The figures of a stream.

    Parameters
    ----------
    name : str
        The stream.
    record : mapping
        The record of its last batch.
    outcomes : mapping, optional
        The record of the last batch of outcomes.
    window_seconds : int
        The length of a window. The last one that told something is told.
    """
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    gauges: dict[str, Any] = {}

    def tell(metric: str, told: str, value: float, **labels: str) -> None:
        if metric not in gauges:
            gauges[metric] = Gauge(f"loopline_stream_{metric}", told, ("stream", *labels), registry=registry)
        gauges[metric].labels(name, *labels.values()).set(value)

    _tell_counts(tell, "", "until now", record["counts"])
    begins = max(record["windows"], key=int)
    _tell_counts(tell, "window_", "of the last window of arrival", record["windows"][begins])
    tell("window_timestamp_seconds", "When the last window of arrival began", float(begins))
    tell("window_seconds", "How long a window is", window_seconds)
    if record["latest_event"] is not None:
        moment = datetime.fromisoformat(record["latest_event"]).replace(tzinfo=UTC).timestamp()
        tell("latest_event_timestamp_seconds", "The latest moment of a row", moment)
    tell("predictions", "Rows that were scored until now", record["figures"].get("predictions", 0))
    if record.get("by"):
        version, digest = str(record["by"]["model_version"]), record["by"]["model_digest"]
        tell("model_info", "1 for the version that scored the last batch", 1, version=version, digest=digest)
    if outcomes is not None:
        found = {
            which: record["figures"].get(which, 0) + outcomes["figures"].get(which, 0) for which in ("labelled", "label_error")
        }
        tell("outcomes", "Outcomes that were taken until now", outcomes["counts"][ALL] - outcomes["counts"].get(ANY_BAD, 0))
        tell("labelled_predictions", "Predictions whose outcome is known", found["labelled"])
        tell("label_error_sum", "Wrong decisions, or by how much values were off in all", found["label_error"])
    return registry


def write(registry: Any, folder: Path) -> Path:
    """Put the figures into the folder's file, whole."""
    from prometheus_client import write_to_textfile

    write_to_textfile(str(folder / FILE), registry)
    return folder / FILE


def push(registry: Any, gateway: str, name: str) -> str | None:
    """Push the figures to a Pushgateway; what is wrong, if it does not take them: the stream goes on."""
    from prometheus_client import push_to_gateway

    with contextlib.suppress(URLError, OSError):
        push_to_gateway(gateway, JOB, registry, grouping_key={"stream": name}, timeout=10)
        return None
    return f"the Pushgateway at {gateway} does not take metrics. Start it, or unset LOOPLINE_PUSHGATEWAY."


def _tell_counts(tell: Any, prefix: str, when: str, counts: Mapping[str, int]) -> None:
    bad = counts.get(ANY_BAD, 0)
    tell(f"{prefix}rows", f"Rows that arrived, {when}", counts.get(ALL, 0) - bad, state="good")
    tell(f"{prefix}rows", "", bad, state="quarantined")
    for reason, rows in counts.items():
        if reason not in (ALL, ANY_BAD):
            tell(f"{prefix}broken_rules", f"Rows that broke a rule, {when}", rows, rule=reason)
