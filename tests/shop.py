"""Products over a file of their own: small made-up rows with a known rule, and definitions of just these products."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import yaml

from assets.spec import ProductSpec
from assets.storage.home import Home
from orchestration import resources
from orchestration.assembly import assemble
from orchestration.components import ModelProduct
from orchestration.dagster_resources import HomeResource
from orchestration.operations.verification.verify import verify
from orchestration.staleness.run_loop import Outcome, run


def customers(rows: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Customers of a shop: who churns, in which tier, and how much they spend, each by a rule with noise."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "customer_id": [f"C{number:05d}" for number in range(rows)],
            "signed_up_at": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(np.sort(random.integers(0, 300 * 1440, rows)), unit="min"),
            "household": random.integers(0, rows // 3, rows),
            "age": random.integers(18, 90, rows),
            "plan": random.choice(["basic", "free", "pro"], rows, p=[0.3, 0.5, 0.2]),
            "visits": random.poisson(4, rows).astype(float),
        }
    )
    frame.loc[random.random(rows) < 0.1, "visits"] = np.nan
    strength = 1.5 * (frame["plan"] == "free") + 0.5 * frame["visits"].fillna(4) - 2.5
    frame["churned"] = np.where(random.random(rows) < 1 / (1 + np.exp(-strength)), "yes", "no")
    frame["tier"] = pd.cut(
        frame["age"] + random.normal(0, 6, rows), [0, 40, 62, 200], labels=["bronze", "gold", "silver"]
    ).astype(str)
    frame["spend"] = (3.0 * frame["visits"].fillna(4) + 20 * (frame["plan"] == "pro") + random.normal(0, 3, rows)).round(2)
    return frame


COLUMNS = {
    "customer_id": {"type": "text"},
    "signed_up_at": {"type": "timestamp"},
    "household": {"type": "integer"},
    "age": {"type": "integer", "min": 0, "max": 120},
    "plan": {"type": "text", "values": ["basic", "free", "pro"]},
    "visits": {"type": "number", "min": 0, "max": 50, "nullable": True},
    "churned": {"type": "text", "values": ["no", "yes"]},
    "tier": {"type": "text"},
    "spend": {"type": "number"},
}
KINDS: dict[str, dict[str, Any]] = {
    "churn": {
        "target": {"column": "churned", "kind": "binary", "positive": "yes", "meaning": "the customer leaves"},
        "cost": {"missed": 2.0, "false_alarm": 1.0},
        "gates": {"metrics": {"roc_auc": {"min": 0.55}}},
        "model": "Classifier",
    },
    "tier": {
        "target": {"column": "tier", "kind": "multiclass", "classes": ["bronze", "silver", "gold"], "meaning": "the tier"},
        "cost": {"wrong": 1.0, "pairs": {"gold": {"bronze": 3.0}}},
        "gates": {"metrics": {"accuracy": {"min": 0.4}}, "leakage": {"known": ["age"]}},
        "model": "Classifier",
    },
    "spend": {
        "target": {"column": "spend", "kind": "regression", "unit": "EUR", "meaning": "what the customer spends"},
        "cost": {"under": 3.0, "over": 1.0},
        "gates": {"metrics": {"r2": {"min": 0.2}}},
        "model": "Regressor",
    },
}
FOLLOWING = ("verdict", "champion", "report", "bento", "predictions", "wheel", "sql", "parity", "monitoring")
"""The assets that follow a decision."""
BY_TIME = {"by": "time", "train": 0.6, "validation": 0.2, "test": 0.2}
AT_RANDOM = {"by": "random", "train": 0.6, "validation": 0.2, "test": 0.2}


def product(name: str, /, **parts: Any) -> ProductSpec:
    """One of the three products over `customers.csv`, some of its parts replaced."""
    kind = KINDS[name]
    declared = {
        "name": name,
        "description": f"Predicts {name}.",
        "source": {"file": "customers.csv", "key": ["customer_id"], "columns": COLUMNS},
        "features": {
            "entity": "customer_id",
            "event_time": "signed_up_at",
            "groups": {"all": {"age": {}, "plan": {}, "visits": {"max_missing": 0.3}}},
        },
        "target": kind["target"],
        "split": BY_TIME,
        "model": {
            "estimator": f"sklearn.ensemble.HistGradientBoosting{kind['model']}",
            "seed": 3,
            "parameters": {"max_iter": 30, "max_leaf_nodes": 8},
        },
        "cost": kind["cost"],
        "baseline": {"by": {"plan": None}},
        "evaluation": {"bootstrap_replicates": 100, "slices": ["plan"]},
        "gates": kind["gates"],
    }
    return ProductSpec.model_validate({**declared, **parts})


def definitions(home: Home, folder: Path, *products: ProductSpec) -> dg.Definitions:
    """All assets of these products, whose files lie in a folder."""
    declared = dg.Definitions.merge(*(ModelProduct(spec, folder).build_defs(None) for spec in products))
    return assemble(declared, HomeResource(folder=str(home.root)))


def run_products(
    home: Home, folder: Path, *products: ProductSpec, only: str | None = None, until: str | None = None, agrees: bool = True
) -> Outcome:
    """Run what is stale of these products, or of what one asset of each rests on; afterwards every file is as it was published,
    and agrees with the ledger.
    """
    declared = definitions(home, folder, *products)
    keys = None
    if until is not None:
        selected = dg.AssetSelection.assets(*([spec.name, until] for spec in products)).upstream()
        keys = selected.resolve(declared.resolve_asset_graph())
    with resources.instance(home.prepare()) as instance:
        outcome = run(declared, instance, home, only, keys=keys)
    assert [problem for problem in verify(home).problems if agrees or problem.state != "disagrees"] == []
    return outcome


def drafted(path: Path) -> ProductSpec:
    """The product that a drafted file declares."""
    return ProductSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))["attributes"])
