"""Maturity is what a home and a repository show: evidence that is planted moves exactly its points, and what is gone is missing."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from assets.errors import SpecificationError
from assets.monitoring.retraining_decisions import decide
from assets.monitoring.retraining_triggers import Event
from assets.promotion import ledger
from assets.promotion.ledger_state import Decision
from assets.spec.governance import GovernanceSpec
from assets.spec.monitoring import MonitoringSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json
from orchestration import event_history
from orchestration.cli.main import loopline
from orchestration.operations.maturity import page
from orchestration.operations.maturity.levels import GOOGLE, MICROSOFT
from orchestration.operations.maturity.ml_test_score import ML_TEST_SCORE, SECTIONS
from orchestration.operations.maturity.scene import Scene
from orchestration.operations.maturity.score import Maturity, level, score
from orchestration.operations.verification.verify import verify
from tests.two_versions import churn

SPEC = churn().model_copy(update={"governance": GovernanceSpec(protected=("age",))})
NAME = SPEC.name
SNAPSHOT, WHO = "5" * 64, {"actor": "tester", "reason": "a test"}


@pytest.fixture(scope="module")
def schemas(twice: Home) -> dict[str, str]:
    """The tables of Dagster's databases, as Dagster made them, by file."""
    found = {}
    for name in ("index.db", "runs.db"):
        path = next((twice.dagster / "history").rglob(name))
        with closing(sqlite3.connect(path)) as connection:
            tables = connection.execute("select sql from sqlite_master where type = 'table' and name not like 'sqlite_%'")
            found[path.relative_to(twice.root).as_posix()] = ";".join(sql for (sql,) in tables)
    return found


@pytest.fixture
def scene(tmp_path: Path, schemas: dict[str, str]) -> Scene:
    """A fresh home whose history is empty, and an empty repository with a declaration."""
    home = Home(tmp_path / "home").prepare()
    for file, sql in schemas.items():
        (home.root / file).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(home.root / file)) as connection:
            connection.executescript(sql)
    folder = tmp_path / "repository" / "defs"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text("name: churn\n")
    return Scene(home, SPEC, folder, [f"{NAME}.data"], tmp_path / "repository")


def points(scene: Scene) -> dict[str, float]:
    """All points by model and criterion, read anew."""
    found = score(replace(scene))
    return {f"{model}.{item.key}": item.points for model, items in found.criteria.items() for item in items}


# --- evidence that is planted


def insert(home: Home, name: str, table: str, **values: Any) -> None:
    """Add a row to one of Dagster's databases."""
    with closing(sqlite3.connect(next((home.dagster / "history").rglob(name)))) as connection, connection:
        marks = ", ".join("?" * len(values))
        connection.execute(f"insert into {table} ({', '.join(values)}) values ({marks})", tuple(values.values()))


Plant = Callable[[Scene, int], object]


def check(stage: str, name: str) -> Plant:
    """A check that was evaluated in a run."""
    key = json.dumps([NAME, stage])
    return lambda scene, run: insert(
        scene.home, "index.db", "asset_check_executions",
        asset_key=key, check_name=name, run_id=f"run-{run}", execution_status="SUCCEEDED",
    )  # fmt: skip


def made(*key: str, **tags: str) -> Plant:
    """An asset that was made in a run."""

    def plant(scene: Scene, run: int) -> None:
        told = {"dagster/data_version": "d", "dagster/code_version": f"c{run}", **tags}
        event = {"dagster_event": {"event_specific_data": {"materialization": {"tags": told}}}}
        insert(
            scene.home, "index.db", "event_logs",
            run_id=f"run-{run}", event=json.dumps(event), dagster_event_type="ASSET_MATERIALIZATION", asset_key=json.dumps(key),
        )  # fmt: skip

    return plant


def again(scene: Scene, run: int) -> None:
    """A training that gave the same model as the one before, of the same code."""
    plant = made(NAME, "model", **{"dagster/code_version": "c"})
    plant(scene, 2 * run)
    plant(scene, 2 * run + 1)


def scheduled(scene: Scene, run: int) -> None:
    """A run that a schedule started."""
    made(NAME, "evaluation")(scene, run)
    insert(scene.home, "runs.db", "run_tags", run_id=f"run-{run}", key="dagster/schedule_name", value="daily")


