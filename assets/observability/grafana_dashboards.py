"""Dashboards as code: what Grafana shows of the service, of the champion and of the data, for whichever product is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OWN = 'product="$product"'


@dataclass(frozen=True)
class Panel:
    """One plot.

    Parameters
    ----------
    title : str
        What it shows.
    query : str
        In PromQL; ``$product`` is the chosen product.
    legend : str
        The name of a line, from its labels.
    unit : str
        Grafana's name of the unit.
    """

    title: str
    query: str
    legend: str = ""
    unit: str = "short"


def _rate(metric: str, by: str) -> str:
    """The rate of a counter over five minutes, of the chosen product."""
    return f"sum by ({by}) (rate(loopline_{metric}{{{OWN}}}[5m]))"


PANELS: dict[str, list[Panel]] = {
    "service": [
        Panel("Up", f'up{{job="loopline-service", {OWN}}}', "{{instance}}"),
        Panel("Requests", _rate("requests_total", "path, status"), "{{path}} {{status}}", "reqps"),
        Panel(
            "99th percentile of an answer",
            f"histogram_quantile(0.99, {_rate('request_duration_seconds_bucket', 'path, le')})",
            "{{path}}",
            "s",
        ),
        Panel("Rows answered", _rate("predicted_rows_total", "version"), "v{{version}}", "rowsps"),
        Panel(
            "Rows a call of the model",
            f"{_rate('model_call_rows_sum', 'product')} / {_rate('model_call_rows_count', 'product')}",
        ),
        Panel("Unknown categories", _rate("unknown_categories_total", "feature"), "{{feature}}"),
        Panel("Refused inputs", _rate("refused_inputs_total", "feature, problem"), "{{feature}}: {{problem}}"),
        Panel(
            "Outputs by tenth of the validation rows",
            f"sum by (tenth) (increase(loopline_scores_total{{{OWN}}}[1h]))",
            "{{tenth}}",
        ),
        Panel("Lag", f"loopline_event_loop_lag_seconds{{{OWN}}}", "{{instance}}", "s"),
        Panel("Version that answers", f"loopline_model_info{{{OWN}}} == 1", "v{{version}}"),
    ],
    "champion": [
        Panel("Champion", f"loopline_champion_info{{{OWN}}}", "v{{version}} {{digest}}"),
        Panel("Quality: reference, expected, realised", f"loopline_quality{{{OWN}}}", "{{metric}} {{which}}"),
        Panel("Alarms that stand", f"count by (kind) (loopline_alarm{{{OWN}}}) or on () vector(0)", "{{kind}}"),
        Panel("Drift, in parts of its floor", f"topk(10, loopline_drift_ratio{{{OWN}}})", "{{column}} ({{kind}})"),
        Panel("Rows of the last period", f"loopline_period_rows{{{OWN}}}"),
        Panel("Since the last look", f"time() - loopline_monitored_timestamp_seconds{{{OWN}}}", "", "s"),
        Panel("Since the last promotion", f"time() - loopline_champion_since_timestamp_seconds{{{OWN}}}", "", "s"),
        Panel("Decisions about trainings", f"loopline_retraining_decisions{{{OWN}}} or on () vector(0)", "{{outcome}}"),
    ],
    "data": [
        Panel("Data quality", "loopline_data_quality", "{{source}}.{{table}} {{dimension}}", "percentunit"),
        Panel("Rows in quarantine", "loopline_quarantined_rows", "{{source}}.{{table}}"),
    ],
}
"""The plots of each dashboard."""


def all_of_them() -> dict[str, str]:
    """Every dashboard as Grafana's JSON, by name."""
    return {name: _drawn(name, panels) for name, panels in PANELS.items()}


def _drawn(name: str, panels: list[Panel]) -> str:
    from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    made: Any = (
        dashboard.Dashboard(f"Loopline: {name}").uid(f"loopline-{name}").tags(["loopline"]).refresh("30s").time("now-6h", "now")
    )
    if any("$product" in panel.query for panel in panels):
        known = "label_values(loopline_champion_info, product)"
        made = made.with_variable(dashboard.QueryVariable("product").label("Product").query(known))
    for panel in panels:
        asked = prometheus.Dataquery().expr(panel.query).legend_format(panel.legend or "__auto")
        made = made.with_panel(timeseries.Panel().title(panel.title).unit(panel.unit).span(12).height(8).with_target(asked))
    return str(JSONEncoder(sort_keys=True, indent=1).encode(made.build()))
