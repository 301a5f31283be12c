"""`loopline stream`: rows that keep arriving, checked by a declaration and scored by its champion, in Spark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assets.errors import SpecificationError
from orchestration import resources
from orchestration.cli.errors import told

if TYPE_CHECKING:
    from assets.storage.home import Home
    from assets.streaming.stream_job import StreamJob

FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("name", metavar="PRODUCT|SOURCE.TABLE")
@click.option("--from", "folder", required=True, type=FOLDER, help="The folder in which files arrive, each complete.")
@click.option("--out", required=True, type=FOLDER, help="The folder of what comes of them: new, or this stream's.")
@click.option("--outcomes", type=FOLDER, help="A folder in which files of outcomes arrive: entity, outcome, observed_at.")
@click.option("--once", is_flag=True, help="Read what is there, and end.")
@click.option(
    "--watermark", metavar="HOURS", type=click.FloatRange(0), help="How much later than the latest row one may come [any]."
)
@click.option("--event-time", metavar="COLUMN", help="The column that dates a row [the product's event_time].")
@click.option("--window", default=60, show_default=True, type=click.IntRange(1), help="The seconds of a window of arrival.")
@click.option("--files", default=16, show_default=True, type=click.IntRange(1), help="How many files a batch may have.")
@click.option("--json", "as_json", is_flag=True, help="Print each batch's record as a JSON object a line.")
def stream(name: str, *, as_json: bool, **given: Any) -> None:
    """Check the rows of files that arrive, and score them with PRODUCT's champion, each exactly once, in Spark."""
    with told():
        home = resources.home_from_environment()
        from orchestration.operations.engines import spark_engine

        environment = resources.spark_environment()
        python = spark_engine.require_spark(environment)
        job = _job(home, name, given)
        try:
            for line in spark_engine.run(job, environment, python):
                _show(line, as_json=as_json)
        except KeyboardInterrupt:
            click.echo("stopped; the next start goes on from here", err=True)


def _job(home: Home, name: str, given: dict[str, Any]) -> StreamJob:
    """The stream that is asked for."""
    from assets.serving import bento_package
    from assets.streaming.stream_job import of_product, of_table
    from orchestration.declarations import products, sources

    hours, column = given["watermark"], given["event_time"]
    asked = {
        "folder": given["folder"].absolute(),
        "out": given["out"].absolute(),
        "home": home.root,
        "delay_seconds": None if hours is None else hours * 3600,
        "window_seconds": given["window"],
        "files": given["files"],
        "once": given["once"],
        "gateway": resources.pushgateway(),
    }
    declared = {spec.name: spec for spec, _ in products()}
    if name in declared:
        bento_package.served_tag(home, name)
        outcomes = given["outcomes"] and given["outcomes"].absolute()
        return of_product(declared[name], bento_package.pointer(home, name), column, outcomes=outcomes, **asked)
    tables = {f"{source.name}.{table}": source for source in sources() for table in source.tables}
    if name not in tables:
        listed = ", ".join([*sorted(declared), *sorted(tables)])
        raise SpecificationError(f"there is no product or table '{name}' whose rules a row could keep. Declared are: {listed}.")
    if given["outcomes"] is not None:
        raise SpecificationError(
            f"{name} is a table: outcomes are of a product's predictions. Name a product, or leave --outcomes out."
        )
    return of_table(tables[name], name.partition(".")[2], column, **asked)


def _show(line: dict[str, Any], *, as_json: bool) -> None:
    from assets.streaming.window_counts import ALL, ANY_BAD

    if as_json:
        click.echo(json.dumps(line))
    elif "batch" in line:
        batch = line["batch"]
        rows, bad = (batch["batch_counts"].get(name, 0) for name in (ALL, ANY_BAD))
        by = "" if not batch.get("by") else f", scored by version {batch['by']['model_version']}"
        click.echo(f"{batch['of']} {batch['batch']}: {rows - bad:,} good, {bad:,} quarantined{by}")
    elif "note" in line:
        click.echo(line["note"], err=True)
    elif "waiting" in line:
        click.echo(f"waiting for the stream of process {line['waiting']}", err=True)
    elif line["done"]:
        counts, figures = line["done"]["counts"], line["done"]["figures"]
        click.echo(f"in all {counts.get(ALL, 0):,} rows, {figures.get('predictions', 0):,} scored")
