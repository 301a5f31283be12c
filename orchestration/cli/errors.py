"""What all commands share: one clear error instead of a traceback, and the definitions, loaded when they are needed."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from assets.errors import DiskError, GateRefusedError, LooplineError
from assets.processes.interrupts import is_interrupt

REFUSED = 3
"""The exit code of a refusal, by the gate or of a table that nothing can be learnt from: a result; errors have 1, and a wrong
command line 2."""
INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it: 128 and the number of the signal."""


@contextmanager
def told() -> Iterator[None]:
    """End with one clear error, where the error is one that a user can mend."""
    from rich.console import Console
    from rich.text import Text

    try:
        with plain_disk_errors():
            yield
    except sqlite3.DatabaseError as error:
        if type(error) not in (sqlite3.DatabaseError, sqlite3.OperationalError):
            raise
        message = f" a database cannot be read ({error}). `loopline verify --deep` says which."
        Console(stderr=True).print(Text.assemble(("error", "bold red"), message), highlight=False, soft_wrap=True)
        sys.exit(1)
    except Exception as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        if not isinstance(error, LooplineError) and not _is_of_a_model(error):
            raise
        is_refusal = isinstance(error, GateRefusedError) or getattr(error, "is_refusal", False)
        told = Text.assemble(("refused", "bold yellow") if is_refusal else ("error", "bold red"), f" {error}")
        Console(stderr=True).print(told, highlight=False, soft_wrap=True)
        sys.exit(REFUSED if is_refusal else 1)


class InterruptibleGroup(click.Group):
    """A group of commands that Ctrl-C ends with one line and an exit code of its own; click's own way says that they failed."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupted:
            click.echo(f"\n{interrupted}" if interrupted.args else "\ninterrupted", err=True)
            sys.exit(INTERRUPTED)


@contextmanager
def plain_disk_errors() -> Iterator[None]:
    """Raise what any library says of a full or read-only disk as our own error."""
    try:
        yield
    except Exception as error:
        from assets.storage.disk_errors import disk_error
        from orchestration.resources import named_home

        if not isinstance(error, DiskError) and (plain := disk_error(named_home(), error)) is not None:
            raise plain from error
        raise


def _is_of_a_model(error: Exception) -> bool:
    from bentos.runtime import ModelError  # here, as it brings numpy, which most commands do not need

    return isinstance(error, ModelError)


def load_definitions(product: str | None = None) -> Any:
    """Load the definitions, and find our own error under Dagster's account of where it was raised.

    Where one product is asked for that rests on no other declaration, only its own are loaded.

    Raises
    ------
    SpecificationError
        If nothing is declared, or a declaration cannot be read.
    """
    from orchestration.declarations import require_declarations

    require_declarations()
    from orchestration.assembly import of_product

    if product is not None and (alone := of_product(product)) is not None:
        return alone
    try:
        from orchestration.definitions import defs
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, LooplineError):
                raise cause from None
            cause = cause.__cause__
        raise
    return defs
