"""Fallback switch: services are told of a person's fallback what the ledger says; where that cannot be, nothing is changed.

A service that is to fall back, but whose package has no fallback, would answer with the model, and nobody would know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assets.errors import LedgerError
from assets.promotion import fallback_entries
from assets.promotion.ledger_state import Entry
from assets.serving import fallback_record
from assets.spec import ProductSpec
from assets.storage.home import Home
from bentos.fallback import FALLBACK, FALLING_BACK


def named_in_pointer(home: Home, product: str, promised: Mapping[str, Any]) -> dict[str, str]:
    """What the pointer says while a person wants the fallback to answer: the ledger's entry.

    Parameters
    ----------
    home, product
        Whose ledger is read, and of which product.
    promised : mapping
        What the package that services follow promises, or the pointer that repeats it.

    Raises
    ------
    LedgerError
        If that package has no fallback.
    """
    entry = fallback_entries.in_force(home, product)
    if entry is None:
        return {}
    if FALLBACK not in promised:
        raise model_instead(product, entry, "the version that services would follow was packaged without one")
    return {FALLING_BACK: entry.digest}


def require_record(home: Home, spec: ProductSpec, champion: Entry) -> None:
    """Refuse to package a champion without its fallback while that is to answer.

    Raises
    ------
    LedgerError
        If none is declared, or none could be fitted of this version.
    """
    entry = fallback_entries.in_force(home, spec.name)
    if entry is None:
        return
    if spec.serving.fallback is None:
        raise not_declared(spec.name, entry)
    if fallback_record.current(home, spec.name, champion.model_digest) is None:
        raise model_instead(spec.name, entry, f"none could be fitted of version {champion.version}")


def not_declared(product: str, entry: Entry) -> LedgerError:
    """What is said where `serving.fallback` was taken out of the declaration while the fallback answers."""
    return model_instead(product, entry, "serving.fallback is declared no more (declare it again to keep it)")


def model_instead(product: str, entry: Entry, because: str) -> LedgerError:
    """What is said where the model would answer although the ledger says that the fallback does."""
    return LedgerError(
        f"{product}: its fallback answers {entry.told}, but {because}: the model would answer instead. What is served stays. "
        f"To let a model answer, release the fallback first: `loopline mitigate {product} --how release --reason … --do`."
    )
