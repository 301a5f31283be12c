"""`loopline store`: the store that a home is published to; and what every other command does about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import click

from orchestration import resources
from orchestration.cli import step
from orchestration.cli.errors import told

READS = frozenset({
    "plan", "status", "check", "report", "ui", "history", "budget", "lineage", "serve", "lookup", "triggers", "requests",
    "metrics", "quality", "quarantine", "backup", "restore", "verify", "new", "registries", "key list", "ledger checkpoint",
    "ledger key show", "experiment design", "experiment status", "experiment report", "catalog", "database status",
    "dvc metrics", "dvc model", "features get", "features skew", "features export feast", "incidents", "root-cause", "webhooks",
    "certify", "governance", "maturity", "notebook", "adopt", "phases", "review", "evidence",
    "export airflow", "export kserve", "export kubernetes", "export kubeflow", "stream", "warehouse",
})  # fmt: skip
"""The commands that change nothing that is published: they ask the store nothing. `verify` and `serve` ask it themselves."""


@click.group()
def store() -> None:
    """The bucket or folder that this home is published to."""


@store.command()
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead.")
def status(*, as_json: bool) -> None:
    """Show what is published, what others published since, and what of this home is not."""
    with told():
        from orchestration.operations.storage import publication

        home, wanted = resources.home_from_environment(), resources.store_address()
        found = publication.standing(publication.looked_at(home, wanted))
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
        return
    part = ", of which this home holds what a service needs" if found.is_part else ""
    click.echo(f"{found.store}: {found.files:,} files, {found.size_bytes / 1e6:,.1f} MB{part}")
    click.echo(f"record {found.taken} is the last that this home took or made; {found.to_take} were made since")
    click.echo(f"{found.to_publish:,} files of this home are not published")


@store.command()
@click.option("--keep-mine", is_flag=True, help="Take nothing where this home changed the same: end with an error instead.")
def pull(*, keep_mine: bool) -> None:
    """Take what others published; where this home changed the same, its own changes are put aside."""
    with told():
        from orchestration.operations.storage import publication

        done = publication.take(_required(), waiting, aside=not keep_mine)
    click.echo(f"taken up to record {done.number}: {done.files:,} files, {done.size_bytes / 1e6:,.1f} MB")
    if done.aside is not None:
        click.echo(f"this home's own changes are in {done.aside}")


@store.command()
@click.option("--whole", is_flag=True, help="Write every byte again, where some were lost or damaged in the store.")
def push(*, whole: bool) -> None:
    """Publish what changed in this home; commands that change it do so by themselves."""
    with told():
        from assets.object_store.push import push as publish
        from orchestration.operations.storage import publication

        found = _required()
        publication.take(found, waiting)
        done = publication.whole(found) if whole else publish(found)
    if done is None:
        click.echo("everything is published")
    else:
        click.echo(f"record {done.number}: {done.files:,} files, {done.size_bytes / 1e6:,.1f} MB; {done.deleted:,} gone")


@store.command()
@click.option("--deep", is_flag=True, help="Read every byte; left out, objects are compared by size.")
def verify(*, deep: bool) -> None:
    """See that the store holds what its last commit names; exit code 1 if it does not."""
    with told():
        from orchestration.operations.storage import publication

        found = _required()
        problems = publication.wrong(found, deep=deep)
    for problem in problems:
        click.echo(f"✗ {problem}")
    click.echo(f"{found.url}: {f'{len(problems)} wrong' if problems else 'as published'}")
    sys.exit(bool(problems))


@store.command()
@click.argument("url")
def move(url: str) -> None:
    """Publish this home to URL from now on, all of it; the former store stays as it is."""
    with told():
        from assets.object_store.address import address_of
        from assets.object_store.push import push as publish
        from orchestration.operations.storage import publication

        home = resources.home_from_environment().prepare()
        publication.move(home, address_of(url))
        found = publication.required(home, None)
        publication.take(found, waiting)
        publish(found)
    click.echo(f"published to {found.url}")


def published(command: click.Command, path: str = "") -> click.Command:
    """Let a command that changes the home take what others published before it, and publish after it."""
    path = f"{path} {command.name}".strip()
    if isinstance(command, click.Group):
        for item in command.commands.values():
            published(item, path)
    elif path not in READS:
        command.invoke = _around(command.invoke, path)  # type: ignore[method-assign, assignment] # the one place where all of it passes
    return command


def waiting(process: str) -> None:
    """Say that a run of another process is waited for."""
    click.echo(f"waiting for the run of process {process}", err=True)


def _around(invoke: Callable[[click.Context], Any], path: str) -> Callable[[click.Context], Any]:
    def invoked(context: click.Context) -> Any:
        telling = step.told_as_result if path == step.step.name and context.params["as_json"] else told
        with telling():
            wanted, home = resources.store_address(), resources.home_from_environment()
            if wanted is None and not home.is_published:
                return invoke(context)
            from orchestration.operations.storage import publication

            found = publication.required(home, wanted)
            publication.take(found, waiting)
            publication.before_command(found, path)
        failed: SystemExit | None = None
        try:  # Ctrl-C goes through: who presses it waits for no store, and the next command publishes
            answer = invoke(context)
        except SystemExit as ended:
            failed, answer = ended, None
        if found.home.record.exists():
            with telling():
                publication.after_command(found, path)
        if failed is not None:
            raise failed
        return answer

    return invoked


def _required() -> Any:
    from orchestration.operations.storage import publication

    return publication.required(resources.home_from_environment(), resources.store_address())
