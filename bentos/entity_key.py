"""Entity key: which entity a request is about, as its sender says in the header ``X-Entity-Key``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

from bentos.refusals import RefusedError

if TYPE_CHECKING:
    from bentos.served import Served

HEADER = b"x-entity-key"
PATTERN = r"[A-Za-z0-9_.:@+/=-]{1,128}"
"""What a key may be."""
PATHS = frozenset({"/predict", "/predict_batch", "/predict_by_key", "/explain"})
"""Where it is read; the key holds for all rows of a request."""
ENTITY_KEY: ContextVar[str | None] = ContextVar("entity_key", default=None)
"""The key of the request that is being answered."""
_FIT = re.compile(PATTERN)


def read(path: str, headers: Mapping[bytes, bytes], served: Served) -> None:
    """Set `ENTITY_KEY` to the key that a request gives: None if it gives none, or the product declares no entity.

    Raises
    ------
    RefusedError
        If it is too long or has other characters.
    """
    # also of another path: a request that was pipelined behind another begins in its context
    ENTITY_KEY.set(None)
    given = headers.get(HEADER)
    if path not in PATHS or given is None or served.entity is None:
        return
    text = given.decode("latin-1")
    if not _FIT.fullmatch(text):
        raise RefusedError(
            422,
            f"The header X-Entity-Key must hold 1 to 128 letters, digits or characters of '_.:@+/=-', the key of the request's "
            f"{served.entity['name']}. Correct it, or leave it out.",
        )
    ENTITY_KEY.set(text)
