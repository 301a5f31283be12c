"""Copies: what was written twice is told from what is equal by chance, as the definition says, whatever the columns hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.methods.copies import NO_COPY, copies


def measured(rows: int, seed: int = 0) -> pd.DataFrame:
    """Rows of three measurements and a label drawn at random."""
    random = np.random.default_rng(seed)
    return pd.DataFrame({**{name: random.random(rows) for name in "abc"}, "label": random.integers(0, 2, rows)})


def found(table: pd.DataFrame) -> np.ndarray[Any, Any]:
    """The copies of a table."""
    return copies({name: table[name] for name in table})


def by_definition(table: pd.DataFrame) -> list[int]:
    """Every row compared with every other one."""
    rows = [tuple(row) for row in table.itertuples(index=False)]
    unlike = [[sum(a != b for a, b in zip(one, other, strict=True)) for other in rows] for one in rows]
    varies = sum(len(set(column)) > 1 for column in zip(*rows, strict=True))
    is_copy = [varies > 2 and counts.count(0) > 1 and 1 not in counts for counts in unlike]
    return [counts.index(0) if copied else NO_COPY for copied, counts in zip(is_copy, unlike, strict=True)]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from("xyz"), st.booleans()), min_size=1, max_size=12
    )
)
def test_it_is_the_definition(rows: list[tuple[int, int, str, bool]]) -> None:
    """Equal in all columns to another row, and no row differs in exactly one column."""
    table = pd.DataFrame(rows, columns=["a", "b", "c", "label"])
    assert found(table).tolist() == by_definition(table)


def test_rows_repeated_whole_are_copies_of_their_first() -> None:
    """Fifty rows, twenty times each."""
    distinct = measured(50)
    whole = pd.concat([distinct] * 20, ignore_index=True)
    assert found(whole).tolist() == list(range(50)) * 20
    assert (found(distinct) == NO_COPY).all()


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_planted_copies_are_counted(share: float) -> None:
    """As many as were planted, and their originals."""
    distinct, planted = measured(1000), int(1000 * share)
    is_copy = found(pd.concat([distinct, distinct.head(planted)], ignore_index=True)) != NO_COPY
    assert is_copy.sum() == 2 * planted
    assert is_copy[:planted].all()


def test_rows_of_few_combinations_are_equal_by_chance() -> None:
    """Passengers by class, sex, age and survival: 32 combinations, some of them rare."""
    random = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "class": random.choice(["1", "2", "3", "crew"], 2000, p=[0.15, 0.13, 0.32, 0.4]),
            "sex": random.choice(["f", "m"], 2000, p=[0.2, 0.8]),
            "age": random.choice(["adult", "child"], 2000, p=[0.95, 0.05]),
            "survived": random.integers(0, 2, 2000),
        }
    )
    assert table.duplicated().mean() > 0.9
    assert (found(table) == NO_COPY).all()


def test_one_feature_tells_nothing() -> None:
    """Its equal values may be all that it can be, even where the target follows from it."""
    years = np.repeat(np.arange(1960, 2000), 16)
    assert (copies({"year": years, "age": 2004 - years}) == NO_COPY).all()
    assert (copies({"year": years, "unit": np.ones(len(years)), "age": 2004 - years}) == NO_COPY).all()


def test_gaps_and_zeros_of_either_sign_are_equal() -> None:
    """Of numbers and of texts; a gap is no zero."""
    table = pd.DataFrame(
        {
            "a": [np.nan, np.nan, 0.0, -0.0, 7.0],
            "b": [1.5, 1.5, 2.5, 2.5, 3.5],
            "c": np.array([None, np.nan, "x", "x", "y"], dtype=object),
            "label": [True, True, False, False, True],
        }
    )
    assert found(table).tolist() == [0, 0, 2, 2, NO_COPY]
    assert (found(table.assign(a=[np.nan, 0.0, 0.0, 1.0, 7.0])) == NO_COPY).all()


def test_a_constant_column_changes_nothing() -> None:
    """Without it the same rows agree."""
    table = pd.concat([measured(40), measured(40).head(10)], ignore_index=True)
    assert found(table.assign(unit="kg", none=np.nan)).tolist() == found(table).tolist()


def test_another_label_or_one_other_value_makes_it_chance() -> None:
    """Then the place in the table is populated."""
    distinct = measured(30)
    whole = pd.concat([distinct, distinct], ignore_index=True)
    other_label = whole.loc[[0]].assign(label=1 - whole["label"][0])
    other_value = whole.loc[[1]].assign(a=9.0)
    said = found(pd.concat([whole, other_label, other_value], ignore_index=True))
    assert np.flatnonzero(said[:30] == NO_COPY).tolist() == [0, 1]


def test_the_same_values_in_other_columns_are_another_row() -> None:
    """Each column has hashes of its own."""
    table = pd.DataFrame({"a": [1.25, 2.5, 7.0], "b": [2.5, 1.25, 8.0], "label": [0, 0, 1]})
    assert (found(table) == NO_COPY).all()


def test_no_rows_have_no_copies() -> None:
    """Nor has a table without columns."""
    assert copies({}).tolist() == []
    assert copies({"a": np.array([]), "b": np.array([]), "c": np.array([])}).tolist() == []