def record(pattern: str, content: Any) -> Plant:
    """A record that was published."""
    return lambda scene, run: write_json(scene.home.root / pattern.format(run=run), content)


def decision(run: int, **more: Any) -> Decision:
    """A decision about a version."""
    return Decision(run + 1, f"{run}" * 64, SNAPSHOT, **WHO, **more)


def promoted(scene: Scene, run: int, **more: Any) -> None:
    """A promotion."""
    before = ledger.standing(scene.home, NAME).champion_digest
    ledger.promote(scene.home, NAME, decision(run, verdict=f"{run}" * 64, **more), instead_of=before)


def rolled_back(scene: Scene, run: int) -> None:
    """A rollback, after a second version was promoted by hand."""
    if not ledger.entries(scene.home):
        promoted(scene, 8, by_hand=True)
        promoted(scene, 9, by_hand=True)
    number = 8 if ledger.standing(scene.home, NAME).champion_digest == "9" * 64 else 9
    ledger.rollback(scene.home, NAME, decision(number, by_hand=True))


def experiment(scene: Scene, run: int, stage: str = "start") -> None:
    """A stage of an experiment, as the ledger records it."""
    from assets.promotion.ledger_writer import appended

    told = decision(run, finding=f"rollout{run}:{stage}")
    appended(scene.home, NAME, lambda _, append: append("experiment", told))


def with_more_features(scene: Scene, run: int) -> None:
    """A version with a feature more than the one before it."""
    first = len(ledger.entries(scene.home))
    for number in range(first, first + 2 if first == 0 else first + 1):
        features = {f"f{item}": {} for item in range(number + 1)}
        write_json(scene.home.models / NAME / (f"{number}" * 64) / "model.json", {"features": features})
        promoted(scene, number, by_hand=True)


def retraining(trigger: str) -> Plant:
    """What happened, and that a training was asked for."""
    return lambda scene, run: decide(
        scene.home,
        SPEC,
        [Event(trigger, f"{trigger}-{run}", "it moved")],
        datetime(2026, 1, 1 + 20 * run, tzinfo=UTC),
        something_new=True,
    )


def git(scene: Scene, *words: str) -> None:
    """A command of git in the repository."""
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, "-C", str(scene.repository), *words], check=True, capture_output=True)


def committed(message: str) -> Plant:
    """A commit of the declaration."""

    def plant(scene: Scene, run: int) -> None:
        git(scene, "init", "-q")
        git(scene, "add", "-A")
        git(scene, "commit", "-qm", message)

    return plant


def recommitted(message: str) -> Plant:
    """A commit that changes the declaration."""

    def plant(scene: Scene, run: int) -> None:
        (scene.folder / "defs.yaml").write_text("name: churn\nowner: a\n")
        git(scene, "commit", "-qam", message)

    return plant


def text(file: str, content: str) -> Plant:
    """A file of the repository."""

    def plant(scene: Scene, run: int) -> None:
        path = scene.repository / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    return plant


def around(scene: Scene, _: int) -> None:
    """A repository in which the checkout lies, and that holds nothing of it."""
    outer = replace(scene, repository=scene.repository.parent)
    text(".gitignore", f"{scene.repository.name}\n")(outer, 0)
    committed("notes")(outer, 0)


def period(name: str) -> dict[str, Any]:
    """A labelled period."""
    return {"name": name, "expected": {"roc_auc": {"value": 0.7}}, "realised": {"roc_auc": {"value": 0.69}}}


def alarms(scene: Scene, run: int) -> None:
    """Alarms that were looked for in a run, of a period without labels yet."""
    check("monitoring", "alarms")(scene, run)
    unlabelled = {**period("2024-01"), "realised": None}
    record(f"monitoring/{NAME}/v1.json", {"metric": "roc_auc", "periods": [unlabelled]})(scene, run)


