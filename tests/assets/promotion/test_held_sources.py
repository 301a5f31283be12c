"""Held sources: the ledger says which are, and nothing of them is landed."""

from __future__ import annotations

import pytest

from assets.errors import LedgerError, UpstreamError
from assets.promotion import held_sources, ledger
from assets.promotion.ledger_state import LEDGER
from assets.storage.home import Home


def test_a_source_is_held_until_it_is_released(home: Home) -> None:
    """Once each, with who and why; the ledger stays whole."""
    assert held_sources.held(home) == {}
    held_sources.hold(home, "flights", "ann", "minutes came as hhmm")
    held_sources.hold(home, "shop", "ann", "late")
    with pytest.raises(LedgerError, match=r"source 'flights' is held already, by ann on .* \(minutes came as hhmm\)\."):
        held_sources.hold(home, "flights", "bob", "again")
    with pytest.raises(UpstreamError, match="source 'flights' is held by ann .* `loopline mitigate flights --how release"):
        held_sources.require_released(home, "flights")
    held_sources.release(home, "flights", "bob", "the source sends minutes again")
    held_sources.require_released(home, "flights")
    assert list(held_sources.held(home)) == ["shop"]
    with pytest.raises(LedgerError, match="source 'flights' is not held. Held are: shop."):
        held_sources.release(home, "flights", "bob", "twice")
    assert ledger.verify(home) == 3
    assert ledger.standing(home, LEDGER).champion is None
