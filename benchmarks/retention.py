"""How a home grows over retrainings, with and without a prune after each: ``python -m benchmarks.retention [TIMES]``."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assets.promotion import ledger
from assets.rendering.plotting import figure
from assets.spec import ProductSpec
from assets.storage.home import REPOSITORY, Home
from orchestration import resources
from orchestration.assembly import assemble
from orchestration.components import ModelProduct
from orchestration.dagster_resources import HomeResource
from orchestration.operations.promotion import decisions
from orchestration.operations.storage.prune import prune
from orchestration.staleness.run_loop import Outcome, run

TIMES = 60
RETENTION = {"keep_champions": 2, "refused_days": 0, "snapshots_days": 0, "predictions_days": 0, "runs_days": 0}
PAGE = REPOSITORY / "docs" / "measured" / "retention.md"


def declared(number: int, **parts: Any) -> ProductSpec:
    """The product as it is declared for one of its trainings: each gives another model."""
    columns = {"id": {"type": "text"}, "visits": {"type": "number"}, "plan": {"type": "text"}, "left": {"type": "text"}}
    parameters = {"max_iter": 10 + number % 7, "max_leaf_nodes": 8}
    product = {
        "name": "churn",
        "description": "Whether a customer leaves.",
        "source": {"file": "customers.csv", "key": ["id"], "columns": columns},
        "features": {"entity": "id", "groups": {"all": {"visits": {}, "plan": {}}}},
        "target": {"column": "left", "kind": "binary", "positive": "yes", "meaning": "the customer leaves"},
        "split": {"by": "random", "train": 0.6, "validation": 0.2, "test": 0.2},
        "model": {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "seed": 3, "parameters": parameters},
        "cost": {"missed": 2.0, "false_alarm": 1.0},
        "baseline": {"by": {"plan": None}},
        "evaluation": {"bootstrap_replicates": 100, "cross_fitted_below": 0},
        "retention": RETENTION,
    }
    return ProductSpec.model_validate({**product, **parts})


def write_customers(file: Path, seed: int, rows: int = 1000) -> None:
    """Other customers for each seed, who leave by the same rule."""
    random = np.random.default_rng(seed)
    visits, plan = random.poisson(4, rows), random.choice(["basic", "free", "pro"], rows)
    leaves = random.random(rows) < 1 / (1 + np.exp(2.5 - 1.5 * (plan == "free") - 0.5 * visits))
    frame = pd.DataFrame({"id": [f"C{number:05d}" for number in range(rows)], "visits": visits, "plan": plan})
    frame.assign(left=np.where(leaves, "yes", "no")).to_csv(file, index=False)


def made(home: Home, folder: Path, spec: ProductSpec, names: list[str] | None = None) -> Outcome:
    """Make what is stale of the product, or only some of its assets."""
    with resources.instance(home.prepare()) as instance:
        loop = assemble(ModelProduct(spec, folder).build_defs(None), HomeResource(folder=str(home.root)))
        return run(loop, instance, home, spec.name if names else None, names=names)


def retrained(home: Home, folder: Path, times: int, *, is_pruned: bool = True) -> Iterator[int]:
    """Train on other customers each time, let the new model serve whatever the gate says, prune; the bytes of the home."""
    for number in range(times):
        write_customers(folder / "customers.csv", number)
        spec = declared(number)
        made(home, folder, spec)
        if ledger.require_champion(home, spec.name).version != number + 1:  # the gate refused it
            decisions.promote(home, spec, number + 1, actor="benchmark", reason="a retraining", override=True)
            made(home, folder, spec, decisions.following())
        if is_pruned:
            prune(home, [spec], [spec.name])
        yield size(home)


def size(home: Home) -> int:
    """The bytes of a home's files, without those that SQLite makes to read a database."""
    return sum(by_folder(home).values())


def by_folder(home: Home) -> Counter[str]:
    """The same by the folder or file of the home that they are in."""
    files = (path for path in home.root.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    found: Counter[str] = Counter()
    for path in files:
        found[path.relative_to(home.root).parts[0]] += path.stat().st_size
    return found


def measured(times: int, *, is_pruned: bool) -> list[Counter[str]]:
    """The bytes by folder after each retraining."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        home = Home(Path(scratch) / "home")
        for count in retrained(home, Path(scratch), times, is_pruned=is_pruned):
            found.append(by_folder(home))
            print("with retention" if is_pruned else "without", len(found), f"{count / 1e6:.2f} MB", flush=True)
    return found


def written(times: int, pruned: list[Counter[str]], grown: list[Counter[str]]) -> str:
    """The page."""
    start = min(20, times // 2)
    numbers = range(start, times + 1)
    slopes = [
        {folder: np.polyfit(numbers, [count[folder] / 1e3 for count in found[start - 1 :]], 1)[0] for folder in found[-1]}
        for found in (pruned, grown)
    ]
    folders = sorted(slopes[1], key=slopes[1].get, reverse=True)  # type: ignore[arg-type]
    return "\n".join(
        [
            "# How a home grows",
            "",
            f"{times} retrainings of a small product (1,000 rows, others each time), each promoted, with a `loopline prune`",
            "after each or without. `make bench-retention` writes this page.",
            "",
            f"Retention: {', '.join(f'`{name}: {value}`' for name, value in RETENTION.items())}.",
            "",
            "| retrainings | with retention, MB | without, MB |",
            "|---|---|---|",
            *(
                f"| {row} | {pruned[row - 1].total() / 1e6:.2f} | {grown[row - 1].total() / 1e6:.2f} |"
                for row in (1, 3, 5, 10, 20, 30, 40, 50, 60)
                if row <= times
            ),
            "",
            "![The home after each retraining](retention.svg)",
            "",
            f"What a retraining adds, kB by what lies in the home (a line fitted to numbers {start} to {times}; databases and",
            "the manifest give back what is free in steps, hence less than nothing here and there):",
            "",
            "| | with retention | without |",
            "|---|---|---|",
            f"| **all** | **{sum(slopes[0].values()):.1f}** | **{sum(slopes[1].values()):.1f}** |",
            *(
                f"| `{folder}` | {slopes[0].get(folder, 0.0):z.1f} | {slopes[1][folder]:z.1f} |"
                for folder in folders
                if abs(slopes[1][folder]) >= 0.05
            ),
            "",
        ]
    )


def main() -> None:
    """Measure both, and write the page with its plot."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else TIMES
    with ProcessPoolExecutor(2) as pool:  # bytes do not depend on who else computes
        pruned, grown = (pool.submit(measured, times, is_pruned=is_pruned) for is_pruned in (True, False))
        found = {"with retention": pruned.result(), "without": grown.result()}
    with figure("The home after each retraining", "retrainings", "MB") as (axes, buffer):
        for name, folders in found.items():
            axes.plot(range(1, times + 1), [count.total() / 1e6 for count in folders], label=name)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
    PAGE.with_suffix(".svg").write_text(buffer.getvalue(), encoding="utf-8")
    PAGE.write_text(written(times, *found.values()), encoding="utf-8")


if __name__ == "__main__":
    main()
