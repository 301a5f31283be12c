"""Try all faults and write docs/measured/faults.md: ``make bench-faults``; needs root, for file systems of its own.

``make bench-faults ARGS="kills full_disk"`` tries only these; the other rows of the page stay. A row is written as its trial
ends: ``ARGS="--since 2026-11-29"`` goes on after a break, and leaves out what was tried on that day (UTC) or later.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from assets.storage.home import REPOSITORY
from benchmarks.faults import clock, commands, full_disk, kills, power_cut, read_only, table
from benchmarks.faults.small_product import clone
from benchmarks.faults.small_world import SmallWorld
from benchmarks.faults.table import Row
from benchmarks.measuring import machine

EXPERIMENTS: dict[str, Callable[[SmallWorld, Collection[tuple[str, str]]], Iterator[Row]]] = {
    "kills": kills.rows,
    "full_disk": lambda world, skip: full_disk.rows(world, skip, files=False),
    "full_inodes": lambda world, skip: full_disk.rows(world, skip, files=True),
    "power_cut": power_cut.rows,
    "read_only": read_only.rows,
    "clock": clock.rows,
}
PAGE = REPOSITORY / "docs" / "measured" / "faults.md"
PLACE = "LOOPLINE_FAULTS_SCRATCH"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in memory, if there is one


def main() -> None:
    """Clone the repository with a small product, and try the faults there."""
    if os.geteuid():
        sys.exit("`make bench-faults` mounts file systems of its own, which needs root: sudo make bench-faults")
    if PLACE in os.environ:
        _try(Path(os.environ[PLACE]), sys.argv[1], since=sys.argv[2], page=Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(prog="benchmarks.faults", description=__doc__)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=", ".join(EXPERIMENTS))
    parser.add_argument("--since", type=date.fromisoformat, help="leave out what was tried on that day or later")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.experiments) - set(EXPERIMENTS)):
        sys.exit(f"there is no experiment {', '.join(unknown)}. There are: {', '.join(EXPERIMENTS)}.")
    if missing := [name for name in ("gcc", "mkfs.ext4", "mount") if shutil.which(name) is None]:
        sys.exit(f"there is no {', '.join(missing)}. On Debian 12: apt-get install gcc libc6-dev e2fsprogs mount")
    began, ended_well = time.monotonic(), True
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="faults-") as place:
        scratch = Path(place)
        repository = clone(scratch / "repository")
        variables = {"PYTHONPATH": str(repository), PLACE: place, "TMPDIR": place, "PYTHONDONTWRITEBYTECODE": "1"}
        for name in asked.experiments or EXPERIMENTS:
            settings = {**os.environ, **variables, **(clock.variables(scratch) if name == "clock" else {})}
            command = [sys.executable, "-m", "benchmarks.faults", name, str(asked.since or date.max), str(PAGE)]
            ended_well &= subprocess.run(command, cwd=repository, env=settings, check=False).returncode == 0
    print(PAGE.read_text(encoding="utf-8"))
    print(f"in {(time.monotonic() - began) / 60:.0f} minutes")
    sys.exit(not ended_well)


def _try(scratch: Path, name: str, *, since: str, page: Path) -> None:
    """One experiment, in a process that has imported what commands import; each row is written as its trial ends."""
    commands.import_all(scratch)
    world = SmallWorld(scratch / "repository", scratch)
    if not world.template.exists():
        world.make_template()
    is_survived = True
    for row in EXPERIMENTS[name](world, table.tried_since(page, since)):
        table.write(page, [row], str(datetime.now(UTC).date()), machine())
        is_survived &= row.survived == row.tried or row.note.startswith("a control")
    sys.exit(not is_survived)


if __name__ == "__main__":
    main()
