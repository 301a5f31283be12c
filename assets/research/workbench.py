"""The workbench of a notebook: a product's declaration, snapshot, split and champion, and variants of the declaration.

All is made by the functions of production: what a variant gives here, a production run of the same declaration gives, digest
for digest. Nothing here changes what is current, what serves, or what the ledger holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from assets.errors import SpecificationError
from assets.evaluation import evidence, holdout_looks
from assets.evaluation.holdout_looks import Reuse
from assets.features import snapshots
from assets.features.labelled_rows import LabelledRows
from assets.features.snapshots import Snapshot
from assets.promotion import ledger
from assets.research import comparisons, tried_rows
from assets.research.answers import Comparison
from assets.research.changes import Changes
from assets.research.variant import Bench, Variant
from assets.spec import ProductSpec
from assets.storage.home import Home
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Champion:
    """The version that serves.

    Parameters
    ----------
    version : int
        Its number.
    digest : str
        Its model's.
    model : Model
        As it is served.
    snapshot_digest : str
        The snapshot on whose test rows it was judged last.
    evaluation : mapping or None
        What was found out about it there; None where that was removed.
    """

    version: int
    digest: str
    model: Model
    snapshot_digest: str
    evaluation: Mapping[str, Any] | None


class Workbench:
    """What a notebook has of a product; `loopline.load` makes one.

    Parameters
    ----------
    home, spec : Home, ProductSpec
        The product, and where a run made its snapshot.
    actor : str
        Who looks.
    as_of : str, date or datetime, optional
        Only what was known then; text is read as ISO 8601, and a day begins at midnight of the product's time zone.
    budget : int
        How many models may be shown all their figures on the same test rows.

    Raises
    ------
    DigestError
        If no snapshot was published, or its bytes changed.
    SpecificationError
        If the product's past cannot be told.
    """

    def __init__(
        self,
        home: Home,
        spec: ProductSpec,
        *,
        actor: str,
        as_of: str | date | None = None,
        budget: int = holdout_looks.BUDGET,
    ) -> None:
        self.home, self.actor, self.budget = home, actor, budget
        self.snapshot: Snapshot = snapshots.current(home, spec.name)
        self.spec, self.as_of = spec, None
        if as_of is not None:
            self.as_of = tried_rows.moment_of(spec, as_of)
            self.snapshot = tried_rows.as_of(home, spec, self.snapshot, self.as_of)
            self.spec = tried_rows.split_in_the_past(spec)

    @property
    def features(self) -> pd.DataFrame:
        """The snapshot's rows: identity, moments, features and label, as they were known when each was to be predicted."""
        return self._bench.features

    @property
    def split(self) -> dict[str, LabelledRows]:
        """The labelled rows of ``train``, ``validate`` and ``test``, as production cuts them."""
        return self._bench.parts

    @property
    def reuse(self) -> Reuse:
        """How often the test rows were looked at, and what that costs."""
        digest = self.split["test"].digest(self.spec)
        return holdout_looks.reuse(self.home, self.spec.name, digest, self.spec.evaluation.confidence, self.budget)

    @cached_property
    def champion(self) -> Champion | None:
        """Who serves; None where nobody does, and in the past, as today's champion has learnt what was not known then."""
        entry = ledger.standing(self.home, self.spec.name).champion
        if entry is None or self.as_of is not None:
            return None
        model = Model.load(self.home.models / self.spec.name / entry.model_digest, entry.model_digest)
        found = evidence.found(self.home, self.spec.name, entry.model_digest, entry.snapshot_digest).get("evaluation")
        return Champion(entry.version, entry.model_digest, model, entry.snapshot_digest, found.record if found else None)

    def variant(
        self,
        *,
        features: Sequence[str] | None = None,
        estimator: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Variant:
        """A variant of the declaration; without arguments the declaration itself. It is trained when something needs its model.

        Parameters
        ----------
        features : sequence of str, optional
            The features that are kept.
        estimator : str, optional
            Another estimator's import path; of the parameters only those are given to it that are named here.
        parameters : mapping, optional
            The parameters that are another; None for one that is left out.

        Raises
        ------
        SpecificationError
            If it could not be declared.
        """
        if isinstance(features, str):
            raise SpecificationError(f"{self.spec.name}: 'features' must be a list of names. Write [{features!r}].")
        changes = Changes(features, estimator, parameters)
        return Variant(self._bench, changes, changes.applied(self.spec))

    def fit(self, **changes: Any) -> Variant:
        """A variant, trained at once; see `variant`."""
        return self.variant(**changes).fit()

    def compare(self, first: Variant, second: Variant | None = None, *, beyond_budget: bool = False) -> Comparison:
        """Compare two variants, or one with who serves, on the same rows and by the same draws as the gate.

        Parameters
        ----------
        first, second : Variant
            Which; left out, the second is the champion.
        beyond_budget : bool
            Whether to look at the test rows although no look is left.

        Raises
        ------
        DataError
            If the two cannot be compared.
        """
        champion = self.champion
        other = champion.model if second is None and champion is not None else second
        if other is None:
            when = " in the past" if self.as_of else ""
            raise SpecificationError(
                f"{self.spec.name}: nobody serves{when}, so there is no champion to compare with. Name a second variant."
            )
        return comparisons.compared(self._bench, first, other, beyond_budget=beyond_budget)

    @cached_property
    def _bench(self) -> Bench:
        return Bench(self.home, self.spec, self.snapshot, self.actor, self.budget, self.as_of)

    def __repr__(self) -> str:
        past = "" if self.as_of is None else f" as of {self.as_of:%Y-%m-%d %H:%M} UTC"
        return f"{self.spec.name}{past}: {self.snapshot.rows:,} rows, snapshot {self.snapshot.digest[:12]}. {self.reuse.told}."
