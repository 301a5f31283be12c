"""Exposition: what the pipeline knows, in Prometheus's text format; pushed after a batch run, as nobody can scrape one.

Champions, what the monitoring said of them, the quality of data, and decisions about trainings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.error import URLError

from assets.errors import HomeError
from assets.promotion.ledger_state import Entry

JOB, KINDS = "loopline-pipeline", ("data", "model", "concept")


class Exposition:
    """The metrics of the pipeline, told one thing after another."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Gauge

        self.registry = CollectorRegistry()

        def gauge(name: str, told: str, *labels: str) -> Any:
            return Gauge(f"loopline_{name}", told, labels, registry=self.registry)

        self.champion = gauge("champion_info", "1 for the version in production", "product", "version", "digest")
        self.since = gauge("champion_since_timestamp_seconds", "When the champion was made it", "product")
        self.looked = gauge("monitored_timestamp_seconds", "When the champion was looked at last", "product")
        self.rows = gauge("period_rows", "Rows of the last period", "product")
        self.figure = gauge("quality", "A metric of the last period that has it", "product", "metric", "which")
        self.part = gauge("drift_ratio", "What moved in the last period, in parts of its floor", "product", "kind", "column")
        self.alarm = gauge("alarm", "1 for each alarm that stands", "product", "kind", "what")
        self.score = gauge("data_quality", "The share of rows, cells or days that are sound", "source", "table", "dimension")
        self.refused = gauge("quarantined_rows", "Rows in quarantine", "source", "table")
        self.decided = gauge(
            "retraining_decisions", "What was decided of events that may start a training", "product", "outcome"
        )
        self.learned = gauge("updates_learned_labels", "Labels that the served state learned since the promotion", "product")
        self.learner = gauge("updates_looked_timestamp_seconds", "When a learner last looked for labels", "product")
        self.unseen = gauge("updates_unseen_outcomes", "Outcomes that were told since a learner last looked", "product")

    def tell_champion(self, entry: Entry) -> None:
        """The entry by which a product is served."""
        self.champion.labels(entry.product, str(entry.version), entry.model_digest).set(1)
        self.since.labels(entry.product).set(datetime.fromisoformat(entry.recorded_at).timestamp())

    def tell_monitoring(self, record: dict[str, Any], when: datetime) -> None:
        """A record of the monitoring, and when it was made (aware)."""
        product = record["product"]
        self.looked.labels(product).set(when.timestamp())
        for which, found in _figures(record).items():
            for metric, item in found.items():
                self.figure.labels(product, metric, which).set(item["value"])
        for period in record["periods"][-1:]:
            self.rows.labels(product).set(period["rows"])
            columns = {(kind, name): item for kind in KINDS for name, item in period.get("drift", {}).get(kind, {}).items()}
            for (kind, name), item in columns.items():
                self.part.labels(product, kind, name).set(item["effect"] / item["floor"] if item["floor"] else 0.0)
        for alarm in record["alarms"]:
            self.alarm.labels(product, alarm["kind"], alarm["what"]).set(1)

    def tell_updates(self, product: str, learned: int, looked_at: str | None, unseen: int) -> None:
        """How far the labels of a champion's answers are learned, and when a learner looked (UTC); None if none did."""
        self.learned.labels(product).set(learned)
        self.unseen.labels(product).set(unseen)
        if looked_at is not None:
            self.learner.labels(product).set(datetime.fromisoformat(looked_at).timestamp())

    def tell_quality(self, record: dict[str, Any]) -> None:
        """A record of a source's data quality."""
        for table, found in record["tables"].items():
            refused = sum(part["quarantined"] for part in found["partitions"].values())
            self.refused.labels(record["source"], table).set(refused)
            for dimension, item in found["scores"].items():
                self.score.labels(record["source"], table, dimension).set(item["value"])

    def tell_decisions(self, product: str, outcomes: Sequence[str]) -> None:
        """What was decided of a product's events."""
        for outcome, count in Counter(outcomes).items():
            self.decided.labels(product, outcome).set(count)


def text(given: Exposition) -> str:
    """The metrics in Prometheus's text format."""
    from prometheus_client import generate_latest

    return generate_latest(given.registry).decode()


def push(given: Exposition, gateway: str) -> None:
    """Push all metrics to a Pushgateway, in place of what was pushed before.

    Raises
    ------
    HomeError
        If it does not answer.
    """
    from prometheus_client import push_to_gateway

    try:
        push_to_gateway(gateway, JOB, given.registry, timeout=10)
    except (URLError, OSError) as error:
        raise HomeError(
            f"the Pushgateway at {gateway} does not take metrics ({error}). Start it, or unset LOOPLINE_PUSHGATEWAY."
        ) from error


def _figures(record: dict[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """The metrics of the reference, and the last ones that were expected and realised."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    if record["periods"]:
        found["reference"] = record["reference"]["metrics"]
    for which in ("expected", "realised"):
        given = [period[which] for period in record["periods"] if which in period]
        if given:
            found[which] = given[-1]
    return found
