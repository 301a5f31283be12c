"""`loopline outcomes`: tell what became of answers, and show what is known."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestration import resources
from orchestration.cli.errors import told


@click.command()
@click.argument("product")
@click.option("--file", "file", type=click.Path(path_type=Path), help="A CSV or Parquet file of outcomes to add; all, or none.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON instead.")
def outcomes(product: str, *, file: Path | None, as_json: bool) -> None:
    """Add what became of PRODUCT's answers, and show how many are known, late, doubled, in conflict or of no answer."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.monitoring import logged_outcomes, outcome_intake
        from assets.monitoring.stores import STORES
        from orchestration.declarations import products

        spec, now = products(product)[0][0], datetime.now(UTC)
        for store in STORES:
            store.archive(home, product, now)
        taken = None if file is None else outcome_intake.take(home, spec, file, f"person:{resources.actor()}", now)
        known = logged_outcomes.known(home, spec)
    if as_json:
        click.echo(json.dumps({**({} if taken is None else {"file": asdict(taken)}), **asdict(known)}, indent=2))
        return
    if taken is not None:
        click.echo(f"{file}: {taken.rows:,} rows, {taken.new:,} new, {taken.repeated:,} told before in the same words")
    days = f"{spec.serving.outcomes.late_after_days:g}"
    for count, what in (
        (known.answered, "answered rows in the prediction log"),
        (known.matched, "of them have an outcome"),
        (known.late, f"of those outcomes are late: observed more than {days} days after the answer"),
        (known.told, "outcomes were told"),
        (known.doubled, "repeat the outcome that a row has"),
        (known.conflicting, "contradict it; the one that was told first stands"),
        (known.unknown, "belong to no answer in the log"),
    ):
        click.echo(f"{count:>12,}  {what}")


COMMANDS: tuple[click.Command, ...] = (outcomes,)
