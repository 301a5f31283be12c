"""`loopline catalog`: a searchable page of every dataset, and the same for other catalogs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from orchestration import resources
from orchestration.cli.errors import load_definitions, told

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--path", "only_path", is_flag=True, help="Print the page's path and open nothing.")
@click.option("--openlineage", type=FILE, help="Write the last runs as OpenLineage events, one JSON object a line, instead.")
@click.option("--dcat", type=FILE, help="Write the catalog as DCAT 3 in JSON-LD instead.")
def catalog(*, only_path: bool, openlineage: Path | None, dcat: Path | None) -> None:
    """Open a searchable page of every dataset: owner, contract, freshness, quality, lineage both ways, sample, size, cost."""
    with told():
        home = resources.home_from_environment().prepare()
        definitions = load_definitions()
        from orchestration.declarations import products, sources
        from orchestration.operations.catalog import dcat as linked_data
        from orchestration.operations.catalog import open_lineage
        from orchestration.operations.catalog.catalog import catalog as read
        from orchestration.operations.catalog.catalog import write_page

        with resources.instance(home) as instance:
            specs = [spec for spec, _ in products()]
            found = read(definitions.resolve_asset_graph(), instance, home, specs, sources())
        now = datetime.now(UTC)
        if openlineage is not None:
            click.echo(f"{openlineage}: {open_lineage.write(home, found, openlineage):,} events")
        if dcat is not None:
            click.echo(f"{dcat}: {linked_data.write(home, found, dcat, now):,} datasets")
        if openlineage is not None or dcat is not None:
            return
        page = write_page(home, found, now)
    click.echo(page)
    if not only_path:
        click.launch(page.as_uri())
