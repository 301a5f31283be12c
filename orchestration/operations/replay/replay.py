"""A replay from the question to the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assets.errors import SpecificationError
from assets.features import snapshots
from assets.replay import hindsight, parallel_runner, replay_page, summary
from assets.replay.policy_runner import journal
from assets.replay.settings import Step, settings
from assets.spec import read_declaration
from assets.spec.replay import WhatIfSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import write_json
from orchestration.declarations import products, sources_of
from orchestration.operations.replay import raw_what_if


def played(
    home: Home,
    product: str,
    *,
    first: str,
    last: str,
    step: Step,
    policies: str,
    sweeps: tuple[str, ...] = (),
    what_if: Path | None = None,
    oracle: bool = False,
    training_budget: float | None = None,
    loss_budget: float | None = None,
    on_progress: Callable[[parallel_runner.Progress], None] = lambda _: None,
) -> tuple[dict[str, Any], Path]:
    """Play what was not played yet, and write record, page and pictures.

    Parameters
    ----------
    home : Home
        Holds the product's snapshot, which is its history.
    product : str
        Its name.
    first, last : str
        Months, as ``2013-04``.
    step : {"week", "month"}
        How often all is looked at.
    policies : str
        Names, between commas.
    sweeps, what_if, on_progress
        See `settings` and `parallel_runner.play`.
    oracle : bool
        Whether to find the best course in hindsight; a budget needs it, too.
    training_budget, loss_budget : float, optional
        See `summarised_hindsight`.

    Returns
    -------
    tuple of dict and Path
        The record, and the page.

    Raises
    ------
    LooplineError
        If something asked for does not exist, or a step cannot be played.
    """
    for month in (first, last):
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
            raise SpecificationError(f"'{month}' is no month. Write it as 2013-04.")
    declared = None if what_if is None else read_declaration(what_if, WhatIfSpec, whole=True)
    (spec, declared_in), snapshot, landings = products(product)[0], snapshots.current(home, product), list[str]()
    if declared is not None and declared.raw:
        snapshot, landings = raw_what_if.altered_history(home, spec, sources_of(spec, declared_in), snapshot, declared)
    replay = settings(
        home,
        spec,
        snapshot,
        months=(first, last),
        step=step,
        policies=[name.strip() for name in policies.split(",")],
        sweeps=sweeps,
        what_if=declared,
    )
    parallel_runner.play(replay, on_progress)
    journals = {policy.name: journal(replay, policy) for policy in replay.policies}
    told = {policy.name: policy.told for policy in replay.policies}
    about = {**declared.model_dump(mode="json"), "landings": landings} if declared else None
    record = summary.summarised(replay.spec, told, journals, months=[first, last], step=step, what_if=about)
    asked: list[Any] = sorted(journals)
    if oracle or training_budget is not None or loss_budget is not None:
        parallel_runner.in_hindsight(replay, hindsight.trained_models(replay, journals))
        budgets = {"training_budget": training_budget, "loss_budget": loss_budget}
        record["hindsight"] = hindsight.summarised_hindsight(replay, journals, **budgets)
        asked.append(budgets)
    folder = replay.folder / "pages" / value_digest(asked)[:8]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / replay_page.RECORD, record)
    return record, replay_page.write(folder, record)
