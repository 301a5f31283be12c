"""`loopline` commands of environments: smoke, release."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestration import resources
from orchestration.cli.errors import told


@click.command()
@click.argument("product")
def smoke(product: str) -> None:
    """Start PRODUCT's service on a free port, ask it once, stop it, and keep whether the champion answered."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import names
        from orchestration.operations.promotion.smoke import smoke as run_smoke

        names(product)
        found = run_smoke(home, product)
    if not found.passed:
        click.echo(f"failed: {found.tag}: {found.told}", err=True)
        sys.exit(1)
    click.echo(f"{found.tag} was ready after {found.seconds} s, and model {found.model_digest[:12]} answered {found.told}")


@click.command()
@click.argument("product")
@click.option(
    "--from",
    "source",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The home of the earlier environment; LOOPLINE_HOME is the next one.",
)
@click.option("--digest", help="The model's digest, or its beginning: another champion there is refused.")
@click.option("--reason", required=True, help="Why; it is kept for ever.")
def release(product: str, source: Path, digest: str | None, reason: str) -> None:
    """Serve here what serves in an earlier environment, byte for byte; its smoke test there must have passed."""
    from orchestration.cli.display import show_entry

    with told():
        home = resources.home_from_environment().prepare()
        from assets.storage.home import Home
        from orchestration.operations.promotion.release import release as promote

        earlier = Home(source.absolute())
        entry = promote(earlier, home, product, actor=resources.actor(), reason=reason, at=datetime.now(UTC), digest=digest)
    if entry is None:
        click.echo(f"{product}: the champion of {source} serves here already")
    else:
        show_entry(entry)
        click.echo(f"{product}: released from {source}; nothing was built")


COMMANDS: tuple[click.Command, ...] = (smoke, release)
