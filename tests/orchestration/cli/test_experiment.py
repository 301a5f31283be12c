"""`loopline experiment`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from assets.storage.home import Home
from tests.clones import copied, loopline
from tests.world import MONTHS

EXPERIMENTS = """
  experiments:
    - name: bolder
      arms: {control: champion, treatment: challenger}
      unit: UNIT
      minimal_effect: 0.3
      max_weeks: 3
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the repository in which flight_delay declares an experiment."""
    return copied(tmp_path / "clone")


def declare(clone: Path, unit: str) -> None:
    """Append the experiment to the declaration."""
    path = clone / "orchestration" / "defs" / "flight_delay" / "defs.yaml"
    text = (
        path.read_text()
        .partition("\n  experiments:")[0]
        .replace(
            "split: {by: months, train: 8, validation: 2, test: 2, end: 2013-12}",
            f"split: {{by: months, train: 4, validation: 1, test: 1, end: {MONTHS[1]}}}",
        )
    )
    path.write_text(text + EXPERIMENTS.replace("UNIT", unit))


def test_an_experiment_is_designed_from_what_the_champion_would_have_decided(ran: Home, clone: Path) -> None:
    """For people and as JSON; another unit, from a file; and what is not there is one clear error."""
    declare(clone, "flight_id")
    told = loopline("experiment", "design", "flight_delay", "bolder", home=ran.root, cwd=clone)
    assert told.returncode == 0, told.stderr
    assert "flight_delay/bolder  cost " in told.stdout
    assert "always valid" in told.stdout
    record = json.loads(loopline("experiment", "design", "flight_delay", "bolder", "--json", home=ran.root, cwd=clone).stdout)
    assert set(record) == {
        "product", "experiment", "metric", "unit", "minimal_effect", "false_positive", "power", "max_weeks", "baseline", "history",
        "correlation", "plans", "fits", "told", "level", "declared_level",
    }  # fmt: skip
    assert record["history"]["rows"] == record["history"]["units"]
    assert record["told"] in told.stdout.replace("\n", " ")
    unknown = loopline("experiment", "design", "flight_delay", "shy", home=ran.root, cwd=clone)
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("error flight_delay: there is no experiment 'shy'. Declared are: bolder. Declare it under")
    declare(clone, "tail_number")
    lacking = loopline("experiment", "design", "flight_delay", "bolder", home=ran.root, cwd=clone)
    assert lacking.returncode == 1
    assert (
        "the snapshot does not hold the unit 'tail_number' of the experiment 'bolder'. It holds flight_id, " in lacking.stderr
    )
    days = pd.date_range("2013-01-01", periods=42)
    lines = pd.DataFrame({"unit": [f"N{plane}" for plane in range(200) for _ in days], "day": [*days] * 200})
    history = clone / "history.parquet"
    lines.assign(value=[place * 7919 % 13 for place in range(len(lines))]).to_parquet(history)
    given = ("experiment", "design", "flight_delay", "bolder", "--history", str(history))
    by_file = loopline(*given, "--json", home=ran.root, cwd=clone)
    assert by_file.returncode == 0, by_file.stderr
    assert json.loads(by_file.stdout)["history"]["units"] == 200
    history.write_bytes(b"no parquet")
    spoilt = loopline(*given, home=ran.root, cwd=clone)
    assert spoilt.returncode == 1
    assert f"{history} cannot be read as parquet" in spoilt.stderr


def test_a_rule_of_a_product_without_experiments_cannot_be_evaluated(ran: Home, clone: Path) -> None:
    """One clear error; a rule is a threshold or a version."""
    told = loopline("experiment", "off-policy", "flight_delay", "--threshold", "0.3", home=ran.root, cwd=clone)
    assert told.returncode == 1
    assert "no experiment ever dealt traffic to arms" in told.stderr
    both = loopline(
        "experiment", "off-policy", "flight_delay", "--threshold", "0.3", "--version", "1", home=ran.root, cwd=clone
    )
    assert "Give one of them" in both.stderr
