"""`loopline notebook`, `adopt` and `phases`: try variants of a declaration, adopt one, and see which phase settled what."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import click

from orchestration import resources
from orchestration.cli.errors import told


@click.command()
@click.argument("product")
@click.option("--path", "only_path", is_flag=True, help="Write the notebook where there is none, print its path, open nothing.")
def notebook(product: str, *, only_path: bool) -> None:
    """Open JupyterLab on PRODUCT's notebook; one is written where there is none. `make notebook` sets JupyterLab up."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import products
        from orchestration.operations.research import notebooks

        file = notebooks.prepared(products(product)[0][0])
        if not only_path:
            command = notebooks.jupyter_lab(file)
    click.echo(file)
    if not only_path:
        sys.exit(subprocess.run(command, env=resources.notebook_environment(home), check=False).returncode)


@click.command()
@click.argument("notebook")
@click.option("--variant", "name", metavar="NAME", help="Which recorded variant, by the beginning of its name [the last one].")
def adopt(notebook: str, name: str | None) -> None:
    """Commit the variant that NOTEBOOK recorded as a change of the declaration, on a branch of its own.

    NOTEBOOK is a file, or a product. The checkout must be clean; neither its files nor its branch change.
    """
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.operations.research.adoption import adopt as adopted

        done = adopted(home, notebook, name=name)
    click.echo(f"{done.branch}: {done.commit[:12]} changes {done.file}")
    if done.lost:
        click.echo(
            f"note: the champion needs {', '.join(done.lost)}, so the gate cannot compare the two, and a run's predictions and "
            "monitoring fail until another version is promoted by hand"
        )
    click.echo(f"next: git switch {done.branch} && loopline run {done.record.product}")


@click.command()
@click.argument("product")
@click.option("--json", "as_json", is_flag=True, help="Print the phases as JSON instead, and open nothing.")
@click.option("--path", "only_path", is_flag=True, help="Print the page's path and open nothing.")
def phases(product: str, *, as_json: bool, only_path: bool) -> None:
    """Walk through PRODUCT's phases (CRISP-ML(Q)): what was decided, by which evidence, and what is open."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import products, sources_of
        from orchestration.operations.research import phases as operation

        spec, folder = products(product)[0]
        found = operation.phases(home, spec, [source.name for source, _ in sources_of(spec, folder)])
        if as_json:
            click.echo(json.dumps(found, indent=2))
            return
        page = operation.write_page(home, spec, found, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    for phase in found:
        click.echo(f"{phase['name']}: {len(phase['statements']) - phase['open']} settled, {phase['open']} open")
        for item in phase["statements"]:
            if item["is_open"]:
                click.echo(f"  {item['what']}: {item['told']}")
    click.echo(page)
    if not only_path:
        click.launch(page.as_uri())


COMMANDS: tuple[click.Command, ...] = (notebook, adopt, phases)
