"""Power cuts: a home on an ext4 file system of its own, which is shut down without writing what was not synced.

``EXT4_IOC_SHUTDOWN`` drops all that is in memory only, journal included, as a power cut does; mounting it again replays what
reached the disk. It is mounted with ``noauto_da_alloc``, so that a file that was renamed but not synced is empty afterwards, as
on other file systems.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import signal
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Self

from assets.promotion import ledger
from assets.storage import manifest
from assets.storage.home import Home
from benchmarks.faults import checks
from benchmarks.faults.commands import Command, asked, done
from benchmarks.faults.kills import COMMANDS, cut_off
from benchmarks.faults.small_product import PRODUCT
from benchmarks.faults.small_world import SmallWorld
from benchmarks.faults.table import Row

SHUTDOWN, WITHOUT_LOG = 0x8004587D, 2
"""``EXT4_IOC_SHUTDOWN`` with ``EXT4_GOING_FLAGS_NOLOGFLUSH``."""
OPTIONS = ("-t", "ext4", "-o", "loop,noauto_da_alloc,commit=300")
TIMES = {
    "`run` in an empty home": 40,
    "`promote` and `rollback`": 20,
    "`key create` and `key revoke`": 20,
    "`verify --accept`": 10,
}
FAULT, UNSYNCED, ENDED = "power cut", "power cut, without any fsync", "commands that had just ended"
CONTROL = 10
DONE = (
    ["key", "create", "--product", PRODUCT, "--scope", "predict"],
    ["rollback", PRODUCT, "--to", "1", "--reason", "a power cut follows"],
    ["verify", "--accept"],
    ["ledger", "key", "new"],
    ["promote", PRODUCT, "2", "--override", "--reason", "a power cut follows"],
)


def rows(world: SmallWorld, skip: Collection[tuple[str, str]] = ()) -> Iterator[Row]:
    """Cut the power while commands run, and right after they ended; the last row shows that missing syncs would be found."""
    image = world.scratch / "disk.img"
    with image.open("wb") as file:
        file.truncate(400 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)

    def cut(started: Command, _: int) -> None:
        _cut(world, image, neighbour, started)

    with world.mounted(*OPTIONS, str(image)), _Neighbour(world.disk) as neighbour:
        for item in COMMANDS:
            if item.name in TIMES and (FAULT, item.name) not in skip:
                yield cut_off(item, world, FAULT, TIMES[item.name], cut)
        if (FAULT, ENDED) not in skip:
            yield _after_its_end(world, image, neighbour)
        if (UNSYNCED, COMMANDS[0].name) in skip:
            return
        control = cut_off(COMMANDS[0], world, UNSYNCED, CONTROL, cut, before=_without_fsync)
        is_found = control.survived < control.tried
        note = "that these are too few shows that a missing fsync is found" if is_found else "that found nothing"
        yield Row(control.fault, control.met, control.survived, control.tried, f"a control{':' * is_found} {note}")


class _Neighbour:
    """Another process that syncs a file of its own again and again, so that the journal is written: renames reach the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pid = folder, 0

    def __enter__(self) -> Self:
        self.pid = os.fork()
        if not self.pid:
            try:
                self._sync_on()
            finally:  # whatever happens to the disk, the rest of this code is the parent's
                os._exit(1)
        return self

    def _sync_on(self) -> None:
        with (self.folder / "neighbour").open("w") as file:
            while True:
                file.write("a")
                file.flush()
                os.fsync(file.fileno())
                time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _cut(world: SmallWorld, image: Path, neighbour: _Neighbour, started: Command | None = None) -> None:
    """Cut the power: what was not synced is gone, and so is the process; then the machine starts again."""
    folder = os.open(world.disk, os.O_RDONLY)
    fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", WITHOUT_LOG))
    os.close(folder)
    if started is not None:
        started.kill(with_children=True)
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    neighbour.__exit__()
    world.unmount()
    subprocess.run(["mount", *OPTIONS, str(image), str(world.disk)], check=True)
    neighbour.__enter__()


def _after_its_end(world: SmallWorld, image: Path, neighbour: _Neighbour) -> Row:
    """What a command said that it did is still done after a power cut."""
    problems: Counter[str] = Counter()
    held = 0
    world.begin()
    os.sync()
    for arguments in DONE:
        ended = done(*arguments, home=world.home)
        before = asked(_recorded, world.home)
        _cut(world, image, neighbour)
        found = [] if ended.code == 0 else [f"`{arguments[0]}` failed: {ended.printed[-600:]}"]
        if asked(_recorded, world.home) != before:
            found.append(f"something that `{' '.join(arguments[:2])}` did is lost")
        found += asked(checks.standing, world.home)
        problems.update(found)
        held += not found
    problems.update(checks.ended(world.home))
    return Row.of(FAULT, ENDED, held, len(DONE), problems=problems)


def _recorded(home: Path) -> list[str]:
    found = manifest.read(home, anew=True)
    entries = [entry.digest for entry in ledger.entries(Home(home))]
    return [*entries, *sorted(f"{file} {item.digest}" for file, item in (found.files.items() if found else ()))]


def _without_fsync() -> None:
    """Let fsync and fdatasync of this process do nothing and say that they did (seccomp)."""
    calls = {"x86_64": (74, 75), "aarch64": (82, 83)}[platform.machine()]
    load, equal, give, allow, pretend = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
    code = [(load, 0, 0, 0), (equal, 1, 0, calls[0]), (equal, 0, 1, calls[1]), (give, 0, 0, pretend), (give, 0, 0, allow)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    pointer = struct.pack("HxxxxxxP", len(code), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, seccomp, filtered = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(seccomp, filtered, ctypes.create_string_buffer(pointer), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
