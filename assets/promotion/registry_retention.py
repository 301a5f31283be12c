"""Registry retention: which artifacts each registered version holds, and the tag of those whose artifacts were removed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from assets.promotion.mlflow_client import BESIDE, connected, database
from assets.promotion.model_registry import PRUNED
from assets.promotion.registered_versions import CHALLENGER
from assets.storage.home import Home


@dataclass(frozen=True)
class Stored:
    """One registered version, and the folders of its artifacts that are there."""

    version: int
    model_digest: str
    snapshot_digest: str
    is_challenger: bool
    is_pruned: bool
    folders: tuple[Path, ...]


@BESIDE.done
def stored(home: Home, product: str) -> list[Stored]:
    """All registered versions of a product."""
    if not database(home).exists():
        return []
    place = home.registry / "artifacts" / product
    with connected(home) as client:
        found = client.search_model_versions(f"name = '{product}'")
        models = client.search_registered_models(f"name = '{product}'")
    asking = {str(held) for model in models for alias, held in model.aliases.items() if alias == CHALLENGER}
    return [
        Stored(
            int(item.version),
            item.tags["model_digest"],
            item.tags["snapshot_digest"],
            str(item.version) in asking,
            PRUNED in item.tags,
            tuple(
                folder
                for folder in (place / item.run_id, place / "models" / str(item.source).removeprefix("models:/"))
                if folder.exists()
            ),
        )
        for item in found
    ]


@BESIDE.done
def mark(home: Home, product: str, versions: Collection[int], day: str) -> None:
    """Tag versions whose artifacts go, before they go; the versions stay."""
    with connected(home) as client:
        for version in versions:
            client.set_model_version_tag(product, str(version), PRUNED, f"by `loopline prune` on {day}")
