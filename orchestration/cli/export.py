"""`loopline export`: the declared loop as files for other engines, whose tasks call `loopline step`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from assets.storage.home import REPOSITORY
from orchestration import resources
from orchestration.cli import export_kubeflow, export_kubernetes
from orchestration.cli.errors import load_definitions, told


@click.group()
def export() -> None:
    """Write the loop for another engine, which then starts `loopline step`."""


@export.command()
@click.argument("product", required=False)
@click.option("--out", "folder", required=True, type=click.Path(path_type=Path), help="Airflow's folder of DAGs.")
def airflow(product: str | None, folder: Path) -> None:
    """Write Airflow DAGs: of the sources and the warehouse, and of PRODUCT or of all products."""
    with told():
        home = resources.home_from_environment()
        definitions = load_definitions()
        from orchestration.operations.engines.airflow_export import POOLS, write

        graph = definitions.resolve_asset_graph()
        python = Path(sys.executable)
        files = write(graph, folder, python=python, checkout=REPOSITORY, home=home.root, product=product)
    click.echo(f"{folder}: {', '.join(path.name for path in files)}")
    click.echo(f"next: airflow pools import {folder / POOLS}; `make airflow` starts an Airflow with all of it")


for command in (*export_kubernetes.COMMANDS, export_kubeflow.kubeflow):
    export.add_command(command)
