"""A stream's figures in Prometheus's format: what they add up, a file, and a real Pushgateway."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from assets.streaming import stream_metrics
from assets.streaming.window_counts import ALL, ANY_BAD
from tests.ports import free_port

RECORD: dict[str, Any] = {
    "counts": {ALL: 100, ANY_BAD: 3, "age: above 120": 2, "plan: missing": 1},
    "windows": {"1700000040": {ALL: 60}, "1700000100": {ALL: 40, ANY_BAD: 3, "age: above 120": 2, "plan: missing": 1}},
    "latest_event": "2025-01-01T00:00:00",
    "figures": {"predictions": 97, "labelled": 5, "label_error": 2.0},
    "by": {"model_version": 4, "model_digest": "abc"},
}
OUTCOMES: dict[str, Any] = {"counts": {ALL: 12, ANY_BAD: 2}, "figures": {"labelled": 3, "label_error": 1.0}}


def samples(text: str) -> dict[tuple[str, str], float]:
    """The figures, by name and the value of the label beside the stream's, if there is one."""
    return {
        (item.name.removeprefix("loopline_stream_"), next((v for k, v in item.labels.items() if k in ("state", "rule", "version")), "")): item.value
        for family in text_string_to_metric_families(text)
        for item in family.samples
    }  # fmt: skip


def test_rows_rules_windows_and_labels_are_told(tmp_path: Path) -> None:
    """Of the last window only; labels of both kinds of batches add up."""
    registry = stream_metrics.registry_of("churn", RECORD, OUTCOMES, 60)
    assert samples(stream_metrics.write(registry, tmp_path).read_text()) == {
        ("rows", "good"): 97,
        ("rows", "quarantined"): 3,
        ("broken_rules", "age: above 120"): 2,
        ("broken_rules", "plan: missing"): 1,
        ("window_rows", "good"): 37,
        ("window_rows", "quarantined"): 3,
        ("window_broken_rules", "age: above 120"): 2,
        ("window_broken_rules", "plan: missing"): 1,
        ("window_timestamp_seconds", ""): 1700000100,
        ("window_seconds", ""): 60,
        ("latest_event_timestamp_seconds", ""): 1735689600,
        ("predictions", ""): 97,
        ("model_info", "4"): 1,
        ("outcomes", ""): 10,
        ("labelled_predictions", ""): 8,
        ("label_error_sum", ""): 3,
    }


def test_a_table_has_no_predictions_and_no_labels() -> None:
    """Nothing is told of what is not there."""
    record = {**RECORD, "by": None, "figures": {}, "latest_event": None}
    registry = stream_metrics.registry_of("flights.weather", record, None, 60)
    told = {metric.name for metric in registry.collect()}
    assert not told & {
        "loopline_stream_model_info",
        "loopline_stream_outcomes",
        "loopline_stream_latest_event_timestamp_seconds",
    }
    assert "loopline_stream_window_rows" in told


@pytest.mark.skipif(shutil.which("prometheus-pushgateway") is None, reason="there is no Pushgateway: make test installs it")
def test_a_real_pushgateway_takes_them_for_each_stream(tmp_path: Path) -> None:
    """Two streams stand beside one another; a push replaces the one before."""
    place = f"127.0.0.1:{free_port()}"
    with (tmp_path / "log").open("wb") as log:
        gateway = subprocess.Popen(["prometheus-pushgateway", f"--web.listen-address={place}"], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        for name in ("churn", "other", "churn"):
            while (problem := stream_metrics.push(stream_metrics.registry_of(name, RECORD, None, 60), place, name)) is not None:
                assert time.monotonic() < until, problem
                time.sleep(0.1)
        with urlopen(f"http://{place}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith("loopline_stream_predictions{")]
        assert len(found) == 2
        assert all('job="loopline-stream"' in line for line in found)
    finally:
        gateway.terminate()
        gateway.wait()


def test_a_gateway_that_is_not_there_is_told_and_stops_nothing() -> None:
    """The stream goes on: what is wrong is a sentence."""
    told = stream_metrics.push(stream_metrics.registry_of("churn", RECORD, None, 60), "127.0.0.1:9", "churn")
    assert told is not None
    assert "127.0.0.1:9 does not take metrics" in told
