"""A service whose log, and whose home, cannot be written or has no room, and one that is killed under load."""

from __future__ import annotations

import json
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from benchmarks.faults import checks
from benchmarks.faults.commands import Command, asked, done, start
from benchmarks.faults.small_product import PRODUCT
from benchmarks.faults.small_world import SmallWorld
from benchmarks.faults.table import Row
from bentos.log_blocks import complete

BODY = json.dumps({"row": {"age": 40, "plan": "free", "visits": 3}}).encode()
ASKED, KILLS = 200, 15
REQUESTS = "requests to a running service"
REASON = ["--reason", "read-only"]
COMMANDS = (
    ["run", PRODUCT],
    ["status"],
    ["verify"],
    ["doctor"],
    ["history", PRODUCT],
    ["rollback", PRODUCT, "--to", "1", *REASON],
    ["key", "create", "--product", PRODUCT, "--scope", "predict"],
    ["verify", "--accept"],
)


UNWRITABLE = {
    ("read-only log", REQUESTS),
    ("full disk", REQUESTS),
    ("read-only home", REQUESTS),
    ("read-only home", "commands"),
}


def rows(world: SmallWorld, skip: Collection[tuple[str, str]] = ()) -> Iterator[Row]:
    """Ask a service while its log or its whole home cannot be written, and kill it while it is asked."""
    if not set(skip) >= UNWRITABLE:  # one service meets all of these
        yield from _unwritable(world)
    if ("kill -9", "`serve` under load") not in skip:
        yield _killed(world)


def _unwritable(world: SmallWorld) -> Iterator[Row]:
    with world.mounted("-t", "tmpfs", "-o", "size=64m", "tmpfs"):
        world.begin()
        with _serving(world.home) as (service, address):
            _answers(address)
            _until(lambda: _logged(world.home))
            yield _asked_while("read-only log", world, service, address, _read_only(world.home / "served" / PRODUCT))
            yield _asked_while("full disk", world, service, address, _full(world))
            yield _asked_while("read-only home", world, service, address, _read_only(world.home))
        problems: Counter[str] = Counter()
        told = 0
        with _read_only(world.home):
            for arguments in COMMANDS:
                ended = done(*arguments, home=world.home)
                if ended.code == 1 and ended.is_clear and "cannot be written" in ended.printed:
                    told += 1
                else:
                    problems[f"`{' '.join(arguments)}`: {ended.code} {ended.printed[-600:]}"] += 1
        problems.update(checks.ended(world.home))
        yield Row.of(
            "read-only home", "commands", told, len(COMMANDS), problems=problems, note="each ends with one clear error"
        )


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Let nothing be written below a folder."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _full(world: SmallWorld) -> Iterator[None]:
    """Let there be no room."""
    size = shutil.disk_usage(world.disk).used
    subprocess.run(["mount", "-o", f"remount,size={size}", str(world.disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,size=64m", str(world.disk)], check=True)


def _asked_while(fault: str, world: SmallWorld, service: Command, address: str, fails: AbstractContextManager[None]) -> Row:
    """Ask while the log cannot be written; all must be answered, and what is not logged must be counted and said."""
    problems: Counter[str] = Counter()
    said = _output(service).count("cannot be written (")
    dropped = _dropped(address)
    with fails:
        answered = sum(_answers(address) for _ in range(ASKED))
        _until(lambda: _dropped(address) >= dropped + ASKED)
        if (counted := _dropped(address) - dropped) != ASKED:
            problems[f"{counted:.0f} of {ASKED} rows are counted as not logged"] += 1
    before = _logged(world.home)
    _answers(address)
    if not _until(lambda: _logged(world.home) > before):
        problems["nothing is logged afterwards"] += 1
    if _output(service).count("cannot be written (") <= said:
        problems["the service does not say that it cannot log"] += 1
    note = "all answered; each row that is not logged is counted, and the service says so"
    return Row.of(fault, REQUESTS, answered, ASKED, problems=problems, note=note)


def _output(service: Command) -> str:
    return service.output.read_text(encoding="utf-8", errors="replace")


def _killed(world: SmallWorld) -> Row:
    """Kill a service while it is asked: another can be started at once, and its log is whole."""
    draw, problems = random.Random("serve"), Counter[str]()  # noqa: S311 - when to kill
    world.begin()
    held = 0
    for number in range(KILLS):
        found: list[str] = []
        try:
            with _serving(world.home) as (service, address):
                done_asking = threading.Event()
                asking = threading.Thread(target=_ask_on, args=(address, done_asking))
                asking.start()
                time.sleep(draw.uniform(0.1, 1.5))
                service.kill(with_children=number % 2 == 0)
                done_asking.set()
                asking.join()
        except RuntimeError as error:
            found.append(str(error))
        for file in (world.home / "served" / PRODUCT).glob("*.sqlite"):
            with closing(sqlite3.connect(file)) as connection:
                if (told := connection.execute("pragma integrity_check").fetchone()[0]) != "ok":
                    found.append(f"{file.name}: {told}")
        found += asked(checks.standing, world.home)
        problems.update(found)
        held += not found
    problems.update(checks.ended(world.home))
    return Row.of("kill -9", "`serve` under load", held, KILLS, problems=problems)


@contextmanager
def _serving(home: Path) -> Iterator[tuple[Command, str]]:
    """A service on one port, which each that follows must find free."""
    port = 3977
    service = start("serve", PRODUCT, "--port", str(port), home=home)
    address = f"http://127.0.0.1:{port}"
    try:
        if not _until(lambda: service.has_ended() or _answers(address), 60) or service.has_ended():
            raise RuntimeError(f"the service does not start: {_output(service)[-900:]}")
        yield service, address
    finally:
        service.kill(with_children=True)
        service.wait()
        if not _until(lambda: not _is_open(port), 30):
            raise RuntimeError("the service was killed, and its port is still held")


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(address: str) -> bool:
    request = Request(f"{address}/predict", BODY, {"content-type": "application/json"})  # noqa: S310 - of the loopback
    try:
        with urlopen(request, timeout=10) as answer:  # noqa: S310 - of the loopback
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _ask_on(address: str, ended: threading.Event) -> None:
    while not ended.is_set():
        _answers(address)


def _dropped(address: str) -> float:
    with urlopen(f"{address}/metrics", timeout=10) as answer:  # noqa: S310 - of the loopback
        found = re.search(r"^loopline_prediction_log_dropped_rows_total (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def _logged(home: Path) -> int:
    count = 0
    for file in (home / "served" / PRODUCT).glob("*.sqlite"):
        complete(file)
        with closing(sqlite3.connect(file)) as connection:
            count += connection.execute("select count(*) from predictions").fetchone()[0]
    return count


def _until(true: Callable[[], Any], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False
