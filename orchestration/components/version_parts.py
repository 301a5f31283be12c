"""The parts of a product's declaration that are in the code versions of its assets."""

from __future__ import annotations

LEARNT_FROM = {"name", "description", "source", "features", "target", "split", "model", "cost", "uncertainty", "abstain"}
"""The parts of a declaration that change what is learnt."""
JUDGED_BY = {"gates", "baseline", "promotion", "evaluation", "cost", "target", "uncertainty", "abstain"}
"""The parts that every gate rule may read."""
WATCHED_BY = {"name", "description", "features", "target", "cost", "promotion", "monitoring", "uncertainty", "abstain"}
"""The parts by which the champion is watched."""
