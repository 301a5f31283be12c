"""`loopline certify`: a signed bundle that proves what serves and why, to whoever has the key."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration import resources
from orchestration.cli.errors import told


@click.command()
@click.argument("product")
@click.option(
    "--out",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write [PRODUCT-VERSION.certificate.zip].",
)
def certify(product: str, file: Path | None) -> None:
    """Write a signed bundle about PRODUCT's champion: provenance, evidence, ledger proofs, model card, bill of materials."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.storage.publishing import publishing
        from orchestration.declarations import products
        from orchestration.operations.certification.bundle import certify as certified

        made = certified(home, products(product)[0][0])
        path = (file or Path(f"{product}-{made.champion.tag}.certificate.zip")).absolute()
        with publishing(path) as temporary:
            temporary.write_bytes(made.content)
    click.echo(f"{path}: {len(made.content):,} bytes about {product} version {made.champion.version}")
    click.echo(f"signed by {made.key}: give this key to whoever verifies, by another way than the bundle")


COMMANDS: tuple[click.Command, ...] = (certify,)
