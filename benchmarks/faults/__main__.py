"""Try all faults and write docs/measured/faults.md: ``make bench-faults``; needs root, for file systems of its own.

``make bench-faults ARGS="kills full_disk"`` tries only these; the other rows of the page stay.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from assets.storage.home import REPOSITORY
from benchmarks.faults import clock, commands, full_disk, kills, power_cut, read_only, table
from benchmarks.faults.small_product import clone
from benchmarks.faults.small_world import SmallWorld
from benchmarks.faults.table import Row
from benchmarks.measuring import machine

EXPERIMENTS: dict[str, Callable[[SmallWorld], list[Row]]] = {
    "kills": kills.rows,
    "full_disk": lambda world: full_disk.rows(world, files=False),
    "full_inodes": lambda world: full_disk.rows(world, files=True),
    "power_cut": power_cut.rows,
    "read_only": read_only.rows,
    "clock": clock.rows,
}
PLACE = "LOOPLINE_FAULTS_SCRATCH"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in memory, if there is one


def main() -> None:
    """Clone the repository with a small product, and try the faults there."""
    if os.geteuid():
        sys.exit("`make bench-faults` mounts file systems of its own, which needs root: sudo make bench-faults")
    if PLACE in os.environ:
        _try(Path(os.environ[PLACE]), sys.argv[1])
        return
    if unknown := sorted(set(sys.argv[1:]) - set(EXPERIMENTS)):
        sys.exit(f"there is no experiment {', '.join(unknown)}. There are: {', '.join(EXPERIMENTS)}.")
    if missing := [name for name in ("gcc", "mkfs.ext4", "mount") if shutil.which(name) is None]:
        sys.exit(f"there is no {', '.join(missing)}. On Debian 12: apt-get install gcc libc6-dev e2fsprogs mount")
    began, rows = time.monotonic(), list[Row]()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="faults-") as place:
        scratch = Path(place)
        repository = clone(scratch / "repository")
        variables = {"PYTHONPATH": str(repository), PLACE: place, "TMPDIR": place, "PYTHONDONTWRITEBYTECODE": "1"}
        for name in sys.argv[1:] or EXPERIMENTS:
            settings = {**os.environ, **variables, **(clock.variables(scratch) if name == "clock" else {})}
            subprocess.run([sys.executable, "-m", "benchmarks.faults", name], cwd=repository, env=settings, check=True)
            rows += [Row(**told) for told in json.loads((scratch / f"{name}.json").read_bytes())]
    page = REPOSITORY / "docs" / "measured" / "faults.md"
    print(table.write(page, rows, str(datetime.now(UTC).date()), machine()))
    print(f"in {(time.monotonic() - began) / 60:.0f} minutes")
    sys.exit(any(row.survived < row.tried and not row.note.startswith("a control") for row in rows))


def _try(scratch: Path, name: str) -> None:
    """One experiment, in a process that has imported what commands import."""
    commands.import_all(scratch)
    world = SmallWorld(scratch / "repository", scratch)
    if not world.template.exists():
        world.make_template()
    rows = EXPERIMENTS[name](world)
    (scratch / f"{name}.json").write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")


if __name__ == "__main__":
    main()
