"""`loopline export kubeflow`: a product's stages as a pipeline of Kubeflow."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from assets.storage.home import REPOSITORY
from orchestration import resources
from orchestration.cli.errors import load_definitions, told


@click.command()
@click.argument("product")
@click.option("--out", "folder", required=True, type=click.Path(path_type=Path), help="A folder that is empty or new.")
@click.option(
    "--image", default="localhost/loopline-python:latest", show_default=True, help="An image with Loopline's environment."
)
def kubeflow(product: str, folder: Path, image: str) -> None:
    """Write a Kubeflow pipeline of PRODUCT's stages, each of which calls `loopline step`, and compile it."""
    with told():
        home = resources.home_from_environment().prepare()
        definitions = load_definitions(product)
        from orchestration.operations.engines import kubeflow_export
        from orchestration.operations.engines.exported_files import write

        found = kubeflow_export.tasks(definitions.resolve_asset_graph(), product)
        place = {"python": Path(sys.executable), "checkout": REPOSITORY, "home": home.root}
        text = kubeflow_export.program(found, product, **place, image=image)
        pipeline = kubeflow_export.compiled(home, text)
        kubeflow_export.require_same(found, pipeline)
        write(folder, {kubeflow_export.PROGRAM: text, kubeflow_export.COMPILED: pipeline}, "kubeflow")
    click.echo(f"{folder}: {kubeflow_export.PROGRAM}, {kubeflow_export.COMPILED}, {len(found)} tasks")
    click.echo("next: kfp run create, or upload pipeline.yaml; its parameters are python, checkout and home")
