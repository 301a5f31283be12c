"""`loopline run --jobs N`: what products share in this process, then the products side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg

from assets.storage.home import Home
from orchestration.staleness.parallel_products import make_side_by_side, require_memory
from orchestration.staleness.plan import Plan, product_names
from orchestration.staleness.run_loop import Failure, Outcome, RunFailedError, run
from orchestration.staleness.stage_run import shared_keys
from orchestration.staleness.waves import wanted_keys


def run_side_by_side(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    home: Home,
    product: str | None,
    *,
    jobs: int,
    memory_bytes: int | None = None,
    on_wave: Callable[[Plan], None] = lambda _: None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Make everything anew that changed, products side by side; its parameters are those of `run` and `make_side_by_side`.

    Raises
    ------
    SpecificationError
        If one product alone needs more than the declared memory, by its last time; nothing is started.
    RunFailedError
        If a step fails. Where what products share failed, those that rest on it say so.
    """
    graph: Any = definitions.resolve_asset_graph()
    wanted = wanted_keys(graph, product)
    products = [name for name in product_names(graph) if product in (None, name)]
    if memory_bytes is not None:
        require_memory(home, products, memory_bytes)
    failures: list[Failure] = []
    try:
        outcome = run(definitions, instance, home, keys=wanted & shared_keys(graph, products), on_wave=on_wave, on_wait=on_wait)
    except RunFailedError as failed:
        outcome, failures = failed.outcome, failed.failures
    made = make_side_by_side(home, products, jobs, memory_bytes, on_wait)
    outcome.executed.update(made.executed)
    outcome.fresh += made.fresh
    failures += [
        Failure(told if told.startswith((f"{name}__", f"{name}:")) else f"{name}: {told}", name in made.refused)
        for name, told in made.failures.items()
    ]
    if failures:
        raise RunFailedError(failures, outcome)
    return outcome
