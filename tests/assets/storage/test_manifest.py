"""The manifest names what was published, whoever published it, and shows where it was changed itself."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

from assets.errors import DigestError
from assets.storage import manifest, manifest_lines
from assets.storage.digests import file_digest
from assets.storage.home import REPOSITORY, Home
from assets.storage.home_files import MANIFEST
from assets.storage.manifest_lines import Manifest
from assets.storage.publishing import publish_by_digest, publishing, read_json, write_json
from orchestration.operations.verification.verify import verify


def recorded(home: Home) -> dict[str, str]:
    """The digest of each file."""
    return {file: item.digest for file, item in (manifest.read(home.root, anew=True) or Manifest()).files.items()}


def test_what_is_published_is_recorded_with_its_digest(home: Home) -> None:
    """A file, a record, a file by its digest, and a folder; drafts are not."""
    with publishing(home.quality / "page.html") as draft:
        draft.write_text("page")
    write_json(home.quality / "record.json", {"a": 1})
    (home.temporary / "rows").write_bytes(b"rows")
    path, _ = publish_by_digest(home.temporary / "rows", home.snapshots, ".parquet")
    (home.temporary / "folder" / "deep").mkdir(parents=True)
    write_json(home.temporary / "folder" / "deep" / "file.json", 1)
    manifest.publish(home.temporary / "folder", home.sql / "folder")
    found = recorded(home)
    files = [
        home.record,
        home.quality / "page.html",
        home.quality / "record.json",
        path,
        home.sql / "folder" / "deep" / "file.json",
    ]
    assert found == {home.relative(file): file_digest(file) for file in files}


def test_a_folder_that_takes_the_place_of_another_leaves_no_file_of_that(home: Home) -> None:
    """And what is removed is named no longer."""
    for name in ("old", "new"):
        (home.temporary / "folder").mkdir()
        (home.temporary / "folder" / name).write_text(name)
        manifest.publish(home.temporary / "folder", home.sql / "folder", replaced=home.temporary / f"replaced-{name}")
    assert [file for file in recorded(home) if file.startswith("sql")] == ["sql/folder/new"]
    manifest.remove(home.sql)
    assert set(recorded(home)) == {"home.json"}
    assert not home.sql.exists()


def test_an_equal_file_is_recorded_once(home: Home) -> None:
    """So each line matters: to take one out is found."""
    for _ in range(3):
        write_json(home.quality / "record.json", {"a": 1})
    assert len((home.root / MANIFEST).read_bytes().splitlines()) == 2


def test_a_record_that_was_changed_is_not_read(home: Home) -> None:
    """Nor one that is gone; the error names the file and what to do."""
    path = write_json(home.root / "wheels" / "churn" / "current.json", {"file": "a"})
    path.write_text(path.read_text().replace("a", "b"))
    with pytest.raises(DigestError, match=r"current\.json was changed after .* delete wheels/churn and run `loopline run`"):
        read_json(path)
    write_json(path, {"file": "c"})
    assert read_json(path) == {"file": "c"}
    path.unlink()
    with pytest.raises(DigestError, match=r"current\.json cannot be read \(No such file or directory\); delete wheels/churn"):
        read_json(path)


def test_a_record_that_no_manifest_names_must_be_json(tmp_path: Path) -> None:
    """Outside a home, for example."""
    (tmp_path / "record.json").write_bytes(b'{"a": \xff')
    with pytest.raises(DigestError, match=r"record\.json cannot be read \(not the JSON that was written"):
        read_json(tmp_path / "record.json")


def test_a_line_that_was_cut_is_told_and_mended_by_the_next(home: Home) -> None:
    """As when the machine stops; what the line was about has to be published again."""
    path = write_json(home.quality / "record.json", {"a": 1})
    lines = (home.root / MANIFEST).read_bytes()
    (home.root / MANIFEST).write_bytes(lines[:-9])
    found = manifest.read(home.root, anew=True)
    assert found is not None
    assert (found.is_cut, set(found.files)) == (True, {"home.json"})
    write_json(path, {"a": 1})
    assert (home.root / MANIFEST).read_bytes() == lines


@pytest.mark.parametrize("place", [0, 20, 70, 80, 140, 200])
def test_a_changed_line_is_found(home: Home, place: int) -> None:
    """Wherever it is changed; also a line that is taken out."""
    for number in range(4):
        write_json(home.quality / f"{number}.json", number)
    path = home.root / MANIFEST
    lines = path.read_bytes()
    path.write_bytes(lines[:place] + bytes([lines[place] ^ 1]) + lines[place + 1 :])
    with pytest.raises(DigestError, match=r"line \d is not as it was written.*loopline verify --accept"):
        manifest.read(home.root, anew=True)
    path.write_bytes(b"".join(line for number, line in enumerate(lines.splitlines(keepends=True)) if number != 2))
    with pytest.raises(DigestError, match="line 3 is not as it was written"):
        manifest.read(home.root)


def test_a_home_in_a_home_has_a_manifest_of_its_own(home: Home) -> None:
    """The outer one does not name its files."""
    inner = Home(home.replays / "inner").prepare()
    write_json(inner.quality / "record.json", 1)
    assert set(recorded(inner)) == {"home.json", "quality/record.json"}
    assert set(recorded(home)) == {"home.json"}


SCRIPT = """
import sys
from pathlib import Path
from assets.storage.publishing import write_json
for number in range(150):
    write_json(Path(sys.argv[1]) / "quality" / f"{number % 3}.json", [sys.argv[2], number])
