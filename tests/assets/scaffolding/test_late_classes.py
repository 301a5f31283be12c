"""Late classes: what no training row has is left out with a note, or the table is refused before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from assets.errors import UnlearnableError
from assets.scaffolding.column_roles import Roles, assign
from assets.scaffolding.profiling import profile
from assets.scaffolding.question import Question
from assets.spec.features import Kind
from assets.storage.home import Home

SIZE = 400


def roles(tmp_path: Path, label: object, moments: object | None = None, size: int = SIZE, kind: Kind | None = None) -> Roles:
    """A file in order of time with these labels, as it is taken."""
    days = pd.date_range("2020-01-01", periods=size, freq="h").strftime("%d.%m.%Y %H:%M") if moments is None else moments
    noise = np.random.default_rng(0).normal(size=size)
    pd.DataFrame({"day": days, "x": noise, "label": label}).to_csv(tmp_path / "rows.csv", index=False)
    return assign(Question("rows", "label", time="day", kind=kind), profile(Home(tmp_path / "home"), tmp_path / "rows.csv"))


def turns(*names: str, size: int = SIZE) -> np.ndarray:
    """Classes by turns, so that every window has each."""
    return np.array(names, dtype=object)[np.arange(size) % len(names)]


def test_a_class_that_comes_late_is_left_out_with_a_note(tmp_path: Path) -> None:
    """The others are learnt; its rows are predicted."""
    label = turns("a", "b", "c")
    label[-30:][::2] = "new"
    found = roles(tmp_path, label)
    assert found.target.block["classes"] == ["a", "b", "c"]
    assert found.target.block["leave_out"] == ["new"]
    assert any("only after the training rows" in note and "'new' (15)" in note for note in found.notes)


def test_a_late_class_is_named_as_the_file_spells_it(tmp_path: Path) -> None:
    """Numbers with decimals as classes: what is declared is the text of the file."""
    label = turns("1.50", "2.25", "3.50")
    label[-30:][::2] = "4.50"
    found = roles(tmp_path, label, kind="multiclass")
    assert found.target.block["classes"] == ["1.50", "2.25", "3.50"]
    assert found.target.block["leave_out"] == ["4.50"]


@pytest.mark.parametrize(("rows_each", "words"), [(1, "different texts"), (8, "fewer than two"), (400, "one value")])
def test_what_could_not_be_learnt_without_time_either_is_told_first(tmp_path: Path, rows_each: int, words: str) -> None:
    """Texts that hardly repeat come late too, but leaving out --time would not help."""
    size = 2_400 if rows_each == 1 else SIZE
    with pytest.raises(UnlearnableError, match=words):
        roles(tmp_path, np.array([f"text {number // rows_each}" for number in range(size)]), size=size)


def test_classes_of_every_window_are_kept(tmp_path: Path) -> None:
    """Nothing is left out, nothing said."""
    found = roles(tmp_path, turns("a", "b", "c"))
    assert "leave_out" not in found.target.block
    assert not found.notes


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (np.repeat([1, 2, 3, 4, 5, 6, 7, 8], SIZE // 8), "'7', '8' come only after"),
        (np.repeat(["a", "b"], [300, 100]), "'b' come only after"),
        (np.r_[turns("a", "b")[:300], np.repeat("a", 100)], "the test rows"),
        (np.repeat([False, True], [300, 100]), "the training rows"),
    ],
)
def test_what_cannot_be_tested_in_order_of_time_is_refused(tmp_path: Path, label: np.ndarray, words: str) -> None:
    """Classes that do not return, of numbers, texts and truth values; a window of one class."""
    with pytest.raises(UnlearnableError, match="cannot be judged in order of time") as refused:
        roles(tmp_path, label)
    assert words in str(refused.value)
    assert "Leave out --time" in str(refused.value)


def test_years_date_rows_too(tmp_path: Path) -> None:
    """Moments that are numbers."""
    years = np.repeat(np.arange(1900, 1940), SIZE // 40)
    with pytest.raises(UnlearnableError, match="1928-01-01"):
        roles(tmp_path, np.where(years < 1930, turns("a", "b"), "c"), years)


def test_of_a_sample_a_rare_class_is_not_taken_for_a_late_one(tmp_path: Path) -> None:
    """Of 12,000 rows one in three is looked at: a class whose few rows may also lie where nobody looked is kept."""
    size = 12_000
    label = turns("a", "b", "c", size=size)
    label[np.arange(11) * 7 + 11_000] = "rare"
    found = roles(tmp_path, label, size=size)
    assert "rare" in found.target.block["classes"]
