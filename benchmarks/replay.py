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

{experiments}
"""
EXPERIMENTS = """## Replayed experiments

`--policies experiment` shows an experiment end to end without traffic. It is trained when `monthly` is, and hears the same
gate; but what passes is not promoted at once: it answers its share of the units beside the champion, as of the clock at which
it passed.

- **Which experiment.** The first of the product's `experiments` that is a `test` of `cost`: its shares (control and first
  treatment), `false_positive` and `max_weeks`. Its `unit`, if the snapshot holds it, else the entity. Without one: halves of
  the entities, 5 %, 8 weeks. Units are dealt by the hash that services use; a row without a unit is answered by the champion.
  Guardrails are left out: a replay has no errors and no latency.
- **Which challengers.** Those that pass the gate, since what it refuses must not answer anybody. So `monthly` and
  `experiment` differ in one thing only: whether what passed must win an experiment. While one runs, nothing is trained; what
  came due is trained when it has ended.
- **Looked at each day**, when its rows are landed, with the labels known by then: a confidence sequence on the difference in
  cost a row, which holds at all looks together, and a sequential test of the shares of the arms (below p = 0.01 the
  experiment is stopped: nothing may be read from it). The treatment is promoted when it surely costs less, dropped when it
  surely costs more, and dropped undecided when `max_weeks` are over. Where a step's snapshot
  breaks its contract, units are dealt on and nothing is looked at.
- **Two intervals.** Rows that both arms decide alike cost the same in either arm and only blur the difference. The interval
  that decides leaves them out (trigger analysis, Deng and Hu 2015); the page draws the one from all rows behind it. A live
  experiment has the first only where a shadow logs what the other arm would have decided.
- **Outcomes are those of the history.** A forecast changes no delay, so what came is the same under both arms. A live
  experiment measures what decisions change; a replay cannot, and shows how an experiment goes. In return it knows what both
  arms would have cost on all rows, so the page tells the true difference, and what deciding cost: the rows answered by the
  worse arm, and what they cost more.
- **In the ledger** of the replay's own home: `experiment` entries (`start`; then `decide` and the arm, or `stop`), with the
  records that live experiments have, and the promotion.

`loopline replay flight_delay --from 2013-04 --to 2013-12 --policies monthly,experiment`. The difference is that of
the treatment (the challenger) less the control (the champion).

{table}

| experiment | against | looks | decided | difference in cost a row | in hindsight | rows of the worse arm | cost more |
|---|---|---|---|---|---|---|---|
{rows}
"""


def main() -> None:
    """Measure and write docs/replay.md."""
    source = home_from_environment()
    with tempfile.TemporaryDirectory(dir=source.temporary) as scratch:
        weekly, weekly_mb, record = _played(_home(source, Path(scratch) / "weekly"), FIVE, "week")
        again, _, _ = _played(Home(Path(scratch) / "weekly"), FIVE, "week")
        experiments = experiments_section(_home(source, Path(scratch) / "experiments"))
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
        experiments=experiments,
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


def experiments_section(home: Home) -> str:
    """What comes of promoting by experiment, beside promoting by the gate alone, in Markdown."""
    _, _, record = _played(home, "monthly,experiment", "week")
    unit = record["unit"]
    rows = []
    for item in next(policy for policy in record["policies"] if policy["name"] == "experiment")["experiments"]:
        last = item["looks"][-1] if item["looks"] else {"low": None, "difference": float("nan")}
        between = "" if last["low"] is None else f" [{last['low']:+.4f}, {last['high']:+.4f}]"
        decided = f"{item['ended'][:10]}: {item['outcome']}" if item["outcome"] else "still runs"
        truth = "" if item["truth"] is None else f"{item['truth']:+.4f}"
        cells = (
            f"version {item['version']}",
            f"version {item['against']}",
            len(item["looks"]),
            decided,
            f"{last['difference']:+.4f}{between} {unit}",
            truth,
            f"{item['worse_rows']:,}",
            f"{item['worse_cost']:,.0f} {unit}",
        )
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return EXPERIMENTS.format(table=policy_table(record), rows="\n".join(rows)).strip()


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
