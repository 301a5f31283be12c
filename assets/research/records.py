"""Records of variants: what a notebook would change the declaration to, by which evidence; `loopline adopt` reads them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import AdoptionError
from assets.research.changes import Changes
from assets.spec import ProductSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json

if TYPE_CHECKING:
    from assets.research.variant import Variant

LAST = "recorded.json"
"""Names the variant that was recorded last."""


@dataclass(frozen=True)
class Recorded:
    """A variant as a notebook recorded it.

    Parameters
    ----------
    product : str
        Of which product.
    changes : dict
        What it declares otherwise (`Changes`).
    declared, changed : str
        The digests of the declaration that it was a variant of, and of its own.
    current_snapshot, snapshot, model : str
        The digests of the snapshot that was current, of the one that it learns from, and of its model.
    as_of : str or None
        The moment of the past at which it was tried; None for now.
    evaluation : str or None
        The digest of the evaluation on the test rows; None where there is none.
    rests_on : str or None
        The rows that its figures rest on; None where it was never evaluated.
    rows : int
        How many those are.
    metrics : dict
        Of each metric ``value``, ``low`` and ``high``.
    told : tuple of str
        Comparisons that were made, and how often the test rows were looked at.
    because, actor, at : str
        Why, by whom, and when (UTC, ISO 8601).
    """

    product: str
    changes: dict[str, Any]
    declared: str
    changed: str
    current_snapshot: str
    snapshot: str
    model: str
    as_of: str | None
    evaluation: str | None
    rests_on: str | None
    rows: int
    metrics: dict[str, dict[str, float]]
    told: tuple[str, ...]
    because: str
    actor: str
    at: str

    @property
    def asked(self) -> Changes:
        """What it declares otherwise."""
        return Changes(**self.changes)

    @property
    def name(self) -> str:
        """By which it is found: its model, and its declaration, as two declarations may give the same model."""
        return f"{self.model[:12]}-{self.changed[:8]}"


def declaration_digest(spec: ProductSpec) -> str:
    """The digest of a declaration, whatever its file looks like."""
    return value_digest(spec.model_dump(mode="json"))


def record(variant: Variant, because: str) -> Path:
    """Write a variant beside what else the home holds, and make it the one that was recorded last."""
    bench, found = variant.bench, variant.evaluated
    made = Recorded(
        product=variant.spec.name,
        changes=variant.changes.as_json(),
        declared=declaration_digest(bench.spec),
        changed=declaration_digest(variant.spec),
        current_snapshot=bench.snapshot.digest,
        snapshot=variant.snapshot.digest,
        model=variant.digest,
        as_of=None if bench.as_of is None else bench.as_of.isoformat(),
        evaluation=None if found is None else found.digest,
        rests_on=None if found is None else found.rests_on,
        rows=0 if found is None else found.rows,
        metrics={} if found is None else {name: dict(item) for name, item in found.metrics.items()},
        told=(*(str(item) for item in variant.compared), f"{variant.reuse.told}."),
        because=because,
        actor=bench.actor,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    folder = bench.home.research / made.product
    path = write_json(folder / "variants" / f"{made.name}.json", asdict(made))
    write_json(folder / LAST, {"variant": made.name})
    return path


def recorded(home: Home, product: str, name: str | None = None) -> Recorded:
    """A recorded variant by the beginning of its name, or the one that was recorded last.

    Raises
    ------
    AdoptionError
        If there is none, or more than one.
    """
    folder = home.research / product
    if name is None and (folder / LAST).exists():
        name = str(read_json(folder / LAST)["variant"])
    files = sorted((folder / "variants").glob("*.json"))
    found = [path for path in files if name is not None and path.stem.startswith(name)]
    if len(found) != 1:
        known = ", ".join(path.stem for path in files) or "none"
        which = "no variant was recorded" if name is None else f"{len(found)} recorded variants are called '{name}…'"
        raise AdoptionError(
            f"{product}: {which}. There are: {known}. A notebook records one by `variant.evaluate()` and `variant.record()`."
        )
    read = read_json(found[0])
    return Recorded(**{**read, "told": tuple(read["told"])})
