"""`loopline plan`: what a run would make; and with an engine, what would run where and what that costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from orchestration import resources
from orchestration.cli.errors import load_definitions, told

if TYPE_CHECKING:
    from orchestration.operations.engines.engine_choice import Choice

ENGINES = ("dagster", "airflow", "kubeflow", "spark")


@click.command()
@click.argument("product", required=False)
@click.option("--engine", type=click.Choice(ENGINES), help="Say what would run where by this engine, and what that costs.")
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead.")
def plan(product: str | None, engine: str | None, as_json: bool) -> None:
    """Show what `loopline run` would make, why, in what order, and about how long it takes; nothing is executed."""
    from orchestration.cli.display import show_preview

    with told():
        home = resources.home_from_environment()
        definitions = load_definitions(product)
        home.prepare()
        from orchestration.operations.declaration.preview import preview

        with resources.instance(home) as instance:
            found = preview(definitions, instance, home, product)
        chosen = None
        if engine is not None:
            from orchestration.declarations import products
            from orchestration.operations.engines.engine_choice import choice

            specs = [spec for spec, _ in products(product)]
            chosen = choice(engine, definitions.resolve_asset_graph(), found, home, specs, product=product)
    if as_json:
        click.echo(json.dumps(found.as_json() | ({"engine": chosen.as_json()} if chosen else {}), indent=2))
    elif chosen is not None:
        _show(chosen)
    else:
        show_preview(found)


def _show(chosen: Choice) -> None:
    """Show what would run where, what it costs, and the advice."""
    from rich.markup import escape

    from orchestration.cli.console import terminal
    from orchestration.operations.engines.engine_choice import TITLES

    console = terminal()
    title = TITLES[chosen.engine]
    if chosen.set_up is not None:
        console.print(f"[yellow]{title} is not set up[/]: `{chosen.set_up}`")
    for place in chosen.places:
        console.print(f"[bold]{escape(place.where)}[/]: {len(place.assets)} stages")
        console.print(f"  {', '.join(place.assets)}", style="dim", highlight=False)
    for reason in sorted({item.reason for item in chosen.left_out}):
        names = [item.asset for item in chosen.left_out if item.reason == reason]
        console.print(f"[bold]not by {title}[/]: {', '.join(names)} ({reason})")
    seconds = f", which took {chosen.seconds_of_stages:.0f} s by their last runs" if chosen.seconds_of_stages else ""
    console.print(f"{chosen.stages_to_make} stages of these to make now{seconds}")
    if chosen.more_seconds_a_stage is not None:
        memory = chosen.more_memory_mb or 0.0
        console.print(
            f"a stage costs {chosen.more_seconds_a_stage:.1f} s of the processor more than by `loopline run`; the engine's own "
            f"processes hold {max(memory, 0.0):.0f} MB; before a run {chosen.seconds_before or 0.0:.0f} s"
        )
    for size in chosen.products:
        console.print(
            f"{size.product}: {size.rows:,} rows x {size.features}, by the model {size.processor_seconds:.0f} s of the "
            f"processor and {size.memory_mb / 1e3:.1f} GB; bottleneck: {size.bottleneck}"
        )
    console.print(f"[{'green' if chosen.is_worth_it else 'yellow'}]{escape(chosen.advice)}[/]")
