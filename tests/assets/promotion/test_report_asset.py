"""The report rests on a verdict as it was recorded, whatever a verdict holds by now."""

from __future__ import annotations

from typing import Any

import pytest

from assets.promotion import champion_asset, ledger, report_asset
from assets.promotion.verdicts import Verdict
from assets.storage.home import Home
from tests.world import small_product


def test_a_verdict_of_an_earlier_version_is_reported(ran_copy: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version records more, so what it reads has another digest than its name."""
    as_json = Verdict.as_json

    def with_more(self: Verdict) -> dict[str, Any]:
        return {**as_json(self), "later": None}

    monkeypatch.setattr(Verdict, "as_json", with_more)
    spec = small_product()
    champion = ledger.standing(ran_copy, spec.name).champion
    assert champion is not None
    assert champion.verdict is not None
    report_asset.write_report(ran_copy, spec)
    champion_asset.decide_champion(ran_copy, spec)
    assert list((ran_copy.root / "registry").rglob(f"evidence/verdict-{champion.verdict[:16]}.json"))
