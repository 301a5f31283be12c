"""Storage: publishing is all or nothing, bytes are verified, and a home that cannot be used says so."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from assets import storage
from assets.errors import DigestError, HomeError
from assets.storage import Home


def test_a_block_that_fails_leaves_what_was_published(tmp_path: Path) -> None:
    """And no temporary file beside it."""
    target = tmp_path / "record.json"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="killed"), storage.publishing(target) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError("killed")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_equal_bytes_are_published_once(tmp_path: Path) -> None:
    """Named by their digest, they are the same file."""
    for _ in range(2):
        draft = tmp_path / "draft"
        draft.write_bytes(b"rows")
        path, digest = storage.publish_by_digest(draft, tmp_path / "out", ".bin")
    assert [path] == list((tmp_path / "out").iterdir())
    assert path.stem == digest == storage.file_digest(path)


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    """Both digests are named."""
    path = tmp_path / "file"
    path.write_bytes(b"a")
    digest = storage.file_digest(path)
    assert storage.verified(path, digest) == path
    path.write_bytes(b"b")
    with pytest.raises(DigestError, match=f"has digest 3e23e8160039, but {digest[:12]} was published"):
        storage.verified(path, digest)
    path.unlink()
    with pytest.raises(DigestError, match="is missing"):
        storage.verified(path, digest)


def test_a_missing_home_is_made(tmp_path: Path) -> None:
    """With the folders above it."""
    assert Home(tmp_path / "a" / "b").prepare().root.is_dir()


@pytest.mark.parametrize("place", ["/proc/loopline", "file/home"])
def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path, place: str) -> None:
    """A read-only file system, and a file where a folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match=r"cannot be written .*point LOOPLINE_HOME at a folder you may write to"):
        Home(tmp_path / place).prepare()


def _hold(lock: Path, held: multiprocessing.synchronize.Event, release: multiprocessing.synchronize.Event) -> None:
    with storage.exclusive(lock):
        held.set()
        release.wait(30)


def test_a_second_process_waits_for_the_lock_and_knows_who_holds_it(tmp_path: Path) -> None:
    """The lock goes with the process that held it."""
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "lock", held, release))
    process.start()
    assert held.wait(30)
    told: list[str] = []

    def waiting(holder: str) -> None:
        told.append(holder)
        release.set()

    with storage.exclusive(tmp_path / "lock", on_wait=waiting):
        process.join(30)
    assert told == [str(process.pid)]
