"""A day that a service has only just begun: its file is there, and no table in it yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.monitoring import arm_store, logged_requests, outcome_store
from assets.storage import day_files


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """Such a file."""
    file = tmp_path / "2026-03-02.sqlite"
    file.touch()
    return file


def test_it_holds_no_lines_yet(begun: Path) -> None:
    """In any log; a learner that looked in that moment ended in SQLite's error."""
    assert logged_requests.lines_of(begun, []) == []
    assert outcome_store.read(begun) == []
    assert arm_store.lines_of(begun) == []
    assert day_files.position(begun, "predictions") is None
    assert day_files.data_keys(begun) == {}
