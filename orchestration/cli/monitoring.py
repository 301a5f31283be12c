"""`loopline` commands that watch, and that train anew: monitor, retrain, triggers, requests, metrics."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

import click

from orchestration import resources
from orchestration.cli.errors import load_definitions, told


@click.command()
@click.argument("product")
@click.option("--as-of", type=click.DateTime(), help="Look from this moment (UTC), as if nothing later were known; not kept.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON instead, and open nothing.")
@click.option("--path", "only_path", is_flag=True, help="Print the page's path and open nothing.")
@click.option("--evidently", is_flag=True, help="Open Evidently's page of the last period instead, from a sample.")
def monitor(product: str, *, as_of: datetime | None, as_json: bool, only_path: bool, evidently: bool) -> None:
    """Open the page of what became of PRODUCT's champion: volume, drift, quality before and after labels, alarms."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.errors import DigestError
        from assets.monitoring import champion_monitor, monitor_page
        from assets.monitoring.watching import look_back, second_opinion, write_page
        from orchestration.declarations import products

        spec = products(product)[0][0]
        if evidently:
            click.echo(page := second_opinion(home, spec))
            if not only_path:
                click.launch(page.as_uri())
            return
        record = champion_monitor.recorded(home, product) if as_of is None else look_back(home, spec, as_of)
        if record is None:
            raise DigestError(f"{product}: its champion was not watched yet. Run `loopline run {product}`.")
        page = write_page(home, record, monitor_page.PAGE if as_of is None else monitor_page.EARLIER)
    if as_json:
        click.echo(json.dumps(record, indent=2))
        return
    if not only_path:
        for alarm in record["alarms"]:
            click.echo(f"{alarm['kind'].replace('_', ' ')}: {alarm['what']}: {alarm['told']}")
        click.launch(page.as_uri())
    click.echo(page)


@click.command()
@click.argument("product")
@click.option("--reason", required=True, help="Why; it is carried to the model version and the ledger.")
def retrain(product: str, reason: str) -> None:
    """Make what is stale of PRODUCT, and say why in its version and in the ledger; cooldown and budget are not asked."""
    from orchestration.cli.display import RunDisplay

    with told():
        home = resources.home_from_environment().prepare()
        definitions = load_definitions(product)
        from assets.monitoring import retraining_decisions, retraining_triggers
        from orchestration.automation import learns_something
        from orchestration.declarations import products
        from orchestration.staleness.plan import keys_of, plan
        from orchestration.staleness.run_loop import run
        from orchestration.staleness.run_tags import REASON, TRIGGER

        spec, display, now = products(product)[0][0], RunDisplay(home), datetime.now(UTC)
        graph = definitions.resolve_asset_graph()
        with resources.instance(home) as instance, display:
            new = learns_something(plan(graph, instance, home, keys_of(graph, product)), spec)
            event = retraining_triggers.manual(f"{resources.actor()}: {reason}", now)
            (decision,) = retraining_decisions.decide(home, spec, [event], now, something_new=new)
            if decision.outcome == "requested":
                tags = {TRIGGER: event.name, REASON: event.told}
                run(definitions, instance, home, product, tags=tags, on_wave=display.wave, on_wait=display.waiting)
    click.echo(f"{decision.outcome}: {decision.told}")


@click.command()
@click.argument("product")
@click.option("--json", "as_json", is_flag=True, help="Print the decisions as JSON instead.")
def triggers(product: str, as_json: bool) -> None:
    """Show what may start a training of PRODUCT, and what was decided of all that happened."""
    from orchestration.cli.display_monitoring import show_decisions

    with told():
        home = resources.home_from_environment().prepare()
        from assets.monitoring import retraining_decisions
        from orchestration.declarations import products

        spec = products(product)[0][0]
        found = retraining_decisions.decisions(home, product)
    if as_json:
        click.echo(json.dumps([asdict(decision) for decision in found], indent=2))
    else:
        show_decisions(spec, found)


@click.command()
@click.option("--push", "gateway", metavar="HOST:PORT", help="Push them to a Pushgateway instead of printing them.")
def metrics(gateway: str | None) -> None:
    """Print what the pipeline knows in Prometheus's text format: champions, quality, drift, alarms, decisions."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.observability import prometheus_metrics
        from orchestration.operations.monitoring.prometheus_export import collect

        found = collect(home)
        if gateway is not None:
            prometheus_metrics.push(found, gateway)
    if gateway is None:
        click.echo(prometheus_metrics.text(found), nl=False)


@click.command()
@click.argument("product")
@click.option("--rows", default=100, show_default=True, type=click.IntRange(1), help="How many rows, the latest.")
def requests(product: str, rows: int) -> None:
    """Print the latest rows of PRODUCT's prediction log, decrypted, as one JSON object a line, the last one first."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.monitoring import logged_requests
        from orchestration.declarations import products

        products(product)
        for line in logged_requests.latest(home, product, most=rows):
            answer = {name: json.loads(line[name]) for name in ("features", "prediction")}
            hidden = json.loads(line["hidden"] or "{}")
            click.echo(json.dumps({**line, **answer, "hidden": hidden}))


COMMANDS: tuple[click.Command, ...] = (monitor, retrain, triggers, requests, metrics)
