"""`loopline`: the command line. What it does stands in `running` and `status`; how that looks stands in `display`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from assets.errors import LooplineError, SpecificationError
from orchestration import resources


@contextmanager
def _told() -> Iterator[None]:
    """End with one clear error instead of a traceback, where the error is one that a user can mend."""
    from rich.console import Console

    try:
        yield
    except LooplineError as error:
        Console(stderr=True).print(f"[bold red]error[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)


def _definitions() -> Any:
    """Load the definitions, and find our own error under Dagster's account of where it was raised."""
    try:
        from orchestration.definitions import defs
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, LooplineError):
                raise cause from None
            cause = cause.__cause__
        raise
    return defs


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def loopline() -> None:
    """Closed-loop MLOps as code: raw files to a served model and back."""


@loopline.command()
@click.argument("product", required=False)
def run(product: str | None) -> None:
    """Make everything anew that changed: of one PRODUCT and what it rests on, or of all."""
    from orchestration.display import RunDisplay

    with _told():
        resources.settle_process()
        home = resources.home_from_environment().prepare()
        display = RunDisplay(home)
        definitions = _definitions()
        from orchestration.running import RunFailedError
        from orchestration.running import run as run_loop
        from orchestration.status import status as read_status

        with resources.instance(home) as instance, display:
            failure = None
            try:
                outcome = run_loop(definitions, instance, home, product, on_wave=display.wave, on_wait=display.waiting)
            except RunFailedError as error:
                outcome, failure = error.outcome, error
            display.summary(outcome, read_status(definitions, instance, home), product, failed=failure is not None)
            if failure is not None:
                raise failure


@loopline.command()
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead.")
def status(as_json: bool) -> None:
    """Show what is served: champions, digests, metrics, the last run, open refusals."""
    from orchestration.display import show_status

    with _told():
        home = resources.home_from_environment().prepare()
        definitions = _definitions()
        from orchestration.status import status as read_status

        with resources.instance(home) as instance:
            found = read_status(definitions, instance, home)
        if as_json:
            click.echo(json.dumps(found.as_json(), indent=2))
        else:
            show_status(found)


@loopline.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def ui(arguments: tuple[str, ...]) -> None:
    """Open the Dagster UI on this home's history; ARGUMENTS go to `dagster dev`."""
    with _told():
        home = resources.home_from_environment().prepare()
        workspace = resources.REPOSITORY / "workspace.yaml"
        if not workspace.exists():
            raise SpecificationError(f"{workspace} is missing. Run from a clone of Loopline.")
        environment = resources.dagster_environment(home)
    program = Path(sys.executable).with_name("dagster")
    os.chdir(resources.REPOSITORY)
    os.execve(program, [str(program), "dev", "-w", str(workspace), *arguments], environment)  # noqa: S606 - ours


def main() -> None:
    """Run the command line and end the process at once.

    The interpreter's own end would print DuckDB's notes on objects that outlive it (nanobind), which are no fault of the
    user's.
    """
    code = 0
    try:
        loopline(standalone_mode=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - a programming error: shown whole, and the exit code says so
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
