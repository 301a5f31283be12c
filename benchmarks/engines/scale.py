"""A model of cost against rows, features, products and workers: fitted, held to a larger point, and read out beyond.

Processor seconds and the most memory of each stage are a sum of named terms (start, row, cell, feature), fitted by non-negative
least squares of the relative errors. The held-out point is that of `large_table`: more rows than any point that was fitted.
What stands beyond it is the model's word and no measurement. The bottleneck is memory where a stage needs more than the machine
that measured has; the start of libraries where rows cost less than that; else the stage that takes the most time. A product is
made by one process: more workers than products gain nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from assets.methods.cost_model import Point, fit, relative_error
from benchmarks.engines.costs import keep
from benchmarks.engines.loops import measured_loop
from benchmarks.engines.processes import loopline
from benchmarks.engines.products import clone, declare
from orchestration.operations.engines.engine_costs import FILE, measured_costs

Rows = list[tuple[str, str, str]]
SIZES = ((2_000, 5), (2_000, 20), (30_000, 20), (300_000, 5), (300_000, 20), (1_000_000, 20))
PRODUCTS, HELD_OUT_PRODUCTS = (1, 10, 40), 100
READ_OUT_ROWS = tuple(10**power for power in range(3, 10))
READ_OUT_PRODUCTS, WORKERS = (1, 10, 100, 1000), (1, 8, 64)
READ_OUT_FEATURES, ROWS_OF_A_PRODUCT = 20, 100_000


def rows() -> Rows:
    """Each figure with what was measured and what is asked."""
    _measure()
    return [*_error(), *_by_rows(), *_by_products()]


def _measure() -> None:
    """Measure the points, and keep them."""
    points = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, (size, features) in enumerate(SIZES):
            folder = Path(scratch) / str(number)
            repository = clone(folder / "clone", size, features=features)
            points.append(measured_loop(repository, "made0", folder / "home", size, features).point)
        start = median(point["start_seconds"] for point in points)
        keep(points=points, start_seconds=start, planning=list(_planning(Path(scratch))))


def _planning(folder: Path) -> Iterator[dict[str, float]]:
    """What `loopline plan` takes with so many products: definitions, and what is stale of them."""
    repository, declared = clone(folder / "many", 10, features=5), 1
    for number in (*PRODUCTS, HELD_OUT_PRODUCTS):
        for name in range(declared, number):
            declare(repository, name, 10, 5)
        declared = number
        done = loopline(repository, folder / f"home{number}", "plan", "--json")
        print(f"{number} products: {done.processor:.1f} s of the processor, {done.peak_mb:.0f} MB", flush=True)
        yield {"products": number, "processor_seconds": round(done.processor, 3), "peak_mb": round(done.peak_mb)}


def _error() -> Rows:
    """The model's error where it was not fitted."""
    costs, found = measured_costs(), []
    held = json.loads(FILE.read_text(encoding="utf-8")).get("held_out")
    if held is None:
        return [
            ("error on a held-out larger point", "skipped, as there is none: `make bench-engines ARGS=large_table`", "told")
        ]
    told = costs.cost(held["rows"], held["features"])
    largest = max(point["rows"] for point in costs.told["points"])
    name = f"{held['rows']:,} rows x {held['features']} ({held['rows'] / largest:.0f} times the largest fitted point)"
    for figure, unit, by_stage in (("processor_seconds", "s", told.seconds), ("peak_mb", "MB", told.memory_mb)):
        combine = sum if figure == "processor_seconds" else max
        measured = combine(item[figure] for item in held["stages"].values())
        said = combine(by_stage[stage] for stage in held["stages"])
        what = "processor time" if figure == "processor_seconds" else "memory"
        error = f"{said:,.0f} {unit} told, {measured:,.0f} {unit} measured: {relative_error(said, measured):+.0%}"
        found.append((f"{what} of {name}", error, "told"))
    for stage in held["stages"]:
        measured, said = held["stages"][stage]["processor_seconds"], told.seconds[stage]
        found.append(
            (f"processor time of {stage}, the same point", f"{relative_error(said, measured):+.0%} of {measured:.1f} s", "")
        )
    return found


def _by_rows() -> Rows:
    costs, found = measured_costs(), []
    for size in READ_OUT_ROWS:
        cost = costs.cost(size, READ_OUT_FEATURES)
        seconds, memory = sum(cost.seconds.values()), max(cost.memory_mb.values()) / 1e3
        told = f"{seconds:,.0f} s of the processor, {memory:,.1f} GB; bottleneck: {costs.bottleneck(size, READ_OUT_FEATURES)}"
        found.append((f"{size:,} rows x {READ_OUT_FEATURES}", told, ""))
    return found


def _by_products() -> Rows:
    costs, found = measured_costs(), []
    *fitted, held = costs.told["planning"]
    planning = fit([Point(1, item["products"], item["processor_seconds"]) for item in fitted])
    said = planning.at(1, held["products"])
    error = relative_error(said, held["processor_seconds"])
    found.append(
        (
            f"planning {held['products']:.0f} products, held out",
            f"{said:.1f} s told, {held['processor_seconds']:.1f} s measured: {error:+.0%}",
            "told",
        )
    )
    one = costs.start_seconds + sum(costs.cost(ROWS_OF_A_PRODUCT, READ_OUT_FEATURES).seconds.values())
    for products in READ_OUT_PRODUCTS:
        alone = planning.at(1, products)
        shared = {workers: alone + one * -(-products // min(workers, products)) for workers in WORKERS}
        worst = (
            "the one product"
            if products == 1
            else f"planning, {alone:.0f} s"
            if alone > shared[max(WORKERS)] / 2
            else "workers"
        )
        told = ", ".join(f"{seconds / 60:,.1f} min by {workers}" for workers, seconds in shared.items())
        found.append(
            (
                f"{products:,} products of {ROWS_OF_A_PRODUCT:,} rows, by workers of a core each",
                f"{told}; bottleneck: {worst}",
                "",
            )
        )
    return found
