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
    """Start PRODUCT's service on a free port, ask it once, stop it, keep whether the champion or its fallback answered."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import names
        from orchestration.operations.promotion.smoke import smoke as run_smoke

        names(product)
        found = run_smoke(home, product)
    if not found.passed:
        click.echo(f"failed: {found.tag}: {found.told}", err=True)
        sys.exit(1)
    who = f"model {found.model_digest[:12]}" if found.fallback is None else f"fallback {found.fallback[:12]}"
    click.echo(f"{found.tag} was ready after {found.seconds} s, and {who} answered {found.told}")


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
@click.option("--with-fallback", is_flag=True, help="Let its fallback answer here too, if a person wants it to there.")
def release(product: str, source: Path, digest: str | None, reason: str, *, with_fallback: bool) -> None:
    """Serve here what serves in an earlier environment, byte for byte; its smoke test there must have passed."""
    from orchestration.cli.display import show_entry

    with told():
        home = resources.home_from_environment().prepare()
        from assets.storage.home import Home
        from orchestration.operations.promotion.release import fallback_told
        from orchestration.operations.promotion.release import release as promote

        earlier = Home(source.absolute())
        entry = promote(
            earlier,
            home,
            product,
            actor=resources.actor(),
            reason=reason,
            at=datetime.now(UTC),
            digest=digest,
            with_fallback=with_fallback,
        )
        said = fallback_told(earlier, home, product)
    if entry is None:
        click.echo(f"{product}: the champion of {source} serves here already")
    else:
        show_entry(entry)
        click.echo(f"{product}: released from {source}; nothing was built")
    if said is not None:
        click.echo(f"{product}: {said}")


COMMANDS: tuple[click.Command, ...] = (smoke, release)
