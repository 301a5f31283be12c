"""A home that cannot be used says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.errors import HomeError
from assets.storage.home import Home


def test_a_missing_home_is_made(tmp_path: Path) -> None:
    """With the folders above it."""
    assert Home(tmp_path / "a" / "b").prepare().root.is_dir()


@pytest.mark.parametrize("place", ["/proc/loopline", "file/home"])
def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path, place: str) -> None:
    """A read-only file system, and a file where a folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match=r"cannot be written .*point LOOPLINE_HOME at a folder you may write to"):
        Home(tmp_path / place).prepare()
