"""How often alarms are false, how soon what is planted is found, and how fast: ``make bench-drift`` writes docs/drift.md.

No-drift replays are real flights, scored by the champion and drawn with replacement, on days that mean nothing. Planted
drift is of one kind at a time: rows drawn by another mix of one feature; other answers to the same rows; other labels at
like features.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from assets.features import snapshots
from assets.monitoring import champion_monitor
from assets.monitoring.drift import KINDS, drift_of
from assets.processes.settings import settle_process
from assets.promotion import ledger
from assets.spec import ProductSpec, read_declaration
from assets.storage.home import REPOSITORY, Home
from assets.training import training
from benchmarks.drift_asked import MOVED, MOVED_BY, asked_falsely
from benchmarks.drift_replays import DAYS, REFERENCE_DAYS, Replays, raised, share, sides
from benchmarks.drift_speed import evidently, speed
from benchmarks.measuring import machine, measure
from orchestration.declarations import DEFS
from orchestration.resources import home_from_environment

PRODUCT = "flight_delay"
REPLAYS = {1_000: 150, 10_000: 150, 100_000: 20}
PLANTED = {"data": (0.1, 0.25, 0.5), "model": (0.1, 0.25, 0.5), "concept": (0.1, 0.2, 0.4)}
SIZES = {
    "data": "standard deviations by which the mix of `scheduled_departure_minute_local` moves",
    "model": "log odds by which answers are off",
    "concept": "chance that a flight after 17:00 that would be on time is late",
}
FINDINGS = 8
"""Replays of each planted drift."""
RIVALS = {1_000: 6, 10_000: 6, 100_000: 2}
PAGE = """# How well drift is told

Measured by `make bench-drift`, which writes this page, on the flights of September to December and the champion of
`flight_delay`. Machine: {machine}.

## False alarms

Replays without drift: flights drawn with replacement, {reference} reference days and a period of {days}, {features} features.
An alarm of any kind counts; declared is at most {declared:.0%} for features, outputs and concept together.

| rows in the period | replays | any alarm | data | model | concept | evidently, any column | evidently, data set |
|---|---|---|---|---|---|---|---|
{false}

Evidently is asked with its defaults (0.7.23: normed Wasserstein or Jensen-Shannon distance from 0.1) on the same rows of
{rivals} replays.

## Planted drift

{found_header}
{found}

Sizes: {sizes}. {findings} replays each. *Delay* is the days until the first week that raises the alarm,
in periods of a week, each of a quarter of the rows; in brackets, in how many replays none did in four weeks.

## Which kind is told

Largest planted size, {confusion_rows:,} rows: the share of replays with an alarm of each kind.

| planted | data | outputs | calibration | concept |
|---|---|---|---|---|
{confusion}

Another mix of rows also gives other outputs, which is so; another relation also shows as calibration. What is read off: data
drift if features moved, concept drift if what comes at like features moved, and a fault of what answers if neither did.

## What services are asked

Prediction logs of rows drawn with replacement from those that the champion was validated on, as they are, and by another mix of
`{asked_moved}`. An alarm of any feature or of the outputs counts; each needs the declared floor of {floor:g}.

| rows in the log | logs | any alarm, no drift | {asked_sizes} |
|---|---|---|---|---|
{asked}

## Speed

| what | measured | goal |
|---|---|---|
{speed}

## The expected quality against the truth

Champions trained on January to March, watched from May to December, each month told before its labels.

