"""`loopline review`: what a change of this repository does, as one Markdown comment."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import click

from assets.storage.home import REPOSITORY
from assets.storage.publishing import publishing
from orchestration import resources
from orchestration.cli.errors import told

COMMENT = Path("build") / "review.md"
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@click.command()
@click.argument("base", required=False)
@click.argument("head", default="HEAD")
@click.option("--product", metavar="NAME", help="Look at this product only.")
@click.option("--from", "first", metavar="MONTH", help="The first month that is played and judged, as 2013-11 [the last two].")
@click.option("--to", "last", metavar="MONTH", help="The last one.")
@click.option(
    "--step", type=click.Choice(["week", "month"]), default="month", show_default=True, help="How often a replay looks."
)
@click.option("--no-replay", is_flag=True, help="Play no months again: only models, features and the gate.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help=f"Where the comment is written [{COMMENT}].")
def review(
    base: str | None,
    head: str,
    *,
    product: str | None,
    first: str | None,
    last: str | None,
    step: str,
    no_replay: bool,
    out: Path | None,
) -> None:
    """Say in one comment what the change from BASE to HEAD does: stale assets, features, metrics, money, alarms, the gate.

    BASE and HEAD are revisions of git; left out, BASE is where HEAD left the main branch. Both begin from copies of this
    home, which stays as it is. Exit code 1 means that a revision cannot be made; what the gate refuses is a result.
    """
    with told():
        from orchestration.review.comment import comment
        from orchestration.review.reviewer import Asked, Reviewer
        from orchestration.review.revisions import Repository

        if (first is None) != (last is None):
            raise click.UsageError("--from and --to belong together: give both, or neither.")
        months = None if first is None or last is None else (first, last)
        for option, month in (("--from", first), ("--to", last)):
            if month is not None and not MONTH.fullmatch(month):
                raise click.UsageError(f"{option} must be a month, such as 2013-11, not '{month}'.")
        if months is not None and months[0] > months[1]:
            raise click.UsageError(f"--from {first} is after --to {last}.")
        repository = Repository(REPOSITORY)
        after = repository.revision(head)
        before = repository.merge_base(after) if base is None else repository.revision(base)
        home = resources.home_from_environment().prepare()
        asked = Asked(product, months, step, replay=not no_replay)
        with tempfile.TemporaryDirectory(prefix="loopline-review-") as scratch:
            found = Reviewer(repository, home, Path(scratch), asked, told=_say).review(before, after)
        text = comment(found)
        target = out or REPOSITORY / COMMENT
        target.parent.mkdir(parents=True, exist_ok=True)
        with publishing(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    click.echo(text, nl=False)
    sys.exit(found.is_broken)


def _say(line: str) -> None:
    """Say on the standard error what is being done: the standard output is the comment."""
    click.echo(line, err=True)
