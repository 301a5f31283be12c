"""A memory limit for a command and all of its children, by a control group of the kernel's; it takes root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
NAME = "loopline-benchmark"


@contextmanager
def limited(size: int) -> Iterator[list[str] | None]:
    """A group whose processes have so many bytes of memory together, pages of files among them.

    Beyond the limit the kernel lets go of pages of files, and where that is not enough ends a process.

    Yields
    ------
    list of str or None
        What is put before a command, so that it runs in the group; None where no group can be made here.
    """
    try:
        group, limit = _made()
    except OSError:
        yield None
        return
    try:
        (group / limit).write_text(str(size), encoding="ascii")
        yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]
    finally:
        group.rmdir()


def _made() -> tuple[Path, str]:
    """A new group below that of this process, and the name of the file that holds its limit; in version 1 or 2."""
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            group, limit = MOUNTED / "memory" / own.lstrip("/") / NAME, "memory.limit_in_bytes"
            break
    else:
        group, limit = MOUNTED / NAME, "memory.max"
    group.mkdir(exist_ok=True)
    return group, limit
