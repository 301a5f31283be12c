"""A publication that is cut off at any moment is ended or undone by whoever opens the home next."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assets.storage import manifest
from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.storage.home_files import MANIFEST, PENDING
from assets.storage.publishing import read_json, write_json

CALLS = ("open", "os.rename", "os.truncate", "os.remove", "os.rmdir", "os.mkdir")
"""What Python tells of a process that touches files (audit events), each just before it is done."""


def replace_record(home: Home) -> None:
    """A file takes the place of another."""
    write_json(home.wheels / "churn" / "current.json", {"file": "new"})


def replace_folder(home: Home) -> None:
    """A folder takes the place of another."""
    draft = home.temporary / f"{os.getpid()}-draft"
    draft.mkdir()
    (draft / "new").write_text("new")
    manifest.publish(draft, home.sql / "churn", replaced=home.temporary / f"{os.getpid()}-replaced")


def remove_folder(home: Home) -> None:
    """A folder with several files is removed."""
    manifest.remove(home.quality)


def killed_at(call: int, change: Callable[[Home], None], home: Home) -> bool:
    """Let a process make a change, and kill it just before one of its calls; whether it came so far."""
    child = os.fork()
    if not child:
        count = 0

        def count_calls(event: str, _: object) -> None:
            nonlocal count
            if event in CALLS:
                if count == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1

        sys.addaudithook(count_calls)
        change(home)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def content(home: Home) -> dict[str, bytes]:
    """What lies in a home, without its manifest and locks."""
    files = {home.relative(path): path.read_bytes() for path in home.root.rglob("*") if path.is_file()}
    return {name: read for name, read in files.items() if name not in {MANIFEST, PENDING}}


@pytest.mark.parametrize("change", [replace_record, replace_folder, remove_folder])
def test_a_kill_at_any_call_leaves_what_was_before_or_what_is_to_be(change: Callable[[Home], None], tmp_path: Path) -> None:
    """And the manifest names just that; no draft stays, and both happen."""
    seen = set()
    for call in range(200):
        home = Home(tmp_path / str(call)).prepare()
        write_json(home.wheels / "churn" / "current.json", {"file": "old"})
        for number in range(3):
            write_json(home.quality / f"{number}.json", number)
        (home.temporary / "draft").mkdir()
        (home.temporary / "draft" / "old").write_text("old")
        manifest.publish(home.temporary / "draft", home.sql / "churn")
        before = content(home)
        reached = killed_at(call, change, home)
        # drafts that name no process are removed when they are old: these are named for the one that was killed
        for draft in home.temporary.iterdir():
            os.utime(draft, (0, 0))
            for inside in draft.rglob("*") if draft.is_dir() else ():
                os.utime(inside, (0, 0))
        home.prepare()
        found = manifest.read(home.root, anew=True)
        assert found is not None
        now = content(home)
        assert {file: item.digest for file, item in found.files.items()} == {
            file: file_digest(home.root / file) for file in now
        }
        assert list(home.temporary.iterdir()) == []
        seen.add(now == before)
        if not reached:
            break
    assert not reached, "all calls were tried"
    assert seen == {True, False}


def test_what_was_moved_is_recorded_by_a_process_that_goes_on(home: Home) -> None:
    """It need not be started anew."""
    path = write_json(home.wheels / "churn" / "current.json", {"file": "old"})
    for call in range(200):
        if not killed_at(call, replace_record, home):
            pytest.fail("no kill came between the move and the record")
        if (home.root / PENDING).stat().st_size and json.loads(path.read_bytes()) == {"file": "new"}:
            break
    assert read_json(path) == {"file": "new"}
    assert not (home.root / PENDING).stat().st_size
