"""Drafts: what a killed process left is removed at once, what a living one makes is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from assets.storage.drafts import draft_folder, sweep
from assets.storage.home import Home

KILLED = """
import os, signal, sys
from pathlib import Path
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
with draft_folder(Home(Path(sys.argv[1]))) as folder:
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_a_draft_that_the_next_sweep_removes(tmp_path: Path) -> None:
    """Though it is seconds old; a draft that this process is making stays."""
    home = Home(tmp_path / "home").prepare()
    done = subprocess.run([sys.executable, "-c", KILLED, str(home.root)], check=False)
    assert done.returncode == -9
    (left,) = home.temporary.iterdir()
    with draft_folder(home) as mine:
        assert sweep(home) == [left]
        assert mine.is_dir()
    assert list(home.temporary.iterdir()) == []


def test_what_names_no_process_goes_when_it_is_old(tmp_path: Path) -> None:
    """A draft of another machine's process, or of an earlier version, may be in use while it is written to."""
    home = Home(tmp_path / "home").prepare()
    for name in ("1@elsewhere-x", "tmpabc"):
        (home.temporary / name).mkdir()
        (home.temporary / name / "rows").write_text("1")
    assert sweep(home) == []
    before = time.time() - 7200
    for path in (home.temporary / "tmpabc" / "rows", home.temporary / "tmpabc"):
        os.utime(path, (before, before))
    assert sweep(home) == [home.temporary / "tmpabc"]


def test_what_a_living_process_makes_stays_however_old_it_seems(tmp_path: Path) -> None:
    """The clock may have been set, and a training may take hours."""
    home = Home(tmp_path / "home").prepare()
    with draft_folder(home) as mine:
        os.utime(mine, (0, 0))
        assert sweep(home) == []
        assert mine.is_dir()
