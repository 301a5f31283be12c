"""A clone of the repository whose products are made up: as many, as long and as wide as asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from assets.storage.scratch_database import scratch_database
from assets.storage.sql import literal
from benchmarks.faults.small_product import CLONED, copy_code


def clone(folder: Path, rows: int, products: int = 1, features: int = 10, **parts: Any) -> Path:
    """Copy what a user's clone needs to run, and declare these products in it and no other.

    Parameters
    ----------
    folder : Path
        The clone.
    rows, features : int
        The size of each product's file of Parquet: numbers, and one category.
    products : int
        How many, named ``made0`` and so on.
    **parts : object
        Parts of the declaration that take the place of ours.

    Returns
    -------
    Path
        The clone.
    """
    # a measured loop imports nothing of the benchmarks
    copy_code(folder, [name for name in CLONED if name != "benchmarks"])
    for number in range(products):
        declare(folder, number, rows, features, **parts)
    return folder


def declare(repository: Path, number: int, rows: int, features: int, **parts: Any) -> None:
    """Declare one product in a clone, and write its file."""
    name = f"made{number}"
    place = repository / "orchestration" / "defs" / name
    place.mkdir(parents=True, exist_ok=True)
    (place.parent / "__init__.py").touch()
    write(place / "rows.parquet", rows, features, seed=number)
    text = yaml.safe_dump(
        {"type": "orchestration.components.ModelProduct", "attributes": {**declared(name, features), **parts}}, sort_keys=False
    )
    (place / "defs.yaml").write_text(text, encoding="utf-8")


def declared(name: str, features: int) -> dict[str, Any]:
    """The declaration of one product over ``rows.parquet``."""
    numbers = [f"f{place}" for place in range(features - 1)]
    columns = {
        "row_id": {"type": "integer"},
        "seen_at": {"type": "timestamp"},
        "kind": {"type": "text", "values": ["a", "b", "c", "d"]},
        **{number: {"type": "number", "min": 0, "max": 1} for number in numbers},
        "bought": {"type": "text", "values": ["no", "yes"]},
    }
    return {
        "name": name,
        "description": "Predicts a made-up purchase.",
        "source": {"file": "rows.parquet", "key": ["row_id"], "columns": columns},
        "features": {
            "entity": "row_id",
            "event_time": "seen_at",
            "groups": {"all": {"kind": {}, **{number: {} for number in numbers}}},
        },
        "target": {"column": "bought", "kind": "binary", "positive": "yes", "meaning": "the visitor buys"},
        "split": {"by": "time", "train": 0.6, "validation": 0.2, "test": 0.2},
        "model": {
            "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
            "seed": 3,
            "parameters": {"max_iter": 30, "max_leaf_nodes": 15},
        },
        "cost": {"missed": 2.0, "false_alarm": 1.0},
        "baseline": {"by": {"kind": None}},
        "evaluation": {"bootstrap_replicates": 100, "slices": ["kind"]},
        "gates": {"metrics": {"roc_auc": {"min": 0.55}}},
    }


def write(path: Path, rows: int, features: int, seed: int = 0) -> None:
    """Visitors who buy by a known rule with noise, as Parquet, in the order of their time."""

    def drawn(place: int) -> str:
        return f"(hash(i * 1000 + {place} + {seed} * 7919) % 1000000) / 1000000.0"

    numbers = ", ".join(f"{drawn(place)}::float as f{place}" for place in range(features - 1))
    strength = f"3 * {drawn(0)} + 2 * {drawn(1)} - 2.5 + case when hash(i) % 4 = 0 then 1 else 0 end"
    with scratch_database(path.parent) as connection:
        connection.execute(
            "copy (select i as row_id, timestamp '2024-01-01' + to_microseconds((i * 1e12 / "
            f"{rows} * 30)::bigint) as seen_at, ['a', 'b', 'c', 'd'][1 + (hash(i) % 4)::int] as kind, {numbers}, case when "
            f"{drawn(900)} < 1 / (1 + exp(-({strength}))) then 'yes' else 'no' end as bought from range({rows}) as made(i)) "
            f"to {literal(str(path))} (format parquet)"
        )
