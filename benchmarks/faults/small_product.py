"""A clone of the repository with one small product, whose whole loop takes seconds, and the home that a run of it leaves."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from assets.storage.home import REPOSITORY

PRODUCT = "churn"
CLONED = ("assets", "benchmarks", "bentos", "dbt_project", "deploy", "loopline_extensions", "orchestration", "requirements")
ROWS = 600
ARMS: dict[str, Any] = {
    "arms": {"control": "champion", "treatment": 1},
    "unit": "customer_id",
    "guardrails": [{"metric": "error", "max_harm": 0.5}],
}
"""Of experiments: the first version against the champion."""
DECLARED = {
    "name": PRODUCT,
    "description": "Predicts which customers of a made-up shop leave.",
    "source": {
        "file": "customers.csv",
        "key": ["customer_id"],
        "columns": {
            "customer_id": {"type": "text"},
            "signed_up_at": {"type": "timestamp"},
            "age": {"type": "integer", "min": 0, "max": 120},
            "plan": {"type": "text", "values": ["basic", "free", "pro"]},
            "visits": {"type": "number", "min": 0, "max": 50},
            "churned": {"type": "text", "values": ["no", "yes"]},
        },
    },
    "features": {
        "entity": "customer_id",
        "event_time": "signed_up_at",
        "groups": {"all": {"age": {}, "plan": {}, "visits": {}}},
    },
    "target": {"column": "churned", "kind": "binary", "positive": "yes", "meaning": "the customer leaves"},
    "split": {"by": "time", "train": 0.6, "validation": 0.2, "test": 0.2},
    "model": {
        "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
        "seed": 3,
        "parameters": {"max_iter": 20, "max_leaf_nodes": 8},
    },
    "cost": {"missed": 2.0, "false_alarm": 1.0},
    "baseline": {"by": {"plan": None}},
    "evaluation": {"bootstrap_replicates": 100, "slices": ["plan"]},
    "gates": {"metrics": {"roc_auc": {"min": 0.55}}},
    "serving": {"entity": {"name": "customer_id", "keep": "plain"}},
    "experiments": [
        {"name": "trial", "metric": "cost", **ARMS},
        {"name": "canary", "kind": "canary", "steps": [0.2, 0.6, 1.0], **ARMS},
        {"name": "dark", "kind": "shadow", "arms": ARMS["arms"], "unit": "customer_id"},
    ],
    "retention": {"keep_champions": 1, "refused_days": 0, "snapshots_days": 0, "predictions_days": 0, "runs_days": 0},
}


def clone(folder: Path) -> Path:
    """Copy what a user's clone needs to run, and declare the small product in it and no other."""
    copy_code(folder)
    declared = folder / "orchestration" / "defs" / PRODUCT
    declared.mkdir(parents=True)
    (declared.parent / "__init__.py").touch()
    write_customers(declared.parent.parent.parent)
    declare(folder)
    return folder


def copy_code(folder: Path, names: Sequence[str] = CLONED) -> None:
    """Copy what a user's clone needs to run, without any declaration."""
    for name in names:
        shutil.copytree(
            REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "logs", "target", "defs")
        )
    shutil.copy(REPOSITORY / "pyproject.toml", folder)


def declare(repository: Path, **model: object) -> None:
    """Declare the product; `model` takes the place of parts of its model, so that another is trained."""
    declared = {**DECLARED, "model": {**DECLARED["model"], **model}}  # type: ignore[dict-item]
    text = yaml.safe_dump({"type": "orchestration.components.ModelProduct", "attributes": declared}, sort_keys=False)
    (repository / "orchestration" / "defs" / PRODUCT / "defs.yaml").write_text(text, encoding="utf-8")


def write_customers(repository: Path, rows: int = ROWS) -> None:
    """Customers who leave by a known rule with noise; the first ones are the same however many there are."""
    random = np.random.default_rng(0)
    drawn = random.random((rows, 5))
    visits = np.floor(10 * drawn[:, 0])
    plan = np.array(["free", "basic", "pro"])[np.searchsorted([0.5, 0.8], drawn[:, 1])]
    strength = 1.5 * (plan == "free") + 0.4 * visits - 2.5
    frame = pd.DataFrame(
        {
            "customer_id": [f"C{number:05d}" for number in range(rows)],
            "signed_up_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows) * 700, unit="min"),
            "age": (18 + 70 * drawn[:, 2]).astype(int),
            "plan": plan,
            "visits": visits,
            "churned": np.where(drawn[:, 3] < 1 / (1 + np.exp(-strength)), "yes", "no"),
        }
    )
    frame.to_csv(repository / "orchestration" / "defs" / PRODUCT / "customers.csv", index=False)
