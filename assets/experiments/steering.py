"""Looking at the experiment that runs: what is found is kept and shown, and a canary grows or is taken back by it."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from assets.experiments import experiment_page, looks, stages
from assets.experiments.looks import Look
from assets.promotion import ledger
from assets.promotion.experiment_records import Stage
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json

EXPERIMENT = "experiment"
"""Who decides when a look does."""


class Looked(NamedTuple):
    """A look, its page, and the stage that follows from it, if one does."""

    look: Look
    page: Path
    entry: Entry | None


def look(home: Home, spec: ProductSpec, now: datetime, *, is_dry: bool = False) -> Looked:
    """Look at the test or canary that runs, and do what follows.

    A harmful arm ends the experiment; a canary that is surely not worse gets its next share.

    Parameters
    ----------
    home, spec
        Of which product.
    now : datetime
        What came until then counts (aware).
    is_dry : bool
        Whether only to say what is found.

    Raises
    ------
    ExperimentError
        If none runs, or a shadow does.
    """
    entry, stage = stages.running(home, spec)
    if stage.kind == "shadow":
        raise stages.not_for_a_shadow(spec, stage)
    return look_at(home, spec, entry, stage, now, is_dry=is_dry)


def look_at(home: Home, spec: ProductSpec, entry: Entry, stage: Stage, now: datetime, *, is_dry: bool = False) -> Looked:
    """Look at a stage of a test or canary, recorded by this entry; as `look`."""
    found = looks.take(home, spec, stage, now)
    later = None if is_dry else _follow(home, spec, entry, stage, found)
    return Looked(found, publish(home, found), later)


def publish(home: Home, found: Look) -> Path:
    """Keep what was found, and show it on a page."""
    write_json(home.experiments / found.product / f"{found.experiment}.look.json", found.as_json())
    entries = [item for item in ledger.entries(home, found.product) if item.stage[0] == found.experiment]
    history = [(item.recorded_at, item.stage[1], item.reason) for item in entries if item.recorded_at >= found.started_at]
    return experiment_page.write(home, found, history)


def _follow(home: Home, spec: ProductSpec, entry: Entry, stage: Stage, found: Look) -> Entry | None:
    """Record the stage that follows from a look."""
    told: dict[str, Any] = {"evidence": found.as_json(), "actor": EXPERIMENT, "reason": found.told}
    if stage.kind == "canary" and found.verdict in {"harmful", "mismatch"}:
        return stages.end(home, spec, entry, "back", **told)
    if found.verdict == "harmful":
        return stages.end(home, spec, entry, "stop", **told)
    if stage.kind == "canary" and found.verdict == "not worse" and stage.control.share > 0:
        share = next(later for now, later in pairwise(stage.declared["steps"]) if now == stage.treatments[0].share)
        return stages.step(home, spec, entry, share, **told)
    return None