PROMOTION = {"microsoft.model_management", "google.metadata"}
BY_GATE = {"ml_test_score.validated", "microsoft.automated_release", "google.registry"}
PARITY = {"ml_test_score.no_skew", "microsoft.scoring_tests", "google.features_published"}
WATCHED = {"ml_test_score.quality", "microsoft.production_metrics", "google.performance_monitoring"}
COMMIT = {"microsoft.version_control", "google.source_control", "ml_test_score.reviewed_spec"}
TRIGGERED = {"ml_test_score.not_stale", "microsoft.triggered_retraining", "google.continuous_training"}
E2E = {"ml_test_score.integration_tests", "microsoft.pipeline_tests", "google.pipeline_ci"}
PLANTED: dict[str, tuple[Plant, set[str]]] = {
    "contract": (
        check("snapshot", "contract"),
        {"ml_test_score.feature_schema", "ml_test_score.feature_code", "google.data_validation"},
    ),
    "leakage": (check("verdict", "leakage"), {"ml_test_score.feature_requirements"}),
    "simple_models": (check("verdict", "simple_models"), {"ml_test_score.simpler_model"}),
    "slices": (check("verdict", "slices"), {"ml_test_score.slices"}),
    "robustness": (check("verdict", "robustness"), {"ml_test_score.numerically_stable"}),
    "latency": (check("verdict", "latency"), {"ml_test_score.performance"}),
    "gate": (check("verdict", "quality"), {"google.model_validation"}),
    "alarms": (alarms, WATCHED),
    "parity": (check("parity", "parity"), PARITY),
    "explanations": (made(NAME, "explanations"), {"ml_test_score.debuggable"}),
    "tuning": (made(NAME, "tuning"), {"ml_test_score.tuned"}),
    "bento": (made(NAME, "bento"), {"microsoft.automated_build", "google.continuous_delivery"}),
    "training": (made(NAME, "model"), {"microsoft.automated_training"}),
    "evaluation": (made(NAME, "evaluation"), {"microsoft.tracking", "google.orchestrated"}),
    "landing": (made("landing", NAME, "data"), {"ml_test_score.input_invariants", "microsoft.data_gathered"}),
    "repeated training": (again, {"ml_test_score.reproducible", "microsoft.reproduced", "microsoft.automated_training"}),
    "schedule": (scheduled, {"microsoft.unattended_runs", "microsoft.tracking", "google.orchestrated"}),
    "promotion by the gate": (promoted, PROMOTION | BY_GATE),
    "promotion by hand": (lambda scene, run: promoted(scene, run, by_hand=True), PROMOTION),
    "promotion against the gate": (lambda scene, run: promoted(scene, run, by_hand=True, overridden=True), PROMOTION),
    "rollback": (rolled_back, PROMOTION | {"ml_test_score.rolled_back"}),
    "experiment": (experiment, {"ml_test_score.canaried", "microsoft.ab_testing"}),
    "importance": (
        record(f"reports/{NAME}/{{run}}/explanations.json", {"importance": {"age": 0.2, "plan": 0.1}}),
        {"ml_test_score.useful_features"},
    ),
    "hidden columns": (
        record(f"bentos/bentos/{NAME}/{{run}}/src/bentos/promoted.json", {"privacy": {"age": "drop"}}),
        {"ml_test_score.privacy"},
    ),
    "erasure": (record("erasures/000{run}.json", {"product": NAME, "request": 1}), {"ml_test_score.privacy"}),
    "labels": (
        lambda scene, run: record(
            f"monitoring/{NAME}/v{run}.json", {"metric": "roc_auc", "periods": [period(f"2024-0{run + 1}")]}
        )(scene, run),
        {"ml_test_score.online_metrics"},
    ),
    "thresholds of alarms": (
        record(f"monitoring/{NAME}/v{{run}}.json", {"metric": "roc_auc", "periods": [], "settings": {"debounce": 3}}),
        {"microsoft.tuned_alarms"},
    ),
    "replay": (record(f"replays/{NAME}/{{run}}/pages/a/replay.json", {"policies": []}), {"ml_test_score.staleness_impact"}),
    "figures by group": (
        record(f"reports/{NAME}/{{run}}/evaluation.json", {"slices": [{"name": "age = 1"}]}),
        {"ml_test_score.inclusion"},
    ),
    "new features": (with_more_features, PROMOTION | {"ml_test_score.new_features"}),
    "alarm that started a training": (retraining("drift"), TRIGGERED),
    "person who started a training": (retraining("manual"), {"ml_test_score.not_stale"}),
    "commit": (committed("a change"), COMMIT),
    "CI": (text(".ci/run", "make test\n"), {"microsoft.ci", "google.test_services"}),
    "tests": (text("tests/test_churn.py", "NAME = 'churn'\n"), {"ml_test_score.unit_tests"}),
    "tests of the loop": (text("tests/e2e/test_loop.py", "NAME = 'churn'\n"), {"ml_test_score.unit_tests"} | E2E),
    "alerts": (
        text("deploy/monitoring/rules.yml", 'expr: up{product="churn"}\n'),
        {"ml_test_score.dependency_changes", "microsoft.alerting"},
    ),
}
"""What is planted, and the criteria that it moves, of all models."""
NOTHING: dict[str, Plant] = {
    "a check of another product": lambda scene, run: insert(
        scene.home, "index.db", "asset_check_executions",
        asset_key='["other", "snapshot"]', check_name="contract", run_id="r", execution_status="SUCCEEDED",
    ),
    "a check that was only planned": lambda scene, run: insert(
        scene.home, "index.db", "asset_check_executions",
        asset_key=json.dumps([NAME, "snapshot"]), check_name="contract", run_id="r", execution_status="PLANNED",
    ),
    "alarms of what has no periods": check("monitoring", "alarms"),
    "a feature that moves nothing": record(f"reports/{NAME}/1/explanations.json", {"importance": {"age": 0.0, "plan": 1.0}}),
    "a service that hides nothing": record(f"bentos/bentos/{NAME}/v1/src/bentos/promoted.json", {"privacy": {}}),
    "another product's erasure": record("erasures/0001.json", {"product": "other", "request": 1}),
    "a period without labels": record(
        f"monitoring/{NAME}/v1.json", {"metric": "roc_auc", "periods": [{**period("2024-01"), "realised": None}]}
    ),
    "thresholds that are the defaults": record(
        f"monitoring/{NAME}/v1.json",
        {"metric": "roc_auc", "periods": [], "settings": MonitoringSpec().model_dump(mode="json")},
    ),
    "figures by another column": record(f"reports/{NAME}/1/evaluation.json", {"slices": [{"name": "plan = pro"}]}),
    "tests of another product": text("tests/test_other.py", "NAME = 'churning'\n"),
    "CI without tests": text(".ci/run", "make lint\n"),
    "CI whose tests are commented out": text(".ci/run", "make lint\n# make test\n"),
    "a comment in a test": text("tests/test_other.py", "NAME = 'other'  # churn is not tested\n"),
    "a repository around it": around,
    "rules of another product": text("deploy/monitoring/rules.yml", 'expr: up{product="other"}\n'),
    "a receiver without rules": text("deploy/monitoring/alertmanager.yml", "webhook_configs:\n  - url: x\n"),
    "a file that nobody published": lambda scene, run: text_of(
        scene.home.root / "reports" / NAME / "1" / "explanations.json", '{"importance": {"age": 1.0}}'
    ),
}  # fmt: skip
"""What looks like evidence and is none."""


