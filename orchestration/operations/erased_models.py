"""Erased models: which models learnt from a person's rows, and which carry one to explain answers against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.errors import LooplineError
from assets.features.snapshots import PARTS, parts_of
from assets.promotion import ledger, registered_versions
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.storage.row_eraser import Person

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
        ``model_digest``, ``version``, ``role`` (champion, served before, challenger or neither), ``learnt_from_rows``, and
        ``carries_row``: whether one of the rows is among those that it explains answers against.
    """
    standing = ledger.standing(home, spec.name)
    numbers = {item.model_digest: item.version for item in registered_versions.versions(home, spec.name).values()}
    challenger = registered_versions.holder(home, spec.name, registered_versions.CHALLENGER)
    served = {entry.model_digest for entry in standing.served}
    told = []
    for path in sorted((home.models / spec.name).glob("*/model.json")):
        signature, digest = read_json(path), path.parent.name
        used = found.parts.get(signature["snapshot_digest"], set()) & {"train", "validate"}
        if not used:
            continue
        is_challenger = challenger is not None and challenger.model_digest == digest
        role = "challenger" if is_challenger else "neither"
        role = "served before" if digest in served else role
        role = "champion" if digest == standing.champion_digest else role
        carries = any(_is_like(row, own) for row in signature["background"] for own in found.features)
        told.append(
            {
                "model_digest": digest,
                "version": numbers.get(digest),
                "role": role,
                "learnt_from_rows": sorted(used),
                "carries_row": carries,
            }
        )
    return told


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
