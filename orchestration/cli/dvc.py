"""`loopline dvc`: a product's files and parameters as a data repository that DVC understands, and runs of its revisions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assets.errors import SpecificationError
from orchestration import resources
from orchestration.cli.errors import told

if TYPE_CHECKING:
    from assets.storage.home import Home

OUT = click.option("--out", "folder", required=True, type=click.Path(path_type=Path), help="The data repository's folder.")


@click.group()
def dvc() -> None:
    """Write and serve data repositories that DVC understands; `make dvc` sets DVC up."""


@dvc.command()
@click.argument("product")
@OUT
@click.option("--remote", metavar="PLACE", help="A folder, or s3://bucket/prefix, that DVC pushes to; left out, OUT.remote.")
def export(product: str, folder: Path, remote: str | None) -> None:
    """Write a data repository of PRODUCT: raw files, parameters and stages, tracked by git and DVC, pushed to a remote."""
    with told():
        from orchestration.declarations import products, sources_of
        from orchestration.operations.engines.dvc_repository import export as write

        spec, place = products(product)[0]
        files = write(spec, sources_of(spec, place), folder, remote)
    click.echo(f"{folder}: {len(files)} raw files, tracked and pushed")
    click.echo(f"next: cd {folder} && dvc repro && git add --all && git commit; its home is the one that LOOPLINE_HOME names")


@dvc.command()
@click.argument("product")
@OUT
def model(product: str, folder: Path) -> None:
    """Write the model of PRODUCT that was trained last, and the digests of it; a stage of a data repository calls this."""
    with told():
        from orchestration.declarations import products
        from orchestration.operations.engines.dvc_repository import write_model

        write_model(resources.home_from_environment().prepare(), products(product)[0][0], folder)


@dvc.command()
@click.argument("product")
@OUT
def metrics(product: str, folder: Path) -> None:
    """Write the figures of PRODUCT's model that was trained last; a stage of a data repository calls this."""
    with told():
        from orchestration.declarations import products
        from orchestration.operations.engines.dvc_repository import write_metrics

        write_metrics(resources.home_from_environment().prepare(), products(product)[0][0], folder)


@contextmanager
def landing_from(home: Home, product: str | None, given: str | None) -> Iterator[None]:
    """Let a run take a product's files from a data repository; without one, bring what `*.dvc` files of sources track.

    Raises
    ------
    SpecificationError
        If a repository is given and no product.
    """
    from orchestration import declarations

    if given is None:
        if any(".dvc" in path.read_text(encoding="utf-8") for path in declarations.DEFS.rglob("defs.yaml")):
            from orchestration.operations.engines.dvc_repository import fetch_tracked

            chosen = declarations.products(product)
            fetch_tracked([item for spec, folder in chosen for item in declarations.sources_of(spec, folder)])
        yield
        return
    if product is None:
        raise SpecificationError(
            "--from-dvc needs a PRODUCT: a data repository is of one. `loopline run PRODUCT --from-dvc …`."
        )
    from orchestration.operations.engines.dvc_repository import taken

    spec, folder = declarations.products(product)[0]
    with taken(home, spec, declarations.sources_of(spec, folder), given):
        yield
