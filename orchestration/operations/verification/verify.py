"""Verify: each file of a home against its manifest, and what the manifest names against the ledger.

The manifest says which bytes were published; the ledger, which model, snapshot and verdict decided who serves. A file that is
changed together with its line in the manifest is found only where something else names its digest: see docs/guide.md.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from assets.errors import DigestError
from assets.promotion import registration_folders
from assets.storage import manifest
from assets.storage.digests import file_digest
from assets.storage.disk_errors import disk_error
from assets.storage.home import Home
from assets.storage.home_files import MANIFEST, kind_of, unrecorded
from assets.storage.manifest_lines import Manifest, Recorded
from orchestration.operations.verification import chain_of_digests

SCHEMA = 1
"""The version of `loopline verify --json`; a field is added under the same version, never renamed or removed."""
SMALL = 1 << 20
"""A larger file, in bytes, is read only by a deep look; otherwise its size is compared."""
LOOKS = 3
"""How often it is looked again while other processes publish."""
DATABASES = ("ledger/*.db", "registry/mlflow.db")
MORE_DATABASES = ("dagster/history/**/*.db", "dagster/schedules/*.db", "served/**/*.sqlite", "streams/*/*.db")
"""Those that a deep look adds, as their check reads all of them."""
State = Literal["changed", "missing", "unknown", "disagrees"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file.

    Parameters
    ----------
    file : str
        Its path, relative to the home.
    state : {"changed", "missing", "unknown", "disagrees"}
        Whether its bytes are not those that were published, it is gone, nobody published it, or it contradicts the ledger.
    told, remedy : str
        What that breaks or contradicts, and what to do.
    """

    file: str
    state: State
    told: str
    remedy: str


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what was found.

    Parameters
    ----------
    is_deep : bool
        Whether every file was read, and not only small ones.
    files, bytes_read : int
        How many files were compared, and how much of them was read.
    head : str
        The digest of the manifest's last line.
    recorded_since : int or None
        How many files were recorded after the line that was asked for.
    problems : list of Problem
        What is wrong.
    notes : list of str
        What is not wrong, but worth knowing.
    """

    is_deep: bool
    files: int
    bytes_read: int
    head: str
    recorded_since: int | None
    problems: list[Problem]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """The documented form: see docs/guide.md."""
        return {"schema": SCHEMA, **asdict(self)}


def verify(home: Home, *, deep: bool = False, head: str | None = None) -> Verified:
    """Hold a home against its manifest and its ledger; nothing is changed.

    Parameters
    ----------
    home : Home
        The home.
    deep : bool
        Read every file again. Otherwise of those above `SMALL` only the size is compared.
    head : str, optional
        The digest of a line of the manifest, as an earlier look printed it, kept elsewhere: the manifest must still hold it.

    Raises
    ------
    DigestError
        If there is no manifest, it is damaged, or it does not hold `head`.
    """
    for _ in range(LOOKS):
        known = _manifest(home)
        read, problems = _files(home, known, deep=deep)
        for shared in sorted(home.replays.glob("*/*/shared")):
            more, found = _files(Home(shared), manifest.read(shared, anew=True) or Manifest(), deep=deep)
            read += more
            problems += [replace(item, file=f"{home.relative(shared)}/{item.file}") for item in found]
        if not problems or _manifest(home).head == known.head:
            break
    if head is not None and head not in known.heads:
        compacted = f" If a prune said that it left out lines at the head {known.compacted}, take the one that it gave instead."
        raise DigestError(
            f"{home.root / MANIFEST}: no line has the digest {head}. The manifest was cut, rewritten or replaced since: "
            f"restore it from a backup, with the files that it names.{compacted if known.compacted else ''}"
        )
    notes = chain_of_digests.notes(home, known)
    problems, cut_off = _without_cut_off(home, known, problems)
    notes += cut_off
    since = None if head is None else sum(item.line > known.heads.index(head) + 1 for item in known.files.values())
    problems += _databases(home, deep=deep)
    if known.is_cut:
        problems.append(Problem(MANIFEST, "changed", "its last line, which is cut", "run `loopline run`"))
    damaged = {problem.file for problem in problems}
    problems += [
        Problem(found.file, "disagrees", found.told, found.remedy or kind_of(found.file).remedy)
        for found in chain_of_digests.disagreements(home, known, is_whole=not problems)
        if found.file not in damaged
    ]
    return Verified(deep, len(known.files), read, known.head, since, problems, notes)


def accept(home: Home) -> list[Problem]:
    """Record a home's files as they are now; what the ledger contradicts stays a problem.

    Returns
    -------
    list of Problem
        What was changed, missing or unknown until now.
    """
    try:
        known = manifest.read(home.root, anew=True) or Manifest()
    except DigestError:
        known = Manifest()
    _, problems = _files(home, known, deep=True)
    present = {file: path for file, path in _present(home.root).items() if unrecorded(file) is None and path.is_file()}
    manifest.accept(home.root, {file: (file_digest(path), path.stat().st_size) for file, path in present.items()})
    return problems


def _manifest(home: Home) -> Manifest:
    """All lines of the manifest, read anew."""
    known = manifest.read(home.root, anew=True)
    if known is None:
        raise DigestError(
            f"{home.root / MANIFEST} is missing, so nothing says what the files should be. Restore it from a backup; in a home "
            "of an earlier version, `loopline verify --accept` records the files as they are now."
        )
    return known


def _present(root: Path) -> dict[str, Path]:
    """All that lies in a home and is no folder; links are not followed."""
    found, start = {}, len(str(root)) + 1
    for folder, folders, files in os.walk(root):
        place = Path(folder)
        links = [name for name in folders if (place / name).is_symlink()]
        found.update({f"{folder}/{name}"[start:]: place / name for name in [*files, *links]})
    return found


def _files(home: Home, known: Manifest, *, deep: bool) -> tuple[int, list[Problem]]:
    """How much was read, and each file that is not what the manifest says."""
    present = _present(home.root)
    problems = [_problem(file, "missing") for file in known.files if file not in present]
    problems += [_problem(file, "unknown") for file in present if file not in known.files and unrecorded(file) is None]

    def compared(file: str) -> tuple[int, bool]:
        return _compared(present[file], known.files[file], deep=deep)

    # the largest first: none of them is read alone at the end, while the other processors wait
    both = sorted((file for file in known.files if file in present), key=lambda file: -known.files[file].size)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing frees Python's lock
        looked = list(pool.map(compared, both, chunksize=1))
    problems += [_problem(file, "changed") for file, (_, is_same) in zip(both, looked, strict=True) if not is_same]
    return sum(size for size, _ in looked), sorted(problems, key=lambda problem: problem.file)


def _without_cut_off(home: Home, known: Manifest, problems: list[Problem]) -> tuple[list[Problem], list[str]]:
    """The problems but files of registrations that were cut off, of which none is recorded; and a note on each of these."""
    notes = []
    for folder in registration_folders.folders(home):
        inside = [item for item in problems if item.state == "unknown" and item.file.startswith(f"{folder}/")]
        if inside and not any(file.startswith(f"{folder}/") for file in known.files):
            problems = [item for item in problems if item not in inside]
            told = "are of a registration that was cut off: the next `loopline run` deletes or records them"
            notes.append(f"{len(inside)} files in {folder} {told}")
    return problems, notes


def _compared(path: Path, recorded: Recorded, *, deep: bool) -> tuple[int, bool]:
    """How much of a file was read, and whether it is as it was recorded."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != recorded.size:
            return 0, False
        if deep or found.st_size <= SMALL:
            return found.st_size, file_digest(path) == recorded.digest
    except OSError:
        return 0, False
    return 0, True


def _problem(file: str, state: State) -> Problem:
    if state == "unknown":
        return Problem(file, state, "nobody published it", "delete it, or record it: `loopline verify --accept`")
    kind = kind_of(file)
    return Problem(file, state, f"breaks {kind.breaks}", kind.remedy)


def _databases(home: Home, *, deep: bool) -> Iterator[Problem]:
    """Databases that SQLite finds damaged."""
    for pattern in (*DATABASES, *(MORE_DATABASES if deep else ())):
        for path in sorted(home.root.glob(pattern)):
            try:
                with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=60)) as connection:
                    told = "; ".join(str(row[0]) for row in connection.execute("pragma integrity_check(3)"))
            except sqlite3.Error as error:
                if (plain := disk_error(home, error)) is not None:  # no damage, and nothing to be deleted
                    raise plain from error
                told = str(error)
            if told != "ok":
                file = home.relative(path)
                yield Problem(file, "changed", f"SQLite says: {told}", kind_of(file).remedy)
