"""What all commands share: one clear error instead of a traceback, and the definitions, loaded when they are needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from assets.errors import LooplineError
from bentos.runtime import TamperedModelError


@contextmanager
def told() -> Iterator[None]:
    """End with one clear error, where the error is one that a user can mend."""
    from rich.console import Console

    try:
        yield
    except (LooplineError, TamperedModelError) as error:
        Console(stderr=True).print(f"[bold red]error[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)


def load_definitions() -> Any:
    """Load the definitions, and find our own error under Dagster's account of where it was raised."""
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
