"""Learning: who learns a product's model from labelled rows, by `estimators.fit` or by the declared way.

Training, cross-fitting and tuning learn here. The ways are asked by name, as `model.learning` declares one: the code of a way
is in the versions of what was learnt by it, and of no other product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import DataError
from assets.registries import registry
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training.estimators import fit
from assets.training.way_of_learning import Learner, Learnt, Sources, WayOfLearning

if TYPE_CHECKING:
    import pandas as pd

LEARNING = "learning"
"""What a model's signature says of the way by which it was learnt: ``way``, ``sources``, and what the way adds."""


def plainly(spec: ProductSpec, frame: pd.DataFrame, labels: Any, rows: pd.DataFrame) -> Learnt:  # noqa: ARG001 - a learner
    """Fit the declared estimator on these rows alone."""
    return Learnt(fit(spec, frame, labels))


def learner_of(home: Home, spec: ProductSpec, sources: Sources | None = None) -> Learner:
    """Who learns the product's model.

    Parameters
    ----------
    home, spec
        Of which product.
    sources : mapping of str to str, optional
        By product, the digest of the champion to learn from.

    Raises
    ------
    DataError
        If the champion of a product that is learnt from is not known.
    """
    way = declared_way(spec)
    if way is None:
        return plainly
    given = dict(sources or {})
    if lacking := sorted(set(way.products(spec)).difference(given)):
        raise DataError(
            f"{spec.name}: 'model.learning.{way.name}' learns from the champion of {', '.join(lacking)}, and nobody serves "
            f"there. Run `loopline run {lacking[0]}` first."
        )
    return way.learner(home, spec, given)


def signed(spec: ProductSpec, learnt: Learnt, sources: Sources | None) -> dict[str, Any]:
    """What the model's signature says of its way of learning; nothing where it was fitted plainly."""
    if spec.model.learning is None:
        return {}
    return {LEARNING: {"way": spec.model.learning.way, "sources": dict(sources or {}), **learnt.signature}}


def sources_in(signature: Mapping[str, Any]) -> dict[str, str]:
    """By product, the digest of the champion that a model was learnt from, as its signature says."""
    return dict(signature.get(LEARNING, {}).get("sources", {}))


def declared_way(spec: ProductSpec) -> WayOfLearning | None:
    """The way of learning that a product declares; None where its estimator is fitted plainly."""
    if spec.model.learning is None:
        return None
    way: WayOfLearning = registry("WAYS_OF_LEARNING")[spec.model.learning.way]
    return way


def learns_from(spec: ProductSpec) -> tuple[str, ...]:
    """The products whose champions a product's model is learnt from."""
    way = declared_way(spec)
    return () if way is None else way.products(spec)


def files_of(spec: ProductSpec) -> tuple[Path, ...]:
    """The files that a product's model is learnt from, as far as they are there."""
    way = declared_way(spec)
    return () if way is None else tuple(path for path in way.files(spec) if path.is_file())


def modules_of(spec: ProductSpec) -> list[str]:
    """The modules of the declared way, which are in the code versions of what is learnt."""
    way = declared_way(spec)
    return [] if way is None else [way.learner.__module__]


def judges_by_folds(spec: ProductSpec) -> bool:
    """Whether models of folds, by the declared way, may answer rows of the past."""
    way = declared_way(spec)
    return way is None or way.folds(spec)


def distributions_of(spec: ProductSpec) -> tuple[str, ...]:
    """The libraries of the declared way."""
    way = declared_way(spec)
    return () if way is None else way.distributions


def problems(home: Home, spec: ProductSpec, products: Mapping[str, ProductSpec]) -> Iterator[str]:
    """What must be mended before the declared way can learn."""
    if (way := declared_way(spec)) is not None:
        yield from way.problems(home, spec, products)
