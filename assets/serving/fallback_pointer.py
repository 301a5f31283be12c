"""Fallback pointer: what services are told of the fallback, changed without changing whom they follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assets.serving import bento_package, fallback_switch
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from bentos.fallback import FALLBACK, FALLING_BACK


def follow(home: Home, product: str) -> None:
    """Let services answer with the fallback, or with the champion, as the ledger says; whom they follow stays as it is.

    Raises
    ------
    LedgerError
        If the fallback is to answer, and what they follow has none.
    """
    if told := _told(home, product):
        kept = {name: item for name, item in told.items() if name != FALLING_BACK}
        write_json(bento_package.pointer(home, product), {**kept, **fallback_switch.named_in_pointer(home, product, kept)})


def is_packaged(home: Home, product: str) -> bool:
    """Whether what services follow has a fallback."""
    return FALLBACK in _told(home, product)


def answers(home: Home, product: str) -> bool:
    """Whether services are told that the fallback answers."""
    return FALLING_BACK in _told(home, product)


def _told(home: Home, product: str) -> Mapping[str, Any]:
    path = bento_package.pointer(home, product)
    return read_json(path) if path.exists() else {}
