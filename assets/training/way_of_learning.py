"""Way of learning: from labelled rows to a fitted pipeline otherwise than by `estimators.fit`; `ways_of_learning` lists them.

What is learnt leaves as every pipeline does: as ONNX with calibration and decision rule, and through the same examinations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.spec import ProductSpec
from assets.storage.home import Home

if TYPE_CHECKING:
    import pandas as pd

Sources = Mapping[str, str]
"""By product, the digest of its champion that is learnt from."""


@dataclass(frozen=True)
class Learnt:
    """What was learnt from some rows.

    Parameters
    ----------
    fitted : sklearn.pipeline.Pipeline
        With the steps ``columns`` and ``estimator``; `onnx_export` writes it.
    signature : dict
        What the model's signature says of how it was learnt, as JSON. It is in the model's digest, so the same rows must give
        the same.
    figures : dict
        What the run shows of the learning; it is in no digest.
    vocabularies : dict of list of str, optional
        The known values of each category, where it is not told which the rows have.
    background : list of dict, optional
        What is usual, as a client would send it, where no row may be shown.
    files : dict of dict
        More files of the model's folder, as JSON, by name; the signature names their digests.
    """

    fitted: Any
    signature: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    vocabularies: dict[str, list[str]] | None = None
    background: list[dict[str, Any]] | None = None
    files: dict[str, dict[str, Any]] = field(default_factory=dict)


Learner = Callable[[ProductSpec, "pd.DataFrame", Any, "pd.DataFrame"], Learnt]
"""Learns once: for the model, and for each fold of a cross-fitting or a search.

Its arguments are the declaration with one estimator; the features from `estimators.model_frame`, of shape (n_samples,
n_features); the labels, of shape (n_samples,); and the same rows as the snapshot holds them, with all columns."""


def no_products(_: ProductSpec) -> tuple[str, ...]:
    """No other product is learnt from."""
    return ()


def no_files(_: ProductSpec) -> tuple[Path, ...]:
    """No file is learnt from."""
    return ()


def always(_: ProductSpec) -> bool:
    """Models of folds may judge."""
    return True


@dataclass(frozen=True)
class WayOfLearning:
    """One way of learning.

    Parameters
    ----------
    name : str
        The field of ``model.learning`` that declares it.
    description : str
        What it does.
    learner : callable
        Gives the learner for a product, with the digests of the champions that it learns from. What it reads from elsewhere
        it reads here, once. The code version of what is learnt covers its module.
    problems : callable
        What must be mended before anything is trained, by the home, the declaration, and all declarations by product.
    products : callable
        The products whose champions it learns from; the model is made anew when one of them changes.
    files : callable
        The files that it learns from; likewise.
    distributions : tuple of str
        The libraries that it rests on, beside those of every training.
    folds : callable
        Whether models of folds may judge: they answer rows of the past, which what is learnt from must not have learnt, nor
        what came after them.
    """

    name: str
    description: str
    learner: Callable[[Home, ProductSpec, Sources], Learner]
    problems: Callable[[Home, ProductSpec, Mapping[str, ProductSpec]], Iterator[str]]
    products: Callable[[ProductSpec], tuple[str, ...]] = no_products
    files: Callable[[ProductSpec], tuple[Path, ...]] = no_files
    distributions: tuple[str, ...] = ()
    folds: Callable[[ProductSpec], bool] = always
