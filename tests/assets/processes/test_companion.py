"""A companion: answers as a call here would, fails as one would, and ends with its owner."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assets.errors import CompanionError, DataError, LooplineError
from assets.processes.companion import Beside, Companion
from assets.storage.digests import file_digest
from assets.storage.publishing import read_json
from bentos.runtime import is_missing

OWNER = """
import os, signal, time
from assets.processes.companion import Companion
companion = Companion()
print(companion.call(os.getpid), flush=True)
{more}
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_gives_what_a_function_gives_and_raises_what_it_raises(tmp_path: Path) -> None:
    """With the traceback of where it happened as a note."""
    companion = Companion()
    (tmp_path / "file").write_text("content")
    assert companion.call(file_digest, tmp_path / "file") == file_digest(tmp_path / "file")
    assert companion.call(is_missing, math.nan) is True
    with pytest.raises(FileNotFoundError, match=r"absent\.json") as raised:
        companion.call(file_digest, tmp_path / "absent.json")
    assert "in file_digest" in "".join(raised.value.__notes__)
    assert companion.call(is_missing, 1.0) is False
    companion.close()


def test_what_failed_in_advance_does_not_trouble_a_later_call(tmp_path: Path) -> None:
    """Its answer is not taken for the call's."""
    companion = Companion()
    companion.begin(read_json, tmp_path / "absent.json")
    companion.begin(is_missing, None)
    assert companion.call(is_missing, 1.0) is False
    companion.close()


def test_a_companion_that_died_is_one_clear_error() -> None:
    """Not a wait for ever; what is asked next is done here."""
    beside = Beside()
    beside.start(is_missing, 1.0)
    assert beside.is_started
    with pytest.raises(CompanionError, match=r"ended with exit code 7 before it answered .*Run again"):
        beside.ask(_exit, 7)
    assert not beside.is_started
    assert beside.ask(is_missing, None) is True


@pytest.mark.parametrize("more", ["", "companion.begin(time.sleep, 600); time.sleep(1)"], ids=["idle", "busy"])
def test_it_ends_when_its_owner_is_killed(more: str) -> None:
    """Whatever it is doing. It holds the owner's output open, which ends when both have ended."""
    program = [sys.executable, "-c", OWNER.format(more=more)]
    owner = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=False, timeout=120)
    assert owner.returncode == -9
    assert int(owner.stdout) > 0


def test_a_call_that_is_interrupted_does_not_shift_the_answers_of_later_ones() -> None:
    """Its answer is taken for no other call's; neither is that of one that cannot be handed over."""
    companion = Companion()
    companion.call(abs, 0)
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(InterruptedCallError):
        companion.call(time.sleep, 1.5)
    signal.signal(signal.SIGALRM, before)
    with pytest.raises(AttributeError):
        companion.call(lambda: 1)
    assert companion.call(abs, -7) == 7
    assert companion.call(abs, -8) == 8
    companion.close()


@pytest.mark.parametrize("error", [DataError("too few rows"), LooplineError("no")], ids=["data", "base"])
def test_our_errors_come_back_as_they_are(error: LooplineError) -> None:
    """The step that asked tells them as its own."""
    companion = Companion()
    with pytest.raises(type(error), match=str(error)):
        companion.call(_raise, error)
    companion.close()


class InterruptedCallError(Exception):
    """What a signal's handler raises."""


def _interrupt(*_: object) -> None:
    raise InterruptedCallError


def _raise(error: Exception) -> None:
    raise error


def _exit(code: int) -> None:
    os._exit(code)
