"""A product that is learnt by clients runs as any other: examined, judged, served in every way, with its epsilon on the card."""

from __future__ import annotations

from pathlib import Path

from assets.promotion import ledger
from assets.storage.home import Home
from tests.shop import FOLLOWING, customers, product, run_products


def test_it_is_judged_and_served_as_any_other(home: Home, tmp_path: Path) -> None:
    """Nothing is left out, and nothing runs twice."""
    customers(6000).to_csv(tmp_path / "customers.csv", index=False)
    privacy = {"epsilon": 3.0, "delta": 1e-5}
    model = {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "seed": 3,
        "learning": {"federated": {"by": "plan", "privacy": privacy}},
    }
    spec = product("churn", model=model, evaluation={"bootstrap_replicates": 100, "cross_fitted_below": 0})
    executed = run_products(home, tmp_path, spec).executed
    assert {f"churn/{name}" for name in (*FOLLOWING, "federation")} <= set(executed)
    assert ledger.standing(home, "churn").champion_digest is not None
    page = next(home.reports.rglob("report.html")).read_text(encoding="utf-8")
    assert "<h2>Federation</h2>" in page
    assert "<th>privacy epsilon</th><td>2.99" in page
    assert "<th>loses by joining</th>" in page
    assert run_products(home, tmp_path, spec).executed == {}