"""


def test_processes_that_publish_the_same_files_leave_the_digests_of_those_that_stay(home: Home) -> None:
    """A file is moved and recorded under one lock."""
    started = [subprocess.Popen([sys.executable, "-c", SCRIPT, str(home.root), name]) for name in "ab"]
    assert [process.wait() for process in started] == [0, 0]
    found = recorded(home)
    assert {file: file_digest(home.root / file) for file in found} == found
    assert len(json.loads((home.root / MANIFEST).read_text().splitlines()[-1].partition(" ")[2])) == 3


SUPERSEDED = 10_000
OTHER = """
import sys
from pathlib import Path
from assets.storage.publishing import write_json
path = Path(sys.argv[1])
write_json(path / "other.json", -1)
print("ready", flush=True)
sys.stdin.readline()
for number in range(80):
    write_json(path / "other.json", number)
"""


def superseded(home: Home) -> None:
    """A home with one record that was published many times, and a few others."""
    path = write_json(home.quality / "record.json", 0)
    item = recorded(home)[home.relative(path)]
    with manifest_lines.locked(home.root, fcntl.LOCK_EX) as stream:
        lines: list[tuple[str | None, int, str]] = [
            (f"{number:064x}", 2, "quality/record.json") for number in range(SUPERSEDED - 1)
        ]
        known = manifest_lines.up_to_date(home.root, stream)
        stream.write(manifest_lines.chained(known.head, [*lines, (item, path.stat().st_size, "quality/record.json")]))
    for number in range(5):
        write_json(home.wheels / f"{number}.json", number)


def test_superseded_lines_are_left_out_and_tampering_is_still_found(home: Home) -> None:
    """The file is as small as what it names; an earlier head is no longer in it, and that is said."""
    superseded(home)
    before, size = recorded(home), (home.root / MANIFEST).stat().st_size
    old = manifest.head(home.root)
    assert manifest.compact(home.root, home.temporary / "draft") == SUPERSEDED - 1
    assert recorded(home) == before
    assert (home.root / MANIFEST).stat().st_size < size / 500
    assert manifest.compact(home.root, home.temporary / "draft") == 0
    write_json(home.wheels / "5.json", 5)
    assert verify(home, head=manifest.head(home.root)).problems == []
    with pytest.raises(DigestError, match=f"no line has the digest {old}.* left out lines at the head {old}"):
        verify(home, head=old)
    (home.wheels / "1.json").write_text("2\n")
    (home.wheels / "2.json").unlink()
    (home.wheels / "unknown.json").touch()
    found = {problem.file: problem.state for problem in verify(home).problems}
    assert found == {"wheels/1.json": "changed", "wheels/2.json": "missing", "wheels/unknown.json": "unknown"}
    content = (home.root / MANIFEST).read_bytes()
    (home.root / MANIFEST).write_bytes(content.replace(before["wheels/3.json"].encode(), b"0" * 64))
    with pytest.raises(DigestError, match=r"line \d is not as it was written"):
        manifest.read(home.root, anew=True)


def test_nothing_is_lost_that_is_published_during_a_compaction(home: Home) -> None:
    """Another process appends all the while; it must not append to the file that was replaced."""
    superseded(home)
    writer = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(home.root)],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert writer.stdin is not None
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("go\n")
    writer.stdin.flush()
    while writer.poll() is None:
        lines = [("0" * 64, 1, "gone")] * 2 * manifest.SUPERSEDED
        with manifest_lines.locked(home.root, fcntl.LOCK_EX) as stream:
            known = manifest_lines.up_to_date(home.root, stream)
            stream.write(manifest_lines.chained(known.head, [*lines, (None, 0, "gone")]))
        assert manifest.compact(home.root, home.temporary / "draft") > 0
    writer.communicate()
    assert writer.returncode == 0
    assert verify(home).problems == []
    assert json.loads((home.root / "other.json").read_text()) == 79
