"""Erased models: which models learnt from a person's rows, and which carry one to explain answers against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.errors import LooplineError
from assets.features.labelled_rows import PARTS, parts_of
from assets.promotion import ledger, registered_versions
from assets.promotion.ledger_state import Standing
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.storage.row_eraser import Person
from orchestration.operations.catalog import learnt_models

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Learnt:
    """The person's rows in snapshots.

    Parameters
    ----------
    features : list of dict
        The features of each row, a missing value as None.
    parts : dict of str to set of str
        The parts of the split that they are in, by snapshot.
    """

    features: list[dict[str, Any]]
    parts: dict[str, set[str]]


def learnt(home: Home, spec: ProductSpec, person: Person) -> Learnt:
    """Look for the person's rows in all snapshots of a product."""
    import pyarrow.parquet as pq

    features: list[dict[str, Any]] = []
    parts: dict[str, set[str]] = {}
    for path in sorted((home.snapshots / spec.name).glob("*.parquet")):
        frame = pq.read_table(path).to_pandas()
        if spec.features.entity not in frame:
            continue
        mask = frame[spec.features.entity].map(person.is_named).to_numpy(dtype=bool)
        if mask.any():
            features += [row for row in _features(spec, frame[mask]) if row not in features]
            parts[path.stem] = _parts(spec, frame, mask)
    return Learnt(features, parts)


def models(home: Home, spec: ProductSpec, found: Learnt) -> list[dict[str, Any]]:
    """What each model has to do with the rows, and what the model is for now.

    Returns
    -------
    list of dict
        ``product``, ``model_digest``, ``version``, ``role`` (champion, served before, challenger or neither),
        ``learnt_from_rows`` (the parts of the split; of another product's model that was learnt from one of these: ``source``),
        and ``carries_row``: whether one of the rows is among those that it explains answers against.
    """
    product, told = _Product.of(home, spec.name), []
    for path in sorted((home.models / spec.name).glob("*/model.json")):
        signature = read_json(path)
        used = found.parts.get(signature["snapshot_digest"], set()) & {"train", "validate"}
        if used:
            carries = any(_is_like(row, own) for row in signature["background"] for own in found.features)
            told.append(product.told(path.parent.name, sorted(used), carries_row=carries))
    return told + _followers(home, told)


@dataclass(frozen=True)
class _Product:
    """The models of a product: their versions, and what each is for now."""

    name: str
    standing: Standing
    challenger: str | None
    numbers: dict[str, int]

    @classmethod
    def of(cls, home: Home, name: str) -> _Product:
        challenger = registered_versions.holder(home, name, registered_versions.CHALLENGER)
        numbers = {item.model_digest: item.version for item in registered_versions.versions(home, name).values()}
        return cls(name, ledger.standing(home, name), None if challenger is None else challenger.model_digest, numbers)

    def told(self, digest: str, learnt_from: list[str], *, carries_row: bool) -> dict[str, Any]:
        """What a model has to do with the rows."""
        return {
            "product": self.name,
            "model_digest": digest,
            "version": self.numbers.get(digest),
            "role": self._role(digest),
            "learnt_from_rows": learnt_from,
            "carries_row": carries_row,
        }

    def _role(self, digest: str) -> str:
        if digest == self.standing.champion_digest:
            return "champion"
        if digest in {entry.model_digest for entry in self.standing.served}:
            return "served before"
        return "challenger" if digest == self.challenger else "neither"


def _followers(home: Home, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The models of other products that were learnt from these, however far."""
    products: dict[str, _Product] = {}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    waiting = [(item["product"], item["model_digest"]) for item in told]
    while waiting:
        for version in learnt_models.children(home, *waiting.pop()):
            name, digest = version.product, version.model_digest
            if (name, digest) not in found:
                waiting.append((name, digest))
                product = products.get(name) or products.setdefault(name, _Product.of(home, name))
                found[name, digest] = product.told(digest, ["source"], carries_row=False)
    return list(found.values())


def _parts(spec: ProductSpec, frame: pd.DataFrame, mask: Any) -> set[str]:
    try:
        return {name for name, (inside, _) in parts_of(spec, frame).items() if (inside & mask).any()}
    except (LooplineError, KeyError):  # a snapshot of another declaration: any part may hold them
        return set(PARTS)


def _features(spec: ProductSpec, frame: pd.DataFrame) -> list[dict[str, Any]]:
    names = [name for name in spec.columns if name in frame]
    rows = frame[names].astype(object).where(frame[names].notna(), None).to_dict("records")
    return [
        {str(name): value if value is None or isinstance(value, str) else float(value) for name, value in row.items()}
        for row in rows
    ]


def _is_like(row: dict[str, Any], own: dict[str, Any]) -> bool:
    return all(row.get(name) == value for name, value in own.items())
