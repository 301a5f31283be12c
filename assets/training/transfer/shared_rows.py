"""Shared rows: those of a source that are rows of the product that is learnt from it too, by their keys."""

from __future__ import annotations

from collections.abc import Iterator

from assets.errors import DataError
from assets.features import labelled_rows, snapshots
from assets.features.snapshots import Snapshot
from assets.spec import ProductSpec
from assets.storage.home import Home

HOW, FROM = "'model.learning.transfer.how'", "'model.learning.transfer.from'"


def require_other_rows(home: Home, spec: ProductSpec, source: str, snapshot: Snapshot) -> None:
    """Refuse rows of a source that may be the very rows that judge: where the split is at random, no moment tells them apart.

    Raises
    ------
    DataError
        With how many there are.
    """
    if spec.split.by != "random" or (shared := _shared(home, spec, snapshot, None)) == 0:
        return
    raise DataError(
        f"{spec.name}: {HOW} is weights and the split is at random, and {shared:,} rows of '{source}' have the "
        f"{spec.features.entity} of a row of this product: they may be the very rows that judge. Split by time, leave these "
        "rows out of one of the two, or choose refit."
    )


def known_validation_rows(home: Home, spec: ProductSpec, source: ProductSpec) -> Iterator[str]:
    """A source that is fitted on its validation rows too must not know those by which this product's choices are made."""
    if not (source.model.refit and _has_rows(home, source.name) and _has_rows(home, spec.name)):
        return
    if shared := _shared(home, spec, snapshots.current(home, source.name), "validate", source):
        yield (
            f"{FROM} is '{source.name}', which declares 'model.refit', so it learns its validation rows too: {shared:,} of the "
            "rows that it learns are validation rows here, which choose calibration and decision rule. Remove 'refit' there, "
            "or let it be learnt from other rows."
        )


def _has_rows(home: Home, product: str) -> bool:
    return (home.snapshots / product / "current.json").exists()


def _shared(home: Home, spec: ProductSpec, snapshot: Snapshot, part: str | None, source: ProductSpec | None = None) -> int:
    """How many rows of a source's snapshot, or of what it learns, have the key of a row of the product, or of its part."""
    entity = spec.features.entity
    if not _has_rows(home, spec.name):
        return 0
    theirs = snapshots.read(snapshot)
    if entity not in theirs:
        return 0
    own = snapshots.read(snapshots.current(home, spec.name))
    if part is not None:
        own = labelled_rows.labelled(spec, own)[part].rows
    if source is not None:
        parts = labelled_rows.labelled(source, theirs)
        theirs = labelled_rows.joined([parts["train"], parts["validate"]], "fitted").rows
    return int(theirs[entity].isin(own[entity]).sum())
