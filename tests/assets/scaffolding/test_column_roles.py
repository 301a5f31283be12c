"""Roles: which column of a file plays which part, by stated rules, and what a user can say of each."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import SpecificationError
from assets.methods.linear_parts import linear_parts
from assets.scaffolding.column_roles import Roles, assign
from assets.scaffolding.leak_suspects import Suspect
from assets.scaffolding.profiling import profile
from assets.scaffolding.question import Answer, Question
from assets.storage.home import Home

ROWS = 400


@pytest.fixture
def people() -> pd.DataFrame:
    """Rows whose target follows from two columns with noise."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"age": random.integers(18, 90, ROWS), "height": random.normal(170, 10, ROWS).round(1)})
    frame["bought"] = np.where(frame["age"] + random.normal(0, 20, ROWS) > 50, "yes", "no")
    return frame


def roles_of(home: Home, frame: pd.DataFrame, target: str = "bought", ask: Any = None, **asked: Any) -> Roles:
    """The roles of the columns of a frame, written as CSV."""
    path = Path(home.root) / "people.csv"
    frame.to_csv(path, index=False)
    return assign(Question("people", target, **asked), profile(home, path), ask)


def part(roles: Roles, column: str) -> tuple[str, str]:
    """What a column is used as, and why."""
    return next((role.used_as, role.why) for role in roles.table if role.column == column)


def features(roles: Roles) -> set[str]:
    """The names of the features."""
    return {column.name for column in roles.features}


RUNNING = list(range(1, ROWS + 1))
GAPPED = sorted(np.random.default_rng(1).choice(2 * ROWS - 50, ROWS, replace=False).tolist())
MIXED_UP = np.random.default_rng(2).permutation(ROWS).tolist()
KEYS: list[tuple[str, str, list[Any], str]] = [
    ("rownames", "rownames", RUNNING, "by its name"),
    ("Unnamed: 0", "Unnamed: 0", MIXED_UP, "by its name"),
    ("camel case", "PassengerId", MIXED_UP, "by its name"),
    ("no name", "weight", RUNNING, "counts by 1 through the file, 1 to 400"),
    ("downwards", "weight", RUNNING[::-1], "counts by -1 through the file, 400 to 1"),
    ("in tens", "weight", [10 * number for number in RUNNING], "counts by 10"),
    ("with gaps", "weight", GAPPED, "only rises through the file"),
    ("UUIDs", "weight", [str(uuid.UUID(int=number * 7**40)) for number in RUNNING], "UUIDs"),
    ("hashes", "weight", [f"{number * 7**13:032x}" for number in MIXED_UP], "hashes"),
    ("texts that differ", "weight", [f"w{number}" for number in MIXED_UP], "texts all differ"),
]


@pytest.mark.parametrize(("name", "values", "why"), [case[1:] for case in KEYS], ids=[case[0] for case in KEYS])
def test_a_surrogate_key_identifies_rows_and_is_no_feature(
    home: Home, people: pd.DataFrame, name: str, values: list[Any], why: str
) -> None:
    """Whatever it is called; `--keep` makes it a feature."""
    people.insert(0, name, values)
    roles = roles_of(home, people)
    assert features(roles) == {"age", "height"}
    assert roles.entity is not None
    assert roles.entity.raw == name
    assert why in part(roles, name)[1]
    kept = roles_of(home, people, keep=[name])
    assert len(features(kept)) == 3
    assert kept.entity is None
    assert part(kept, name)[1] == "you said so"


MEASURED: list[tuple[str, str, list[Any]]] = [
    ("years in order", "year", list(range(1600, 1600 + ROWS))),
    ("a named time", "t", RUNNING),
    ("sorted numbers with decimals", "weight", [number + 0.5 for number in RUNNING]),
    ("sorted numbers far apart", "weight", sorted(np.random.default_rng(3).choice(10**6, ROWS, replace=False).tolist())),
    ("numbers that repeat", "weight", sorted([*RUNNING[:-1], 1])),
]


@pytest.mark.parametrize(("name", "values"), [case[1:] for case in MEASURED], ids=[case[0] for case in MEASURED])
def test_a_measured_column_in_the_order_of_the_file_stays_a_feature(
    home: Home, people: pd.DataFrame, name: str, values: list[Any]
) -> None:
    """Numbers that measure something are no keys."""
    people.insert(0, name, values)
    roles = roles_of(home, people)
    assert features(roles) == {"age", "height", name}
    assert roles.entity is None


