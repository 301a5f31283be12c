"""Backup and restore: each byte comes back, nothing is stored twice, and an interruption costs nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets.errors import BackupError, HomeError
from assets.storage import manifest
from assets.storage.backup import Backup, manifests, object_path
from assets.storage.backup import take as take_into
from assets.storage.digests import file_digest
from assets.storage.home import REPOSITORY, Home
from assets.storage.home_identity import identity_of
from assets.storage.publishing import read_json, write_json
from assets.storage.restore import restore

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def take(home: Home, folder: Path, moment: datetime) -> Backup:
    """Back a home up under its own id."""
    return take_into(home, folder, moment, identity_of(home))


@pytest.fixture
def filled(home: Home) -> Home:
    """A home with a model, a database in WAL mode that is open, and a draft."""
    for name in ("a", "b"):
        (home.models / name).mkdir(parents=True)
        (home.models / name / "model.onnx").write_bytes(b"equal bytes")
    (home.models / "a" / "model.onnx").chmod(0o640)
    (home.models / "a").chmod(0o750)
    home.keys.mkdir()
    (home.keys / "churn.json").write_text("{}")
    (home.keys / "churn.json").chmod(0o600)
    home.root.chmod(0o700)
    manifest.record(home.models, home.keys)
    home.ledger.mkdir()
    with sqlite3.connect(home.ledger / "ledger.db") as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table entries (number integer)")
    connection.close()
    (home.temporary / "draft").touch()
    return home


def objects(folder: Path) -> list[Path]:
    """All objects of a backup folder."""
    return [path for path in (folder / "objects").rglob("*") if path.is_file()]


def test_what_is_unchanged_is_stored_once(filled: Home, tmp_path: Path) -> None:
    """Equal files share an object, and a second backup adds none but that of what changed."""
    first = take(filled, tmp_path / "kept", NOON)
    assert (first.files, first.added) == (7, 6)  # two models are equal; the id is in home.json
    again = take(filled, tmp_path / "kept", NOON)
    assert (again.name, again.added, again.added_bytes) == (f"{first.name}.0002", 0, 0)
    (filled.models / "b" / "model.onnx").write_bytes(b"other")
    third = take(filled, tmp_path / "kept", NOON + timedelta(hours=1))
    assert (third.added, third.added_bytes) == (1, 5)
    assert len(objects(tmp_path / "kept")) == 7


def test_a_restored_home_is_the_one_that_was_backed_up(filled: Home, tmp_path: Path) -> None:
    """Bytes and permissions; rows that only the database's log holds; an earlier moment where one is asked for."""
    writer = sqlite3.connect(filled.ledger / "ledger.db")
    writer.execute("insert into entries values (7)")
    writer.commit()  # into the log, as the connection stays open
    take(filled, tmp_path / "kept", NOON)
    writer.execute("insert into entries values (8)")
    writer.commit()
    take(filled, tmp_path / "kept", NOON + timedelta(hours=1))
    writer.close()
    found = {}
    for at in (None, "2026-11-29T12:30", "2026-11-29T12-00-00Z"):
        there = Home(tmp_path / "restored" / str(at))
        restore(tmp_path / "kept", there, at)
        modes = {
            name: (there.root / name).stat().st_mode & 0o777
            for name in (".", "models/a", "models/a/model.onnx", "keys/churn.json")
        }
        assert modes == {".": 0o700, "models/a": 0o750, "models/a/model.onnx": 0o640, "keys/churn.json": 0o600}
        assert file_digest(there.models / "b" / "model.onnx") == file_digest(filled.models / "b" / "model.onnx")
        with sqlite3.connect(there.ledger / "ledger.db") as reader:
            found[at] = [row[0] for row in reader.execute("select number from entries")]
        reader.close()
        assert {path.name for path in there.root.iterdir()} == {
            "home.json",
            "keys",
            "ledger",
            "manifest.jsonl",
            "manifest.pending",
            "models",
            "tmp",
        }
        assert manifest.read(there.root) is not None
    assert found == {None: [7, 8], "2026-11-29T12:30": [7], "2026-11-29T12-00-00Z": [7]}
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == sorted(map(str, found))


def test_a_database_that_the_manifest_names_comes_back_byte_for_byte(filled: Home, tmp_path: Path) -> None:
    """The features that a service looks up: a copy by SQLite would have the same rows and another digest."""
    draft = filled.root / "features.sqlite"
    with sqlite3.connect(draft) as connection:
        connection.execute("create table features (key text primary key, row text not null)")
        connection.executemany("insert into features values (?, 'x')", [(str(key),) for key in range(2000)])
    connection.close()
    target = filled.online / "churn" / "features.sqlite"
    manifest.publish(draft, target)
    take(filled, tmp_path / "kept", NOON)
    there = Home(tmp_path / "restored")
    restore(tmp_path / "kept", there)
    assert (there.online / "churn" / "features.sqlite").read_bytes() == target.read_bytes()


def test_a_changed_or_missing_object_is_named_and_nothing_is_left(filled: Home, tmp_path: Path) -> None:
    """A half restored home would look like a whole one."""
    take(filled, tmp_path / "kept", NOON)
    damaged = object_path(tmp_path / "kept", file_digest(filled.models / "a" / "model.onnx"))
    damaged.write_bytes(b"Equal bytes")
    there = Home(tmp_path / "restored" / "home")
    with pytest.raises(BackupError, match=r"models/a/model\.onnx cannot be restored: .* was changed after the backup"):
        restore(tmp_path / "kept", there)
    damaged.unlink()
    with pytest.raises(BackupError, match=r"models/a/model\.onnx cannot be restored: .* is missing"):
        restore(tmp_path / "kept", there)
    assert not there.root.exists()
    assert not list((tmp_path / "restored").iterdir())


