"""`loopline verify`: whether a home holds what was published in it, and nothing else; or whether a certificate is as signed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from orchestration import resources
from orchestration.cli.errors import told


@click.command()
@click.argument("certificate", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", help="Of a certificate: the issuer's public key, or a file that holds it [the home's].")
@click.option(
    "--model", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Of a certificate: a folder with its model."
)
@click.option("--deep", is_flag=True, help="Read every file again; left out, larger ones than 1 MiB are compared by size only.")
@click.option("--head", help="The manifest's head as an earlier look printed it: the manifest must still hold it.")
@click.option(
    "--accept", is_flag=True, help="First record the files as they are now: accept what is changed, missing or unknown."
)
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead.")
def verify(
    certificate: Path | None, key: str | None, model: Path | None, head: str | None, *, deep: bool, accept: bool, as_json: bool
) -> None:
    """Hold every file of the home against the manifest and the ledger, or a CERTIFICATE against the key that signed it.

    Changed, missing and unknown files are named.
    """
    if certificate is not None:
        if head or deep or accept:
            raise click.UsageError("--head, --deep and --accept are of a home, not of a certificate.")
        sys.exit(_certificate(certificate, key, model, as_json=as_json))
    if key is not None or model is not None:
        raise click.UsageError("--key and --model are of a certificate: name its file too.")
    from orchestration.cli.display_verification import show_accepted, show_verified

    with told():
        home = resources.home_from_environment().prepare()
        from assets.storage.locks import exclusive
        from orchestration.cli.display import RunDisplay
        from orchestration.operations.verification import verify as verifying

        with exclusive(home.run_lock, on_wait=RunDisplay(home).waiting):
            accepted = verifying.accept(home) if accept else []
            found = verifying.verify(home, deep=deep or accept, head=head)
        if (wanted := resources.store_address()) is not None or home.is_published:
            from orchestration.operations.storage import publication

            found = publication.with_store(found, publication.required(home, wanted), deep=deep)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        show_accepted(accepted)
        show_verified(found)
    sys.exit(bool(found.problems))


def _certificate(file: Path, told_key: str | None, model: Path | None, *, as_json: bool) -> int:
    """Verify a certificate; nothing of a home is needed but the key, where none is told."""
    from orchestration.cli.display_verification import show_certificate

    with told():
        from orchestration.operations.certification import trust

        key = trust.key_of(resources.named_home() if told_key is None else None, told_key)
        found = trust.verify(file, key, model)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        show_certificate(found)
    return found.exit_code


COMMANDS: tuple[click.Command, ...] = (verify,)
