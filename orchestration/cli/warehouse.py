"""`loopline warehouse`: the warehouse's relations built by another engine than DuckDB, and held against the home's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assets.errors import ParityError
from orchestration import resources
from orchestration.cli.errors import told

if TYPE_CHECKING:
    from assets.features.snapshots import Snapshot
    from assets.warehouse.parquet_relations import Compared


@click.command()
@click.argument("product", required=False)
@click.option("--engine", type=click.Choice(["spark"]), default="spark", show_default=True, help="What builds them.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A folder for the Parquet files: new, or an earlier one."
)
@click.option("--memory", metavar="GB", type=click.FloatRange(1), default=4, show_default=True, help="What Spark may take.")
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead.")
def warehouse(product: str | None, engine: str, out: Path, memory: float, *, as_json: bool) -> None:
    """Build the relations that PRODUCT rests on, or all, from the landed files in Spark, and hold them against DuckDB's."""
    with told():
        home = resources.home_from_environment()
        from orchestration.declarations import products
        from orchestration.operations.engines import spark_engine, spark_warehouse

        spec = None if product is None else products(product)[0][0]
        environment = resources.spark_environment()
        python = spark_engine.require_spark(environment)
        built = spark_warehouse.build(
            home,
            spark_warehouse.warehouse_of(spec),
            out,
            product=spec,
            memory_gb=memory,
            environment=environment,
            python=python,
            on_step=lambda step: click.echo(f"{engine}: {step}", err=True),
        )
        beside = spark_warehouse.compared(home, built)
        made = None if spec is None else spark_warehouse.snapshot(built, spec)
        own = None if spec is None else spark_warehouse.own_snapshot(home, spec.name)
        if as_json:
            click.echo(json.dumps(_as_json(built.seconds, built.tests, beside, made, own), indent=2))
        else:
            click.echo(f"{len(built.relations)} relations in {built.seconds:.0f} s, {built.tests} tests passed: {built.folder}")
            for item in beside or ():
                click.echo(f"  {item}")
            if beside is None:
                click.echo("  not compared: the home's warehouse was built of other files. `loopline run` builds it anew.")
            if made is not None:
                told_of = "the home's own" if made.digest == own else f"the home's is {(own or 'none')[:16]}"
                click.echo(f"  snapshot {made.digest[:16]}, {made.rows:,} rows: {told_of}")
        if differing := [str(item) for item in beside or () if item.is_equal is False]:
            raise ParityError(f"{engine} built other rows than DuckDB. {'; '.join(differing)}.")


def _as_json(
    seconds: float, tests: int, beside: list[Compared] | None, made: Snapshot | None, own: str | None
) -> dict[str, object]:
    return {
        "seconds": round(seconds, 3),
        "tests": tests,
        "relations": None
        if beside is None
        else [{"relation": item.relation, "rows": item.rows, "is_equal": item.is_equal} for item in beside],
        "snapshot": None if made is None else {"digest": made.digest, "rows": made.rows, "home": own},
    }
