"""Transfer learning: a model for rows of which there are few, from the champion of a product that has many.

What must agree between the two is checked before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from assets.spec import ProductSpec
from assets.spec.ways_of_learning import TransferSpec
from assets.storage.home import Home
from assets.training.transfer_problems import problems
from assets.training.way_of_learning import Learner, Learnt, Sources, WayOfLearning
from assets.training.weighted_source import source_rows, weighted_fit

if TYPE_CHECKING:
    import pandas as pd


def declared(spec: ProductSpec) -> TransferSpec:
    """What a product declares of its transfer."""
    assert spec.model.learning is not None  # noqa: S101 - for the type checker: only such products come here
    assert spec.model.learning.transfer is not None  # noqa: S101
    return spec.model.learning.transfer


def learner(home: Home, spec: ProductSpec, sources: Sources) -> Learner:
    """Who learns from the source and a product's own rows."""
    transfer = declared(spec)
    given = source_rows(home, spec, transfer.source, sources[transfer.source])

    def learn(chosen: ProductSpec, frame: pd.DataFrame, labels: Any, rows: pd.DataFrame) -> Learnt:
        fitted, figures = weighted_fit(chosen, given, frame, labels, rows)
        return Learnt(fitted, {"how": transfer.how, "source_rows": figures["source_rows"]}, figures)

    return learn


def _products(spec: ProductSpec) -> tuple[str, ...]:
    return (declared(spec).source,)


def _problems(home: Home, spec: ProductSpec, products: Mapping[str, ProductSpec]) -> Iterator[str]:
    return problems(home, spec, declared(spec), products)


TRANSFER = WayOfLearning(
    "transfer",
    "Learns from the champion of another product, for rows of which there are few.",
    learner,
    _problems,
    _products,
)
