"""Full disks: a home on a small file system of its own, in which a little more room is made each time a command fails.

So a chain of runs fails wherever something is written, until there is room for all of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults import checks
from benchmarks.faults.commands import asked, done
from benchmarks.faults.small_product import PRODUCT, write_customers
from benchmarks.faults.small_world import SmallWorld
from benchmarks.faults.table import Row

STAGE = re.compile(r"([a-z]\w+): LOOPLINE_HOME")
"""A step that failed, in the message of a run."""
PAGE = 4096


@dataclass(frozen=True)
class Filled:
    """A command that meets a full disk.

    Parameters
    ----------
    name : str
        How the table calls it.
    command : callable
        Its arguments, from the home.
    step : int
        How many pages, or files, more there is room for at each try.
    is_first : bool
        Whether it begins with an empty home.
    change : callable
        What is done before the disk is full.
    """

    name: str
    command: Callable[[Path], list[str]]
    step: int
    is_first: bool = False
    change: Callable[[SmallWorld], object] = lambda _: None


def _changed_page(world: SmallWorld) -> None:
    (world.home / "quality" / f"{PRODUCT}.html").write_text("<p>changed</p>", encoding="utf-8")


def _rollback(home: Path) -> list[str]:
    """Once it is decided, a run makes what is served follow."""
    return RUN if asked(checks.champion, home) == ["1"] else ["rollback", PRODUCT, "--to", "1", "--reason", "full"]


RUN = ["run", PRODUCT]
COMMANDS = (
    Filled("first `run`", lambda _: RUN, 24, is_first=True),
    Filled("`run` on new data", lambda _: RUN, 24, change=lambda world: write_customers(world.repository, 700)),
    Filled("`rollback`, then `run`", _rollback, 15),
    Filled("`key create`", lambda _: ["key", "create", "--product", PRODUCT, "--scope", "predict"], 1),
    Filled("`ledger key new`", lambda _: ["ledger", "key", "new"], 1),
    Filled("`verify --accept`", lambda _: ["verify", "--accept"], 1, change=_changed_page),
)
"""What meets a full disk; a command more is a line more."""


def _room(place: Path, pages: int | None, files: int | None) -> None:
    """Let the file system have so much more room than is used; None for plenty."""
    used = shutil.disk_usage(place).used
    names = sum(1 for _ in place.rglob("*")) + 1
    size = 64 * 2**20 if pages is None else max(used + pages * PAGE, PAGE)
    inodes = 100_000 if files is None else names + files
    subprocess.run(["mount", "-o", f"remount,size={size},nr_inodes={inodes}", str(place)], check=True)


def rows(world: SmallWorld, skip: Collection[tuple[str, str]] = (), *, files: bool) -> Iterator[Row]:
    """Let each command meet a disk without room for bytes, or for files."""
    for filled in COMMANDS:
        if (_fault(files), filled.name) in skip:
            continue
        with world.mounted("-t", "tmpfs", "-o", "size=64m,nr_inodes=100000", "tmpfs"):
            world.begin(is_empty=filled.is_first)
            filled.change(world)
            row = _filled(filled, world, is_of_files=files)
        yield row


def _fault(is_of_files: bool) -> str:  # noqa: FBT001 - one of two words
    return "no inode left" if is_of_files else "disk full"


def _filled(filled: Filled, world: SmallWorld, *, is_of_files: bool) -> Row:
    home, problems, stages = world.home, Counter[str](), set[str]()
    tried = survived = room = 0
    began = time.monotonic()
    step = max(1, filled.step // 3) if is_of_files else filled.step
    _room(world.disk, None if is_of_files else 0, 0 if is_of_files else None)
    while (ended := done(*filled.command(home), home=home)).code:
        tried += 1
        stages.update(STAGE.findall(ended.printed))
        found = []
        if not ended.is_clear or "disk that is full" not in ended.printed:
            found.append(f"ended with {ended.code} and not with one clear error: {ended.printed[-1500:]}")
        found += asked(checks.standing, home)
        if not filled.is_first and not checks.served(home):
            found.append("nothing is served any more")
        survived += not found
        problems.update(found)
        # where a try came further, what it made takes the room; otherwise there is more of it
        room += step
        _room(world.disk, None if is_of_files else room, room if is_of_files else None)
        if tried > 400:
            problems["it never ended"] += 1
            break
    _room(world.disk, None, None)
    problems.update(checks.ended(home))
    fault = _fault(is_of_files)
    print(f"{fault}, {filled.name}: {survived} of {tried} in {time.monotonic() - began:.0f} s; {sorted(stages)}", flush=True)
    note = f"in {len(stages)} stages" if stages else ""
    return Row.of(fault, filled.name, survived, tried, problems=problems, note=note)
