"""Which processes work beside a run, so that its slow imports go on while it lands and checks data: two cores are two."""

from __future__ import annotations

import os
from collections.abc import Collection

from assets.processes import compute_process
from assets.processes.compute_process import COMPUTE_PROCESS
from assets.promotion import mlflow_client
from assets.serving import bento_builder
from assets.storage.home import Home

LEARNT = frozenset(("model", "evaluation", "explanations", "robustness"))
"""The assets for which models are imported."""


def prepare(home: Home, assets: Collection[str]) -> None:
    """Start what will be needed to make these assets, where there is a core for it.

    Parameters
    ----------
    home : Home
        Where the run works.
    assets : collection of str
        The last parts of the keys of what is made, such as ``model``.
    """
    if len(os.sched_getaffinity(0)) < 2:
        return
    if LEARNT & set(assets):
        compute_process.prepare()
    if "challenger" in assets:
        mlflow_client.prepare(home)


def end() -> None:
    """Let nothing outlive the run."""
    for beside in (COMPUTE_PROCESS, mlflow_client.BESIDE):
        beside.end()
    bento_builder.end()


def prepare_first(home: Home, product: str | None) -> None:
    """Start what a first run will need, before it is planned; whether anything is stale need not be found out then."""
    if not (home.models / product if product else home.models).exists():
        prepare(home, ("model", "challenger"))