def text_of(path: Path, content: str) -> None:
    """A file of the home that was written past its manifest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def moved(before: dict[str, float], after: dict[str, float]) -> set[str]:
    """The criteria whose points differ."""
    return {name for name in before if before[name] != after[name]}


def test_a_fresh_home_shows_nothing(scene: Scene) -> None:
    """No point, no level, and each criterion says what earns it."""
    found = score(scene)
    assert (found.ml_test_score, found.microsoft, found.google, found.champion) == (0, 0, 0, None)
    assert found.sections == dict.fromkeys(SECTIONS, 0.0)
    criteria = [item for items in found.criteria.values() for item in items]
    assert not any(item.points or item.evidence for item in criteria)
    assert all(item.earn for item in criteria)
    assert not any("PRODUCT" in item.earn for item in criteria)


@pytest.mark.parametrize("name", PLANTED)
def test_evidence_moves_exactly_its_points(scene: Scene, name: str) -> None:
    """Once, half a point of the ML Test Score; twice, a whole one; the levels ask for it once."""
    plant, expected = PLANTED[name]
    before = points(scene)
    plant(scene, 0)
    once = points(scene)
    assert moved(before, once) == expected
    assert all(once[item] == (0.5 if item.startswith("ml_test_score") else 1) for item in expected)
    if name not in ("commit", "CI", "tests", "tests of the loop", "alerts"):
        plant(scene, 1)
        assert {item for item, value in points(scene).items() if value == 1} == expected


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("tests", "CI", {"ml_test_score.unit_tests"}),
        ("tests of the loop", "CI", {"ml_test_score.unit_tests", "ml_test_score.integration_tests"}),
        ("alerts", "receiver", {"ml_test_score.dependency_changes"}),
        ("tests", "reviewed commit", {"ml_test_score.reviewed_spec"}),
    ],
)
def test_the_repository_earns_its_other_half(scene: Scene, first: str, second: str, whole: set[str]) -> None:
    """Tests that CI runs, alerts that somebody receives, a declaration that somebody reviewed."""
    more = {
        "CI": PLANTED["CI"][0],
        "receiver": text("deploy/monitoring/alertmanager.yml", "receivers:\n- webhook_configs:\n  - url: x\n"),
        "reviewed commit": committed("a change\n\nReviewed-by: B <b@example.org>"),
    }
    PLANTED[first][0](scene, 0)
    more[second](scene, 0)
    assert {item for item, value in points(scene).items() if value == 1 and item.startswith("ml_test_score")} == whole


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("commit", recommitted("a change\n\nReviewed-by: a <other@example.org>")),
        ("commit", recommitted("a change\n\nReviewed-by: Somebody <a@example.org>")),
        (
            "alerts",
            text("deploy/monitoring/alertmanager.yml", "x:\n- webhook_configs:\n  - url: http://127.0.0.1:9095/alerts\n"),
        ),
        ("experiment", lambda scene, run: experiment(scene, run, "stop")),
    ],
    ids=["own review by name", "own review by address", "receiver on this machine", "end of the experiment"],
)
def test_what_is_no_counterpart_earns_no_other_half(scene: Scene, first: str, second: Plant) -> None:
    """Who reviews their own change, alerts that leave no machine, and what an experiment goes on with."""
    PLANTED[first][0](scene, 0)
    once = points(scene)
    second(scene, 0)
    assert points(scene) == once


@pytest.mark.parametrize("name", NOTHING)
def test_what_only_looks_like_evidence_moves_nothing(scene: Scene, name: str) -> None:
    """Another product's, what was planned or is empty, and what nobody published."""
    before = points(scene)
    NOTHING[name](scene, 0)
    assert moved(before, points(scene)) == set()


