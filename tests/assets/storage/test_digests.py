"""Bytes are verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.errors import DigestError
from assets.storage.digests import file_digest, verified


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    """Both digests are named."""
    path = tmp_path / "file"
    path.write_bytes(b"a")
    digest = file_digest(path)
    assert verified(path, digest) == path
    path.write_bytes(b"b")
    with pytest.raises(DigestError, match=f"has digest 3e23e8160039, but {digest[:12]} was published"):
        verified(path, digest)
    path.unlink()
    with pytest.raises(DigestError, match="is missing"):
        verified(path, digest)
