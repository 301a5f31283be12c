"""`loopline`: the command line. What it does stands in `staleness` and `operations`; how it looks, in `display`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assets.errors import DigestError, SpecificationError
from assets.processes.settings import settle_process
from assets.storage.home import REPOSITORY
from orchestration import resources
from orchestration.cli import (
    catalog,
    certification,
    data,
    database,
    dvc,
    erasure,
    evidence,
    experiment,
    export,
    features,
    incident,
    keeping,
    key,
    learn,
    learning,
    ledger,
    maturity,
    monitoring,
    new,
    outcomes,
    plan,
    promotion,
    registries,
    release,
    replay,
    research,
    review,
    serving,
    step,
    store,
    stream,
    verification,
    warehouse,
)  # fmt: skip
from orchestration.cli.errors import InterruptibleGroup, load_definitions, told
from orchestration.cli.ports import UI, require_free

if TYPE_CHECKING:
    from assets.storage.home import Home
    from orchestration.cli.display import RunDisplay


@click.group(cls=InterruptibleGroup, context_settings={"help_option_names": ["-h", "--help"]})
def loopline() -> None:
    """Closed-loop MLOps as code: raw files to a served model and back."""
    settle_process()
    if click.get_current_context().invoked_subcommand != "store":
        erasure.finish_interrupted()


@loopline.command()
@click.argument("product", required=False)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Products side by side, by so many workers.")
@click.option("--memory", metavar="GB", type=click.FloatRange(0.1), help="What the processes may need together [what is free].")
@click.option(
    "--from-dvc", metavar="FOLDER[@REV]", help="Take files and parameters from a data repository, or a revision of it."
)
def run(product: str | None, jobs: int, memory: float | None, from_dvc: str | None) -> None:
    """Make everything anew that changed: of one PRODUCT and what it rests on, or of all."""
    from orchestration.cli.display import RunDisplay
    from orchestration.declarations import require_declarations

    with told():
        require_declarations()
        if from_dvc is not None and jobs > 1:
            raise SpecificationError("--from-dvc runs in one process: leave --jobs out.")
        home = resources.home_from_environment()
        display = RunDisplay(home)
        keeping.upgrade_first(home, display)
        home.prepare()
        with dvc.landing_from(home, product, from_dvc):
            _run(home, product, display, jobs, memory)


def _run(home: Home, product: str | None, display: RunDisplay, jobs: int, memory: float | None) -> None:
    from orchestration.staleness import companions

    click.get_current_context().call_on_close(companions.end)
    if jobs == 1:
        companions.prepare_first(home, product)
    definitions = load_definitions(product)
    from orchestration.operations.monitoring.status import status as read_status
    from orchestration.staleness.plan import declared_in
    from orchestration.staleness.run_loop import RunFailedError
    from orchestration.staleness.run_loop import run as run_loop
    from orchestration.staleness.run_side_by_side import run_side_by_side

    def wave(planned: Any) -> None:
        display.wave(planned)
        if jobs == 1:
            companions.prepare(home, [key.path[-1] for key in (*planned.reasons, *planned.waiting)])

    with resources.instance(home) as instance, display:
        failure = None
        hooks: dict[str, Any] = {"on_wave": wave, "on_wait": display.waiting}
        try:
            if jobs == 1:
                outcome = run_loop(definitions, instance, home, product, **hooks)
            else:
                size = None if memory is None else int(memory * 1e9)
                outcome = run_side_by_side(definitions, instance, home, product, jobs=jobs, memory_bytes=size, **hooks)
        except RunFailedError as error:
            outcome, failure = error.outcome, error
        except KeyboardInterrupt:
            kept = "what was made is kept, and what is served stays as it was. `loopline run` goes on from here."
            raise KeyboardInterrupt(f"interrupted; {kept}") from None
        if gateway := resources.pushgateway():
            from assets.observability import prometheus_metrics
            from orchestration.operations.monitoring.prometheus_export import collect

            prometheus_metrics.push(collect(home), gateway)
        display.summary(
            outcome,
            read_status(home, declared_in(definitions)),
            product,
            failed=failure is not None,
            is_refusal=failure is not None and failure.is_refusal,
        )
        incident.watch(home, product, [] if failure is None else failure.failures)
        if failure is not None:
            raise failure


@loopline.command()
@click.argument("product", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON, of all products, instead.")
def status(product: str | None, as_json: bool) -> None:
    """Show what is served, of one PRODUCT or of all: champions, digests, metrics, the last run, open refusals."""
    from orchestration.cli.display import show_status

    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import NOTHING_DECLARED, declared, is_anything_declared
        from orchestration.operations.monitoring.status import status as read_status

        found = read_status(home, declared())
        if as_json:
            click.echo(json.dumps(found.as_json(), indent=2))
        else:
            if product not in (None, *(item.product for item in found.products)):
                raise SpecificationError(f"there is no product '{product}'. See `loopline status`.")
            if is_anything_declared():
                show_status(found, product)
            else:
                click.echo(NOTHING_DECLARED)


@loopline.command()
@click.argument("product", required=False)
def check(product: str | None) -> None:
    """Validate what can be known before anything is run: of one PRODUCT, or of all."""
    from orchestration.cli.display import show_checked

    with told():
        home = resources.home_from_environment()
        home.require_layout()
        from orchestration.declarations import NOTHING_DECLARED, is_anything_declared, products
        from orchestration.operations.declaration.check import check as check_product

        found = [check_product(home, spec, folder) for spec, folder in products(product)]
    if not is_anything_declared():
        click.echo(NOTHING_DECLARED)
    show_checked(found)
    sys.exit(any(item.problems for item in found))


@loopline.command()
@click.argument("product")
@click.option("--path", "only_path", is_flag=True, help="Print the file's path and open nothing.")
def report(product: str, only_path: bool) -> None:
    """Open the model card of PRODUCT's champion; of the model that was refused last where nobody serves."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import declared
        from orchestration.operations.monitoring.status import status as read_status

        found = next((item for item in read_status(home, declared()).products if item.product == product), None)
        if found is None:
            raise SpecificationError(f"there is no product '{product}'. See `loopline status`.")
        if found.report is None:
            raise DigestError(f"{product}: no model was judged yet, so there is no report. Run `loopline run {product}`.")
    click.echo(found.report)
    if not only_path:
        click.launch(Path(found.report).as_uri())


