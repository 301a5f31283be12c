"""The process of models: started for imports that this process lacks."""

from __future__ import annotations

import sys

import pytest

from assets.processes import compute_process
from assets.processes.companion import Beside


def test_it_is_started_for_what_is_not_imported_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one library is missing, all are imported there."""
    beside = Beside()
    monkeypatch.setattr(compute_process, "COMPUTE_PROCESS", beside)
    for name in compute_process.IMPORTED:
        monkeypatch.setitem(sys.modules, name, sys)
    compute_process.prepare()
    assert not beside.is_started
    monkeypatch.delitem(sys.modules, compute_process.IMPORTED[-1])
    compute_process.prepare()
    try:
        assert beside.is_started
    finally:
        beside.end()
