"""Transfer learning: a model for rows of which there are few, from a model of rows of which there are many.

What must agree between the two is checked before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.spec import ProductSpec
from assets.spec.ways_of_learning import TransferSpec
from assets.storage.home import Home
from assets.training.transfer.files import place
from assets.training.transfer.problems import problems
from assets.training.way_of_learning import Learner, Learnt, Sources, WayOfLearning

if TYPE_CHECKING:
    import pandas as pd

    from assets.training.transfer.source import Source


def declared(spec: ProductSpec) -> TransferSpec:
    """What a product declares of its transfer."""
    assert spec.model.learning is not None  # noqa: S101 - for the type checker: only such products come here
    assert spec.model.learning.transfer is not None  # noqa: S101
    return spec.model.learning.transfer


def source_of(home: Home, spec: ProductSpec, sources: Sources) -> Source:
    """The model that a product's is learnt from."""
    from assets.training.transfer import source as transfer_source

    given = declared(spec).source
    if isinstance(given, str):
        return transfer_source.of_product(home, spec, given, sources[given])
    return transfer_source.of_file(spec, given)


def learner(home: Home, spec: ProductSpec, sources: Sources) -> Learner:
    """Who learns from the source and a product's own rows."""
    from assets.training.transfer.source import require_same_answers
    from assets.training.transfer.source_learners import LEARNERS
    from assets.training.transfer.weighted_source import source_rows, weighted_fit

    how, product = declared(spec).how, declared(spec).product
    if how == "weights" and product is not None:
        given = source_rows(home, spec, product, sources[product])

        def weighted(chosen: ProductSpec, frame: pd.DataFrame, labels: Any, rows: pd.DataFrame) -> Learnt:
            fitted, figures = weighted_fit(chosen, given, frame, labels, rows)
            return Learnt(fitted, {"how": how, "source_rows": figures["source_rows"]}, figures)

        return weighted
    source = source_of(home, spec, sources)

    def learn(chosen: ProductSpec, frame: pd.DataFrame, labels: Any, rows: pd.DataFrame) -> Learnt:
        require_same_answers(chosen, source, frame)
        fitted, figures = LEARNERS[how](chosen, source, frame, labels, rows)
        file = {} if product else {"file": source.digest}
        return Learnt(fitted, {"how": how, **file, **figures}, figures)

    return learn


def _products(spec: ProductSpec) -> tuple[str, ...]:
    product = declared(spec).product
    return () if product is None else (product,)


def _files(spec: ProductSpec) -> tuple[Path, ...]:
    given = declared(spec).source
    return () if isinstance(given, str) else (place(given),)


def _problems(home: Home, spec: ProductSpec, products: Mapping[str, ProductSpec]) -> Iterator[str]:
    return problems(home, spec, declared(spec), products)


def _folds(spec: ProductSpec) -> bool:
    """In order of time a fold is earlier than what the source has learnt; only single rows of it can be left out."""
    return spec.split.by == "random" or declared(spec).how == "weights"


TRANSFER = WayOfLearning(
    "transfer",
    "Learns from the champion of another product, or from a model file, for rows of which there are few.",
    learner,
    _problems,
    _products,
    _files,
    ("lightgbm",),
    _folds,
)
