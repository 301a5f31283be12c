"""The console that commands print to."""

from __future__ import annotations

from rich.console import Console

PIPED_WIDTH = 160
"""The least width outside a terminal, so that what a script reads is neither folded nor cut."""


def terminal(*, markup: bool = True) -> Console:
    """A console on standard output, wide where that is no terminal."""
    made = Console(markup=markup, highlight=False)
    if not made.is_terminal:
        made.width = max(made.width, PIPED_WIDTH)
    return made
