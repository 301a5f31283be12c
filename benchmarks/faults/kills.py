"""Kills: commands that change a home are killed with signal 9 at random moments, one after another in the same home."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults import checks
from benchmarks.faults.commands import Command, asked, done, start
from benchmarks.faults.small_product import PRODUCT
from benchmarks.faults.small_world import SmallWorld
from benchmarks.faults.table import Row


@dataclass(frozen=True)
class Killed:
    """A command that is killed.

    Parameters
    ----------
    name : str
        How the table calls it.
    kills : int
        How often.
    seconds : float
        The latest moment after its start.
    next : callable
        Its arguments, from the home and the number of the kill.
    is_first : bool
        Whether it begins with an empty home, and with another once it came to its end.
    allowed : str
        What `verify` may say after the kill, as it was so before.
    """

    name: str
    kills: int
    seconds: float
    next: Callable[[Path, int], list[str]]
    is_first: bool = False
    allowed: str = ""


def _decision(home: Path, number: int) -> list[str]:
    """Roll back to the first version where the second serves, and else promote the second."""
    champion = asked(checks.champion, home)
    reason = ["--reason", f"kill {number}"]
    return (
        ["rollback", PRODUCT, "--to", "1", *reason] if champion == ["2"] else ["promote", PRODUCT, "2", "--override", *reason]
    )


def _key(home: Path, number: int) -> list[str]:
    """Make keys, and revoke every third."""
    file = home / "keys" / f"{PRODUCT}.json"
    valid = [key["id"] for key in json.loads(file.read_bytes())["keys"] if not key["revoked_at_utc"]] if file.exists() else []
    if number % 3 == 2 and valid:
        return ["key", "revoke", valid[0]]
    return ["key", "create", "--product", PRODUCT, "--scope", "predict"]


def _accept(home: Path, number: int) -> list[str]:
    """Record the files as they are, one of them changed."""
    (home / "quality" / f"{PRODUCT}.html").write_text(f"<p>{number}</p>", encoding="utf-8")
    return ["verify", "--accept"]


COMMANDS = (
    Killed("`run` in an empty home", 80, 3.0, lambda _home, _number: ["run", PRODUCT], is_first=True),
    Killed("`promote` and `rollback`", 50, 3.0, _decision),
    Killed("`key create` and `key revoke`", 40, 0.12, _key),
    Killed("`ledger key new --replace`", 20, 0.12, lambda _home, _number: ["ledger", "key", "new", "--replace"]),
    Killed("`verify --accept`", 20, 0.15, _accept, allowed=f"quality/{PRODUCT}.html"),
)
"""What is killed; a command more is a line more."""


def rows(world: SmallWorld, share: float = 1.0) -> list[Row]:
    """Kill each of the commands, in copies of a home in which two versions are registered."""

    def kill(started: Command, number: int) -> None:
        started.kill(with_children=number % 2 == 0)

    return [cut_off(command, world, "kill -9", max(1, round(share * command.kills)), kill) for command in COMMANDS]


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
    count = held = 0
    began = time.monotonic()
    world.begin(is_empty=command.is_first)
    while count < times:
        served = checks.served(home)
        started = start(*command.next(home, count), home=home, before=before)
        time.sleep(draw.uniform(0.0, command.seconds))
        has_ended = started.has_ended()
        cut(started, count)
        ended = started.wait()
        if has_ended:
            if not ended.is_clear:
                problems[f"ended with {ended.code}: {ended.printed[-600:]}"] += 1
            if command.is_first:
                problems.update(checks.ended(home))
                world.begin(is_empty=True)
            continue
        count += 1
        found = [item for item in _after(home, served) if not command.allowed or command.allowed not in item]
        problems.update(found)
        held += not found
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
    # what MLflow lays is named by no manifest until there is a version; the next run deletes it
    return [*found, *(item for item in wrong if "registry/artifacts/" not in item), *asked(checks.left_over, home)]


def _verified(home: Path) -> list[str]:
    told = done("verify", "--json", home=home)
    if told.code not in (0, 1) or not told.printed.startswith("{"):
        return [f"`verify`: {told.printed[-600:]}"]
    return [f"verify: {item['file']} {item['state']}" for item in json.loads(told.printed)["problems"]]
