"""The scores of a product by three models of maturity, each point with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assets.errors import SpecificationError
from orchestration.operations.maturity.criterion import Criterion
from orchestration.operations.maturity.levels import GOOGLE, MICROSOFT
from orchestration.operations.maturity.ml_test_score import ML_TEST_SCORE, SECTIONS
from orchestration.operations.maturity.repository_probes import document
from orchestration.operations.maturity.scene import Evidence, Scene

SCHEMA = 1
"""The version of `loopline maturity --json`; a field is added under the same version, never renamed or removed."""
SHOWN = 3
"""How many pieces of evidence are kept of a criterion, beside their number."""
BANDS = (
    (0.0, "more of a research project than a productionized system"),
    (1.0, "not totally untested, but serious holes in reliability are likely"),
    (2.0, "a first pass at basic productionization"),
    (3.0, "reasonably tested"),
    (5.0, "strong levels of automated testing and monitoring"),
    (7.0, "exceptional levels of automated testing and monitoring"),
)
"""What a score up to so much means, in the words of the paper."""


@dataclass(frozen=True)
class Judged:
    """A criterion and what shows it.

    Parameters
    ----------
    key, group, title : str
        See `Criterion`.
    points : float
        0, 0.5 or 1; of the levels 0 or 1.
    count : int
        How many pieces of evidence there are.
    evidence : list of Evidence
        The last of them.
    earn : str
        What earns what is missing; empty if nothing is.
    """

    key: str
    group: str
    title: str
    points: float
    count: int
    evidence: list[Evidence]
    earn: str


@dataclass(frozen=True)
class Maturity:
    """What a product's home and repository show.

    Parameters
    ----------
    product : str
        The product.
    champion : dict or None
        Version, digest and since when it serves.
    ml_test_score : float
        The least sum of points of the four sections.
    meaning : str
        What the score means.
    sections : dict of str to float
        The sums of points.
    microsoft, google : int
        The levels that are reached: everything up to them is shown.
    criteria : dict of str to list of Judged
        By model: ``ml_test_score``, ``microsoft``, ``google``.
    """

    product: str
    champion: dict[str, Any] | None
    ml_test_score: float
    meaning: str
    sections: dict[str, float]
    microsoft: int
    google: int
    criteria: dict[str, list[Judged]]

    def as_json(self) -> dict[str, Any]:
        """The documented form: see docs/maturity.md."""
        return {"schema": SCHEMA, **asdict(self)}


def score(scene: Scene) -> Maturity:
    """Look for evidence of every criterion; nothing is run and nothing is written.

    Raises
    ------
    SpecificationError
        If `governance.reviews` names a test that does not exist.
    """
    tests = [item.key for item in ML_TEST_SCORE]
    if unknown := sorted(set(scene.spec.governance.reviews) - set(tests)):
        raise SpecificationError(
            f"{scene.product}: 'governance.reviews' names {unknown}, which are no tests of the ML Test Score. "
            f"Tests: {', '.join(tests)}."
        )
    found = [_tested(scene, item) for item in ML_TEST_SCORE]
    sections = {name: sum(item.points for item in found if item.group == name) for name in SECTIONS}
    microsoft, google = ([_shown(scene, item) for item in model] for model in (MICROSOFT, GOOGLE))
    least = min(sections.values())
    return Maturity(
        scene.product,
        _champion(scene),
        least,
        meaning(least),
        sections,
        level(microsoft),
        level(google),
        {"ml_test_score": found, "microsoft": microsoft, "google": google},
    )


def meaning(least: float) -> str:
    """What a score means.

    Examples
    --------
    >>> meaning(0.0), meaning(2.5)
    ('more of a research project than a productionized system', 'reasonably tested')
    """
    return next(told for highest, told in BANDS if least <= highest)


def level(criteria: Sequence[Judged]) -> int:
    """The level that is reached: the highest of which, and of all below, everything is shown."""
    reached = 0
    for group in sorted({item.group for item in criteria}):
        if not all(item.points for item in criteria if item.group == group):
            break
        reached = int(group)
    return reached


def _tested(scene: Scene, criterion: Criterion) -> Judged:
    """A test of the ML Test Score: two pieces of evidence earn a point, one of them or a document half."""
    found = _distinct(criterion.find(scene))
    documents = document(scene, criterion.key)
    points = min(len(found), 2) / 2
    if not found and documents:
        found, points = documents, 0.5
    return _judged(scene, criterion, found, points, "" if points == 1 else criterion.earn)


def _shown(scene: Scene, criterion: Criterion) -> Judged:
    found = _distinct(criterion.find(scene))
    return _judged(scene, criterion, found, float(bool(found)), "" if found else criterion.earn)


def _judged(scene: Scene, criterion: Criterion, found: Sequence[Evidence], points: float, earn: str) -> Judged:
    told = earn.replace("PRODUCT", scene.product)
    return Judged(criterion.key, criterion.group, criterion.title, points, len(found), list(found[-SHOWN:]), told)


def _distinct(found: Sequence[Evidence]) -> list[Evidence]:
    """Each place once."""
    return list({(item.place, item.digest): item for item in found}.values())


def _champion(scene: Scene) -> dict[str, Any] | None:
    serving = [entry for entry in scene.entries if entry.event in ("promotion", "rollback")]
    invalid = {entry.model_digest for entry in scene.entries if entry.event == "invalidation"}
    if not serving or serving[-1].model_digest in invalid:
        return None
    champion = serving[-1]
    return {"version": champion.version, "model_digest": champion.model_digest, "since": champion.recorded_at}
