"""`loopline experiment`: experiments on live traffic."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestration import resources
from orchestration.cli.errors import told

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def experiment() -> None:
    """Experiments on live traffic, as PRODUCT declares them under 'experiments'."""


@experiment.command()
@click.argument("product")
@click.argument("name")
@click.option("--history", type=FILE, help="Design by a Parquet or CSV file with unit, day and value instead.")
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead.")
def design(product: str, name: str, history: Path | None, *, as_json: bool) -> None:
    """Work out from PRODUCT's own history how many weeks its experiment NAME must take, and what it can find."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.cli.display_experiment import show_design
        from orchestration.operations.experiments import designed

        found = designed(home, product, name, history)
        if as_json:
            click.echo(json.dumps(found.as_json(), indent=2))
        else:
            show_design(found)


@experiment.command()
@click.argument("product")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON instead.")
def report(product: str, *, as_json: bool) -> None:
    """Report the experiment of PRODUCT that runs, or else its last one, and write its page."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.cli.display_shadow import show_shadow
        from orchestration.declarations import products
        from orchestration.operations import experiment_report

        record, page = experiment_report.report(home, products(product)[0][0], datetime.now(UTC))
        if as_json:
            click.echo(json.dumps(record, indent=2))
        else:
            {"shadow": show_shadow}[record["kind"]](record)
            click.echo(page)
