"""Reviewer: both revisions of each product made in homes of their own, and what differs between them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import LooplineError, ReviewError
from assets.evaluation import evidence
from assets.evaluation.evidence import Case
from assets.features import snapshots
from assets.promotion import verdicts
from assets.review import model_comparison, replay_comparison
from assets.review.feature_changes import feature_changes
from assets.review.model_comparison import ModelComparison
from assets.review.replay_comparison import ReplayComparison
from assets.spec import ProductSpec
from assets.storage import manifest, manifest_lines
from assets.storage.home import Home
from assets.storage.home_copy import copied
from assets.storage.locks import exclusive
from assets.training import current_model
from orchestration import declarations
from orchestration.operations.storage.quiet_home import quiet
from orchestration.review.raw_links import link_raw_files
from orchestration.review.review_record import ProductReview, Review, Stale
from orchestration.review.revision_home import VERDICT, Command, RevisionHome, command
from orchestration.review.revisions import Repository, Revision, effective


@dataclass(frozen=True)
class Asked:
    """What a person asked for.

    Parameters
    ----------
    product : str or None
        The only product to look at.
    months : tuple of str or None
        The months that are played and on whose rows models are compared; the last two of the history where left out.
    step : str
        How often is looked in a replay.
    replay : bool
        Whether months are played again at all.
    """

    product: str | None = None
    months: tuple[str, str] | None = None
    step: str = "month"
    replay: bool = True


class Reviewer:
    """Plays two revisions against each other.

    Parameters
    ----------
    repository : Repository
        Where the revisions are.
    home : Home
        The home from which both begin; it stays as it is. Whoever calls makes sure that no run goes on in it.
    scratch : Path
        An empty folder for trees and homes.
    asked : Asked
        What is looked at.
    run : callable, optional
        How a command of a revision is run.
    told : callable, optional
        Hears what is being done.
    """

    def __init__(
        self,
        repository: Repository,
        home: Home,
        scratch: Path,
        asked: Asked,
        *,
        run: Command = command,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.repository, self.home, self.scratch, self.asked, self.run, self.told = repository, home, scratch, asked, run, told

    def review(self, base: Revision, head: Revision) -> Review:
        """Compare two revisions; what fails in one of them is part of what is found."""
        found = Review(base, head, self.repository.changed(base, head), self.repository.uncommitted())
        if not effective(found.files):
            return found
        self.told(f"checking out {base.commit[:10]} and {head.commit[:10]}")
        trees = [
            self.repository.check_out(revision, self.scratch / name) for name, revision in (("base", base), ("head", head))
        ]
        for tree in trees:
            link_raw_files(self.repository.folder, tree)
        try:
            self._compare(found, trees[0], trees[1])
        except LooplineError as error:
            found.failure = str(error)
        return found

    def _compare(self, found: Review, base_tree: Path, head_tree: Path) -> None:
        names = [_names(name, tree) for name, tree in (("BASE", base_tree), ("HEAD", head_tree))]
        wanted = self._wanted(found, *names)
        self._copy(self.scratch / "home")
        after = self._home("HEAD", head_tree, Home(self.scratch / "home"))
        planned = after.plan()  # first, as it is HEAD that may not load
        before = self._home("BASE", base_tree, Home(self.scratch / "home"))
        found.homes = [before, after]
        left = before.plan()
        for product in (name for name in wanted if name in names[0] and _of(left, name)):
            self.told(f"BASE: {product}")
            before.make(product, names[0], left, decide=True)
        if before.seconds:
            left = before.plan()
            shutil.rmtree(after.home.root)
            after = self._home("HEAD", head_tree, before.home)
            found.homes[1] = after
            planned = after.plan()
        others = {name for side in names for name in side if name not in wanted}
        mine = [item for item in planned if not others & set(item["asset"].split("/")[:2])]
        known = {(item["asset"], item["reason"]) for item in left}
        new = [item for item in mine if (item["asset"], item["reason"]) not in known]
        found.stale_before = len(mine) - len(new)
        for product in wanted:
            if product not in names[1]:
                found.products.append(ProductReview(product, only_in="BASE"))
            elif product not in names[0] or _of(new, product):
                found.products.append(self._product(product, before, after, names, planned))
        found.stale = [
            Stale(x["asset"], x["reason"], x["action"] == "wait", _seconds(x), after.seconds.get(x["asset"])) for x in new
        ]

    def _home(self, name: str, tree: Path, home: Home) -> RevisionHome:
        """A revision with a copy of a home."""
        self.told(f"{name}: what it would make")
        return RevisionHome(name, tree, copied(home, self.scratch / f"{name.lower()}-home"), self.run)

    def _copy(self, folder: Path) -> None:
        """Copy the user's home while no run goes on and nobody decides."""
        if self.home.database is not None:
            raise ReviewError(
                "the metadata of this home is in PostgreSQL, and a review works on copies of a home's files. Point "
                "LOOPLINE_HOME at a home without LOOPLINE_DATABASE, an empty one perhaps: BASE is made in a copy of it first."
            )
        waiting = "waiting for the run of process {}".format
        with quiet(self.home, lambda process: self.told(waiting(process))):
            manifest.settle(self.home.root)
            with exclusive(self.home.decision_lock), manifest_lines.reading(self.home.root):
                copied(self.home, folder)

    def _wanted(self, found: Review, base: list[str], head: list[str]) -> list[str]:
        """The products that are looked at: the one asked for; else those that were made, and those of one side alone."""
        declared = sorted({*base, *head})
        if self.asked.product is not None:
            if self.asked.product not in declared:
                raise ReviewError(
                    f"neither revision declares a product '{self.asked.product}'. They declare: {', '.join(declared)}."
                )
            return [self.asked.product]
        made = [name for name in declared if (self.home.snapshots / name / "current.json").exists()]
        if not made:
            return declared
        one_sided = set(base) ^ set(head)
        found.left_out = [name for name in declared if name not in made and name not in one_sided]
        return [name for name in declared if name in made or name in one_sided]

    def _product(
        self,
        name: str,
        before: RevisionHome,
        after: RevisionHome,
        names: list[list[str]],
        planned: list[dict[str, Any]],
    ) -> ProductReview:
        found = ProductReview(name, only_in="" if name in names[0] else "HEAD")
        try:
            self.told(f"HEAD: {name}")
            made_before = set(after.seconds)
            after.make(name, names[1], planned, decide=False)
            specs = [None if found.only_in and side is before else _spec(side, name) for side in (before, after)]
            if f"{name}/{VERDICT}" in set(after.seconds) - made_before:
                found.verdict = verdicts.current(after.home, name)
            self._differences(found, before, after, specs)
        except LooplineError as error:
            found.failure = str(error)
        return found

    def _differences(
        self, found: ProductReview, before: RevisionHome, after: RevisionHome, specs: list[ProductSpec | None]
    ) -> None:
        former, present = specs
        sides = [(before, former), (after, present)]
        found.footprints = tuple(_footprint(side.home, spec.name) for side, spec in sides if spec is not None)
        if former is None or present is None:
            return
        pairs = [current_model.current(side.home, found.name) for side in (before, after)]
        found.is_same_model = pairs[0][0] == pairs[1][0]
        digests = [snapshots.current(side.home, found.name) for side in (before, after)]
        if digests[0].digest != digests[1].digest:
            if former.features.entity != present.features.entity:
                found.features = f"rows are named by '{present.features.entity}', formerly by '{former.features.entity}'"
            else:
                found.features = feature_changes(digests[0], digests[1], present.features.entity)
        if not found.is_same_model:
            self.told(f"both models of {found.name} on the same rows")
            found.models = _told_or(lambda: self._models(found.name, sides))
        if self.asked.replay:
            found.replayed = _told_or(lambda: self._replayed(found.name, before, after, present))

    def _models(self, name: str, sides: Sequence[tuple[RevisionHome, ProductSpec | None]]) -> ModelComparison:
        cases = []
        for side, spec in sides:
            digest, snapshot = current_model.current(side.home, name)
            cases.append(Case.load(side.home, spec, snapshots.opened(side.home, name, snapshot), digest))  # type: ignore[arg-type]
        return model_comparison.compared(cases[0], cases[1], months=self.asked.months)

    def _replayed(self, name: str, before: RevisionHome, after: RevisionHome, spec: ProductSpec) -> ReplayComparison:
        months = self.asked.months or _last_months(after.home, spec)
        policy = "declared" if spec.retrain.triggers else "on_drift"
        records = []
        for side in (before, after):
            self.told(f"{side.name}: {name}, {months[0]} to {months[1]} again")
            records.append(side.replay(name, months, self.asked.step, policy))
        former, present = (
            replay_comparison.history(side.home, name, record) for side, record in zip((before, after), records, strict=True)
        )
        return replay_comparison.compared(former, present, records[1], spec.model.seed)


