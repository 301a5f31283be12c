"""`loopline learn-online`: a champion learns from the labels of its answers as they arrive, and services follow."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from orchestration import resources
from orchestration.cli.errors import told

if TYPE_CHECKING:
    from assets.storage.home import Home
    from assets.streaming.online_updates import Learning

NOTED_SECONDS = 30.0
"""How often a learner that finds nothing new notes that it looked, and pushes metrics."""


@click.command(name="learn-online")
@click.argument("product")
@click.option("--once", is_flag=True, help="Learn what has arrived, and end; exit code 1 if the promoted state answers again.")
@click.option("--every", default=1.0, show_default=True, type=click.FloatRange(0.05), help="The seconds between two looks.")
def learn_online(product: str, *, once: bool, every: float) -> None:
    """Let PRODUCT's champion learn from the labels of its answers as they arrive; running services follow its states."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.promotion.ledger import require_champion
        from assets.streaming.arriving_labels import stamp
        from assets.streaming.online_updates import OnlineUpdates
        from orchestration.declarations import products

        spec = products(product)[0][0]
        learner: OnlineUpdates | None = None
        seen: Any = None
        last: Learning | None = None
        noted = float("-inf")
        try:
            while True:
                champion, now = require_champion(home, product), datetime.now(UTC)
                if learner is None or learner.champion != champion:
                    learner, seen, last = OnlineUpdates(home, spec, champion), None, None
                is_due = time.monotonic() - noted >= NOTED_SECONDS
                if (found := stamp(home, product)) != seen:
                    last, seen = _show(learner.look(), last, product, champion.version), found
                elif is_due and last is not None:
                    learner.note(now, last.waiting)
                if is_due:
                    noted = time.monotonic()
                    _push(home)
                if once:
                    break
                time.sleep(every)
        except KeyboardInterrupt:
            click.echo("stopped; the next start goes on from here", err=True)
    if once and last is not None and last.stopped is not None:
        sys.exit(1)


def _push(home: Home) -> None:
    """Push what the pipeline knows, where a Pushgateway is named; a learner learns on without it."""
    if (gateway := resources.pushgateway()) is None:
        return
    from assets.errors import HomeError
    from assets.observability import prometheus_metrics
    from orchestration.operations.monitoring.prometheus_export import collect

    try:
        prometheus_metrics.push(collect(home), gateway)
    except HomeError as error:
        click.echo(str(error), err=True)


def _show(found: Learning, before: Learning | None, product: str, version: int) -> Learning:
    """Say what came of a look, if that is anything new."""
    if found.stopped is not None:
        if before is None or before.stopped is None:
            click.echo(f"{product}: version {version} answers as it was promoted again: {found.stopped}.", err=True)
    elif found.learned or before is None:
        click.echo(
            f"{product}: {found.learned:,} labels learned, {found.waiting:,} wait; version {version} answers by state "
            f"{found.state[:12]}, {found.rows:,} labels after its promotion"
        )
    other = found.contradicted
    if other.count and (before is None or before.contradicted != other):
        named = ", ".join(other.named) + (", …" if other.count > len(other.named) else "")
        what = f"another value was told of {named} ({other.count:,} in all); the one that was told first stands"
        click.echo(f"{product}: {what}", err=True)
    return found


COMMANDS: tuple[click.Command, ...] = (learn_online,)
