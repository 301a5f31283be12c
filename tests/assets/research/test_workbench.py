"""What a notebook finds is what production finds, digest for digest; and looks at test rows are counted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from assets.errors import DataError, SpecificationError
from assets.evaluation import evidence, holdout_looks
from assets.features import snapshots
from assets.promotion import ledger, model_card, verdicts
from assets.research.workbench import Workbench
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training import current_model
from orchestration.operations.verification.verify import verify
from tests.two_versions import WEAK, churn
from tests.world import found_out

CLASSIFIER = "sklearn.linear_model.LogisticRegression"


@pytest.fixture(scope="module")
def home(twice: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy of the home with two versions, for all tests of this module."""
    copy = Home(tmp_path_factory.mktemp("research") / "home")
    shutil.copytree(twice.root, copy.root)
    return copy


@pytest.fixture(scope="module")
def bench(home: Home) -> Workbench:
    """The workbench of the product as it is declared."""
    return Workbench(home, churn(), actor="tester", budget=3)


def test_the_declaration_itself_gives_the_digests_that_production_recorded(home: Home, bench: Workbench) -> None:
    """Model, evaluation and champion; and nothing that production made is written over."""
    before = {path: path.read_bytes() for path in home.models.rglob("*.json")}
    recorded = found_out(home, product="churn")
    variant = bench.fit()
    found = variant.evaluate()
    assert (variant.digest, bench.snapshot.digest) == current_model.current(home, "churn")
    assert (found.digest, found.record) == (recorded.digest, recorded.record)
    champion = bench.champion
    assert champion is not None
    assert (champion.version, champion.digest) == (2, variant.digest)
    assert champion.evaluation == recorded.record
    assert {path: path.read_bytes() for path in home.models.rglob("*.json")} == before


def test_rows_may_be_changed_in_a_notebook(home: Home) -> None:
    """Numbers, moments and categories."""
    rows = Workbench(home, churn(), actor="tester", budget=3).features
    rows.loc[rows["age"] > 60, ["age", "signed_up_at", "plan"]] = 60, pd.Timestamp("2024-01-01"), "old"
    assert rows["age"].max() == 60
    assert set(rows.loc[rows["plan"] == "old", "signed_up_at"]) == {pd.Timestamp("2024-01-01")}


def test_a_variant_gives_what_production_gave_when_it_was_declared(home: Home, bench: Workbench) -> None:
    """The weak model was promoted first; tried as a variant of the better one's declaration it is that model."""
    first = ledger.standing(home, "churn").served[0]
    variant = bench.variant(parameters=WEAK)
    recorded = evidence.require(home, "churn", first.model_digest, first.snapshot_digest, "evaluation")
    assert variant.digest == first.model_digest
    assert variant.evaluate().digest == recorded.digest
    assert current_model.current(home, "churn")[0] != variant.digest


def test_a_comparison_is_that_of_the_gate(bench: Workbench) -> None:
    """Of the same model nothing is gained; the weak one surely loses, and the ends are in order."""
    weak, declared = bench.variant(parameters=WEAK), bench.variant()
    found = bench.compare(declared, weak)
    assert found.gain.low <= found.gain.value <= found.gain_high
    assert found.saving.low <= found.saving.value <= found.saving_high
    again = bench.compare(weak)
    assert again.gain.value == pytest.approx(-found.gain.value)
    assert again.gain.low == pytest.approx(-found.gain_high)
    same = bench.compare(declared)
    assert (same.gain.low, same.gain.value, same.gain_high) == (0, 0, 0)
    assert weak.digest[:12] in str(again)


def test_the_gate_says_of_the_champion_that_equal_is_not_better(home: Home, bench: Workbench) -> None:
    """It is asked for every finding, and nobody is promoted or refused in the ledger."""
    before = ledger.entries(home)
    verdict = bench.variant().verdict()
    assert not verdict.promoted
    assert any("equal is not better" in reason for reason in verdict.reasons)
    assert ledger.entries(home) == before


