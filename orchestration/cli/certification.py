"""`loopline certify` and `governance`: what serves and why, as a signed bundle, and as documents for people."""

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


@click.command()
@click.argument("product")
@click.option("--out", "folder", type=click.Path(path_type=Path), help="A new or empty folder; left out, blanks are listed.")
def governance(product: str, folder: Path | None) -> None:
    """Write the technical file (EU AI Act, Annex IV) and the data sheet of PRODUCT's champion, filled from evidence."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import products
        from orchestration.operations.engines.exported_files import write
        from orchestration.operations.governance import documents

        found = documents.documents(home, products(product)[0][0])
        if folder is not None:
            write(folder, documents.files(found), "governance")
    for document in found:
        click.echo(f"{document.name}: {document.filled}")
        for answer in document.blanks:
            click.echo(f"  blank: {answer.asked}: {answer.declare}")


COMMANDS: tuple[click.Command, ...] = (certify, governance)
