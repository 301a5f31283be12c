"""`loopline outcomes`: files are added as a whole or refused, and what is known is told as text or JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from assets.monitoring import outcome_store
from assets.storage.home import Home
from orchestration.cli.main import loopline


@pytest.fixture
def asked(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home that commands of this process use."""
    monkeypatch.setenv("LOOPLINE_HOME", str(home.root))
    return home


def outcomes(*words: str | Path) -> Result:
    """Call the command for the repository's product."""
    return CliRunner().invoke(loopline, ["outcomes", "flight_delay", *map(str, words)])


def test_a_file_is_added_once_and_what_is_known_is_shown(asked: Home, tmp_path: Path) -> None:
    """Without a log, no outcome has an answer; nothing of that is an error."""
    file = tmp_path / "labels.csv"
    file.write_text("request_id,outcome,observed_at\na,1,2026-03-02\nb,0,2026-03-02\n")
    first = outcomes("--file", file, "--json")
    counts = {"answered": 0, "told": 2, "matched": 0, "late": 0, "doubled": 0, "conflicting": 0, "unknown": 2}
    assert (first.exit_code, json.loads(first.stdout)) == (0, {"file": {"rows": 2, "new": 2, "repeated": 0}, **counts})
    second = outcomes("--file", file)
    assert "2 rows, 0 new, 2 told before in the same words" in second.stdout
    assert second.stdout.splitlines()[-1].split() == ["2", *["belong", "to", "no", "answer", "in", "the", "log"]]
    assert json.loads(outcomes("--json").stdout) == counts
    assert len(outcome_store.files(asked, "flight_delay")) == 1


def test_a_bad_file_ends_with_one_error(asked: Home, tmp_path: Path) -> None:
    """It names file, line and field, and the home stays as it was."""
    file = tmp_path / "labels.csv"
    file.write_text("request_id,outcome,observed_at\na,maybe,2026-03-02\n")
    done = outcomes("--file", file)
    assert done.exit_code == 1
    assert f"{file}, line 2: outcome: is 'maybe', but must be 1, 0, true or false. Nothing was added." in done.stderr
    assert not outcome_store.folder(asked, "flight_delay").exists()
