"""`loopline` commands about data that came: quality, quarantine, consume."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assets.errors import SpecificationError
from orchestration import resources
from orchestration.cli.errors import told

if TYPE_CHECKING:
    from assets.spec import ProductSpec


@click.command()
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON instead, and open nothing.")
@click.option("--path", "only_path", is_flag=True, help="Print the page's path and open nothing.")
def quality(source: str, as_json: bool, only_path: bool) -> None:
    """Open the page of how good SOURCE's landed rows are: six dimensions, by table and month."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.errors import DigestError
        from assets.ingestion import data_quality as scoring_of_data
        from assets.ingestion import quality_page
        from orchestration.declarations import sources

        _known(source, [spec.name for spec in sources()])
        record = scoring_of_data.recorded(home, source)
        if record is None:
            raise DigestError(f"{source}: its data were not scored yet. Run `loopline run`.")
        page = quality_page.write(home, record)
    if as_json:
        click.echo(json.dumps(record, indent=2))
        return
    click.echo(page)
    if not only_path:
        click.launch(page.as_uri())


@click.command()
@click.argument("table", metavar="SOURCE.TABLE")
@click.option("--month", help="Only this month's rows, such as 2013-01.")
@click.option("--reason", help="Only rows with a reason that contains this text.")
@click.option("--rows", default=10, show_default=True, help="How many rows to show.")
@click.option("--json", "as_json", is_flag=True, help="Print reasons and rows as JSON instead.")
def quarantine(table: str, month: str | None, reason: str | None, rows: int, as_json: bool) -> None:
    """Show the rows of SOURCE.TABLE that were refused, and why, the commonest reason first."""
    from orchestration.cli.display_monitoring import show_quarantine

    with told():
        home = resources.home_from_environment().prepare()
        from assets.ingestion import data_quality as scoring_of_data
        from orchestration.declarations import products, sources

        _known(table, [f"{spec.name}.{name}" for spec in sources() for name in spec.tables])
        source, name = table.split(".")
        reasons, found = scoring_of_data.quarantined(home, source, name, month=month, reason=reason, most=rows)
        for own in (spec for spec, _ in products() if spec.name == source):
            found = [_without_private(row, own) for row in found]
    if as_json:
        click.echo(json.dumps({"reasons": dict(reasons), "rows": found}, indent=2, default=str))
    else:
        show_quarantine(table, reasons, found)


@click.command()
@click.argument("table", metavar="SOURCE.TABLE")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--once", is_flag=True, help="Read what is there, print the windows, and end.")
@click.option("--window", default=60, show_default=True, help="The length of a window, in seconds.")
def consume(table: str, folder: Path, once: bool, window: int) -> None:
    """Check the rows that arrive in FOLDER (growing .jsonl; .csv, .parquet) by SOURCE.TABLE's rules, each exactly once."""
    from orchestration.cli.display_monitoring import show_windows

    with told():
        home = resources.home_from_environment().prepare()
        from assets.ingestion.stream_consumer import Consumer
        from orchestration.declarations import sources

        specs = {f"{spec.name}.{name}": spec for spec in sources() for name in spec.tables}
        _known(table, list(specs))
        consumer = Consumer(home, specs[table], table.split(".")[1], window)
        while True:
            if consumer.consume(folder) or once:
                good, bad = consumer.counts()
                click.echo(f"{table}: {good:,} good, {bad:,} bad, in {consumer.database}")
            if once:
                show_windows(consumer.windows())
                return
            time.sleep(EVERY)


COMMANDS: tuple[click.Command, ...] = (quality, quarantine, consume)
EVERY = 0.5
"""Seconds between two looks at a folder."""


def _without_private(row: dict[str, Any], spec: ProductSpec) -> dict[str, Any]:
    """A row in quarantine without the values of private columns, and without the line that holds them all."""
    from assets.ingestion.landed_tables import names_in_quarantine
    from assets.spec.privacy import hidden
    from assets.storage.pseudonym_key import HIDDEN

    names = spec.source.names if spec.source is not None else []
    called = dict(zip(names, names_in_quarantine(names), strict=True))
    private = [called[name] for name in hidden(spec.privacy, names)]
    private += ["raw_line"] if private else []
    return {name: HIDDEN if name in private and value is not None else value for name, value in row.items()}


def _known(name: str, declared: list[Any]) -> None:
    if name not in declared:
        raise SpecificationError(f"there is no '{name}'. Declared are: {', '.join(sorted(declared))}.")
