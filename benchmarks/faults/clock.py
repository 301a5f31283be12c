"""Clocks that are set: between two commands, and while one runs; by a preloaded library, which asks a file for the difference.

The processes that are forked inherit it from the one that forks: start that with `variables`. libfaketime would have done, but
moves monotonic time too, or breaks Python's ``time.sleep``.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from benchmarks.faults import checks
from benchmarks.faults.commands import Ended, asked, done, start
from benchmarks.faults.small_product import PRODUCT, write_customers
from benchmarks.faults.small_world import SmallWorld
from benchmarks.faults.table import Row

FAULT, FILE = "clock set", "SET_CLOCK"
DAY = 86_400
PRESENT, BEFORE, AFTER = "0", str(-400 * DAY), str(400 * DAY)
"""By how many seconds the clock is moved."""
MOMENTS = 8


def variables(scratch: Path) -> dict[str, str]:
    """The environment of a process whose clock can be set, by writing to a file."""
    file, library = scratch / "clock", scratch / "set_clock.so"
    file.write_text(PRESENT, encoding="utf-8")
    source = Path(__file__).with_name("set_clock.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return {"LD_PRELOAD": str(library), FILE: str(file)}


def rows(world: SmallWorld, skip: Collection[tuple[str, str]] = ()) -> Iterator[Row]:
    """Set the clock back and forth."""
    for met, tried in MET.items():
        if (FAULT, met) not in skip:
            yield tried(world)


def _set(clock: str) -> None:
    Path(os.environ[FILE]).write_text(clock, encoding="utf-8")


def _done(clock: str, *arguments: str, home: Path) -> Ended:
    _set(clock)
    ended = done(*arguments, home=home)
    _set(PRESENT)
    return ended


def _same_results(world: SmallWorld) -> Row:
    """The same data give the same snapshot and model at any time, and a run at another time finds nothing to do."""
    problems, held = Counter[str](), 0
    made = set()
    for clock in (PRESENT, BEFORE, AFTER):
        world.begin(is_empty=True)
        found = [f"`run`: {_told(ended)}"] if (ended := _done(clock, "run", PRODUCT, home=world.home)).code else []
        made.add(tuple((world.home / name / PRODUCT / "current.json").read_text() for name in ("snapshots", "models")))
        for other in (BEFORE, PRESENT, AFTER):
            ended = _done(other, "run", PRODUCT, home=world.home)
            if "nothing changed" not in ended.printed:
                found.append(f"made at {clock}, run at {other}: {_told(ended)}")
        found += checks.ended(world.home)
        held += not found
        problems.update(found)
    if len(made) > 1:
        problems["another time gives another snapshot or model"] += 1
    return Row.of(FAULT, "`run`: same snapshot, same model, nothing made twice", held, 3, problems=problems)


def _in_the_middle(world: SmallWorld) -> Row:
    """The clock is set while a run on new data goes on."""
    problems, held, draw = Counter[str](), 0, random.Random("clock")  # noqa: S311 - when to set it
    for number in range(MOMENTS):
        world.begin()
        write_customers(world.repository, 700)
        started = start("run", PRODUCT, home=world.home)
        time.sleep(draw.uniform(0.2, 6.0))
        _set(BEFORE if number % 2 else AFTER)
        ended = started.wait()
        _set(PRESENT)
        found = ([f"`run`: {_told(ended)}"] if ended.code else []) + checks.ended(world.home)
        held += not found
        problems.update(found)
    return Row.of(FAULT, "`run` on new data, in its middle", held, MOMENTS, problems=problems)


def _decisions(world: SmallWorld) -> Row:
    """Who serves follows from the order of the ledger's entries, not from their times."""
    problems, held = Counter[str](), 0
    world.begin()
    decisions = [("rollback", BEFORE, "1"), ("promote", AFTER, "2"), ("rollback", PRESENT, "1"), ("promote", BEFORE, "2")]
    for verb, clock, version in decisions:
        arguments = ["rollback", PRODUCT, "--to", "1"] if verb == "rollback" else ["promote", PRODUCT, "2", "--override"]
        ended = _done(clock, *arguments, "--reason", clock, home=world.home)
        found = [f"`{verb}` at {clock}: {_told(ended)}"] if ended.code else []
        if asked(checks.champion, world.home) != [version]:
            found.append(f"`{verb}` at {clock}: another version serves")
        found += checks.ended(world.home)
        held += not found
        problems.update(found)
    return Row.of(FAULT, "`promote` and `rollback`", held, len(decisions), problems=problems)


def _keys(world: SmallWorld) -> Row:
    """A key is valid until it expires, by the clock as it is; one that was revoked is never valid again."""
    world.begin()
    until = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 3600))
    create = ["key", "create", "--product", PRODUCT, "--scope", "predict"]
    wanted = [
        (_done(PRESENT, *create, "--name", "hour", "--expires", until, home=world.home).code == 0, "an hour's key is made"),
        (_state(world, PRESENT) == "valid", "it is valid now"),
        (_state(world, AFTER) == "expired", "and expired later"),
        (_state(world, PRESENT) == "expired", "and stays so while the clock is set back"),
        (_done(AFTER, *create, "--name", "old", "--expires", until, home=world.home).code == 1, "none is made that is expired"),
        (_done(BEFORE, "key", "revoke", "hour", home=world.home).code == 0, "it is revoked while the clock is back"),
        (_state(world, PRESENT) == _state(world, BEFORE) == _state(world, AFTER) == "revoked", "and stays so at any time"),
    ]
    problems = Counter(f"not so: {what}" for is_so, what in wanted if not is_so)
    problems.update(checks.ended(world.home))
    return Row.of(FAULT, "API keys", sum(is_so for is_so, _ in wanted), len(wanted), problems=problems)


def _state(world: SmallWorld, clock: str) -> str:
    ended = _done(clock, "key", "list", "--json", home=world.home)
    return str(json.loads(ended.printed)[0]["state"])


def _told(ended: Ended) -> str:
    return f"{ended.code} {ended.printed[-900:]}"


MET: dict[str, Callable[[SmallWorld], Row]] = {
    "`run`: same snapshot, same model, nothing made twice": _same_results,
    "`run` on new data, in its middle": _in_the_middle,
    "`promote` and `rollback`": _decisions,
    "API keys": _keys,
}
"""What meets a clock that is set, as the table calls it."""
