"""`loopline replay`: play a product's history again under several policies of retraining."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from orchestration import resources
from orchestration.cli.errors import told

FIVE = "never,monthly,on_drift,on_performance,always"


@click.command()
@click.argument("product")
@click.option("--from", "first", required=True, metavar="MONTH", help="The first month that is played, as 2013-04.")
@click.option("--to", "last", required=True, metavar="MONTH", help="The last one.")
@click.option(
    "--step", type=click.Choice(["week", "month"]), default="week", show_default=True, help="How often all is looked at."
)
@click.option("--policies", default=FIVE, show_default=True, help="Who is compared; also online, experiment and declared.")
@click.option(
    "--sweep", "sweeps", multiple=True, metavar="PATH=V1,V2", help="Play with each value, such as drift.floor=0.1,0.2."
)
@click.option(
    "--what-if", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A YAML file of what goes otherwise."
)
@click.option("--oracle", is_flag=True, help="Find the best course in hindsight, and what each policy costs beyond it.")
@click.option(
    "--training-budget", type=click.FloatRange(min=0), metavar="UNITS", help="What trainings may cost in a year; see --oracle."
)
@click.option(
    "--loss-budget", type=click.FloatRange(min=0), metavar="UNITS", help="What a policy may cost beyond the oracle in a year."
)
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON instead, and open nothing.")
@click.option("--path", "only_path", is_flag=True, help="Print the page's path and open nothing.")
def replay(product: str, *, as_json: bool, only_path: bool, **asked: Any) -> None:
    """Play PRODUCT's history again and tell what each policy of retraining would have cost.

    Interrupt it when you like: the same command goes on where it was.
    """
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.cli.display_replay import ReplayDisplay, show_policies
        from orchestration.operations.replay.replay import played

        with ReplayDisplay() as display:
            record, page = played(home, product, on_progress=display.show, **asked)
    if as_json:
        click.echo(json.dumps(record, indent=2))
        return
    if not only_path:
        show_policies(record)
        click.launch(page.as_uri())
    click.echo(page)
