"""Running: what is unchanged is skipped, what changed is made anew, and a killed run leaves nothing half-published."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import dagster as dg
import pyarrow.parquet as pq
import pytest

from assets.errors import LedgerError, SpecificationError
from assets.evaluation.examinations import examinations_of
from assets.features import snapshots
from assets.promotion import ledger
from assets.promotion.registered_versions import CHALLENGER, CHAMPION, holder
from assets.serving import bento_package
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import read_json
from orchestration import resources
from orchestration.operations.monitoring.status import ProductStatus, status
from orchestration.staleness.plan import declared_in
from orchestration.staleness.run_loop import RunFailedError
from tests.forks import Forked
from tests.world import World


def test_a_second_run_executes_nothing(world: World, ran: Home) -> None:
    """Nothing changed, so nothing is executed."""
    again = world.run(ran)
    assert again.executed == {}
    assert again.fresh == 45


def test_a_touched_file_executes_nothing(world: World, ran_copy: Home, small_files: Path) -> None:
    """Its content is what counts."""
    (small_files / "flights.csv").touch()
    assert world.run(ran_copy).executed == {}


def test_a_changed_parameter_makes_anew_what_depends_on_it_and_nothing_else(world: World, ran_copy: Home) -> None:
    """A new gate is judged; the model is not trained again. An identical challenger changes no champion, and is no error."""
    stricter = world.with_product(gates={"metrics": {"roc_auc": {"min": 0.55}}})
    outcome = stricter.run(ran_copy)
    assert set(outcome.executed) == {"flight_delay/verdict", "flight_delay/champion", "flight_delay/report"}
    assert outcome.executed["flight_delay/verdict"] == "gates.metrics.roc_auc.min: 0.6 → 0.55"
    with resources.instance(ran_copy) as instance:
        check = dg.AssetCheckKey(dg.AssetKey(["flight_delay", "verdict"]), "champion")
        event = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])[check].event
    evaluation = event.dagster_event.asset_check_evaluation_data
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "it is the champion itself" in evaluation.description


def test_new_data_that_change_nothing_stop_where_they_change_nothing(
    world: World, ran_copy: Home, small_files: Path, tmp_path: Path
) -> None:
    """One more airport is landed, and no feature knows it: the wave ends at the marts."""
    files = tmp_path / "files"
    shutil.copytree(small_files, files)
    with (files / "airports.csv").open("a") as stream:
        stream.write("ZZZ,Nowhere,1,1,1,-5,A,America/New_York\n")
    moved = replace(world, source=world.source.model_copy(update={"folder": str(files)}))
    outcome = moved.run(ran_copy)
    assert list(outcome.executed) == [
        "landing/flights/airports",
        "quality/flights",
        "staging/stg_airports",
        "marts/dim_airports",
        "marts/fct_flights",
    ]


def test_a_window_length_rebuilds_the_features_and_what_follows(world: World, ran_copy: Home) -> None:
    """And neither the landing nor the marts. The new model is no better: the champion stays, and is not packaged again."""
    parameters = {**world.warehouse.parameters, "short_window_hours": 2}
    outcome = replace(world, warehouse=world.warehouse.model_copy(update={"parameters": parameters})).run(ran_copy)
    names = list(outcome.executed)
    assert set(names[:6]) == {
        "features/departure_backlog",
        "features/backlog_at_prediction",
        "features/origin_departures",
        "features/carrier_departures",
        "features/destination_arrivals",
        "features/delays_at_prediction",
    }
    assert names[6] == "features/flight_delay"
    judged = {*examinations_of(world.product), "snapshot", "model", "challenger", "verdict", "champion", "report"}
    answered_anew = {"predictions", "monitoring", "parity"}  # as the snapshot's rows are others
    assert set(names[7:]) == {f"flight_delay/{name}" for name in judged | answered_anew}
    assert names.index("flight_delay/snapshot") == 7
    found = [holder(ran_copy, "flight_delay", alias) for alias in (CHAMPION, CHALLENGER)]
    assert [version.version for version in found if version] == [1, 2]
    assert [(entry.event, entry.version) for entry in ledger.entries(ran_copy, "flight_delay")] == [
        ("promotion", 1),
        ("refusal", 2),
    ]


def product_status(world: World, home: Home) -> ProductStatus:
    """What `loopline status` shows of the one product."""
    (found,) = status(home, declared_in(world.definitions(home))).products
    return found


def test_a_worse_model_is_refused_and_the_champion_stays_served(world: World, ran_copy: Home) -> None:
    """The run succeeds, the refusal is told, and neither bento nor predictions are made anew."""
    before = holder(ran_copy, "flight_delay", CHAMPION)
    assert before is not None
    shown = product_status(world, ran_copy)
    weak = {**world.product.model.model_dump(), "parameters": {"max_iter": 12, "max_leaf_nodes": 3}}
    outcome = world.with_product(model=weak).run(ran_copy)
    assert "flight_delay/champion" in outcome.executed
    assert not {"flight_delay/bento", "flight_delay/predictions"} & set(outcome.executed)
    assert holder(ran_copy, "flight_delay", CHAMPION) == before
    told = product_status(world, ran_copy)
    assert told.open_refusal is not None
    assert told.open_refusal.startswith("version 2 refused: ")
    assert "roc_auc beats the champion's by more than 0" in told.open_refusal
    assert (told.champion_version, told.metrics, told.report) == (1, shown.metrics, shown.report), "the champion's figures"
    (verdict,) = [
        read_json(path)
        for path in (ran_copy.reports / "flight_delay").rglob("verdict-*.json")
        if before.model_digest[:12] not in path.parent.name
    ]
    assert verdict["promoted"] is False
    assert any("beats the champion's" in reason for reason in verdict["reasons"])


def test_a_first_model_below_the_floor_fails_the_run(world: World, ran_copy: Home) -> None:
    """There is nothing to serve, and that is no success."""
    shutil.rmtree(ran_copy.ledger)
    ledger.accept_ledger(ran_copy, "tester", "the first model is judged once more")
    hopeless = world.with_product(gates={"metrics": {"roc_auc": {"min": 0.99}}})
    with pytest.raises(RunFailedError, match=r"nothing is served yet\.\n  roc_auc is at least 0.99: not met, 0\.\d+ \["):
        hopeless.run(ran_copy)
    with pytest.raises(
        LedgerError, match=r"version \d was refused, and nothing is served\. `loopline report flight_delay` says"
    ):
        ledger.require_champion(ran_copy, "flight_delay")


def test_an_output_that_is_gone_is_made_again(world: World, ran_copy: Home) -> None:
    """Only that one, as the new one is equal."""
    shutil.rmtree(ran_copy.predictions)
    outcome = world.run(ran_copy)
    assert outcome.executed == {"flight_delay/predictions": "its output is gone"}


def test_a_product_that_is_not_declared_is_refused(world: World, ran: Home) -> None:
    """With those that are."""
    with pytest.raises(SpecificationError, match="there is no product 'churn'. Declared are: flight_delay"):
        world.run(ran, product="churn")


@dataclass
class SmallRun:
    """The small world in a process of its own; what it shows is read as it comes."""

    process: Forked
    shown: TextIO
    errors: TextIO

    @classmethod
    def start(cls, files: Path, home: Home) -> SmallRun:
        """Start it."""
        shown, theirs = os.pipe()
        errors, _ = tempfile.mkstemp(dir=home.root.parent)
        module = ("tests.orchestration.small_run", str(files), str(home.root))
        process = Forked(*module, cwd=REPOSITORY, environment=os.environ, stdout=theirs, stderr=errors)
        os.close(theirs)
        return cls(process, os.fdopen(shown, encoding="utf-8"), os.fdopen(errors, "w+", encoding="utf-8"))

    def ended(self) -> tuple[int, str, str]:
        """Its exit code, and the rest of what it showed and complained of."""
        with self.shown, self.errors:
            rest, code = self.shown.read(), self.process.wait()
            self.errors.seek(0)
            return code, rest, self.errors.read()


def outlive(home: Home, files: Path, shown: str) -> None:
    """Kill a run when it shows something."""
    started = SmallRun.start(files, home)
    for line in started.shown:
        if shown in line:
            break
    else:
        pytest.fail(f"never showed {shown}: {started.ended()[2][-2000:]}")
    started.process.kill()
    assert started.ended()[0] == -signal.SIGKILL


def test_runs_killed_after_every_stage_end_where_an_undisturbed_one_does(
    ran: Home, world: World, home: Home, small_files: Path
) -> None:
    """Each run goes on where the killed one stopped: between the stage's work and Dagster's record of it."""
    stages = ["landing/flights/weather", "features/flight_delay"]
    stages += [f"flight_delay/{name}" for name in ("snapshot", "model", "evaluation", "challenger", "champion", "bento")]
    for stage in stages:
        outlive(home, small_files, stage)
    world.run(home)
    assert snapshots.current(home, "flight_delay").digest == snapshots.current(ran, "flight_delay").digest
    champion, expected = holder(home, "flight_delay", CHAMPION), holder(ran, "flight_delay", CHAMPION)
    assert champion is not None
    assert expected is not None
    assert (champion.version, champion.model_digest) == (expected.version, expected.model_digest)
    assert bento_package.promise(home, f"flight_delay:v1-{champion.model_digest[:8]}")["model_digest"] == champion.model_digest
    with resources.instance(home) as instance:
        finished = {run.status for run in instance.get_runs()}
    assert finished == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}, "no run of a dead process seems to go on"
    assert pq.read_metadata(next(home.predictions.rglob("*.parquet"))).num_rows > 5000
    assert world.run(home).executed == {}


def test_two_runs_at_once_both_end_well(ran_copy: Home, small_files: Path) -> None:
    """The second waits for the first, says so, and finds nothing left to do."""
    shutil.rmtree(ran_copy.predictions)
    runs = [SmallRun.start(small_files, ran_copy) for _ in range(2)]
    told = [item.ended() for item in runs]
    assert [code for code, _, _ in told] == [0, 0], told
    executed = sorted(line for _, text, _ in told for line in text.splitlines() if line.startswith("executed"))
    assert executed == ["executed 0", "executed 1"]
