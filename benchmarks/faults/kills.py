"""Kills: commands that change a home are killed with signal 9 at random moments, one after another in the same home."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from benchmarks.faults import checks, killed_commands, killed_experiments
from benchmarks.faults.commands import Command, asked, done, start
from benchmarks.faults.killed import Killed
from benchmarks.faults.small_world import SmallWorld
from benchmarks.faults.table import Row

FAULT = "kill -9"
COMMANDS = (*killed_commands.COMMANDS, *killed_experiments.COMMANDS)
"""All that is killed."""


def rows(world: SmallWorld, skip: Collection[tuple[str, str]] = (), share: float = 1.0) -> Iterator[Row]:
    """Kill each of the commands, in copies of a home in which two versions are registered."""

    def kill(started: Command, number: int) -> None:
        started.kill(with_children=number % 2 == 0)

    for command in COMMANDS:
        if (FAULT, command.name) not in skip:
            yield cut_off(command, world, FAULT, max(1, round(share * command.kills)), kill)


def cut_off(
    command: Killed,
    world: SmallWorld,
    fault: str,
    times: int,
    cut: Callable[[Command, int], None],
    *,
    before: Callable[[], object] = int,
) -> Row:
    """Cut a command off at random moments, again and again in one home.

    Parameters
    ----------
    command, world, fault, times
        What is cut off, where, how the table calls that, and how often.
    cut : callable
        Ends the command that was started; it is also given the number of the cut.
    before : callable
        Called in each new process, before the command.
    """
    draw, home = random.Random(command.name), world.home  # noqa: S311 - when to cut
    problems: Counter[str] = Counter()
    count = held = ended_by_itself = 0
    began = time.monotonic()
    world.begin(is_empty=command.is_first)
    while count < times:
        if command.renew is not None:
            command.renew(world)
        served = checks.served(home)
        started = start(*command.next(home, count), home=home, before=before)
        time.sleep(draw.uniform(0.0, command.seconds))
        has_ended = started.has_ended()
        cut(started, count)
        ended = started.wait()
        if has_ended:
            ended_by_itself += 1
            if ended_by_itself > 20 * times:
                raise RuntimeError(f"{command.name} ends before it is cut off, or can do nothing: {ended.printed[-600:]}")
            if not ended.is_clear:
                problems[f"ended with {ended.code}: {ended.printed[-600:]}"] += 1
            if command.is_first:
                problems.update(checks.ended(home))
                world.begin(is_empty=True)
            continue
        wrong = [*command.after(home, count), *_after(home, served)]
        found = [item for item in wrong if not command.allowed or command.allowed not in item]
        problems.update(found)
        held += not found
        count += 1
    if command.allowed:  # what was changed before the last cut
        done(*command.next(home, count), home=home)
    problems.update(checks.ended(home))
    print(f"{fault}, {command.name}: {held} of {times} in {time.monotonic() - began:.0f} s", flush=True)
    return Row.of(fault, command.name, held, times, problems=problems)


def _after(home: Path, before: list[str]) -> list[str]:
    """What is wrong at once after a command was cut off."""
    found = asked(checks.standing, home)
    if before and not checks.served(home):
        found.append("nothing is served any more")
    wrong = _verified(home)
    if any("registry/mlflow.db disagrees" in item for item in wrong):  # it follows the ledger: `doctor` is for that
        done("doctor", home=home)
        wrong = _verified(home)
    found += wrong
    doctor = done("doctor", home=home)
    if doctor.code and (doctor.code != 1 or "Run `loopline run" not in doctor.printed):  # to package what the ledger says
        found.append(f"`doctor`: {doctor.code} {doctor.printed[-600:]}")
    return [*found, *asked(checks.left_over, home)]


def _verified(home: Path) -> list[str]:
    told = done("verify", "--json", home=home)
    if told.code not in (0, 1) or not told.printed.startswith("{"):
        return [f"`verify`: {told.printed[-600:]}"]
    return [f"verify: {item['file']} {item['state']}" for item in json.loads(told.printed)["problems"]]
