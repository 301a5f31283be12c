"""`loopline learn`: the textbook in the terminal, with checks that its tasks were done."""

from __future__ import annotations

import sys

import click

from orchestration import resources
from orchestration.cli.errors import told


@click.command()
@click.argument("topic", required=False)
@click.option(
    "--check", "is_check", is_flag=True, help="Look in the home whether the task was done; of all topics without TOPIC."
)
@click.option("--answer", help="What you found out, where the task is a question; implies --check.")
def learn(topic: str | None, *, is_check: bool, answer: str | None) -> None:
    """List the textbook's topics with what is done; print the idea and the task of one TOPIC, such as 1.1.7."""
    from orchestration.cli.display_learn import show_page, show_topics

    with told():
        home = resources.home_from_environment().prepare()
        from assets.errors import SpecificationError
        from orchestration.operations.textbook import learning_progress, textbook

        if topic is None:
            if answer is not None:
                raise SpecificationError("--answer is of one topic: loopline learn TOPIC --answer …")
            found = textbook.pages()
            for item in found if is_check else ():
                kinds = item.settings.get("evidence", {})
                if kinds and "ask" not in kinds and learning_progress.missing(home, item) is None:
                    learning_progress.note(home, item.topic.number)
            show_topics(found, learning_progress.done(home))
            return
        page = textbook.page(topic)
        if not is_check and answer is None:
            show_page(page, learning_progress.question(page), learning_progress.done(home).get(topic))
            return
        lacking = learning_progress.missing(home, page, answer)
        if lacking is None:
            learning_progress.note(home, topic)
    click.echo(f"{topic}: done" if lacking is None else f"{topic}: not yet: {lacking}")
    sys.exit(lacking is not None)
