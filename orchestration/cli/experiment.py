"""`loopline experiment`: experiments on live traffic."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestration import resources
from orchestration.cli.errors import told

if TYPE_CHECKING:
    from assets.spec import ProductSpec
    from assets.storage.home import Home

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def experiment() -> None:
    """Experiments on live traffic, as PRODUCT declares them under 'experiments'."""


@experiment.command()
@click.argument("product")
@click.argument("name")
@click.option("--history", type=FILE, help="Design by a Parquet or CSV file with unit, day and value instead.")
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead.")
def design(product: str, name: str, history: Path | None, *, as_json: bool) -> None:
    """Work out from PRODUCT's own history how many weeks its experiment NAME must take, and what it can find."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.cli.display_experiment import show_design
        from orchestration.operations.promotion.experiments import designed

        found = designed(home, product, name, history)
        if as_json:
            click.echo(json.dumps(found.as_json(), indent=2))
        else:
            show_design(found)


@experiment.command()
@click.argument("product")
@click.argument("name")
@click.option("--reason", default="as declared", help="Why; it is kept for ever.")
def start(product: str, name: str, reason: str) -> None:
    """Start PRODUCT's declared experiment NAME: services that run deal their traffic to its arms within a second."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.experiments import stages
        from orchestration.cli.display import show_entry
        from orchestration.operations.promotion.experiments import declared_experiment

        spec, found = declared_experiment(product, name)
        show_entry(stages.start(home, spec, found, actor=resources.actor(), reason=reason))


@experiment.command()
@click.argument("product")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON instead.")
def status(product: str, *, as_json: bool) -> None:
    """Show which experiment of PRODUCT runs, in which stage, and who answers which share."""
    with told():
        home, spec = _opened(product)
        from assets.experiments import stages
        from assets.promotion import ledger
        from orchestration.cli.display_experiment import show_status

        _, stage = stages.running(home, spec)
        entries = [entry for entry in ledger.entries(home, product) if entry.stage[0] == stage.experiment]
    if as_json:
        click.echo(json.dumps(asdict(stage), indent=2))
    else:
        show_status(stage, entries)


@experiment.command()
@click.argument("product")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what is found: take nothing back, and let nothing grow.")
@click.option("--json", "as_json", is_flag=True, help="Print the look as JSON instead.")
def look(product: str, *, is_dry: bool, as_json: bool) -> None:
    """Look at PRODUCT's running test or canary, as often as you like, and do what surely follows.

    A harmful arm ends the experiment; a canary that is surely not worse gets its next share.
    """
    with told():
        home, spec = _opened(product)
        from assets.experiments.steering import look as looked_at
        from orchestration.cli.display_experiment import show_look

        found = looked_at(home, spec, datetime.now(UTC), is_dry=is_dry)
    if as_json:
        click.echo(json.dumps(found.look.as_json(), indent=2))
    else:
        show_look(found)


@experiment.command("off-policy")
@click.argument("product")
@click.option("--threshold", type=click.FloatRange(0, 1), help="The champion, with this threshold.")
@click.option("--version", type=int, help="The registered version with this number, with its own rule.")
@click.option("--experiment", "name", help="Only by the rows that this experiment dealt to arms.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON instead.")
def off_policy(product: str, threshold: float | None, version: int | None, name: str | None, *, as_json: bool) -> None:
    """Estimate from the log of experiments what a rule of PRODUCT that was never served would have cost.

    Without --threshold and --version it is the newest version.
    """
    with told():
        home, spec = _opened(product)
        from assets.experiments import off_policy_page
        from assets.experiments.candidate_rules import candidate_rule
        from assets.experiments.off_policy_report import off_policy_report
        from orchestration.cli.display_off_policy import show_off_policy

        rule = candidate_rule(home, spec, threshold=threshold, version=version)
        found = off_policy_report(home, spec, rule, datetime.now(UTC), experiment=name)
        _, page = off_policy_page.publish(home, found)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        show_off_policy(found, page)


@experiment.command()
@click.argument("product")
@click.option("--reason", required=True, help="Why; it is kept for ever.")
def stop(product: str, reason: str) -> None:
    """End PRODUCT's experiment: the champion answers all from then on."""
    with told():
        home, spec = _opened(product)
        from assets.experiments import stages
        from orchestration.cli.display import show_entry

        show_entry(stages.stop(home, spec, actor=resources.actor(), reason=reason))


@experiment.command()
@click.argument("product")
@click.argument("arm")
@click.option("--reason", required=True, help="Why; it is kept for ever.")
@click.option("--override", is_flag=True, help="Promote the arm although the gate refuses; that is recorded for ever.")
def decide(product: str, arm: str, reason: str, *, override: bool) -> None:
    """End PRODUCT's experiment for ARM: the control goes on, or the arm's version is judged by the gate and promoted."""
    with told():
        home, spec = _opened(product)
        from orchestration.cli.promotion import follow
        from orchestration.operations.promotion.experiment_decisions import decide as decided

        follow(home, product, decided(home, spec, arm, actor=resources.actor(), reason=reason, override=override))


@experiment.command()
@click.argument("product")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON instead.")
def report(product: str, name: str | None, *, as_json: bool) -> None:
    """Report PRODUCT's experiment NAME, or else the one that runs or ran last, and write its page."""
    with told():
        home, spec = _opened(product)
        from assets.experiments import experiment_report
        from orchestration.cli.display_shadow import show_shadow

        record, page = experiment_report.report(home, spec, datetime.now(UTC), name)
        if as_json:
            click.echo(json.dumps(record, indent=2))
        else:
            (show_shadow if record["kind"] == "shadow" else _show_arms)(record)
            click.echo(page)


def _show_arms(record: dict[str, Any]) -> None:
    click.echo(record["told"])


def _opened(product: str) -> tuple[Home, ProductSpec]:
    """The home, and the declaration of a product."""
    home = resources.home_from_environment().prepare()
    from orchestration.declarations import products

    return home, products(product)[0][0]
