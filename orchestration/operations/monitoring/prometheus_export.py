"""What Prometheus and Alertmanager are given: the pipeline's metrics, and the files of `deploy/monitoring`.

``python -m orchestration.operations.monitoring.prometheus_export`` (`make alerts`) writes those files anew
from the declarations.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from assets.ingestion import data_quality
from assets.monitoring import retraining_decisions
from assets.observability import grafana_dashboards, prometheus_metrics, prometheus_rules
from assets.promotion import current_artifacts, ledger
from assets.spec import ProductSpec
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import publishing, read_json
from assets.streaming import learner_progress
from orchestration import declarations

FOLDER = REPOSITORY / "deploy" / "monitoring"
HEAD = "# Written by `make alerts` from the declarations; change those.\n"
DOWN_SILENCES = {
    "source_matchers": ['alertname="ServiceDown"'],
    "target_matchers": ['alertname=~"Service(Slow|Errors)"'],
    "equal": ["product"],
}
PUSHGATEWAY, ALERTMANAGER = "127.0.0.1:9091", "127.0.0.1:9093"
"""Debian's defaults."""


def collect(home: Home) -> prometheus_metrics.Exposition:
    """The metrics of all declared products and sources, as far as there are any."""
    found = prometheus_metrics.Exposition()
    for spec, _ in declarations.products():
        champion = ledger.standing(home, spec.name).champion
        if champion is not None:
            found.tell_champion(champion)
            if (learner := learner_progress.progress(home, champion)) is not None:
                looked_at = None if learner.stopped else learner.looked_at  # nothing is to be learned then
                found.tell_updates(spec.name, learner.learned, looked_at, learner.unseen)
        record = current_artifacts.found(home.monitoring / spec.name)
        if record is not None and record.exists():
            found.tell_monitoring(read_json(record), datetime.fromtimestamp(record.stat().st_mtime, UTC))
        found.tell_decisions(spec.name, [item.outcome for item in retraining_decisions.decisions(home, spec.name)])
    for source in declarations.sources():
        scored = data_quality.recorded(home, source.name)
        if scored is not None:
            found.tell_quality(scored)
    return found


def files(products: list[ProductSpec], webhook: str = "http://127.0.0.1:9095/alerts") -> dict[str, dict[str, Any]]:
    """The content of each file of `deploy/monitoring`, by name.

    Parameters
    ----------
    products : list of ProductSpec
        Services are looked for on consecutive ports, in this order.
    webhook : str
        Where Alertmanager sends what fires.
    """
    services = [
        {"targets": [f"127.0.0.1:{declarations.FIRST_PORT + place}"], "labels": {"product": spec.name}}
        for place, spec in enumerate(products)
    ]
    return {
        "rules.yml": prometheus_rules.rules(products),
        "prometheus.yml": {
            "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [ALERTMANAGER]}]}]},
            "scrape_configs": [
                {"job_name": "loopline-service", "static_configs": services},
                # what is pushed says itself which product it is of
                {"job_name": "pushed", "honor_labels": True, "static_configs": [{"targets": [PUSHGATEWAY]}]},
            ],
        },
        "alertmanager.yml": {
            "route": {
                "receiver": "team",
                "group_by": ["product", "alertname"],
                "group_wait": "10s",
                "group_interval": "1m",
                "repeat_interval": "12h",
            },
            # a service that is down is slow, too
            "inhibit_rules": [
                {
                    "source_matchers": ['alertname="ServiceDown"'],
                    "target_matchers": ['alertname=~"Service.*"'],
                    "equal": ["product"],
                }
            ],
            "receivers": [{"name": "team", "webhook_configs": [{"url": webhook, "send_resolved": True}]}],
        },
    }


def write(folder: Path = FOLDER) -> list[Path]:
    """Write all files."""
    written = []
    for name, content in files([spec for spec, _ in declarations.products()]).items():
        with publishing(folder / name) as temporary:
            temporary.write_text(HEAD + yaml.safe_dump(content, sort_keys=False, width=120), encoding="utf-8")
        written.append(folder / name)
    for name, dashboard in grafana_dashboards.all_of_them().items():
        path = folder / "dashboards" / f"{name}.json"
        with publishing(path) as temporary:
            temporary.write_text(dashboard + "\n", encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    click.echo("\n".join(map(str, write())))
