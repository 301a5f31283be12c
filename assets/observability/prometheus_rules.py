"""Alerting: Prometheus's rules, generated from the declarations, each with a runbook.

What the service tells (`bentos.metrics`) and what the pipeline pushes (`prometheus_metrics`) meet in the label ``product``: the
scrape configuration gives it to the service's metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assets.observability.learner_silence import silent_minutes
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.spec.online_learning import learns_online, online_of

RUNBOOKS = "docs/runbooks.md"
ERRORS, STRANGE, MOVED, SCORED = 0.01, 0.05, 0.2, 0.95
"""Shares from which alerts fire: answers that are errors, inputs that are strange, outputs that moved, data that are sound."""
ENOUGH = 1000
"""Outputs an hour from which it is asked whether they moved."""
MISSED = 0.01
"""The share of answered requests from which a shadow misses too many."""
SLOWER, ENOUGH_IN_ARM = 1.5, 100
"""By which factor an arm may be slower than the control at the 99th percentile, and the requests in which that is asked."""
SLOW_MS = 20.0
"""Milliseconds at the 99th percentile from which a service is slow, where no limit is declared."""
WATCHED_DAYS = 40
"""After how many days without a look at a champion somebody is told."""

UNSEEN_BLOCKS = 2
"""Behind how many states' labels a learner counts as behind."""


def rules(products: Sequence[ProductSpec]) -> dict[str, Any]:
    """The rule file, as Prometheus reads it.

    Parameters
    ----------
    products : sequence of ProductSpec
        Each has a group of rules of its own, with its declared limits.
    """
    return {
        "groups": [{"name": spec.name, "rules": _of_product(spec)} for spec in products]
        + [{"name": "data", "rules": _of_data()}]
    }


def names(products: Sequence[ProductSpec]) -> list[str]:
    """The names of all alerts, each once."""
    return list(dict.fromkeys(rule["alert"] for group in rules(products)["groups"] for rule in group["rules"]))


def _of_product(spec: ProductSpec) -> list[dict[str, Any]]:
    own = f'product="{spec.name}"'
    slow = (spec.gates.latency.row_p99_ms or SLOW_MS) / 1000
    requests = f"sum(rate(loopline_requests_total{{{own}}}[5m]))"
    rows = f"on () group_left () sum(rate(loopline_predicted_rows_total{{{own}}}[15m]))"
    all_scores = f"sum(increase(loopline_scores_total{{{own}}}[1h]))"
    tenths = f"sum by (tenth) (increase(loopline_scores_total{{{own}}}[1h])) / on () group_left () {all_scores}"
    found = [
        _rule("ServiceDown", f'up{{job="loopline-service", {own}}} == 0', "1m", "critical", "the service does not answer"),
        _rule(
            "ServiceErrors",
            f'sum(rate(loopline_requests_total{{{own}, status=~"5.."}}[5m])) / {requests} > {ERRORS}',
            "5m",
            "critical",
            "{{ $value | humanizePercentage }} of the answers are errors",
        ),
        _rule(
            "ServiceSlow",
            f"histogram_quantile(0.99, sum by (le) (rate(loopline_request_duration_seconds_bucket{{{own}, "
            f'path="/predict"}}[5m]))) > {slow:g}',
            "10m",
            "warning",
            f"the 99th percentile of one row is {{{{ $value | humanizeDuration }}}}, declared are {slow * 1000:g} ms",
        ),
        _rule(
            "UnknownCategories",
            f"sum by (feature) (rate(loopline_unknown_categories_total{{{own}}}[15m])) / {rows} > {STRANGE}",
            "15m",
            "warning",
            "{{ $value | humanizePercentage }} of the rows have a {{ $labels.feature }} that training did not know",
        ),
        _rule(
            "RefusedInputs",
            f"sum by (feature, problem) (rate(loopline_refused_inputs_total{{{own}}}[15m])) / on () group_left () "
            f"sum(rate(loopline_requests_total{{{own}}}[15m])) > {STRANGE}",
            "15m",
            "warning",
            "{{ $labels.feature }} is refused ({{ $labels.problem }}) in {{ $value | humanizePercentage }} of the requests",
        ),
        _rule(
            "OutputsMoved",
            f"sum(abs({tenths} - 0.1)) / 2 > {MOVED} and on () {all_scores} > {ENOUGH}",
            "30m",
            "warning",
            "{{ $value | humanizePercentage }} of the outputs lie in other tenths than the validation rows' did",
        ),
        _rule(
            "ServesAnother",
            f"loopline_model_info{{{own}}} == 1 unless on (product, digest) loopline_champion_info{{{own}}}",
            "10m",
            "critical",
            "version {{ $labels.version }} answers, which is not the champion",
        ),
        _rule(
            "AlarmStands",
            f"loopline_alarm{{{own}}} == 1",
            "0m",
            "warning",
            "{{ $labels.kind }} alarm: {{ $labels.what }}",
        ),
        _rule(
            "NotWatched",
            f"time() - loopline_monitored_timestamp_seconds{{{own}}} > {WATCHED_DAYS} * 86400",
            "0m",
            "warning",
            "nobody looked at the champion for {{ $value | humanizeDuration }}",
        ),
        _rule(
            "FallbackAnswers",
            f"max by (reason) (loopline_fallback{{{own}}}) > 0",
            "0m",
            "warning",
            "the fallback answers instead of the model: {{ $labels.reason }}",
        ),
        *_of_updates(spec, own),
        *_of_experiments(spec, own),
    ]
    for rule in found:
        # some expressions have summed the label away; without it, two products' rules would be the same
        rule["labels"]["product"] = spec.name
    return found