def test_the_key_that_fits_best_identifies_a_row(home: Home, people: pd.DataFrame) -> None:
    """An identifier's name before a running number; the other one is left out as well."""
    people["place"], people["customer_id"] = RUNNING, MIXED_UP
    roles = roles_of(home, people)
    assert roles.entity is not None
    assert roles.entity.name == "customer_id"
    assert part(roles, "place")[0] == "left out"


def test_a_file_that_is_sorted_by_the_target_is_told(home: Home, people: pd.DataFrame) -> None:
    """The row number tells the target then, and is no feature all the same."""
    people = people.sort_values("bought").reset_index(drop=True)
    people.insert(0, "id", RUNNING)
    roles = roles_of(home, people)
    assert "id" not in features(roles)
    assert any("sorted by the target: the row number 'id' (ROC AUC 1.000" in note for note in roles.notes)


COPIES: list[tuple[str, Any, str]] = [
    ("a recoding", lambda frame: frame["bought"].map({"yes": "ja!", "no": "nein!"}), "the other way round"),
    ("a number", lambda frame: frame["bought"].map({"yes": 7, "no": 3}), "the other way round"),
]


@pytest.mark.parametrize(("make", "why"), [case[1:] for case in COPIES], ids=[case[0] for case in COPIES])
def test_a_copy_of_a_class_is_left_out(home: Home, people: pd.DataFrame, make: Any, why: str) -> None:
    """One value goes with one value."""
    roles = roles_of(home, people.assign(copy=make(people)))
    assert part(roles, "copy")[0] == "left out"
    assert why in part(roles, "copy")[1]
    kept = roles_of(home, people.assign(copy=make(people)), keep=["copy"])
    assert kept.known["copy"].startswith("ROC AUC 1.000 [")
    assert "copy" in features(kept)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda spend: 3 * spend + 1, "but for a factor and a constant"),
        (lambda spend: -spend, "but for a factor and a constant"),
        (lambda spend: np.log(spend).round(4), "in other units"),
    ],
    ids=["a factor", "a sign", "a logarithm"],
)
def test_a_copy_of_a_number_is_left_out(home: Home, people: pd.DataFrame, make: Any, why: str) -> None:
    """In whatever unit."""
    spend = np.random.default_rng(4).lognormal(3, 1, ROWS).round(2) + 1
    roles = roles_of(home, people.assign(spend=spend, copy=make(spend)), "spend")
    assert part(roles, "copy")[0] == "left out"
    assert why in part(roles, "copy")[1]


def strong(frame: pd.DataFrame) -> pd.Series:
    """A number that parts the classes nearly, with noise: a strong column that is no copy."""
    return (frame["bought"] == "yes") * 4 + np.random.default_rng(5).normal(0, 1, len(frame))


def test_a_strong_column_is_kept_with_a_warning_and_known_to_the_gate(home: Home, people: pd.DataFrame) -> None:
    """Where nobody can be asked; the figure is measured on rows that it was not learnt from, with its interval."""
    roles = roles_of(home, people.assign(balance=strong(people)))
    used_as, why = part(roles, "balance")
    assert used_as == "number, suspected"
    assert why.startswith("it alone tells the target (ROC AUC 0.99")
    assert "--known-after balance" in next(role.change for role in roles.table if role.column == "balance")
    assert set(roles.known) == {"balance"}
    assert "balance" in features(roles)


@pytest.mark.parametrize(("answer", "is_kept"), [("keep", True), ("without", False), ("known-after", False)])
def test_a_person_is_asked_once_about_a_strong_column(home: Home, people: pd.DataFrame, answer: Answer, is_kept: bool) -> None:
    """And the answer holds; nobody is asked about ordinary columns, copies, or what was said before."""
    asked: list[str] = []

    def ask(column: Any, suspect: Suspect) -> Answer:
        asked.append(column.name)
        assert "ROC AUC" in suspect.strength
        return answer

    table = people.assign(balance=strong(people), copy=people["bought"].map({"yes": 1, "no": 0}), refund=strong(people))
    roles = roles_of(home, table, ask=ask, known_after=["refund"])
    assert asked == ["balance"]
    assert ("balance" in features(roles)) is is_kept
    assert part(roles, "refund") == ("left out", "it is known only after the event, you said so")


