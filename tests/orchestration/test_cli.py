"""The command line, as a user types it: what it prints, and with which exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assets.storage import Home
from orchestration.resources import REPOSITORY


def loopline(*arguments: str, home: Path, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run a command of its own, in a home."""
    return subprocess.run(
        [sys.executable, "-m", "orchestration", *arguments],
        env={**os.environ, "LOOPLINE_HOME": str(home), "COLUMNS": "160"},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_the_commands(tmp_path: Path) -> None:
    """With a sentence each."""
    told = loopline("--help", home=tmp_path)
    assert told.returncode == 0
    for command in ("run", "status", "ui"):
        assert f"  {command}  " in told.stdout


def test_status_of_a_home_in_which_the_loop_ran(ran: Home) -> None:
    """The documented JSON, with what is served."""
    told = loopline("status", "--json", home=ran.root)
    assert told.returncode == 0, told.stderr
    status = json.loads(told.stdout)
    assert set(status) == {"schema", "home", "last_run", "sources", "products"}
    assert status["schema"] == 1
    product = next(item for item in status["products"] if item["product"] == "flight_delay")
    assert set(product) == {
        "product", "sources", "champion_version", "champion_digest", "metrics", "baselines", "test_rows", "bento", "predictions",
        "report", "open_refusal", "last_made_at",
    }  # fmt: skip
    assert product["champion_version"] == 1
    assert len(product["champion_digest"]) == 64
    assert set(product["metrics"]["roc_auc"]) == {"value", "low", "high"}
    assert Path(product["report"]).exists()
    assert Path(product["predictions"]).exists()
    flights = next(source for source in status["sources"] if source["table"] == "flights.flights")
    assert flights["rows_in"] == flights["rows_good"] + flights["rows_quarantined"]
    assert flights["partitions"] == 6


def test_status_for_people_fits_a_screen(ran: Home) -> None:
    """Forty lines of it."""
    told = loopline("status", home=ran.root)
    assert "champion v1" in told.stdout
    assert len(told.stdout.splitlines()) <= 40


def test_status_of_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    """And is no error."""
    told = loopline("status", home=tmp_path / "new")
    assert told.returncode == 0
    assert "no champion yet: run `loopline run flight_delay`" in told.stdout


def test_a_home_that_cannot_be_written_is_one_clear_error() -> None:
    """Without a traceback."""
    told = loopline("run", home=Path("/proc/loopline"))
    assert told.returncode == 1
    assert told.stderr.startswith("error LOOPLINE_HOME=/proc/loopline cannot be written")
    assert "Traceback" not in told.stderr


def test_an_unknown_product_is_one_clear_error(tmp_path: Path) -> None:
    """With the products there are."""
    told = loopline("run", "churn", home=tmp_path)
    assert told.returncode == 1
    assert told.stderr.strip() == "error there is no product 'churn'. Declared are: arrival_delay, diamond_cut, flight_delay."


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the repository, to be spoilt."""
    copy = tmp_path / "clone"
    for name in ("assets", "bentos", "dbt_project", "orchestration"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "logs"))
    shutil.copy(REPOSITORY / "pyproject.toml", copy)
    return copy


def test_a_typo_in_a_declaration_is_one_clear_error(clone: Path, tmp_path: Path) -> None:
    """File, line, field, what is allowed, what to do — and none of Dagster's own account."""
    path = clone / "orchestration" / "defs" / "flight_delay" / "defs.yaml"
    text = path.read_text()
    path.write_text(text.replace("  gates:", "  gate:"))
    line = next(number for number, row in enumerate(text.splitlines(), 1) if row == "  gates:")
    told = loopline("run", home=tmp_path / "home", cwd=clone)
    assert told.returncode == 1
    assert told.stderr.strip() == (
        f"error flight_delay: 'gate' is not a field (orchestration/defs/flight_delay/defs.yaml:{line}). Allowed here: baseline, "
        "card, cost, description, evaluation, features, gates, model, name, owner, promotion, rules, schedule, serving, source, "
        "split, target, tune. Did you mean 'gates'? (1 more like this after it)"
    )


def test_dbt_that_cannot_be_parsed_is_one_clear_error(clone: Path, tmp_path: Path) -> None:
    """With dbt's own words."""
    path = clone / "dbt_project" / "models" / "marts" / "fct_flights.sql"
    path.write_text(path.read_text().replace("ref('stg_flights')", "ref('stg_flihgts')"))
    told = loopline("status", home=tmp_path / "home", cwd=clone)
    assert told.returncode == 1
    assert "error dbt parse could not run in dbt_project" in told.stderr
    assert "stg_flihgts" in told.stderr
    assert "Traceback" not in told.stderr


def test_dagsters_own_check_knows_our_schema(clone: Path) -> None:
    """`dg check yaml` passes as it stands, and names a field that is not there: editors complete from the same schema."""

    def check() -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("dg")
        return subprocess.run([program, "check", "yaml"], cwd=clone, capture_output=True, text=True, check=False)

    assert check().returncode == 0
    for other in ("arrival_delay", "diamond_cut"):  # it looks at one declaration of each component only
        shutil.rmtree(clone / "orchestration" / "defs" / other)
    path = clone / "orchestration" / "defs" / "flight_delay" / "defs.yaml"
    path.write_text(path.read_text().replace("  owner:", "  ownr:"))
    told = check()
    assert told.returncode == 1
    assert "'ownr' was unexpected" in told.stdout + told.stderr