def _of_updates(spec: ProductSpec, own: str) -> list[dict[str, Any]]:
    """Of the learner of labels between promotions, where it is declared."""
    if not learns_online(spec) or (updates := online_of(spec).updates) is None:
        return []
    silent = silent_minutes(spec.schedule)
    return [
        _rule(
            "LearnerStopped",
            f"time() - loopline_updates_looked_timestamp_seconds{{{own}}} > {silent * 60}",
            "1m",
            "warning",
            "nobody looked for labels to learn for {{ $value | humanizeDuration }}",
        ),
        _rule(
            "LearnerBehind",
            f"loopline_updates_unseen_outcomes{{{own}}} >= {UNSEEN_BLOCKS * updates.rows}",
            f"{silent}m",
            "warning",
            "{{ $value }} outcomes were told since a learner last looked",
        ),
    ]


def _of_experiments(spec: ProductSpec, own: str) -> list[dict[str, Any]]:
    """Of the arms of all experiments; which one is the control, the declaration says."""
    arms = f"sum by (experiment, arm) (rate(loopline_arm_requests_total{{{own}}}[5m]))"
    paths = "/predict|/predict_batch|/predict_by_key"
    answered = f'sum(rate(loopline_requests_total{{{own}, path=~"{paths}", status="200"}}[15m]))'
    return [
        _rule(
            "ArmErrors",
            f'sum by (experiment, arm) (rate(loopline_arm_requests_total{{{own}, status=~"5.."}}[5m])) / {arms} > {ERRORS}',
            "5m",
            "critical",
            "{{ $value | humanizePercentage }} of the answers of arm {{ $labels.arm }} of {{ $labels.experiment }} are errors",
        ),
        *(_slow_arm(own, item) for item in spec.experiments if item.kind != "shadow"),
        _rule(
            "ShadowMisses",
            f"sum(rate(loopline_not_shadowed_requests_total{{{own}}}[15m])) / {answered} > {MISSED}",
            "15m",
            "warning",
            "the shadow misses {{ $value | humanizePercentage }} of the answered requests",
        ),
    ]


def _slow_arm(own: str, experiment: ExperimentSpec) -> dict[str, Any]:
    named, control = f'{own}, experiment="{experiment.name}"', f'arm="{experiment.control}"'
    seconds = "loopline_arm_request_duration_seconds"
    slow = f'histogram_quantile(0.99, sum by (arm, le) (rate({seconds}_bucket{{{named}, arm!="{experiment.control}"}}[15m])))'
    usual = f"histogram_quantile(0.99, sum by (le) (rate({seconds}_bucket{{{named}, {control}}}[15m])))"
    enough = f"sum by (arm) (increase({seconds}_count{{{named}}}[15m])) > {ENOUGH_IN_ARM}"
    rule = _rule(
        "ArmSlow",
        f"{slow} / on () group_left () {usual} > {SLOWER} and on (arm) {enough}",
        "10m",
        "warning",
        f"the 99th percentile of arm {{{{ $labels.arm }}}} of {experiment.name} is {{{{ $value | humanize }}}} times the "
        "control's",
    )
    rule["labels"]["experiment"] = experiment.name
    return rule


def _of_data() -> list[dict[str, Any]]:
    return [
        _rule(
            "DataQualityLow",
            f'loopline_data_quality{{dimension!~"accuracy|completeness"}} < {SCORED}',
            "0m",
            "warning",
            "{{ $labels.dimension }} of {{ $labels.source }}.{{ $labels.table }} is {{ $value | humanizePercentage }}",
        )
    ]


def _rule(name: str, expression: str, lasting: str, severity: str, summary: str) -> dict[str, Any]:
    """One alert."""
    return {
        "alert": name,
        "expr": expression,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "runbook_url": f"{RUNBOOKS}#{name.lower()}"},
    }