def test_noise_is_not_suspected(home: Home, people: pd.DataFrame) -> None:
    """Of two hundred columns of noise and few rows, none: strength is measured out of sample."""
    random = np.random.default_rng(6)
    noise = pd.DataFrame(random.normal(size=(60, 200)), columns=[f"n{number}" for number in range(200)])
    roles = roles_of(home, noise.assign(bought=people["bought"].head(60)))
    assert not [role for role in roles.table if "suspected" in role.used_as]


def test_what_a_strong_column_probably_is_is_said(home: Home, people: pd.DataFrame) -> None:
    """Filled only for one class; a finer form of the target; made from where the classes part."""
    yes, random = people["bought"] == "yes", np.random.default_rng(7)
    table = people.assign(
        reason=np.where(yes, random.choice(["price", "need"], ROWS), None),
        detail=np.where(yes, random.choice(["a", "b"], ROWS), random.choice(["c", "d"], ROWS)),
        score=np.where(yes, random.normal(50, 2, ROWS), random.normal(10, 2, ROWS)),
    )
    roles = roles_of(home, table)
    assert "missing exactly where the target has another value" in part(roles, "reason")[1]
    assert "finer form of the target" in part(roles, "detail")[1]
    assert "parts the classes exactly, between" in part(roles, "score")[1]


def test_columns_that_add_up_to_the_target_are_suspected(home: Home, people: pd.DataFrame) -> None:
    """`registered + casual = count`, and nothing of the others; a sum with noise is none."""
    random = np.random.default_rng(8)
    table = people.drop(columns="bought").assign(registered=random.poisson(80, ROWS), casual=random.poisson(30, ROWS))
    roles = roles_of(home, table.assign(count=table["registered"] + table["casual"]), "count")
    told = {role.column: role.why for role in roles.table if "suspected" in role.used_as}
    assert set(told) == {"registered", "casual"}
    assert "with 'casual' it adds up to the target exactly" in told["registered"]
    noisy = table.assign(count=table["registered"] + table["casual"] + random.normal(0, 3, ROWS))
    assert not [role for role in roles_of(home, noisy, "count").table if "adds up" in role.why]
    without = roles_of(home, table.assign(count=table["registered"] + table["casual"]), "count", known_after=["casual"])
    assert "casual" not in features(without)


def test_columns_that_vary_only_where_the_target_is_missing_add_up_to_nothing() -> None:
    """There is nothing to add."""
    columns = np.where(np.arange(100)[:, None] < 50, np.arange(100.0)[:, None], [[1.0, np.nan]])
    assert linear_parts(columns, np.where(np.arange(100) < 50, np.nan, np.arange(100.0))) == []


def test_what_says_nothing_is_left_out_with_a_reason(home: Home, people: pd.DataFrame) -> None:
    """Constants, empty columns, JSON, free text, moments; a mixed column is a category."""
    random = np.random.default_rng(9)
    table = people.assign(
        constant=1,
        empty=None,
        tags=[f'{{"a": {number}}}' for number in random.integers(0, 9, ROWS)],
        told=[" ".join(random.choice(["the", "cat", "sat", "down"], 9)) + f" {number // 2}" for number in RUNNING],
        seen=pd.date_range("2024-01-01", periods=ROWS),
        size=random.choice(["1", "2", "3", "2-10", "7p"], ROWS, p=[0.3, 0.3, 0.3, 0.05, 0.05]),
    )
    roles = roles_of(home, table)
    assert features(roles) == {"age", "height", "size"}
    reasons = {
        "constant": "it has one value only, '1'",
        "empty": "it has no value in any row",
        "tags": "lists or JSON",
        "told": "free text",
        "seen": "it is a moment",
    }
    for name, why in reasons.items():
        assert part(roles, name)[0] == "left out"
        assert why in part(roles, name)[1]
    assert part(roles, "size")[0] == "category"
    assert "the others texts such as" in part(roles, "size")[1]


@pytest.mark.parametrize("answer", ["without", "keep", "known_after"])
def test_nothing_else_can_be_said_of_the_target(home: Home, people: pd.DataFrame, answer: str) -> None:
    """It is refused, not passed over."""
    told = rf"'bought' is given by --target and by --{answer.replace('_', '-')}\. Leave one of them out"
    with pytest.raises(SpecificationError, match=told):
        roles_of(home, people, **{answer: ["bought"]})


