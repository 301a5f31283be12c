"""Labels: from the column's values to the classes of the target, and which parts may lack one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from assets.errors import ContractError, DataError
from assets.features import data_contract, labelled_rows, number_block, publish, snapshots
from assets.spec import ProductSpec
from assets.storage.home import Home
from tests.shop import AT_RANDOM, COLUMNS, KINDS, customers, product

MERGED = {"column": "tier", "kind": "multiclass", "meaning": "the tier", "classes": ["bronze", "silver", "other"]}


def published(home: Home, folder: Path, frame: pd.DataFrame, spec: ProductSpec) -> snapshots.Snapshot:
    """A snapshot of these rows, the contract held."""
    path = folder / "rows.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path)
    with publish.candidate(home, spec, [path]) as connection:
        data_contract.require(publish.table(connection), spec)
        return publish.write(home, spec, connection)


def tier(**target: Any) -> ProductSpec:
    """A product of several classes."""
    return product("tier", target={**MERGED, **target}, cost={"wrong": 1.0}, gates={})


def test_merged_values_are_one_class_and_left_out_ones_none(home: Home, tmp_path: Path) -> None:
    """The snapshot holds classes, and no label where the value is left out or missing."""
    frame = customers(300)
    frame["tier"] = ["bronze", "silver", "gold", "tin", "unknown", None] * 50
    spec = tier(merge={"other": ["gold", "tin"]}, leave_out=["unknown"])
    rows = snapshots.read(published(home, tmp_path, frame, spec))
    assert rows["tier"].value_counts().to_dict() == {"bronze": 50, "silver": 50, "other": 100}
    assert rows["tier"].isna().sum() == 100


def test_a_binary_target_can_leave_out_and_merge_too(home: Home, tmp_path: Path) -> None:
    """What is positive is a class after the merge."""
    frame = customers(300)
    frame["churned"] = ["yes", "perhaps", "no", "unknown"] * 75
    target = {"column": "churned", "kind": "binary", "positive": "yes", "meaning": "the customer leaves"}
    spec = product("churn", target={**target, "merge": {"yes": ["perhaps"]}, "leave_out": ["unknown"]})
    rows = snapshots.read(published(home, tmp_path, frame, spec))
    assert rows["churned"].value_counts().to_dict() == {True: 150, False: 75}
    assert rows["churned"].isna().sum() == 75


def test_a_value_that_nobody_declared_breaks_the_contract(home: Home, tmp_path: Path) -> None:
    """It is neither a class, nor merged, nor left out."""
    frame = customers(300)
    frame["tier"] = ["bronze", "silver", "gold", "platinum"] * 75
    with pytest.raises(ContractError, match=r"tier: must be one of bronze, silver, other, gold \(75 rows"):
        published(home, tmp_path, frame, tier(merge={"other": ["gold"]}))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"merge": {"rest": ["gold"]}}, r"merges values into \['rest'\], which 'classes' does not list"),
        ({"merge": {"other": []}}, r"merges nothing into \['other'\]"),
        ({"merge": {"other": ["silver"]}}, r"more than one thing of the values \['silver'\]"),
        ({"merge": {"other": ["gold"]}, "leave_out": ["gold"]}, r"more than one thing of the values \['gold'\]"),
        ({"leave_out": ["bronze"]}, r"more than one thing of the values \['bronze'\]"),
        ({"kind": "regression", "classes": None, "leave_out": ["bronze"]}, r"need 'classes' or 'positive'"),
    ],
)
def test_a_value_has_one_meaning(target: dict[str, Any], message: str) -> None:
    """Anything else is refused when the declaration is read."""
    declared = {"cost": {"under": 1.0, "over": 1.0}} if target.get("kind") == "regression" else {"cost": {"wrong": 1.0}}
    with pytest.raises(ValidationError, match=message):
        product("tier", target={**MERGED, **target}, gates={}, **declared)


def late(classes: list[str]) -> pd.DataFrame:
    """Customers in order of time, the classes of the last fifth, the test window, given."""
    frame = customers(500).sort_values("signed_up_at").reset_index(drop=True)
    frame["tier"] = np.resize(["bronze", "silver", "gold"], len(frame))
    frame.loc[380:, "tier"] = np.resize(classes, len(frame) - 380)
    return frame


def test_a_later_window_may_lack_a_class(home: Home, tmp_path: Path) -> None:
    """As long as two are there; which one is absent is told."""
    spec = tier(classes=["bronze", "silver", "gold"])
    parts = labelled_rows.labelled(spec, snapshots.read(published(home, tmp_path, late(["bronze", "silver"]), spec)))
    assert {name: part.absent(spec) for name, part in parts.items()} == {"train": (), "validate": (), "test": ("gold",)}
    assert set(parts["test"].labels(spec)) == {0.0, 1.0}


def test_a_window_of_one_class_and_training_without_one_are_errors(home: Home, tmp_path: Path) -> None:
    """Nothing can be told apart in the one, nor learnt in the other."""
    spec = tier(classes=["bronze", "silver", "gold"])
    frame = snapshots.read(published(home, tmp_path, late(["bronze"]), spec))
    with pytest.raises(DataError, match=r"the test window .* with 1 class of 'tier', and lacks gold, silver; two classes"):
        labelled_rows.labelled(spec, frame)
    early = late(["gold", "bronze"])
    early.loc[:379, "tier"] = np.resize(["bronze", "silver"], 380)
    other = snapshots.read(published(home, tmp_path / "other", early, spec))
    with pytest.raises(DataError, match=r"the train window .* and lacks gold; each class must be in it"):
        labelled_rows.labelled(spec, other)


def test_rows_without_a_label_are_test_rows_of_a_random_split(home: Home, tmp_path: Path) -> None:
    """So that each is predicted; none trains, validates or is judged by."""
    frame = customers(600)
    frame["churned"] = frame["churned"].where(frame.index % 6 > 0)
    spec = product("churn", split=AT_RANDOM)
    rows = snapshots.read(published(home, tmp_path, frame, spec))
    without = rows["churned"].isna().to_numpy()
    assert without.sum() == 100
    parts = labelled_rows.parts_of(spec, rows)
    assert {name: int((mask & without).sum()) for name, (mask, _) in parts.items()} == {"train": 0, "validate": 0, "test": 100}
    labelled = labelled_rows.labelled(spec, rows)
    assert sum(len(part.rows) for part in labelled.values()) == 500
    assert labelled["test"].unlabelled == {"other": 100}


@pytest.mark.parametrize(
    "split", [None, AT_RANDOM, {**AT_RANDOM, "group": "household"}, {**AT_RANDOM, "copies_together": True}], ids=str
)
@pytest.mark.parametrize(("at_once", "large"), [(1, 10**9), (1200, 1), (10**9, 10**9)])
def test_a_snapshot_is_cut_the_same_however_many_columns_are_read_at_once(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: dict[str, Any] | None, at_once: int, large: int
) -> None:
    """The same rows, columns and types in each part, in the same order, and the same counts."""
    spec = product("churn", **({} if split is None else {"split": split}))
    frame = customers(600)
    frame["churned"] = frame["churned"].where(frame.index % 6 > 0)
    snapshot = published(home, tmp_path, frame, spec)
    whole = labelled_rows.labelled(spec, snapshots.read(snapshot))
    monkeypatch.setattr(snapshots, "VALUES_AT_ONCE", at_once)
    monkeypatch.setattr(number_block, "LARGE", large)
    parts = labelled_rows.labelled_parts(spec, snapshot)
    assert list(parts) == list(whole)
    for name, part in parts.items():
        pd.testing.assert_frame_equal(part.rows, whole[name].rows)
        assert replace(part, rows=frame) == replace(whole[name], rows=frame)


@pytest.mark.parametrize(
    ("parts", "lacking"),
    [
        ({"split": {**AT_RANDOM, "group": "household"}}, "household"),
        (
            {"target": {**KINDS["churn"]["target"], "known_at": "left_at", "unlabelled_because": ["is_test"]}},
            "left_at, is_test",
        ),
    ],
    ids=str,
)
def test_a_snapshot_of_an_earlier_declaration_is_not_cut_by_what_it_lacks(
    home: Home, tmp_path: Path, parts: dict[str, Any], lacking: str
) -> None:
    """One error says which columns, wherever an earlier version is looked at: what it can be told of, such as a fallback."""
    snapshot = published(home, tmp_path, customers(300), product("churn"))
    columns = {**COLUMNS, "left_at": {"type": "timestamp"}, "is_test": {"type": "boolean"}}
    source = {"file": "customers.csv", "key": ["customer_id"], "columns": columns}
    with pytest.raises(DataError, match=f"{snapshot.digest[:12]} lacks {lacking}, by which rows are labelled and split"):
        labelled_rows.labelled_parts(product("churn", source=source, **parts), snapshot)


def test_a_champion_is_not_asked_about_a_snapshot_that_lacks_its_features(home: Home, tmp_path: Path) -> None:
    """In the order in which it knows them."""
    snapshot = published(home, tmp_path, customers(300), product("churn"))
    snapshots.require_features("churn", snapshot, ["age", "visits"])
    with pytest.raises(DataError, match="churn: the champion needs weight, height, which the snapshot lacks. Promote another."):
        snapshots.require_features("churn", snapshot, ["weight", "age", "height"])
