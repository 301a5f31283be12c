"""`loopline maturity`: what the home and the repository show of how well products are run."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from orchestration import resources
from orchestration.cli.errors import told


@click.command()
@click.argument("product", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead; the page is not written.")
def maturity(product: str | None, *, as_json: bool) -> None:
    """Score PRODUCT, or all, by the ML Test Score and the levels of Microsoft and Google, each point with its evidence."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import declared, products
        from orchestration.operations.maturity import page
        from orchestration.operations.maturity.scene import Scene
        from orchestration.operations.maturity.score import score

        found, rests_on = products(product), declared().products
        scored = [score(Scene(home, spec, folder, rests_on[spec.name])) for spec, folder in found]
        if as_json:
            click.echo(json.dumps([item.as_json() for item in scored], indent=2))
            return
        from orchestration.cli.display_maturity import show_maturity

        show_maturity(scored, in_full=product is not None)
        if product is None:
            click.echo(page.write(home, scored, datetime.now(UTC)))


COMMANDS: tuple[click.Command, ...] = (maturity,)