def test_a_text_among_moments_is_named_with_the_remedy(home: Home, people: pd.DataFrame) -> None:
    """Not the good moments; what is said is what `--null` takes."""
    people["at"] = pd.date_range("2023-01-01", periods=ROWS).strftime("%Y-%m-%d")
    people.loc[people.index % 33 == 5, "at"] = "not known"
    with pytest.raises(
        SpecificationError, match=r"'at' holds moments, and other texts such as 'not known'\. Say --null 'not known'"
    ):
        roles_of(home, people, time="at")


def test_rows_that_repeat_and_subjects_are_told(home: Home, people: pd.DataFrame) -> None:
    """Duplicates are counted without the keys; rows of one subject can be kept together."""
    people["patient"] = np.arange(ROWS) // 8
    table = pd.concat([people, people.head(25)])
    table.insert(0, "rownames", range(len(table)))
    roles = roles_of(home, table)
    assert any(note.startswith("25 rows repeat another in all columns but keys;") for note in roles.notes)
    assert any("say --group patient" in note for note in roles.notes)
    assert not any("--group" in note for note in roles_of(home, table, group="patient").notes)


def test_the_parts_stand_on_top_and_ordinary_features_last(home: Home, people: pd.DataFrame) -> None:
    """Target, time, entity; suspects; what is left out; features."""
    table = people.assign(balance=strong(people), constant=1, at=pd.date_range("2024-01-01", periods=ROWS), id=MIXED_UP)
    roles = roles_of(home, table, time="at")
    assert [role.column for role in roles.table] == ["bought", "at", "id", "balance", "constant", "age", "height"]


def test_numbers_near_the_end_of_double_precision_are_measured_too(home: Home, people: pd.DataFrame) -> None:
    """Their squares would overflow: a copy and the parts of a sum are found all the same, without a warning."""
    random = np.random.default_rng(5)
    first, second = random.random(ROWS) * 1e307, random.random(ROWS) * 1e307
    roles = roles_of(home, people.assign(spend=first, half=first / 2), "spend")
    assert part(roles, "half")[0] == "left out"
    roles = roles_of(home, people.assign(spend=first + second, first=first, second=second), "spend")
    assert part(roles, "first")[0] == part(roles, "second")[0] == "number, suspected"


def test_rows_that_differ_in_a_measurement_or_a_moment_repeat_none(home: Home, people: pd.DataFrame) -> None:
    """Columns whose values all differ count, if they are no keys: numbers with decimals, moments, names; UUIDs and numbers do not."""
    people["age"], people["height"] = people["age"] // 30, 170.0
    telling = {
        "weight": 50 + np.arange(ROWS) / 7,
        "seen": pd.date_range("2020-01-01", periods=ROWS, freq="h"),
        "name": [f"Anna {number} Berg" for number in range(ROWS)],
    }
    for name, values in telling.items():
        assert not [note for note in roles_of(home, people.assign(**{name: values})).notes if "repeat" in note], name
    keys = people.assign(row_id=MIXED_UP, uuid=[str(uuid.UUID(int=number * 7**40)) for number in RUNNING])
    told = [note for note in roles_of(home, keys).notes if "repeat" in note]
    assert told[0].startswith(f"{ROWS - len(people.drop_duplicates())} rows repeat another in all columns but keys;")


@pytest.mark.parametrize("rows", [200, 500, 1000, 4000])
def test_a_leak_of_a_number_is_suspected_however_few_rows_there_are(home: Home, rows: int) -> None:
    """A share of variance of 0.99; columns of 0.5 and 200 columns of noise are not suspected."""
    random = np.random.default_rng(rows)
    spend = random.normal(0, 1, rows)
    leaks = {"invoice": spend + random.normal(0, 0.1, rows), "squared": (spend + 3) ** 2 + random.normal(0, 0.3, rows)}
    strong = {f"strong_{number}": spend + random.normal(0, 1, rows) for number in range(5)}
    noise = {f"noise_{number}": random.normal(0, 1, rows) for number in range(200)}
    roles = roles_of(home, pd.DataFrame({"spend": spend, **leaks, **strong, **noise}), "spend")
    assert {role.column for role in roles.table if "suspected" in role.used_as} == set(leaks)
    assert "share of variance 0.9" in part(roles, "invoice")[1]
