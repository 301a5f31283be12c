"""How long a replay takes, what an added policy costs, and what the policies came to: ``make bench-replay``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from assets.processes.settings import SETTINGS
from assets.storage.home import REPOSITORY, Home
from benchmarks.measuring import machine, table
from orchestration.cli.replay import FIVE
from orchestration.resources import home_from_environment

FIRST, LAST = "<!-- policies: written by make bench-replay -->", "<!-- end of policies -->"
"""What the README's table stands between."""
MONTHS = ("--from", "2013-04", "--to", "2013-12")
PAGE = """# Replays

Measured by `make bench-replay` on `flight_delay`, whose snapshot lies in the home; each replay begins in an empty folder.
Machine: {machine}.

{figures}

## What an added policy costs

By month, one after the other in the same folder: what is landed, trained or answered already is not made again.

| policies so far | added seconds | models trained | looks at a champion | steps answered |
|---|---|---|---|---|
{added}

## What the policies came to

`loopline replay flight_delay --from 2013-04 --to 2013-12`, {split}; {days} days, drawn in blocks of {block_days}; a training
costs {training_cost:g} {unit}, the first, which all share, aside.

{policies}

Take `{taken}`. {because}. {sure}.
"""


def main() -> None:
    """Measure and write docs/replay.md."""
    source = home_from_environment()
    with tempfile.TemporaryDirectory(dir=source.temporary) as scratch:
        weekly, weekly_mb, record = _played(_home(source, Path(scratch) / "weekly"), FIVE, "week")
        again, _, _ = _played(Home(Path(scratch) / "weekly"), FIVE, "week")
        monthly, monthly_mb, _ = _played(_home(source, Path(scratch) / "monthly"), FIVE, "month")
        one_by_one, rows, names = _home(source, Path(scratch) / "added"), [], FIVE.split(",")
        before = [0, 0, 0]
        for place in range(len(names)):
            seconds, _, _ = _played(one_by_one, ",".join(names[: place + 1]), "month")
            made = [_count(one_by_one, pattern) for pattern in ("steps/*-model.json", "looks/*.json", "answers/*.json")]
            added = " | ".join(str(now - then) for now, then in zip(made, before, strict=True))
            rows.append(f"| {', '.join(names[: place + 1])} | {seconds:.0f} | {added} |")
            before = made
    figures = table(
        ("figure", "measured", "goal"),
        [
            ("nine months by week, five policies", f"{weekly:.0f} s", "at most 300 s"),
            ("its peak memory, all processes together", f"{weekly_mb:,.0f} MB", "at most 3,000 MB"),
            ("the same command again: nothing is played", f"{again:.0f} s", ""),
            ("nine months by month, five policies", f"{monthly:.0f} s", "at most 90 s"),
            ("its peak memory", f"{monthly_mb:,.0f} MB", "at most 3,000 MB"),
        ],
    )
    taken = record["recommendation"]
    page = PAGE.format(
        **{name: record[name] for name in ("days", "block_days", "training_cost", "unit")},
        machine=machine(),
        figures=figures,
        added="\n".join(rows),
        split="{train:g} days train, {validation:g} validate, {test:g} test".format(**record["split"]),
        policies=policy_table(record),
        taken=taken["policy"],
        because=taken["because"],
        sure=taken["sure"],
    )
    (REPOSITORY / "docs" / "replay.md").write_text(page, encoding="utf-8")
    readme = REPOSITORY / "README.md"
    head, _, rest = readme.read_text(encoding="utf-8").partition(FIRST)
    tail = rest.partition(LAST)[2]
    readme.write_text(f"{head}{FIRST}\n{policy_table(record)}\n{LAST}{tail}", encoding="utf-8")
    print(page)


def policy_table(record: dict[str, Any]) -> str:
    """The policies in Markdown, as the README quotes them."""
    lines = [
        f"| policy | cost, {record['unit']} | dearer than the best by | cheapest in | trained | promoted | alarms true/false |",
        "|---|---|---|---|---|---|---|",
    ]
    for policy in record["policies"]:
        regret = f"{policy['regret']:,.0f} [{policy['regret_low']:,.0f}, {policy['regret_high']:,.0f}]"
        told = policy["alarms"]
        alarms = f"{told['true']} / {told['false']}" if told["true"] + told["false"] else "none"
        lines.append(
            f"| `{policy['name']}` | {policy['total']:,.0f} | {regret} | {policy['best_share']:.0%} | {policy['trainings']} | "
            f"{policy['promotions']} | {alarms} |"
        )
    return "\n".join(lines)


def _home(source: Home, folder: Path) -> Home:
    """An empty home with the same snapshots."""
    folder.mkdir()
    home = Home(folder)
    home.snapshots.symlink_to(source.snapshots.resolve())
    return home.prepare()


def _count(home: Home, pattern: str) -> int:
    return len(list(home.replays.glob(f"*/*/{pattern}")))


def _played(home: Home, policies: str, step: str) -> tuple[float, float, dict[str, Any]]:
    """Wall seconds, the peak memory (MB) of all processes together, and the record."""
    command = [sys.executable, "-m", "orchestration", "replay", "flight_delay", *MONTHS, "--step", step, "--policies", policies]
    environment = {**os.environ, **SETTINGS, "LOOPLINE_HOME": str(home.root)}
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--json"], cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
    peak: list[float] = [0.0]
    watch = threading.Thread(target=_watch, args=(process.pid, peak))
    watch.start()
    said, _ = process.communicate()
    seconds = time.perf_counter() - started
    watch.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return seconds, peak[0], json.loads(said)


def _watch(pid: int, peak: list[float]) -> None:
    """Keep the largest sum of resident memory of a process and its children."""
    while psutil.pid_exists(pid):
        try:
            processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            peak[0] = max(peak[0], sum(item.memory_info().rss for item in processes) / 2**20)
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.5)


if __name__ == "__main__":
    main()
