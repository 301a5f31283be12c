"""Alerts: every rule fires on what it is for and is silent otherwise, asked of Prometheus's own `promtool`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from assets.observability import grafana_dashboards, prometheus_rules
from orchestration import declarations
from orchestration.operations.monitoring import prometheus_export
from tests.assets.streaming.update_world import updating
from tests.shop import product
from tests.world import REPOSITORY

TRIAL = {"name": "trial", "arms": {"control": "champion", "new": "challenger"}, "unit": "customer_id"}
SPEC = updating({"experiments": [TRIAL, {**TRIAL, "name": "aside", "kind": "shadow"}]}, updates={"rows": 500})
OWN = 'product="churn"'
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool: sudo apt-get install --no-install-recommends prometheus"
)

Series = dict[str, str]
REQUESTS = f'loopline_requests_total{{{OWN},path="/predict",status="200"}}'
ROWS = f'loopline_predicted_rows_total{{{OWN},version="1"}}'
EVEN = {f'loopline_scores_total{{{OWN},version="1",tenth="{tenth}"}}': "0+20x240" for tenth in range(1, 11)}
LOOKED = f"loopline_monitored_timestamp_seconds{{{OWN}}}"
LEARNER, UNSEEN = f"loopline_updates_looked_timestamp_seconds{{{OWN}}}", f"loopline_updates_unseen_outcomes{{{OWN}}}"
ARMS = [f'{OWN},experiment="trial",arm="{arm}"' for arm in ("control", "new")]


def slow_arm(requests: str) -> Series:
    """An arm whose requests take 5 to 10 ms, beside a control whose take 5 ms at most."""
    name = "loopline_arm_request_duration_seconds"
    control, new = ARMS
    return {
        f'{name}_bucket{{{control},le="0.005"}}': "0+600x240",
        f'{name}_bucket{{{control},le="+Inf"}}': "0+600x240",
        f"{name}_count{{{control}}}": "0+600x240",
        f'{name}_bucket{{{new},le="0.005"}}': "0+0x240",
        f'{name}_bucket{{{new},le="0.01"}}': requests,
        f'{name}_bucket{{{new},le="+Inf"}}': requests,
        f"{name}_count{{{new}}}": requests,
    }


SOUND: dict[str, Series] = {
    "ServiceDown": {f'up{{job="loopline-service",{OWN}}}': "1x240"},
    "ServiceErrors": {REQUESTS: "0+600x240", f'loopline_requests_total{{{OWN},path="/predict",status="500"}}': "0+1x240"},
    "ServiceSlow": {
        f'loopline_request_duration_seconds_bucket{{{OWN},path="/predict",le="0.005"}}': "0+600x240",
        f'loopline_request_duration_seconds_bucket{{{OWN},path="/predict",le="+Inf"}}': "0+600x240",
    },
    "UnknownCategories": {ROWS: "0+600x240", f'loopline_unknown_categories_total{{{OWN},feature="plan"}}': "0+6x240"},
    "RefusedInputs": {
        REQUESTS: "0+600x240",
        f'loopline_refused_inputs_total{{{OWN},feature="age",problem="range"}}': "0+6x240",
    },
    "OutputsMoved": EVEN,
    "ServesAnother": {
        f'loopline_model_info{{{OWN},version="1",digest="a"}}': "1x240",
        f'loopline_champion_info{{{OWN},version="1",digest="a"}}': "1x240",
    },
    "AlarmStands": {'loopline_alarm{product="another",kind="data",what="age"}': "1x240"},
    "NotWatched": {LOOKED: "0x240"},
    "FallbackAnswers": {f'loopline_fallback{{{OWN},reason="mitigation"}}': "0x240"},
    "ArmErrors": {
        f'loopline_arm_requests_total{{{ARMS[1]},status="200"}}': "0+600x240",
        f'loopline_arm_requests_total{{{ARMS[1]},status="500"}}': "0+1x240",
        f'loopline_arm_requests_total{{{ARMS[0]},status="422"}}': "0+100x240",
    },
    "ArmSlow": slow_arm("0+6x240"),
    "ShadowMisses": {REQUESTS: "0+600x240", f"loopline_not_shadowed_requests_total{{{OWN}}}": "0+1x240"},
    "LearnerStopped": {LEARNER: "0+60x240"},
    "LearnerBehind": {UNSEEN: "999x240"},
    "DataQualityLow": {
        'loopline_data_quality{source="s",table="t",dimension="validity"}': "0.99x240",
        'loopline_data_quality{source="s",table="t",dimension="accuracy"}': "0.5x240",
    },
}
"""What is as it should be, by alert; a minute a sample."""

FIRING: dict[str, tuple[Series, str]] = {
    "ServiceDown": ({f'up{{job="loopline-service",{OWN}}}': "0x240"}, "the service does not answer"),
    "ServiceErrors": (
        {REQUESTS: "0+90x240", f'loopline_requests_total{{{OWN},path="/predict",status="503"}}': "0+10x240"},
        "10% of the answers are errors",
    ),
    "ServiceSlow": (
        {
            f'loopline_request_duration_seconds_bucket{{{OWN},path="/predict",le="0.1"}}': "0+0x240",
            f'loopline_request_duration_seconds_bucket{{{OWN},path="/predict",le="0.2"}}': "0+600x240",
            f'loopline_request_duration_seconds_bucket{{{OWN},path="/predict",le="+Inf"}}': "0+600x240",
        },
        "the 99th percentile of one row is 199ms, declared are {limit:g} ms",
    ),
    "UnknownCategories": (
        {ROWS: "0+600x240", f'loopline_unknown_categories_total{{{OWN},feature="plan"}}': "0+60x240"},
        "10% of the rows have a plan that training did not know",
    ),
    "RefusedInputs": (
        {REQUESTS: "0+600x240", f'loopline_refused_inputs_total{{{OWN},feature="age",problem="range"}}': "0+60x240"},
        "age is refused (range) in 10% of the requests",
    ),
    "OutputsMoved": (
        {**EVEN, f'loopline_scores_total{{{OWN},version="1",tenth="10"}}': "0+220x240"},
        "45% of the outputs lie in other tenths than the validation rows' did",
    ),
    "ServesAnother": (
        {
            f'loopline_model_info{{{OWN},version="1",digest="a"}}': "1x240",
            f'loopline_champion_info{{{OWN},version="2",digest="b"}}': "1x240",
        },
        "version 1 answers, which is not the champion",
    ),
    "AlarmStands": ({f'loopline_alarm{{{OWN},kind="data",what="age"}}': "1x240"}, "data alarm: age"),
    "NotWatched": ({LOOKED: "-4000000x240"}, "nobody looked at the champion for 46d 9h 6m 40s"),
    "FallbackAnswers": (
        {f'loopline_fallback{{{OWN},reason="mitigation"}}': "1x240"},
        "the fallback answers instead of the model: mitigation",
    ),
    "ArmErrors": (
        {
            f'loopline_arm_requests_total{{{ARMS[0]},status="200"}}': "0+600x240",
            f'loopline_arm_requests_total{{{ARMS[1]},status="200"}}': "0+4x240",
            f'loopline_arm_requests_total{{{ARMS[1]},status="500"}}': "0+1x240",
        },
        "20% of the answers of arm new of trial are errors",
    ),
    "ArmSlow": (slow_arm("0+60x240"), "the 99th percentile of arm new of trial is 2.01 times the control's"),
    "ShadowMisses": (
        {REQUESTS: "0+600x240", f"loopline_not_shadowed_requests_total{{{OWN}}}": "0+30x240"},
        "the shadow misses 5% of the answered requests",
    ),
    "LearnerStopped": ({LEARNER: "0x240"}, "nobody looked for labels to learn for 2h 0m 0s"),
    "LearnerBehind": ({UNSEEN: "1000x240"}, "1000 outcomes were told since a learner last looked"),
    "DataQualityLow": (
        {'loopline_data_quality{source="s",table="t",dimension="validity"}': "0.9x240"},
        "validity of s.t is 90%",
    ),
}
"""What is not, and what is told of it, after two hours."""


def test_every_alert_is_tested_and_has_a_runbook() -> None:
    """A rule without a test or a page would be switched off the first night."""
    names = set(prometheus_rules.names([SPEC]))
    assert names == set(SOUND) == set(FIRING)
    headings = set(re.findall(r"^## (\w+)$", (REPOSITORY / prometheus_rules.RUNBOOKS).read_text(), re.MULTILINE))
    assert headings == names


def asked(folder: Path, series: Series, expected: list[dict[str, Any]], alert: str) -> subprocess.CompletedProcess[str]:
    """What `promtool` says of the rules on these series, two hours on."""
    (folder / "rules.yml").write_text(yaml.safe_dump(prometheus_rules.rules([SPEC])))
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "2h", "alertname": alert, "exp_alerts": expected}],
    }
    (folder / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [case]}))
    return subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True, check=False)


@needs_promtool
@pytest.mark.parametrize("alert", sorted(FIRING))
def test_an_alert_fires_on_what_it_is_for_and_says_so(tmp_path: Path, alert: str) -> None:
    """With its severity, its labels, its summary and its runbook."""
    series, told = FIRING[alert]
    rule = next(rule for group in prometheus_rules.rules([SPEC])["groups"] for rule in group["rules"] if rule["alert"] == alert)
    labels = dict(rule["labels"])
    for name, value in re.findall(r'(\w+)="([^"]*)"', next(iter(reversed(series)))):
        summed = alert in ("ServiceErrors", "ServiceSlow", "OutputsMoved") or (
            (alert, name) in (("ServesAnother", "version"), ("ServesAnother", "digest"), ("ArmErrors", "status"))
        )
        if not summed or name == "product":
            labels[name] = value
    if alert == "ServesAnother":
        labels |= {"version": "1", "digest": "a"}
    summary = told.format(limit=SPEC.gates.latency.row_p99_ms or prometheus_rules.SLOW_MS)
    annotations = {"summary": summary, "runbook_url": f"docs/runbooks.md#{alert.lower()}"}
    done = asked(tmp_path, series, [{"exp_labels": labels, "exp_annotations": annotations}], alert)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("alert", sorted(SOUND))
def test_an_alert_is_silent_when_all_is_well(tmp_path: Path, alert: str) -> None:
    """On figures just as they should be."""
    done = asked(tmp_path, SOUND[alert], [], alert)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_a_product_that_declares_updates_has_a_learner() -> None:
    """Nobody looks for the labels of another."""
    learners = {"LearnerStopped", "LearnerBehind"}
    assert learners <= set(prometheus_rules.names([SPEC]))
    assert not learners.intersection(prometheus_rules.names([product("churn"), updating(updates=None)]))


def test_a_learner_that_cron_starts_is_silent_for_as_long_as_cron_is() -> None:
    """And a quarter of an hour more; declared clocks may be set back."""

    def limits(**schedule: str) -> list[object]:
        (group, _) = prometheus_rules.rules([updating({"schedule": schedule})])["groups"]
        found = {rule["alert"]: rule for rule in group["rules"]}
        return [found["LearnerStopped"]["expr"].rpartition(" > ")[2], found["LearnerBehind"]["for"]]

    assert limits() == ["900", "15m"]
    assert limits(learn_online="0 * * * *") == [str(75 * 60), "75m"]
    assert limits(learn_online="0 6 * * 1", time_zone="Europe/Rome") == [str((7 * 1440 + 75) * 60), f"{7 * 1440 + 75}m"]


def test_the_written_files_are_what_the_declarations_say() -> None:
    """`make alerts` writes them."""
    for name, content in prometheus_export.files([spec for spec, _ in declarations.products()]).items():
        assert yaml.safe_load((prometheus_export.FOLDER / name).read_text()) == content, name
    for name, drawn in grafana_dashboards.all_of_them().items():
        assert json.loads((prometheus_export.FOLDER / "dashboards" / f"{name}.json").read_text()) == json.loads(drawn), name


@needs_promtool
def test_prometheus_and_alertmanager_take_the_written_files() -> None:
    """Their own checks, the lint included."""
    checks = [["promtool", "check", "config", "prometheus.yml"], ["promtool", "check", "rules", "--lint-fatal", "rules.yml"]]
    if shutil.which("amtool"):
        checks.append(["amtool", "check-config", "alertmanager.yml"])
    for command in checks:
        done = subprocess.run(command, cwd=prometheus_export.FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
