"""`loopline new`: declare a product over a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from orchestration import resources
from orchestration.cli.errors import told

if TYPE_CHECKING:
    from assets.scaffolding.file_profile import ColumnProfile
    from assets.scaffolding.leak_suspects import Suspect
    from assets.scaffolding.question import Answer

READ = {"encoding": "encoding", "nulls": "nulls", "staging": "staged"}
"""The options that say how to read and write, with the names that they have where that is done."""


@click.command()
@click.argument("name")
@click.option(
    "--data", required=True, help="CSV, JSON, Parquet or Excel, also packed; a folder or pattern of them; or DATABASE::TABLE."
)
@click.option("--target", required=True, help="The column to predict.")
@click.option(
    "--kind",
    type=click.Choice(["binary", "multiclass", "regression"]),
    help="The kind of target; without it two values are binary, texts and few whole numbers multiclass, others a regression.",
)
@click.option("--time", help="The column that dates a row; without it the split is random.")
@click.option("--entity", help="The column that identifies a row; without it one is looked for.")
@click.option("--group", help="A column whose equal values stay on one side of a random split.")
@click.option("--without", multiple=True, help="A column that must not become a feature; may be repeated.")
@click.option("--keep", multiple=True, help="A column that must become a feature, whatever it looks like; may be repeated.")
@click.option(
    "--known-after", multiple=True, help="A column that is known only after the event, so no feature; may be repeated."
)
@click.option("--null", "nulls", multiple=True, help="A text that means 'no value', beside the usual ones; may be repeated.")
@click.option("--encoding", help="The encoding of a text file, such as cp1252, where the one that is found is not right.")
@click.option("--staging", is_flag=True, help="Also write a dbt staging model, to derive features in SQL.")
def new(name: str, data: str, **options: Any) -> None:
    """Look at a file and declare a product NAME that predicts one of its columns.

    Prints what each column is used as, why, and what to say to change it. In a terminal it asks about columns that alone tell
    the target; in a script copies of the target and row numbers are left out, and others are kept with a warning.
    """
    from orchestration.cli.display_new import show_new

    with told():
        home = resources.home_from_environment().prepare()
        from assets.scaffolding.question import Question
        from orchestration.operations.declaration.new_product import new_product

        read = {own: options.pop(said) for said, own in READ.items()}
        ask = _ask if sys.stdin.isatty() and sys.stdout.isatty() else None
        show_new(name, new_product(home, Question(name, **options), data, ask=ask, **read))


def _ask(column: ColumnProfile, suspect: Suspect) -> Answer:
    """Ask a person about a column that tells the target too well."""
    from assets.scaffolding.question import shown

    click.echo(f"{shown(column.raw)!r}: {suspect}.")
    words: tuple[Answer, ...] = ("keep", "without", "known-after")
    answer: Answer = click.prompt(
        "  keep it, do without it, or is it known after the event?", type=click.Choice(words), default="keep"
    )
    return answer
