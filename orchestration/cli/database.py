"""`loopline database`: where a home's metadata lies, and how it is moved to PostgreSQL."""

from __future__ import annotations

import click

from assets.errors import HomeError
from assets.storage.home import Home
from orchestration import resources
from orchestration.cli.errors import told


@click.group()
def database() -> None:
    """Look at and move the metadata of this home: Dagster's history, MLflow's registry, the ledger's index."""


@database.command()
def status() -> None:
    """Say where the metadata lies, and how much it is."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.operations.storage.database import figures

        for line in figures(home):
            click.echo(line)


@database.command()
def migrate() -> None:
    """Move the metadata from this home's files to the PostgreSQL database that LOOPLINE_DATABASE names."""
    with told():
        home = _existing()
        from orchestration.operations.storage.database import migrate as move

        done = move(home, lambda process: click.echo(f"waiting for the run of process {process}", err=True))
    copied = f"copied and counted: {sum(done.rows.values()):,} rows of {len(done.rows)} tables"
    click.echo(copied if done.rows else "all was copied already by a migration that was killed")
    click.echo(f"the SQLite files lie in {done.aside}; nothing reads them any more")


@database.command()
def upgrade() -> None:
    """Bring the tables in PostgreSQL to what this version of Dagster and MLflow reads; take a backup first."""
    with told():
        home = _existing()
        from orchestration.operations.storage.database import upgrade as bring

        bring(home)
    click.echo("the tables are those that this version reads")


def _existing() -> Home:
    home = resources.named_home()
    if not home.record.exists():
        raise HomeError(f"LOOPLINE_HOME={home.root} is no home yet. Run `loopline run`: a new home begins in PostgreSQL.")
    return home
