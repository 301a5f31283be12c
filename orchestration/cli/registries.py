"""`loopline registries`: what there is of each kind, and which extension adds what."""

from __future__ import annotations

import json

import click

from orchestration.cli.errors import told


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the items as JSON instead.")
def registries(as_json: bool) -> None:
    """List the items of each registry, such as gate rules and ways of learning, with those of extensions."""
    from orchestration.cli.display_registries import show_registries

    with told():
        from assets.registries import REGISTRIES
        from orchestration.operations.declaration.reference_docs import registered

        found = {name: registered(name) for name in REGISTRIES}
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        show_registries(found)
