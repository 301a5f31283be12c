"""`loopline` commands that watch: monitor."""

from __future__ import annotations

import json
from datetime import datetime

import click

from orchestration import resources
from orchestration.telling import told


@click.command()
@click.argument("product")
@click.option("--as-of", type=click.DateTime(), help="Look from this moment (UTC), as if nothing later were known; not kept.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON instead, and open nothing.")
@click.option("--path", "only_path", is_flag=True, help="Print the page's path and open nothing.")
def monitor(product: str, as_of: datetime | None, as_json: bool, only_path: bool) -> None:
    """Open the page of what became of PRODUCT's champion: volume, drift, quality before and after labels, alarms."""
    with told():
        resources.settle_process()
        home = resources.home_from_environment().prepare()
        from assets import monitoring
        from assets.errors import DigestError
        from orchestration.declarations import products
        from orchestration.watching import look_back, write_page

        spec = products(product)[0][0]
        record = monitoring.recorded(home, product) if as_of is None else look_back(home, spec, as_of)
        if record is None:
            raise DigestError(f"{product}: its champion was not watched yet. Run `loopline run {product}`.")
        page = write_page(home, record)
    if as_json:
        click.echo(json.dumps(record, indent=2))
        return
    for alarm in record["alarms"]:
        click.echo(f"{alarm['kind'].replace('_', ' ')}: {alarm['what']}: {alarm['told']}")
    click.echo(page)
    if not only_path:
        click.launch(page.as_uri())


COMMANDS: tuple[click.Command, ...] = (monitor,)
