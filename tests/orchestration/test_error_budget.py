"""A product with a budget of false promotions, run and run again: the gate tests at the budget's level, and the ledger tells."""

from __future__ import annotations

from pathlib import Path

from assets.promotion import ledger, verdicts
from assets.promotion.error_budget import error_budget
from assets.storage.home import Home
from tests.shop import customers, product, run_products
from tests.world import changed


def test_each_challenger_spends_the_level_it_was_tested_at(home: Home, tmp_path: Path) -> None:
    """A first model spends nothing; the next has 0.025; to be judged anew, of the same rows, costs nothing."""
    customers(2000).to_csv(tmp_path / "customers.csv", index=False)
    model = product("churn").model.model_dump()
    for trees in (30, 20):
        parameters = {**model["parameters"], "max_iter": trees}
        spec = product("churn", promotion={"error_budget": 0.1}, model={**model, "parameters": parameters})
        run_products(home, tmp_path, spec)
    entries = ledger.entries(home, "churn")
    assert [entry.event for entry in entries] == ["promotion", "refusal"]
    (spending,) = error_budget(home, spec, entries).spendings
    assert (spending.entry, spending.level, spending.is_assumed) == (2, 0.025, False)
    told = next(item for item in verdicts.opened(home, entries[1]).findings if item.gate == "champion")
    assert "with confidence 97.5%" in told.requirement
    (card,) = (home.reports / "churn").glob(f"{entries[1].model_digest[:12]}-*/report.html")
    assert "This decision spent 0.0250" in card.read_text(encoding="utf-8")
    assert "Before it, 0 decisions against a champion" in card.read_text(encoding="utf-8")
    again = changed(spec, promotion={**spec.promotion.model_dump(), "min_gain": 0.001})
    run_products(home, tmp_path, again)
    entries = ledger.entries(home, "churn")
    assert len(entries) == 3
    assert [item.level for item in error_budget(home, again, entries).spendings] == [0.025]
    assert "This decision spent 0.0250" in card.read_text(encoding="utf-8")