def test_what_is_no_backup_and_what_is_lived_in_are_refused(filled: Home, tmp_path: Path) -> None:
    """One sentence each, and nothing changed."""
    take(filled, tmp_path / "kept", NOON)
    other = Home(tmp_path / "other").prepare()
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "picture.png").touch()
    before = len(objects(tmp_path / "kept"))
    with pytest.raises(BackupError, match="holds backups of another home"):
        take(other, tmp_path / "kept", NOON)
    with pytest.raises(BackupError, match="holds no backups of Loopline"):
        take(other, tmp_path / "holiday", NOON)
    with pytest.raises(BackupError, match="lies in the home"):
        take(filled, filled.root / "kept", NOON)
    with pytest.raises(BackupError, match="holds no backups of Loopline"):
        restore(tmp_path / "holiday", Home(tmp_path / "new"))
    with pytest.raises(HomeError, match="exists and is not empty"):
        restore(tmp_path / "kept", other)
    with pytest.raises(BackupError, match="that is no moment"):
        restore(tmp_path / "kept", Home(tmp_path / "new"), "yesterday")
    with pytest.raises(BackupError, match="taken by 2026-11-28"):
        restore(tmp_path / "kept", Home(tmp_path / "new"), "2026-11-28")
    assert len(objects(tmp_path / "kept")) == before
    assert not (tmp_path / "new").exists()
    assert not (filled.root / "kept").exists()


def test_its_folder_is_for_the_owner_alone(filled: Home, tmp_path: Path) -> None:
    """It holds keys and features in the clear; also where the folder was there, and empty."""
    (tmp_path / "empty").mkdir(mode=0o755)
    for name in ("new", "empty"):
        take(filled, tmp_path / name, NOON)
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700


def test_what_is_published_meanwhile_is_in_the_backup_with_its_line_or_not_at_all(filled: Home, tmp_path: Path) -> None:
    """A process publishes as fast as it can: each backup, restored, has just the files that its manifest names."""
    writer = subprocess.Popen(
        [sys.executable, "-c", PUBLISHING, str(filled.root)], env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    try:
        while not (filled.root / "keys" / "p3.json").exists():
            assert writer.poll() is None
        counts = []
        for number in range(4):
            name = take(filled, tmp_path / "kept", NOON + timedelta(hours=number)).name
            there = Home(tmp_path / f"there{number}")
            restore(tmp_path / "kept", there, name)
            known = manifest.read(there.root)
            assert known is not None
            files = {there.relative(path): path for path in there.root.rglob("*") if path.is_file()}
            assert {file: file_digest(files[file]) for file in known.files} == {
                file: item.digest for file, item in known.files.items()
            }
            assert set(files) - set(known.files) == {"manifest.jsonl", "manifest.pending", "ledger/ledger.db"}
            counts.append(len(known.heads))
        assert counts[-1] > counts[0]
    finally:
        writer.kill()
        writer.wait()


PUBLISHING = """
import itertools, sys
from pathlib import Path
from assets.storage import manifest
from assets.storage.publishing import write_json
for number in itertools.count():
    path = Path(sys.argv[1]) / "keys" / f"p{number % 7}.json"
    write_json(path, number)
    if number % 5 == 4:
        manifest.remove(path)
"""


@pytest.mark.parametrize("place", ["../outside", "/tmp/outside"])  # noqa: S108 - a hostile path
def test_a_manifest_that_was_changed_is_refused(place: str, filled: Home, tmp_path: Path) -> None:
    """It could name other bytes, or a place outside the home."""
    name = take(filled, tmp_path / "kept", NOON).name
    path = manifests(tmp_path / "kept")[name]
    record = read_json(path)
    record["files"][0]["path"] = place
    write_json(path, record)
    with pytest.raises(BackupError, match="was changed after the backup was taken"):
        restore(tmp_path / "kept", Home(tmp_path / "new"))


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from assets.storage import backup
from assets.storage.home import Home
from assets.storage.home_identity import identity_of
count, before = 0, backup.sync
def sync(path):
    global count
    count += 1
    if count == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    before(path)
backup.sync = sync
home = Home(Path(sys.argv[1]))
backup.take(home, Path(sys.argv[2]), datetime(2026, 11, 29, 13, tzinfo=UTC), identity_of(home))
"""


def test_a_killed_backup_leaves_the_earlier_whole_and_the_next_works(filled: Home, tmp_path: Path) -> None:
    """Killed at each of its writes."""
    take(filled, tmp_path / "kept", NOON)
    (filled.models / "b" / "model.onnx").write_bytes(b"other")
    # before the object is in its place, once it is there, and with a manifest that is not yet safe
    for attempt, write in enumerate((1, 2, 1)):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(filled.root), str(tmp_path / "kept"), str(write)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            check=False,
        )
        assert done.returncode == -signal.SIGKILL
        restore(tmp_path / "kept", Home(tmp_path / f"earlier{attempt}"), "2026-11-29T12:00")
        assert (tmp_path / f"earlier{attempt}" / "models" / "b" / "model.onnx").read_bytes() == b"equal bytes"
    last: Backup = take(filled, tmp_path / "kept", NOON + timedelta(hours=2))
    restore(tmp_path / "kept", Home(tmp_path / "last"), last.name)
    assert (tmp_path / "last" / "models" / "b" / "model.onnx").read_bytes() == b"other"
    assert not list((tmp_path / "kept" / "tmp").iterdir())
