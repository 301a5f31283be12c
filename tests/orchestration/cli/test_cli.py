"""The command line, as a user types it: what it prints, and with which exit code."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest

from assets.spec import ProductSpec
from assets.storage.home import Home
from tests.clones import copied, loopline, python
from tests.shop import customers


def test_help_lists_the_commands(tmp_path: Path) -> None:
    """With a sentence each."""
    told = loopline("--help", home=tmp_path)
    assert told.returncode == 0
    for command in ("check", "new", "report", "run", "status", "ui"):
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
        "product", "sources", "champion_version", "champion_digest", "deciding_metric", "metrics", "baselines", "test_rows", "bento", "predictions",
        "report", "open_refusal", "vacancy", "last_made_at", "updates", "fallback",
    }  # fmt: skip
    assert product["fallback"] is None
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
    assert re.search(r"flight_delay +v1 ", told.stdout)
    assert len(told.stdout.splitlines()) <= 40


def test_status_of_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    """And is no error."""
    told = loopline("status", home=tmp_path / "new")
    assert told.returncode == 0
    assert "nothing is served yet. Run `loopline run`" in told.stdout


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
    return copied(tmp_path / "clone")


def test_a_typo_in_a_declaration_is_one_clear_error(clone: Path, tmp_path: Path) -> None:
    """File, line, field, what is allowed, what to do — and none of Dagster's own account."""
    path = clone / "orchestration" / "defs" / "flight_delay" / "defs.yaml"
    text = path.read_text()
    path.write_text(text.replace("  gates:", "  gate:"))
    line = next(number for number, row in enumerate(text.splitlines(), 1) if row == "  gates:")
    told = loopline("run", home=tmp_path / "home", cwd=clone)
    assert told.returncode == 1
    assert told.stderr.strip() == (
        f"error flight_delay: 'gate' is not a field (orchestration/defs/flight_delay/defs.yaml:{line}). Allowed here: "
        f"{', '.join(sorted(ProductSpec.model_fields))}. Did you mean 'gates'?"
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


def test_a_checkout_without_declarations_says_how_to_declare_something(clone: Path, tmp_path: Path) -> None:
    """An error where something was to be made, a remark where somebody only looks; the UI opens on nothing."""
    shutil.rmtree(clone / "orchestration" / "defs")
    home, remedy = tmp_path / "home", "Declare a product: `loopline new NAME --data FILE --target COLUMN`."
    for command in (["plan"], ["plan", "churn"], ["run"], ["run", "--jobs", "2"]):
        told = loopline(*command, home=home, cwd=clone, columns=200)
        assert (told.returncode, told.stdout) == (1, "")
        assert told.stderr.strip() == f"error nothing is declared in orchestration/defs. {remedy}"
        assert not home.exists()
    for command in ("check", "status"):
        told = loopline(command, home=home, cwd=clone, columns=200)
        assert (told.returncode, told.stderr) == (0, "")
        assert told.stdout.strip() == f"nothing is declared in orchestration/defs. {remedy}"
    loaded = python("orchestration.definitions", home=home, cwd=clone)
    assert (loaded.returncode, loaded.stderr) == (0, "")


def test_checking_makes_and_changes_nothing(clone: Path, shop: Path, tmp_path: Path) -> None:
    """Not even the home, for a file that must be unpacked."""
    packed, home = tmp_path / "customers.csv.gz", tmp_path / "home"
    packed.write_bytes(gzip.compress(shop.read_bytes()))
    asked = ("--data", str(packed), "--target", "churned", "--without", "spend")
    declared = loopline("new", "churn", *asked, home=tmp_path / "other", cwd=clone)
    assert declared.returncode == 0, declared.stderr
    told = loopline("check", "churn", home=home, cwd=clone)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "✓ churn" in told.stdout
    assert not home.exists()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A newcomer's file."""
    path = tmp_path / "customers.csv"
    customers(6000).to_csv(path, index=False)
    return path


def test_a_newcomer_goes_from_a_file_to_a_report(clone: Path, shop: Path, tmp_path: Path) -> None:
    """New, check, run, report: four commands, no Python written, and nothing of the flights is touched."""
    home = tmp_path / "home"
    asked = ("--data", str(shop), "--target", "churned", "--time", "signed_up_at", "--without", "spend")
    told = loopline("new", "churn", *asked, home=home, cwd=clone)
    assert told.returncode == 0, told.stderr
    table = {line.split()[0]: line for line in told.stdout.splitlines() if line[:1].isalpha()}
    assert table["column"].split() == ["column", "used", "as", "why", "to", "change", "it", "say"]
    assert "target, binary" in table["churned"]
    assert "entity" in table["customer_id"]
    assert "it identifies a row by its name" in table["customer_id"]
    assert "left out" in table["spend"]
    assert "--without age" in table["age"]
    assert "loopline check churn  ·  loopline run churn  ·  loopline report churn" in told.stdout
    again = loopline("new", "churn", *asked, home=home, cwd=clone)
    assert again.returncode == 1
    assert again.stderr.startswith("error 'churn' is declared already in ")
    refused = loopline(
        "new", "constant", "--data", str(shop), "--target", "churned", "--without", "plan", "--null", "no", home=home, cwd=clone
    )
    assert (refused.returncode, refused.stderr.split()[0]) == (3, "refused")
    assert loopline("check", "churn", home=home, cwd=clone).stdout == "✓ churn\n"
    ran = loopline("run", "churn", home=home, cwd=clone)
    assert ran.returncode == 0, ran.stderr
    assert "churn  champion v1" in ran.stdout
    assert "flights" not in ran.stdout
    report = loopline("report", "churn", "--path", home=home, cwd=clone)
    assert "Model card" in Path(report.stdout.strip()).read_text()


def test_a_staged_product_rests_on_the_warehouse_alone_and_not_on_the_flights(clone: Path, shop: Path, tmp_path: Path) -> None:
    """Its source and its dbt model are built and tested; the flights need not be landed."""
    home = tmp_path / "home"
    told = loopline(
        "new", "churn", "--data", str(shop), "--target", "churned", "--time", "signed_up_at", "--staging", home=home, cwd=clone
    )
    assert told.returncode == 0, told.stderr
    assert "dbt_project/models/staging/stg_churn.sql" in told.stdout
    checked = loopline("check", "churn", home=home, cwd=clone)
    assert checked.returncode == 0, checked.stdout
    ran = loopline("run", "churn", home=home, cwd=clone)
    assert ran.returncode == 0, ran.stderr
    assert "staging/stg_churn" in ran.stdout
    assert "churn  champion v1" in ran.stdout
    assert "fct_flights" not in ran.stdout


def test_a_mistake_is_checked_with_an_exit_code(clone: Path, tmp_path: Path) -> None:
    """For CI."""
    path = clone / "orchestration" / "defs" / "flight_delay" / "defs.yaml"
    path.write_text(path.read_text().replace("max_iter: 120", "max_iters: 120"))
    told = loopline("check", home=tmp_path, cwd=clone)
    assert told.returncode == 1
    assert "✗ flight_delay" in told.stdout
    assert "✓ diamond_cut" in told.stdout
    assert "'model.parameters' has max_iters, which HistGradientBoostingClassifier does not take" in told.stdout


def test_a_report_that_is_not_there_yet_is_one_clear_error(tmp_path: Path) -> None:
    """With what to do."""
    told = loopline("report", "diamond_cut", home=tmp_path)
    assert told.returncode == 1
    assert (
        told.stderr.strip()
        == "error diamond_cut: no model was judged yet, so there is no report. Run `loopline run diamond_cut`."
    )
