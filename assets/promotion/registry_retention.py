"""Registry retention: what MLflow holds of each registered version, and what stays of those that are pruned: a tag says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from assets.promotion.mlflow_client import BESIDE, connected
from assets.promotion.model_registry import PRUNED
from assets.promotion.registered_versions import CHALLENGER
from assets.storage import metadata
from assets.storage.home import Home
from assets.storage.metadata import Part

FIGURES = {
    "metrics": "run_uuid",
    "latest_metrics": "run_uuid",
    "params": "run_uuid",
    "tags": "run_uuid",
    "logged_model_metrics": "model_id",
    "logged_model_params": "model_id",
    "logged_model_tags": "model_id",
}
"""MLflow's tables of figures and settings, with the column that says of which run or model."""


@dataclass(frozen=True)
class Stored:
    """One registered version, its run and model in MLflow, and the folders of its artifacts that are there."""

    version: int
    run_id: str
    model_id: str
    model_digest: str
    snapshot_digest: str
    is_challenger: bool
    is_pruned: bool
    folders: tuple[Path, ...]


@BESIDE.done
def stored(home: Home, product: str) -> list[Stored]:
    """All registered versions of a product."""
    if not metadata.exists(home, Part.REGISTRY):
        return []
    place = home.registry / "artifacts" / product
    with connected(home) as client:
        found = client.search_model_versions(f"name = '{product}'")
        models = client.search_registered_models(f"name = '{product}'")
    asking = {str(held) for model in models for alias, held in model.aliases.items() if alias == CHALLENGER}
    return [
        Stored(
            int(item.version),
            item.run_id,
            model_id := str(item.source).removeprefix("models:/"),
            item.tags["model_digest"],
            item.tags["snapshot_digest"],
            str(item.version) in asking,
            PRUNED in item.tags,
            tuple(folder for folder in (place / item.run_id, place / "models" / model_id) if folder.exists()),
        )
        for item in found
    ]


@BESIDE.done
def retire(home: Home, product: str, versions: Iterable[Stored], day: str) -> None:
    """Remove figures and settings of versions whose artifacts go, before they go; version and run stay, with a tag."""
    with connected(home) as client:
        for item in versions:
            for table, column in FIGURES.items():
                named = item.run_id if column == "run_uuid" else item.model_id
                metadata.write(home, Part.REGISTRY, f"delete from {table} where {column} = ?", [[named]])
            client.set_model_version_tag(product, str(item.version), PRUNED, f"by `loopline prune` on {day}")