| product | metric | months | mean absolute error | inside the 95 % interval | by month: expected, realised |
|---|---|---|---|---|---|
{foretold}
"""


def false_alarms(replays: Replays) -> str:
    """The share of replays without drift that raise an alarm."""
    lines = []
    for rows, count in REPLAYS.items():
        told = [raised(drift_of(*replays.drawn(rows, seed))) for seed in range(count)]
        kinds = " | ".join(f"{np.mean([item[kind] for item in told]):.1%}" for kind in KINDS)
        rival = [evidently(*sides(replays.drawn(rows, seed))) for seed in range(RIVALS[rows])]
        beyond = [[item["value"] > item["threshold"] for item in one["columns"].values()] for one in rival]
        told_rival = f"{np.mean([any(one) for one in beyond]):.0%} | {np.mean([np.mean(one) > 0.5 for one in beyond]):.0%}"
        lines.append(f"| {rows:,} | {count} | {share([any(item.values()) for item in told])} | {kinds} | {told_rival} |")
    return "\n".join(lines)


def planted(replays: Replays) -> tuple[str, str]:
    """How often and how soon planted drift is found, and which kinds are told."""
    lines, confusion = [], []
    for kind, sizes in PLANTED.items():
        for size in sizes:
            cells = []
            for rows in REPLAYS:
                told = [drift_of(*replays.drawn(rows, 1000 + seed, kind, size)) for seed in range(FINDINGS)]
                cells.append(f"{np.mean([raised(item)[kind] for item in told]):.0%}")
                if rows == 10_000:
                    delays = [_delay(replays, kind, size, 1000 + seed, rows) for seed in range(FINDINGS)]
                    lasting = [delay for delay in delays if delay is not None]
                    delay = f"{np.mean(lasting):.0f} days" if lasting else "none"
                    if len(lasting) < len(delays):
                        delay += f" ({len(delays) - len(lasting)} of {len(delays)} none)"
                    if size == sizes[-1]:
                        confusion.append(f"| {kind} | {' | '.join(_shares(told))} |")
            lines.append(f"| {kind} | {size:g} | {' | '.join(cells)} | {delay} |")
    return "\n".join(lines), "\n".join(confusion)


def _shares(told: list[dict[str, Any]]) -> list[str]:
    """The share of replays with an alarm of data, outputs, calibration and concept."""
    of = {
        "data": [raised(item)["data"] for item in told],
        "outputs": [item["model"]["outputs"]["alarm"] for item in told],
        "calibration": [item["model"]["calibration"]["alarm"] for item in told],
        "concept": [raised(item)["concept"] for item in told],
    }
    return [f"{np.mean(values):.0%}" for values in of.values()]


def _delay(replays: Replays, kind: str, size: float, seed: int, rows: int) -> int | None:
    for week in range(1, DAYS // 7 + 1):
        if raised(drift_of(*replays.drawn(rows, seed, kind, size, weeks=week)))[kind]:
            return 7 * week
    return None


def foretold(home: Home, scratch: Path) -> str:
    """The expected metrics of each month against the realised ones."""
    lines, elsewhere = [], Home(scratch / "foretold").prepare()
    for name in (PRODUCT, "arrival_delay"):
        spec = read_declaration(DEFS / name / "defs.yaml", ProductSpec)
        split = {"by": "months", "train": 3, "validation": 1, "test": 8, "end": "2013-12"}
        spec = ProductSpec.model_validate({**spec.model_dump(), "split": split})
        snapshot = snapshots.current(home, name)
        made = training.train(elsewhere, spec, snapshot)
        standing = ledger.standing(home, name).champion
        assert standing is not None  # noqa: S101 - the loop was run
        record = champion_monitor.look(elsewhere, spec, snapshot, replace(standing, model_digest=made.digest))
        for metric in dict.fromkeys((spec.metric, "cost_per_1000")):
            item = record["foretold"][metric]
            form = "{:,.0f}".format if metric == "cost_per_1000" else "{:.3f}".format
            told = [(period["expected"][metric]["value"], period["realised"][metric]["value"]) for period in record["periods"]]
            months = ", ".join(f"{form(before)} {form(after)}" for before, after in told)
            figures = f"{item['periods']} | {form(item['mean_absolute_error'])} | {item['share_inside']:.0%}"
            lines.append(f"| {name} | {metric} | {figures} | {months} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    settle_process()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("LOOPLINE_HOME", f"{scratch}/home")
        home = home_from_environment()
        if ledger.standing(home, PRODUCT).champion is None:
            measure(["-m", "orchestration", "run"], home.root)
        spec = read_declaration(DEFS / PRODUCT / "defs.yaml", ProductSpec)
        champion = ledger.standing(home, PRODUCT).champion
        assert champion is not None  # noqa: S101 - the loop was run
        replays = Replays(home, spec, champion)
        quick = speed(Path(scratch))
        false = false_alarms(replays)
        found, confusion = planted(replays)
        page = PAGE.format(
            machine=machine(),
            reference=REFERENCE_DAYS,
            days=DAYS,
            features=len(spec.columns),
            declared=1 - spec.monitoring.drift.confidence,
            false=false,
            rivals=", ".join(f"{count} ({rows:,} rows)" for rows, count in RIVALS.items()),
            found_header="| kind | size | found, 1,000 rows | 10,000 | 100,000 | delay, 10,000 |\n|---|---|---|---|---|---|",
            found=found,
            sizes="; ".join(f"{kind}, {told}" for kind, told in SIZES.items()),
            findings=FINDINGS,
            confusion_rows=10_000,
            confusion=confusion,
            asked_moved=MOVED,
            asked_sizes=" | ".join(f"moved by {size:g} standard deviations" for size in MOVED_BY),
            asked=asked_falsely(home, spec, champion, Path(scratch)),
            floor=spec.monitoring.drift.floor,
            speed=quick,
            foretold=foretold(home, Path(scratch)),
        )
    (REPOSITORY / "docs" / "drift.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