@loopline.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def ui(arguments: tuple[str, ...]) -> None:
    """Open the Dagster UI on this home's history, with the pages it links to; ARGUMENTS go to `dagster dev`."""
    with told():
        home = resources.home_from_environment().prepare()
        workspace = REPOSITORY / "workspace.yaml"
        if not workspace.exists():
            raise SpecificationError(f"{workspace} is missing. Run from a clone of Loopline.")
        if not any(word.startswith(("-p", "--port")) for word in arguments):
            require_free("127.0.0.1", UI, "loopline ui -p {}")
        require_free("127.0.0.1", resources.pages_port(), f"{resources.PAGES_VARIABLE}={{}} loopline ui")
        from orchestration.ui.supervisor import supervise

        code = supervise(home, workspace, arguments)
    sys.exit(code)


for command in (
    *promotion.COMMANDS,
    *serving.COMMANDS,
    *monitoring.COMMANDS,
    *incident.COMMANDS,
    *outcomes.COMMANDS,
    *learning.COMMANDS,
    *data.COMMANDS,
    *keeping.COMMANDS,
    *verification.COMMANDS,
    *certification.COMMANDS,
    *maturity.COMMANDS,
    *erasure.COMMANDS,
    *research.COMMANDS,
    *release.COMMANDS,
    new.new,
    key.key,
    registries.registries,
    ledger.ledger,
    database.database,
    catalog.catalog,
    evidence.evidence,
    learn.learn,
    dvc.dvc,
    replay.replay,
    review.review,
    experiment.experiment,
    features.features,
    step.step,
    stream.stream,
    warehouse.warehouse,
    plan.plan,
    export.export,
):
    loopline.add_command(command)
for command in loopline.commands.values():
    store.published(command)
loopline.add_command(store.store)


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
    if (read := sys.modules.get("assets.storage.module_code")) is not None:
        read.keep()
    if (multiprocessing := sys.modules.get("multiprocessing.util")) is not None:
        # dbt's locks are named semaphores: unless they are freed, a tracker reports them as leaked after this process
        multiprocessing._run_finalizers(0)  # noqa: SLF001 - what the interpreter's own end would call
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
