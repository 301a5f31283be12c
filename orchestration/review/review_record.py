"""What a review finds: which assets go stale, and for each product what differs between two revisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from assets.promotion.verdicts import Verdict
from assets.review.feature_changes import FeatureChanges
from assets.review.model_comparison import ModelComparison
from assets.review.replay_comparison import ReplayComparison
from orchestration.review.revision_home import RevisionHome
from orchestration.review.revisions import Revision


@dataclass(frozen=True)
class Stale:
    """An asset that HEAD makes anew.

    Parameters
    ----------
    asset, reason : str
        Its key, and why.
    is_waiting : bool
        Whether it is made only if what it rests on turns out to have other data.
    before, after : float or None
        The seconds that it took last, and those that it took under HEAD; None where that is not known.
    """

    asset: str
    reason: str
    is_waiting: bool
    before: float | None
    after: float | None = None


@dataclass
class ProductReview:
    """What became of a product.

    Parameters
    ----------
    name : str
        The product.
    only_in : str
        ``BASE`` or ``HEAD`` where the other does not declare it; else empty.
    failure : str
        Why one of the revisions could not make it; else empty.
    features : FeatureChanges or str, optional
        How the snapshots differ, or why that is not known.
    is_same_model : bool
        Whether both revisions train the very same bytes.
    models : ModelComparison or str, optional
        The models on the same rows, or why they cannot be compared.
    replayed : ReplayComparison or str, optional
        The same months played under both, or why they are not.
    verdict : Verdict, optional
        What HEAD's gate says of HEAD's model, where it was asked.
    footprints : tuple of dict
        How fast and how large the models of BASE and HEAD are.
    """

    name: str
    only_in: str = ""
    failure: str = ""
    features: FeatureChanges | str | None = None
    is_same_model: bool = False
    models: ModelComparison | str | None = None
    replayed: ReplayComparison | str | None = None
    verdict: Verdict | None = None
    footprints: tuple[dict[str, Any], ...] = ()


@dataclass
class Review:
    """What a change comes to.

    Parameters
    ----------
    base, head : Revision
        What is compared.
    files : list of str
        The files that differ.
    uncommitted : list of str
        The files that no commit holds, and so no review.
    stale : list of Stale
        What HEAD makes anew, in order.
    stale_before : int
        Assets of BASE that are stale beside: they are downstream of what a review makes.
    failure : str
        Why a revision could not be looked at at all; else empty.
    products : list of ProductReview
        The products that are touched.
    left_out : list of str
        Products that this home never made.
    homes : list of RevisionHome
        For what the processes cost.
    """

    base: Revision
    head: Revision
    files: list[str]
    uncommitted: list[str]
    stale: list[Stale] = field(default_factory=list)
    stale_before: int = 0
    failure: str = ""
    products: list[ProductReview] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    homes: list[RevisionHome] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """Whether a revision, or a product of it, could not be made."""
        return bool(self.failure) or any(item.failure for item in self.products)
