"""`loopline export kserve` and `kubernetes`: manifests of what is served now, and of the stages by a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from orchestration import resources
from orchestration.cli.errors import told

OUT = click.option("--out", "folder", required=True, type=click.Path(path_type=Path), help="A folder that is empty or new.")
IMAGE = click.option("--image", metavar="NAME", help="The service's image without its tag [localhost/PRODUCT].")


@click.command()
@click.argument("product")
@OUT
@IMAGE
def kserve(product: str, folder: Path, image: str | None) -> None:
    """Write KServe's InferenceService of PRODUCT's champion, and of the challenger while an experiment runs."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.promotion import experiment_records, ledger
        from assets.serving.kserve_manifest import CANARY, inference_services
        from orchestration.declarations import products
        from orchestration.operations.engines.exported_files import write

        spec = products(product)[0][0]
        champion = ledger.require_champion(home, product)
        running = experiment_records.running(home, ledger.standing(home, product))
        files = inference_services(spec, champion, running, image or f"localhost/{product}")
        write(folder, files, "kserve")
    _say(folder, files)
    click.echo(f"next: kubectl apply -f {folder / 'champion.yaml'}")
    if CANARY in files:
        click.echo(f"once it is ready: kubectl apply -f {folder / CANARY}")


@click.command()
@click.argument("product")
@OUT
@IMAGE
@click.option(
    "--loop-image", default="localhost/loopline:latest", show_default=True, help="An image in which `loopline` is a command."
)
def kubernetes(product: str, folder: Path, image: str | None, loop_image: str) -> None:
    """Write a Kustomize base and overlays of PRODUCT's service, with CronJobs that call `loopline`."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.promotion import ledger
        from assets.serving.kubernetes_manifest import image_of
        from assets.serving.kustomization import kustomization
        from orchestration.declarations import products, sources_of
        from orchestration.operations.engines.exported_files import write

        spec, place = products(product)[0]
        champion = ledger.require_champion(home, product)
        sources = [source.name for source, _ in sources_of(spec, place)]
        reference = image_of(image or f"localhost/{product}", champion.version, champion.model_digest)
        files = kustomization(spec, champion, reference, loop_image, sources)
        write(folder, files, "kubernetes")
    _say(folder, files)
    click.echo(f"next: kubectl apply -k {folder / 'overlays' / 'dev'}; its Secrets: docs/kubernetes.md")


def _say(folder: Path, files: Mapping[str, str]) -> None:
    click.echo(f"{folder}: {', '.join(files)}")


COMMANDS: tuple[click.Command, ...] = (kserve, kubernetes)