def _names(side: str, tree: Path) -> list[str]:
    try:
        return declarations.names(defs=tree / "orchestration" / "defs")
    except LooplineError as error:
        raise ReviewError(f"{side}: {error}") from error


def _spec(side: RevisionHome, name: str) -> ProductSpec:
    """A revision's declaration by this version's reader."""
    try:
        return declarations.products(name, side.tree / "orchestration" / "defs")[0][0]
    except LooplineError as error:
        raise ReviewError(f"{side.name}: its declaration cannot be read by this version: {error}") from error


def _of(planned: Sequence[dict[str, Any]], product: str) -> bool:
    """Whether an asset of a product is among those that are planned."""
    return any(item["asset"].split("/")[0] == product for item in planned)


def _seconds(planned: dict[str, Any]) -> float | None:
    seconds = planned["seconds"]
    return None if seconds is None else float(seconds)


def _footprint(home: Home, name: str) -> dict[str, Any]:
    known = evidence.found(home, name, *current_model.current(home, name))
    return known["footprint"].record if "footprint" in known else {}


def _last_months(home: Home, spec: ProductSpec) -> tuple[str, str]:
    """The last two months of the history."""
    import pandas as pd

    if spec.features.event_time is None:
        raise ReviewError("its features have no event_time, so there is no history to play")
    moments = snapshots.read(snapshots.current(home, spec.name), [spec.features.event_time])[spec.features.event_time]
    last = pd.Timestamp(moments.max(), tz="UTC").tz_convert(spec.features.time_zone).tz_localize(None).to_period("M")
    return str(last - 1), str(last)


def _told_or(found: Callable[[], Any]) -> Any:
    """What is found, or why it cannot be."""
    try:
        return found()
    except LooplineError as error:
        return str(error)
