"""Running: what is unchanged is skipped, what changed is made anew, and nothing is left half-published."""

from __future__ import annotations

from assets.storage import Home
from tests.world import World


def test_a_run_makes_every_asset_and_a_second_run_makes_none(world: World, ran: Home) -> None:
    """Nothing changed, so nothing is executed."""
    again = world.run(ran)
    assert again.executed == {}
    assert again.fresh == 23
