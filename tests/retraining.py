"""Many retrainings of a small product, each promoted and followed by a prune; the benchmark of homes uses it too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets.spec import ProductSpec
from assets.storage.home import Home
from orchestration import resources
from orchestration.operations import decisions
from orchestration.operations.prune import prune
from orchestration.staleness.run_loop import run
from tests.shop import FOLLOWING, customers, definitions, product

RETENTION = {"keep_champions": 2, "refused_days": 0, "snapshots_days": 0, "predictions_days": 0, "runs_days": 0}


def declared(number: int, **parts: Any) -> ProductSpec:
    """The product as it is declared for one of its trainings: each gives another model."""
    model = {
        "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
        "seed": 3,
        "parameters": {"max_iter": 10 + number % 7, "max_leaf_nodes": 8},
    }
    evaluation = {"bootstrap_replicates": 100, "slices": ["plan"], "cross_fitted_below": 0}
    return product("churn", **{"model": model, "evaluation": evaluation, "retention": RETENTION, **parts})


def retrained(home: Home, folder: Path, times: int, *, is_pruned: bool = True) -> Iterator[int]:
    """Train on other customers each time, let the new model serve whatever the gate says, prune; the bytes of the home."""
    for number in range(times):
        customers(1000, seed=number).to_csv(folder / "customers.csv", index=False)
        spec = declared(number)
        loop = definitions(home, folder, spec)
        with resources.instance(home.prepare()) as instance:
            run(loop, instance, home)
            if number:
                decisions.promote(home, spec, number + 1, actor="ann", reason="a test", override=True)
                run(loop, instance, home, spec.name, names=FOLLOWING)
        if is_pruned:
            prune(home, [spec], [spec.name])
        yield size(home)


def size(home: Home) -> int:
    """The bytes of a home's files."""
    return sum(path.stat().st_size for path in home.root.rglob("*") if path.is_file())
