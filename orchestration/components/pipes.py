"""Dagster Pipes: a step that Dagster started in another process, or on another machine, tells it what was made.

https://docs.dagster.io/guides/build/external-pipelines
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestration import resources
from orchestration.staleness.stage_run import StepResult


@contextmanager
def reported() -> Iterator[Callable[[StepResult], None]]:
    """Give what reports a step's result to the Dagster process that started this one; nothing happens where none did.

    An asset is reported if it is one that the other process asked for, once for all of its partitions.
    """
    if not resources.is_started_by_pipes():
        yield lambda _: None
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as context:

        def report(result: StepResult) -> None:
            asked = set(context.asset_keys) if context.is_asset_step else set()
            for made in result.assets:
                if made.asset in asked:
                    asked.discard(made.asset)
                    context.report_asset_materialization(
                        asset_key=made.asset,
                        data_version=made.data_version,
                        metadata={
                            "loopline/code_version": made.code_version,
                            "made_because": made.made_because or "unchanged",
                            "output": made.output or "",
                            "seconds": result.seconds,
                        },
                    )
            context.log.info(result.error or f"{result.status}: {len(result.assets)} assets")

        yield report
