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
    group, limit = _place()
    try:
        group.mkdir(exist_ok=True)
        (group / limit).write_text(str(size), encoding="ascii")
    except OSError:
        if group.exists():
            group.rmdir()
        yield None
        return
    try:
        yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]
    finally:
        group.rmdir()


def _place() -> tuple[Path, str]:
    """A group below that of this process, and the name of the file that holds its limit; in version 1 or 2."""
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            return MOUNTED / "memory" / own.lstrip("/") / NAME, "memory.limit_in_bytes"
    return MOUNTED / NAME, "memory.max"