def test_every_criterion_can_be_earned() -> None:
    """By evidence that is planted above, or by a document."""
    names = {"ml_test_score": ML_TEST_SCORE, "microsoft": MICROSOFT, "google": GOOGLE}
    known = {f"{model}.{item.key}" for model, items in names.items() for item in items}
    assert set().union(*(expected for _, expected in PLANTED.values())) == known - {"ml_test_score.feature_cost"}
    assert len(ML_TEST_SCORE) == 28
    assert [sum(item.group == name for item in ML_TEST_SCORE) for name in SECTIONS] == [7, 7, 7, 7]


def test_what_is_gone_or_changed_is_evidence_no_longer(scene: Scene) -> None:
    """A record, a row of the history, and a test file."""
    before = points(scene)
    for name in ("importance", "latency", "tests"):
        PLANTED[name][0](scene, 0)
    assert len(moved(before, points(scene))) == 3
    file = scene.home.reports / NAME / "0" / "explanations.json"
    published = file.read_text()
    file.write_text(published.replace("0.2", "0.9"))
    assert points(scene)["ml_test_score.useful_features"] == 0
    file.write_text(published)
    assert points(scene)["ml_test_score.useful_features"] == 0.5
    file.unlink()
    (scene.repository / "tests" / "test_churn.py").unlink()
    with closing(sqlite3.connect(next((scene.home.dagster / "history").rglob("index.db")))) as connection, connection:
        connection.execute("delete from asset_check_executions")
    assert points(scene) == before


def test_trainings_that_differ_are_not_reproducible(scene: Scene) -> None:
    """However often others agreed."""
    again(scene, 0)
    made(NAME, "model", **{"dagster/code_version": "c", "dagster/data_version": "e"})(scene, 9)
    assert points(scene)["ml_test_score.reproducible"] == 0


