"""What the service tells Prometheus. Several workers write to one folder, and each can answer for all of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bentos.assignment import Assignment
from bentos.fallback import FALLING_BACK
from bentos.served import Served

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ROWS = (1, 10, 100, 1000, 10_000, 100_000)


class Metrics:
    """The service's metrics.

    Parameters
    ----------
    folder : Path, optional
        What the workers share; None for a single one. ``PROMETHEUS_MULTIPROC_DIR`` must name it before this is made.
    """

    def __init__(self, folder: Path | None = None) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.folder, self.registry = folder, CollectorRegistry()
        # looking a time series up by its labels takes longer than counting in it
        self.known: dict[tuple[str, int], tuple[Any, Any]] = {}
        self.of_versions: dict[str, tuple[Any, list[Any]]] = {}
        made: dict[str, Any] = {"registry": self.registry, "namespace": "loopline"}
        self.requests = Counter("requests", "Requests by path and status", ["path", "status"], **made)
        self.seconds = Histogram(
            "request_duration_seconds", "From the request's head to its answer", ["path"], buckets=SECONDS, **made
        )
        self.batch_rows = Histogram("model_call_rows", "Rows answered by one call of the model", buckets=ROWS, **made)
        self.rows = Counter("predicted_rows", "Rows answered, by model version, or by the fallback", ["version"], **made)
        self.unknown = Counter("unknown_categories", "Rows with a category not seen in training", ["feature"], **made)
        self.refused = Counter("refused_inputs", "Values that were refused", ["feature", "problem"], **made)
        self.denied = Counter("denied_requests", "Requests that the gate refused, by what was wrong", ["reason"], **made)
        self.scores = Counter(
            "scores", "Rows by the tenth of the validation rows' outputs that theirs lies in", ["version", "tenth"], **made
        )
        self.dropped = Counter("prediction_log_dropped_rows", "Rows that the prediction log could not keep up with", **made)
        self.arm_requests = Counter(
            "arm_requests", "Requests of an experiment by arm and status", ["experiment", "arm", "status"], **made
        )
        self.arm_seconds = Histogram(
            "arm_request_duration_seconds",
            "From the request's head to its answer",
            ["experiment", "arm"],
            buckets=SECONDS,
            **made,
        )
        self.not_shadowed = Counter("not_shadowed_requests", "Requests that the shadow could not keep up with", **made)
        self.unnamed = Counter(
            "rows_without_entity", "Rows answered without X-Entity-Key, where the product declares an entity", **made
        )
        self.switches = Counter("model_switches", "How often the service changed to another champion", **made)
        self.waiting = Gauge("waiting_rows", "Rows of batches that wait for the model", multiprocess_mode="livesum", **made)
        self.lag = Gauge(
            "event_loop_lag_seconds", "How late the service comes to what waits", multiprocess_mode="livemax", **made
        )
        self.serving = Gauge(
            "model_info", "1 for the version that answers", ["version", "digest"], multiprocess_mode="livemax", **made
        )
        self.fallback = Gauge(
            "fallback", "1 while the fallback answers, by what says so", ["reason"], multiprocess_mode="livemax", **made
        )

    def answered(self, served: Served, scores: Sequence[float], unknown: Iterable[Sequence[str]]) -> None:
        """Count rows, their scores, and the names of each row's unknown categories."""
        version = FALLING_BACK if served.is_fallback else served.version
        if version not in self.of_versions:
            tenths = [self.scores.labels(version, str(tenth)) for tenth in range(1, 11)]
            self.of_versions[version] = self.rows.labels(version), tenths
        rows, tenths = self.of_versions[version]
        rows.inc(len(scores))
        edges = served.model.signature["score_tenths"]
        counted: dict[int, int] = {}
        for score in () if served.is_fallback else scores:
            tenth = bisect_right(edges, score)
            counted[tenth] = counted.get(tenth, 0) + 1
        for tenth, count in counted.items():
            tenths[tenth].inc(count)
        for names in unknown:
            for name in names:
                self.unknown.labels(name).inc()

    def refused_values(self, served: Served | None, error: ValidationError) -> None:
        """Count the values that were refused."""
        features = () if served is None else served.model.signature["features"]
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            # a name that no feature has comes from outside: it must not become a time series of its own
            name = next((str(place) for place in reversed(item["loc"]) if place in features), "other")
            self.refused.labels(name, item["type"]).inc()

    def finished(self, path: str, status: int, seconds: float) -> None:
        """Count a request and how long it took."""
        key = (path, status)
        if key not in self.known:
            self.known[key] = self.requests.labels(path, str(status)), self.seconds.labels(path)
        counter, histogram = self.known[key]
        counter.inc()
        histogram.observe(seconds)

    def ended(self, given: Assignment, status: int, seconds: float) -> None:
        """Count a request of an experiment and how long it took."""
        self.arm_requests.labels(given.experiment, given.arm, str(status)).inc()
        self.arm_seconds.labels(given.experiment, given.arm).observe(seconds)

    def switched(self, before: Served | None, after: Served | None) -> None:
        """Say which version answers from now on."""
        for served, value in ((before, 0), (after, 1)):
            if served is not None:
                self.serving.labels(served.version, served.model.digest).set(value)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format, of all workers."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        if self.folder is None:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self.folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)
