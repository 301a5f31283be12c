"""`loopline verify`: whether a home holds what was published in it, and nothing else."""

from __future__ import annotations

import json
import sys

import click

from orchestration import resources
from orchestration.cli.errors import told


@click.command()
@click.option("--deep", is_flag=True, help="Read every file again; left out, larger ones than 1 MiB are compared by size only.")
@click.option("--head", help="The manifest's head as an earlier look printed it: the manifest must still hold it.")
@click.option(
    "--accept", is_flag=True, help="First record the files as they are now: accept what is changed, missing or unknown."
)
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead.")
def verify(head: str | None, *, deep: bool, accept: bool, as_json: bool) -> None:
    """Hold every file of the home against the manifest and the ledger: changed, missing and unknown ones are named."""
    from orchestration.cli.display_verification import show_accepted, show_verified

    with told():
        home = resources.home_from_environment().prepare()
        from assets.storage.locks import exclusive
        from orchestration.cli.display import RunDisplay
        from orchestration.operations import verify as verifying

        with exclusive(home.run_lock, on_wait=RunDisplay(home).waiting):
            accepted = verifying.accept(home) if accept else []
            found = verifying.verify(home, deep=deep or accept, head=head)
        if (wanted := resources.store_address()) is not None or home.is_published:
            from orchestration.operations import publication

            found = publication.with_store(found, publication.required(home, wanted), deep=deep)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        show_accepted(accepted)
        show_verified(found)
    sys.exit(bool(found.problems))


COMMANDS: tuple[click.Command, ...] = (verify,)