def test_a_document_earns_half_a_point(scene: Scene) -> None:
    """If it is there; a name that is no test is one error."""
    named = Scene(scene.home, with_reviews("docs/cost.md"), scene.folder, scene.tables, scene.repository)
    assert points(named)["ml_test_score.feature_cost"] == 0
    text("docs/cost.md", "Each feature costs a column.")(scene, 0)
    assert moved(points(scene), points(named)) == {"ml_test_score.feature_cost"}
    assert points(named)["ml_test_score.feature_cost"] == 0.5
    wrong = SPEC.model_copy(update={"governance": GovernanceSpec(reviews={"features": "a.md"})})
    with pytest.raises(
        SpecificationError, match=r"names \['features'\], which are no tests of the ML Test Score. Tests: feature_"
    ):
        score(replace(scene, spec=wrong))


def with_reviews(path: str) -> Any:
    """The product with a document on what features cost."""
    return SPEC.model_copy(update={"governance": GovernanceSpec(protected=("age",), reviews={"feature_cost": path})})


def planted(scene: Scene, names: Iterable[str]) -> Maturity:
    """The maturity after some evidence was planted."""
    for name in names:
        PLANTED[name][0](scene, 0)
    return score(replace(scene))


def test_a_level_needs_all_below_it(scene: Scene) -> None:
    """Microsoft's and Google's; what is shown of a higher level counts nothing before."""
    third = ["promotion by the gate", "parity", "experiment", "tests of the loop"]
    assert planted(scene, third).microsoft == 0
    assert planted(scene, ["commit", "CI", "landing", "bento"]).microsoft == 1
    found = planted(scene, ["repeated training", "evaluation"])
    assert (found.microsoft, found.google) == (3, 0)
    found = planted(
        scene, ["alarms", "alerts", "thresholds of alarms", "alarm that started a training", "schedule", "contract", "gate"]
    )
    assert (found.microsoft, found.google) == (4, 2)
    assert level([]) == 0


def test_every_evidence_of_a_real_home_can_be_found(twice: Home, twice_copy: Home, tmp_path: Path) -> None:
    """Runs, entries and files that are named exist, and the page shows them."""
    folder = tmp_path / "defs"
    folder.mkdir()
    found = score(Scene(twice, SPEC, folder, [f"{NAME}.data"], tmp_path))
    evidence = [item for items in found.criteria.values() for one in items for item in one.evidence]
    assert len(evidence) > 20
    runs, entries = (
        event_history.recorded(twice),
        {f"ledger entry {entry.number}": entry.digest for entry in ledger.entries(twice)},
    )
    for item in evidence:
        if item.place.startswith("run "):
            assert item.place.removeprefix("run ") in runs
        elif item.place in entries:
            assert item.digest == entries[item.place]
        else:
            assert (twice.root / item.place.split()[0]).exists()
    assert found.champion is not None
    assert found.champion["version"] == 2
    home = Home(tmp_path / "home").prepare()
    shown = page.write(home, [found], datetime.now(UTC)).read_text()
    assert all(item.title.split(",")[0].split("'")[0] in shown for items in found.criteria.values() for item in items)
    assert entries["ledger entry 2"][:12] in shown
    page.write(twice_copy, [found], datetime.now(UTC))
    followed = re.findall(r'href="([^"]+)"', (twice_copy.root / page.PAGE).read_text())
    assert followed
    assert all((twice_copy.root / file).is_file() for file in followed)
    assert verify(twice_copy).problems == []


def test_the_command_shows_every_product_and_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a home in which nothing ran yet."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(loopline, ["maturity", "--json"])
    told = json.loads(done.output)
    assert {item["product"] for item in told} >= {"flight_delay", "arrival_delay"}
    assert all((item["schema"], item["ml_test_score"], item["microsoft"]) == (1, 0, 0) for item in told)
    done = CliRunner().invoke(loopline, ["maturity"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "home" / page.PAGE).exists()
    done = CliRunner().invoke(loopline, ["maturity", "flight_delay"])
    assert "Serving models can be rolled back: missing: try it: `loopline rollback flight_delay" in done.output
    assert CliRunner().invoke(loopline, ["maturity", "nothing"]).exit_code == 1
