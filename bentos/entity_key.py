"""Entity key: which entity a request is about, as its sender says in the header ``X-Entity-Key``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bentos.open_inference_paths import INFER
from bentos.refusals import RefusedError

if TYPE_CHECKING:
    from bentos.served import Served

HEADER = b"x-entity-key"
PATTERN = r"[A-Za-z0-9_.:@+/=-]{1,128}"
"""What a key may be."""
PATHS = frozenset({"/predict", "/predict_batch", "/predict_by_key", "/explain", INFER})
"""Where it is read; the key holds for all rows of a request."""
_FIT = re.compile(PATTERN)


def read(path: str, headers: Mapping[bytes, bytes], served: Served) -> str | None:
    """The key that a request gives; None if it gives none, or the product declares no entity.

    Raises
    ------
    RefusedError
        If it is too long or has other characters.
    """
    if served.entity is None or path not in PATHS or (given := headers.get(HEADER)) is None:
        return None
    text = given.decode("latin-1")
    if not _FIT.fullmatch(text):
        raise RefusedError(
            422,
            f"The header X-Entity-Key must hold 1 to 128 letters, digits or characters of '_.:@+/=-', the key of the request's "
            f"{served.entity['name']}. Correct it, or leave it out.",
        )
    return text
