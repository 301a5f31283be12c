"""`loopline` commands that keep a home: backup, restore, prune, upgrade."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assets.errors import HomeError
from orchestration import resources
from orchestration.cli.errors import told

if TYPE_CHECKING:
    from assets.storage.home import Home
    from orchestration.cli.display import RunDisplay

FOLDER = click.argument("folder", type=click.Path(path_type=Path))


@click.command()
@FOLDER
def backup(folder: Path) -> None:
    """Add a backup of this home to FOLDER; what an earlier one holds already is not stored again."""
    with told():
        home = resources.home_from_environment()
        if not home.record.exists():
            raise HomeError(f"LOOPLINE_HOME={home.root} holds nothing to back up. Run `loopline run` first.")
        home.prepare()
        from orchestration.operations.storage.backups import back_up

        done = back_up(home, folder, datetime.now(UTC), _waiting)
    click.echo(
        f"backup {done.name}: {done.files:,} files, {done.size_bytes / 1e6:,.1f} MB; "
        f"{done.added:,} of them new, {done.added_bytes / 1e6:,.1f} MB"
    )


@click.command()
@FOLDER
@click.option("--at", metavar="TIME-OR-NAME", help="A backup by its name, or the last by a moment; left out, the last.")
def restore(folder: Path, at: str | None) -> None:
    """Make the home that LOOPLINE_HOME names of a backup in FOLDER; it must not exist, or be empty."""
    with told():
        home = resources.home_from_environment()
        from orchestration.operations.storage.backups import restore as make

        name = make(folder, home, at)
    click.echo(f"restored {name} to {home.root}")


@click.command()
@click.argument("product", required=False)
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what would go, and remove nothing.")
def prune(product: str | None, is_dry: bool) -> None:
    """Remove what is older than the retention of PRODUCT, or of all, and neither serves nor can be rolled back to."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import products, sources
        from orchestration.operations.storage.prune import prune as remove

        products(product)  # that it exists
        specs, named = [spec for spec, _ in products()], [spec.name for spec in sources()]
        done = remove(home, specs, named, product, is_dry=is_dry, on_wait=_waiting)
    if done.lines:
        click.echo(f"manifest: {done.lines:,} superseded lines left out; keep this head instead of earlier ones: {done.head}")
    if done.given_back:
        click.echo(f"databases: {done.given_back / 1e6:,.1f} MB of free pages given back")
    if done.archived:
        click.echo(f"prediction logs: {done.archived:,} days that are over are Parquet now")
    for kind in done.items:
        click.echo(f"{kind:<20} {done.items[kind]:>7,}  {done.size_bytes[kind] / 1e6:>10,.1f} MB")
    verb = "would go" if is_dry else "removed"
    click.echo(
        f"{verb}: {done.items.total():,}, {done.size_bytes.total() / 1e6:,.1f} MB" if done.items else "nothing to remove"
    )


@click.command()
@click.option("--backup", "folder", type=click.Path(path_type=Path), help="Where the backup goes; left out, beside the home.")
def upgrade(folder: Path | None) -> None:
    """Make a home of an earlier version ready for this one, as `loopline run` does; a backup is taken before it is touched."""
    from orchestration.cli.display import RunDisplay

    with told():
        home = resources.home_from_environment()
        if not upgrade_first(home, RunDisplay(home), folder):
            click.echo(f"{home.root} is of this version: nothing to do")


def upgrade_first(home: Home, display: RunDisplay, folder: Path | None = None) -> bool:
    """Upgrade a home if it is of an earlier version, and say where the backup lies."""
    from assets.storage.upgrade import backups_of, is_earlier
    from assets.storage.upgrade import upgrade as make_ready

    if not is_earlier(home):
        return False
    folder = folder or backups_of(home)
    display.upgrading(folder)
    if (done := make_ready(home, folder, datetime.now(UTC), on_wait=display.waiting)) is not None:
        display.upgraded(done)
    return done is not None


COMMANDS: tuple[click.Command, ...] = (backup, restore, prune, upgrade)


def _waiting(process: str) -> None:
    click.echo(f"waiting for the run of process {process}", err=True)