def test_looks_are_counted_once_a_model_and_end_with_the_budget(home: Home, bench: Workbench) -> None:
    """Then the validation rows answer, unless it is told otherwise, which is recorded."""
    for parameters in (None, WEAK):
        bench.variant(parameters=parameters).evaluate()
    assert (bench.reuse.shown, bench.reuse.left) == (2, 1)
    third = bench.variant(estimator=CLASSIFIER).evaluate()
    assert third.is_of_test_rows
    assert bench.reuse.left == 0
    assert "3 models of notebooks were shown all figures" in str(third)
    assert f"{third.reuse.widening:.2f} times as wide" in str(third)
    fourth = bench.variant(parameters={"max_iter": 5})
    answered = fourth.evaluate()
    assert not answered.is_of_test_rows
    assert answered.rests_on == "validation rows"
    assert answered.rows == len(bench.split["validate"].rows)
    assert answered.record == {}
    with pytest.raises(SpecificationError, match="no look at them is left of 3"):
        fourth.verdict()
    assert bench.compare(fourth, bench.variant()).rests_on == "validation rows"
    assert bench.reuse.shown == 3
    assert fourth.evaluate(beyond_budget=True).is_of_test_rows
    page = model_card.report(home, churn(), verdicts.current(home, "churn").as_json()).read_text(encoding="utf-8")
    assert "4 models of notebooks were shown all figures on these test rows" in page
    looks = holdout_looks.reuse(home, "churn", bench.split["test"].digest(bench.spec), 0.95).looks
    assert [item.is_beyond for item in looks if item.kind == "evaluation"] == [False, False, False, True]
    assert {item.actor for item in looks} == {"tester"}
    assert verify(home).problems == []


def test_the_ladder_answers_without_a_look_of_the_budget(bench: Workbench) -> None:
    """The weak model climbs first, the better one over it, and the weak one not again."""
    shown, weak, declared = bench.reuse.shown, bench.variant(parameters=WEAK), bench.variant()
    first, second, third = weak.ladder(), declared.ladder(), weak.ladder()
    assert (first.climbed, second.climbed, third.climbed) == (True, True, False)
    assert first.released < second.released == third.released
    assert bench.reuse.shown == shown
    assert len(bench.reuse.ladder) == 3


def test_in_the_past_only_what_was_known_is_there(home: Home) -> None:
    """Rows of later events are gone, the split is counted back from the last, and the champion is not known."""
    bench = Workbench(home, churn(), actor="tester", as_of="2024-07-01")
    assert bench.features["signed_up_at"].max() < bench.as_of
    whole = snapshots.read(snapshots.current(home, "churn"))
    assert bench.snapshot.rows == int((whole["signed_up_at"] < bench.as_of).sum())
    assert bench.champion is None
    assert bench.variant().evaluate().is_of_test_rows
    with pytest.raises(SpecificationError, match="no champion to compare with"):
        bench.compare(bench.variant())
    with pytest.raises(SpecificationError, match="is no moment"):
        Workbench(home, churn(), actor="tester", as_of="yesterday")


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"model": {"learning": {"transfer": {"from": "elsewhere", "how": "refit"}}}}, "champion of elsewhere"),
        ({"tune": {"trials": 2, "parameters": {"max_iter": {"low": 5, "high": 9}}}}, "parameters that a search found"),
    ],
)
def test_no_model_of_the_past_rests_on_what_was_found_since(
    home: Home, tmp_path: Path, declared: dict[str, dict[str, object]], told: str
) -> None:
    """Neither on another product's champion of today nor on parameters that were searched on later rows."""
    copy = Home(tmp_path / "home")
    shutil.copytree(home.root, copy.root)
    write_json(copy.tuning / "churn" / "current.json", {"parameters": {"max_iter": 7}})
    whole = churn().model_dump(by_alias=True)
    parts = {name: {**(whole[name] or {}), **item} for name, item in declared.items()}
    spec = ProductSpec.model_validate({**whole, **parts})
    with pytest.raises(SpecificationError, match=told):
        Workbench(copy, spec, actor="tester", as_of="2024-07-01").variant().fit()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"features": ["agee"]}, "there is no feature agee"),
        ({"features": ["age"]}, "evaluation.slices|slices by"),
        ({"features": "age"}, "must be a list of names"),
        ({"parameters": {"categorical_features": [0]}}, "native categorical splits"),
    ],
)
def test_what_cannot_be_declared_is_no_variant(bench: Workbench, changes: dict[str, object], told: str) -> None:
    """The error is that of a declaration."""
    with pytest.raises(SpecificationError, match=told):
        bench.variant(**changes)  # type: ignore[arg-type]


def test_other_features_need_the_rows_that_the_snapshot_was_made_of(home: Home, tmp_path: Path) -> None:
    """A snapshot of fewer columns is that of a run; where the landing holds other rows by now, it is refused."""
    copy = Home(tmp_path / "home")
    shutil.copytree(home.root, copy.root)
    bench = Workbench(copy, churn(), actor="tester")
    fewer = bench.variant(features=["age", "plan"])
    assert list(snapshots.read(fewer.snapshot).columns) == [name for name in bench.features.columns if name != "visits"]
    past = Workbench(copy, churn(), actor="tester", as_of="2024-07-01").snapshot
    write_json(copy.snapshots / "churn" / "current.json", {"digest": past.digest, "rows": past.rows})
    with pytest.raises(DataError, match="the rows have changed since"):
        _ = Workbench(copy, churn(), actor="tester").variant(features=["plan", "age"]).snapshot
