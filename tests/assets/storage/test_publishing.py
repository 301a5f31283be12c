"""Publishing is all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.storage.digests import file_digest
from assets.storage.publishing import publish_by_digest, publishing


def test_a_block_that_fails_leaves_what_was_published(tmp_path: Path) -> None:
    """And no temporary file beside it."""
    target = tmp_path / "record.json"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="killed"), publishing(target) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError("killed")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_equal_bytes_are_published_once(tmp_path: Path) -> None:
    """Named by their digest, they are the same file."""
    for _ in range(2):
        draft = tmp_path / "draft"
        draft.write_bytes(b"rows")
        path, digest = publish_by_digest(draft, tmp_path / "out", ".bin")
    assert [path] == list((tmp_path / "out").iterdir())
    assert path.stem == digest == file_digest(path)
