"""Repeated rows: `loopline new` keeps copies together, and the gate refuses a model that is tested on what it has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.evaluation import leakage
from assets.evaluation.findings import Finding
from assets.promotion import leakage_rule
from assets.scaffolding.question import Question
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from orchestration.operations.declaration.new_product import new_product
from tests.models import snapshot_of
from tests.planted import judged
from tests.shop import drafted
from tests.world import changed

KEY = "leakage:twins"


def measured(rows: int, seed: int = 0) -> pd.DataFrame:
    """Three measurements, and a label that has nothing to do with them."""
    random = np.random.default_rng(seed)
    return pd.DataFrame({**{name: random.random(rows) for name in "abc"}, "label": random.integers(0, 2, rows)})


def shuffled(*parts: pd.DataFrame) -> pd.DataFrame:
    """The rows of all parts in a random order."""
    return pd.concat(parts).sample(frac=1, random_state=1).reset_index(drop=True)


def new(home: Home, folder: Path, table: pd.DataFrame, **asked: Any) -> tuple[ProductSpec, str, str]:
    """What is drafted, the text of its file, and what is told."""
    table.to_csv(folder / "table.csv", index=False)
    question = Question(name="repeats", target="label", **asked)
    written = new_product(home, question, str(folder / "table.csv"), defs=folder / "defs", staging=folder / "staging")
    text = written.files[0].read_text(encoding="utf-8")
    return drafted(written.files[0]), " ".join(text.replace("#", " ").split()), "\n".join(written.notes)


def copies_found(home: Home, spec: ProductSpec, table: pd.DataFrame, **parts: Any) -> Finding:
    """What the gate says of copies in a model that is trained on these rows."""
    small = {"estimator": "sklearn.linear_model.LogisticRegression", "refit": True}
    spec = changed(spec, model=small, evaluation={"bootstrap_replicates": 100}, **parts)
    snapshot = snapshot_of(home, spec, table.assign(source_row=range(len(table))))
    record = leakage.look(home, spec, snapshot, training.train(home, spec, snapshot).digest).record
    (finding,) = (item for item in leakage_rule.leakage(spec, {"leakage": record}) if item.key == KEY)
    return finding


def random_split(**more: Any) -> dict[str, Any]:
    """A random split."""
    return {"by": "random", "train": 0.6, "validation": 0.2, "test": 0.2, **more}


def test_random_labels_are_not_served_though_each_row_comes_twenty_times(home: Home, tmp_path: Path) -> None:
    """As drafted there is nothing to learn; with the rows dealt one by one the answers are known, and that is refused."""
    table = shuffled(*[measured(50)] * 20)
    spec, text, notes = new(home, tmp_path, table)
    told = "1,000 of 1,000 rows are copies: they equal another row in all features and the target"
    assert spec.split.copies_together
    assert told in notes
    assert told in text
    spec = changed(spec, evaluation={"bootstrap_replicates": 100})
    snapshot = snapshot_of(home, spec, table.assign(source_row=range(len(table))))
    verdict = judged(home, spec, snapshot, training.train(home, spec, snapshot).digest, None)
    refused = {item.gate for item in verdict.findings if item.refuses}
    assert not verdict.promoted
    assert "baselines" in refused
    assert KEY not in {item.key for item in verdict.findings if not item.passed}
    apart = changed(spec, split=random_split())
    verdict = judged(home, apart, snapshot, training.train(home, apart, snapshot).digest, None)
    (finding,) = (item for item in verdict.findings if item.refuses)
    assert (finding.key, finding.basis) == (KEY, "required")
    assert finding.requirement == "the share of test rows that are copies of training rows is at most 10%"
    assert finding.evidence == "100% (200 of 200 rows)"
    assert finding.remedy.startswith("Write 'copies_together: true' under 'split'")


def test_rows_equal_by_chance_are_neither_kept_together_nor_refused(home: Home, tmp_path: Path) -> None:
    """Passengers of 32 combinations: nearly every test row equals a training row, and that is no leak."""
    random = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "class": random.choice(["first", "second", "third", "crew"], 2000),
            "sex": random.choice(["female", "male"], 2000, p=[0.2, 0.8]),
            "age": random.choice(["adult", "child"], 2000, p=[0.95, 0.05]),
        }
    )
    table["label"] = (random.random(2000) < np.where(table["sex"] == "female", 0.7, 0.2)).astype(int)
    spec, _, notes = new(home, tmp_path, table)
    assert not spec.split.copies_together
    assert "copies" not in notes
    finding = copies_found(home, spec, table)
    assert finding.passed
    assert finding.evidence == "0% (0 of 400 rows)"


@pytest.mark.parametrize(("share", "is_refused"), [(0.05, False), (0.3, True)])
def test_few_copies_pass_and_many_are_refused(home: Home, tmp_path: Path, share: float, *, is_refused: bool) -> None:
    """A twentieth of the rows was written twice, or nearly a third; kept together, none is a finding."""
    distinct = measured(1000)
    table = shuffled(distinct, distinct.head(int(1000 * share)))
    spec, _, notes = new(home, tmp_path, table)
    assert spec.split.copies_together
    assert f"{int(2000 * share):,} of {len(table):,} rows are copies" in notes
    apart = copies_found(home, spec, table, split=random_split())
    assert apart.refuses == is_refused
    assert copies_found(home, spec, table).evidence.startswith("0% (0 of")


def test_a_declared_limit_is_the_one_that_counts(home: Home, tmp_path: Path) -> None:
    """Stricter or looser than the usual one; at level warning it only warns."""
    distinct = measured(400)
    table = shuffled(distinct, distinct.head(120))
    spec, _, _ = new(home, tmp_path, table)
    strict = copies_found(home, spec, table, split=random_split(), gates={"leakage": {"max_twins": 0.2}})
    loose = copies_found(home, spec, table, split=random_split(), gates={"leakage": {"max_twins": 0.9}})
    warned = copies_found(home, spec, table, split=random_split(), gates={"leakage": {"max_twins": 0.2, "level": "warning"}})
    assert (strict.refuses, strict.basis) == (True, "declared")
    assert loose.passed
    assert (warned.passed, warned.refuses) == (False, False)


def test_in_order_of_time_and_with_a_group_it_is_told_and_not_declared(home: Home, tmp_path: Path) -> None:
    """A later event may truly be like an earlier one, so the gate warns; a group keeps only its own rows together."""
    distinct = measured(200)
    table = pd.concat([distinct] * 3, ignore_index=True).assign(at=pd.date_range("2024-01-01", periods=600, freq="D"))
    spec, _, notes = new(home, tmp_path, table, time="at")
    assert not spec.split.copies_together
    assert "in order of time a later copy is tested on" in notes
    finding = copies_found(home, spec, table)
    assert (finding.passed, finding.basis) == (False, "watched")
    assert finding.evidence == "100% (90 of 90 rows)"
    (tmp_path / "grouped").mkdir()
    grouped = shuffled(*[distinct] * 3).assign(household=np.arange(600) % 150)
    spec, _, notes = new(Home(tmp_path / "home").prepare(), tmp_path / "grouped", grouped, group="household")
    assert (spec.split.group, spec.split.copies_together) == ("household", False)
    assert "the split keeps those of one 'household' together" in notes
    assert copies_found(home, spec, grouped).remedy.startswith("Remove rows that repeat others")
