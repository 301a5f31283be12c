"""`loopline ledger`: the ledger's checkpoint, and the key that signs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration import resources
from orchestration.cli.errors import told

if TYPE_CHECKING:
    from assets.promotion.signing_key import SigningKey
    from assets.storage.home import Home

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def ledger() -> None:
    """What is needed to keep the ledger honest: its checkpoint, and the key that signs it."""


@ledger.command()
def checkpoint() -> None:
    """Print the checkpoint of the ledger as it is now, to be kept where nobody can rewrite it together with the ledger."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.promotion import ledger as records

        records.verify(home)
        click.echo(records.checkpoint(home).note, nl=False)


@ledger.group()
def key() -> None:
    """The Ed25519 key that signs checkpoints."""


@key.command()
@click.option("--file", type=FILE, help="Where the private key is written; left out, beside the ledger.")
@click.option("--replace", is_flag=True, help="Let it take the place of the key that there is.")
def new(file: Path | None, *, replace: bool) -> None:
    """Make a key; checkpoints are signed with it from now on."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.promotion import ledger as records
        from assets.promotion import signing_key
        from assets.promotion.ledger_database import recorded

        if not replace:  # a record that cannot be read is what may have to be replaced
            records.verify(home)
        made = signing_key.make(home, len(recorded(home).entries), file, replace=replace)
        click.echo(f"private key: {made.file}. Keep a copy elsewhere; who has it can sign in your name.")
        _show(made, home)


@key.command()
def show() -> None:
    """Print the public key, as the tools of transparency logs take it, since when it signs, and where the private key lies."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.errors import LedgerError
        from assets.promotion import signing_key

        found = signing_key.registered(home)
        if found is None:
            raise LedgerError("the ledger has no key, so its checkpoints are not signed. Make one: `loopline ledger key new`.")
        click.echo(f"private key: {found.file}")
        _show(found, home)


def _show(key: SigningKey, home: Home) -> None:
    from assets.promotion.checkpoint import origin_of
    from assets.promotion.ledger_database import recorded

    entries = recorded(home).entries
    named = key.verifier(origin_of(entries)) if entries else "it is named after the first entry, which is still to come"
    click.echo(f"signs checkpoints of more than {key.since} entries")
    click.echo(f"public key: {named}")
