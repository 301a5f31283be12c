"""The asset `fallback` of champions that were trained under another declaration, as after a rollback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assets.errors import DataError
from assets.evaluation.evidence import Case
from assets.features import snapshots
from assets.promotion import ledger
from assets.promotion.ledger_state import Decision
from assets.serving import fallback_record
from assets.serving.fallback_asset import make_fallback
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from tests.models import snapshot_of
from tests.shop import KINDS, customers, product

SERVING = {"fallback": "baseline", "breaker": {}}


def champion_of(folder: Path, spec: ProductSpec) -> Home:
    """A home whose champion was trained as is declared."""
    home = Home(folder / "home").prepare()
    snapshot = snapshot_of(home, spec, customers(900))
    model = training.train(home, spec, snapshot)
    ledger.promote(home, spec.name, Decision(1, model.digest, snapshot.digest, "gate", "better"), instead_of=None)
    return home


def test_a_champion_of_other_features_is_served_all_the_same(tmp_path: Path) -> None:
    """It has no fallback, or the one from before; a rollback to it does not wait for what cannot be fitted."""
    home = champion_of(tmp_path, product("churn", serving=SERVING))
    champion = ledger.require_champion(home, "churn")
    groups: dict[str, Any] = {"all": {"age": {}, "plan": {}}}
    features = {"entity": "customer_id", "event_time": "signed_up_at", "groups": groups}
    other = product("churn", serving=SERVING, features=features)
    made = make_fallback(home, other)
    assert made.output is None
    assert "was trained on other features" in made.metadata["not_fitted"]
    assert fallback_record.digest_of(home, "churn", champion.model_digest, is_declared=True) is None
    assert "not_fitted" not in make_fallback(home, product("churn", serving=SERVING)).metadata
    before = fallback_record.digest_of(home, "churn", champion.model_digest, is_declared=True)
    again = make_fallback(home, other)
    assert (again.data_version, again.output is None) == (before, False)
    assert fallback_record.digest_of(home, "churn", champion.model_digest, is_declared=True) == before is not None


def test_classes_in_another_order_are_another_target(tmp_path: Path) -> None:
    """A model gives its probabilities in the order of its own classes: those of another order would be exchanged."""
    home = champion_of(tmp_path, product("tier"))
    champion = ledger.require_champion(home, "tier")
    target = {**KINDS["tier"]["target"], "classes": KINDS["tier"]["target"]["classes"][::-1]}
    fallback = {"bronze": 0.5, "silver": 0.25, "gold": 0.25}
    other = product("tier", target=target, serving={"fallback": fallback})
    with pytest.raises(DataError, match="another kind of target"):
        Case.load(home, other, snapshots.opened(home, "tier", champion.snapshot_digest), champion.model_digest)
    assert "not_fitted" in make_fallback(home, other).metadata
