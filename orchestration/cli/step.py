"""`loopline step`: one stage in this process, for engines, shells and `loopline run --jobs`."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from assets.errors import LooplineError
from orchestration import resources
from orchestration.cli.errors import REFUSED, load_definitions, plain_disk_errors, told

if TYPE_CHECKING:
    from orchestration.staleness.stage_run import StepResult

CODES = {"made": 0, "kept": 0, "refused": REFUSED, "failed": 1}


class JsonLines(logging.Handler):
    """Progress as JSON, an object a line."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.logger = logging.getLogger("loopline.progress")

    def __enter__(self) -> None:
        self.logger.setLevel(logging.INFO)
        self.logger.propagate = False
        self.logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self.logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Print one finished asset."""
        seconds = round(getattr(record, "seconds", 0.0), 3)
        line("asset", asset=record.getMessage(), rows=getattr(record, "rows", None), seconds=seconds)


def line(event: str, **told: Any) -> None:
    """Print one object."""
    click.echo(json.dumps({"event": event, **told}))


@contextmanager
def told_as_result() -> Iterator[None]:
    """Tell an error around a step as its JSON result, such as of a store that does not answer."""
    try:
        with plain_disk_errors():
            yield
    except LooplineError as error:
        sys.exit(CODES[_tell_failure(error).status])


@click.command()
@click.argument("target", metavar="PRODUCT|SOURCE|warehouse|ASSET")
@click.argument("stages", metavar="[STAGE]...", nargs=-1)
@click.option("--partition", help="Only this month of a partitioned asset, such as 2013-01.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line: each asset, and the result last.")
def step(target: str, stages: tuple[str, ...], partition: str | None, as_json: bool) -> None:
    """Make what is stale of some stages in this process, and nothing that they rest on.

    A product's STAGE is an asset's last name, such as `model`; without one, all stages of the product. `loopline step flights`
    lands a source, `loopline step warehouse` builds the relations.
    """
    if not as_json:
        with told():
            result = _step(target, stages, partition, as_json=False)
        _show(result)
    else:
        result = told_step(target, stages, partition)
    sys.exit(CODES[result.status])


def told_step(target: str, stages: tuple[str, ...] = (), partition: str | None = None) -> StepResult:
    """Run a step and tell it as JSON lines, the result last; an error of ours is a result."""
    try:
        with plain_disk_errors():
            result = _step(target, stages, partition, as_json=True)
    except LooplineError as error:
        return _tell_failure(error)
    line("result", **result.as_json())
    return result


def _tell_failure(error: LooplineError) -> StepResult:
    from orchestration.staleness.stage_run import StepResult

    result = StepResult("failed", error=str(error))
    line("result", **result.as_json())
    return result


def _step(target: str, stages: tuple[str, ...], partition: str | None, *, as_json: bool) -> StepResult:
    from orchestration.cli.display import RunDisplay

    home = resources.home_from_environment().prepare()
    display = RunDisplay(home)
    definitions = load_definitions(target if "/" not in target else None)
    from orchestration.components.pipes import reported
    from orchestration.staleness.stage_run import keys_named
    from orchestration.staleness.stage_run import step as run_step

    wanted = keys_named(definitions.resolve_asset_graph(), target, stages)
    with resources.instance(home) as instance, JsonLines() if as_json else display, reported() as report:
        result = run_step(
            definitions,
            instance,
            home,
            wanted,
            partition=partition,
            on_wave=(lambda _: None) if as_json else display.wave,
            on_wait=(lambda holder: line("waiting", process=holder)) if as_json else display.waiting,
        )
        report(result)
    return result


def _show(result: StepResult) -> None:
    """Say how it ended; each asset that was made had its line."""
    from rich.console import Console
    from rich.text import Text

    from orchestration.cli.console import terminal

    if result.error is not None:
        word = ("refused", "bold yellow") if result.status == "refused" else ("error", "bold red")
        Console(stderr=True).print(Text.assemble(word, f" {result.error}"), highlight=False, soft_wrap=True)
        return
    made = sum(item.made_because is not None for item in result.assets)
    if result.status == "kept":
        terminal().print(f"[bold green]nothing changed[/]: {len(result.assets)} are as they would be made now")
    else:
        terminal().print(f"[bold green]done[/] {made} made in {result.seconds:.1f} s")
