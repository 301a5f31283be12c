"""The benchmark of strangers' tables: how tables and targets are drawn, judged, kept and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.tables import engine, learnability, page, plain_models, rivals, runner, selection
from benchmarks.tables.checkout import Ended
from benchmarks.tables.results import Results


def frame(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """A number and a category that tell the target, with noise, and what must not be a target."""
    random = np.random.default_rng(seed)
    size, color = random.normal(size=rows), random.choice(["red", "blue"], rows)
    return pd.DataFrame({
        "rownames": np.arange(1, rows + 1),
        "size": size,
        "color": color,
        "weight": 2 * size + (color == "red") + random.normal(size=rows),
        "number": random.permutation(rows),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (np.tile(["a", "b"], 200), "binary"),
        (np.tile([True, False], 200), "binary"),
        (np.tile([0.5, 1.5], 200), "binary"),
        (np.tile([1, 2, 3, 4], 100), "multiclass"),
        (np.tile([0.5, 1.5, 2.5, 3.5], 100), "regression"),
        (np.random.default_rng(0).normal(size=400), "regression"),
        (np.array(["a"] * 390 + ["b"] * 10), None),
        (np.ones(400), None),
        (np.arange(400)[::-1], None),
        (np.random.default_rng(0).permutation(400), None),
        (np.array([f"name {number}" for number in range(400)]), None),
        (np.where(np.arange(400) % 3 == 0, np.arange(400) % 7, np.nan), None),
        (pd.date_range("2024-01-01", periods=400), None),
    ],
)
def test_a_column_is_a_target_by_its_values(column: Any, kind: str | None) -> None:
    """Rare classes, constants, row numbers, names, moments and gaps make none."""
    assert selection.kind_of_target(pd.Series(column)) == kind


@pytest.mark.parametrize(
    ("name", "column", "is_time"),
    [
        ("Date", pd.date_range("2024-01-01", periods=400).astype(str), True),
        ("seen", pd.date_range("2024-01-01", periods=400), True),
        ("year", np.repeat(np.arange(1960, 2000), 10), True),
        ("yearBuilt", np.repeat(np.arange(1960, 2000), 10), False),
        ("year", np.repeat(np.arange(2010, 2020), 40), False),
        ("time", np.arange(400) / 12 + 1749, False),
        ("update", pd.date_range("2024-01-01", periods=400).astype(str), False),
    ],
)
def test_time_is_given_where_a_column_obviously_is_one(name: str, column: Any, is_time: bool) -> None:
    """By its type, or its name and values."""
    assert selection.time_of(frame().assign(**{name: column}), "weight") == (name if is_time else None)


@pytest.mark.parametrize(
    ("target", "is_period"),
    [(np.repeat([1, 2, 3, 4], 25), True), (np.repeat([1, 2, 1, 4], 25), False), (np.arange(100), False)],
)
def test_a_period_of_the_time_is_no_target(target: Any, is_period: bool) -> None:
    """The month of a single year comes once; the month of several years returns; a number for each row is another matter."""
    days = pd.Series(pd.date_range("2024-01-01", periods=100).astype(str))
    assert selection.is_period(pd.Series(target), days) == is_period


def test_a_target_is_drawn_by_the_name_alone() -> None:
    """The same name draws the same target from other rows; names draw different ones."""
    drawn = {name: selection.asked_of(name, frame()) for name in ("a/a", "a/b", "a/c", "a/d", "a/e", "a/f")}
    assert {name: selection.asked_of(name, frame(seed=1)) for name in drawn} == drawn
    assert {asked.target for asked in drawn.values() if asked} == {"size", "color", "weight"}


@pytest.mark.parametrize("target", ["weight", "color"])
def test_a_planted_target_is_learnable_and_a_shuffled_one_is_not(target: str) -> None:
    """Whichever its kind."""
    kind = {"weight": "regression", "color": "binary"}[target]
    rows = frame()
    shuffled = rows.assign(**{target: np.random.default_rng(7).permutation(rows[target])})
    assert learnability.judge(rows, target, kind)["learnable"] is True
    assert learnability.judge(shuffled, target, kind)["learnable"] is not True


def test_a_shuffled_target_is_rarely_judged_learnable() -> None:
    """In at most 2 of 30 tables, at 95 %; most are judged unlearnable, and of the others nothing is said."""
    wrong = [
        learnability.judge(
            rows.assign(weight=np.random.default_rng(seed + 100).permutation(rows["weight"])), "weight", "regression"
        )
        for seed in range(30)
        if (rows := frame(300, seed)) is not None
    ]
    assert sum(found["learnable"] is True for found in wrong) <= 2
    assert sum(found["learnable"] is False for found in wrong) >= 16


def test_rows_in_time_must_be_learnable_from_the_rows_before() -> None:
    """A column that tells the target in turns, now this way and now that way; and one that always tells it the same way."""
    random = np.random.default_rng(1)
    moments = pd.date_range("2024-01-01", periods=600).astype(str)
    told = random.normal(size=600)
    turning = np.where(np.arange(600) < 300, told, -told) + random.normal(size=600)
    judged = {
        name: learnability.judge(
            pd.DataFrame({"date": moments, "told": told, "target": target}), "target", "regression", "date"
        )
        for name, target in (("turning", turning), ("lasting", told + random.normal(size=600)))
    }
    assert (judged["lasting"]["learnable"], judged["lasting"]["forward"]) == (True, True)
    assert (judged["turning"]["learnable"], judged["turning"]["forward"]) == (None, False)


def test_a_target_that_only_a_row_number_tells_is_neither_learnable_nor_unlearnable() -> None:
    """A table that is sorted by its target: what the number says is known of no new row."""
    rows = pd.DataFrame({"rownames": np.arange(400), "noise": np.random.default_rng(0).normal(size=400)})
    rows["target"] = rows["rownames"] / 7 + np.random.default_rng(1).normal(size=400)
    assert learnability.judge(rows, "target", "regression")["learnable"] is None


def test_plain_models_see_neither_copies_of_the_target_nor_row_numbers() -> None:
    """A scaled copy and a renamed class are copies."""
    rows = frame().assign(twice=lambda table: 2 * table["weight"])
    assert list(plain_models.features(rows, "weight")) == ["size", "color"]


def test_rivals_are_asked_the_products_test_rows() -> None:
    """A product that knows the target is surely better, one that guesses surely worse; the rows are found by their numbers."""
    rows = frame()
    test = pd.DataFrame({"source_row": np.arange(301, 401)})
    record = {"target": "weight", "declared": {"kind": "regression", "classes": [], "positive": "True", "entity": "source_row"}}
    good = rivals.compare(rows, test.assign(prediction=rows["weight"].to_numpy()[300:]), record)
    bad = rivals.compare(rows, test.assign(prediction=rows["weight"].mean()), record)
    assert (good["figures"]["product"], good["test_rows"], good["taught_rows"]) == (0.0, 100, 300)
    assert good["low"] > 0
    assert bad["surely_worse"]
    assert not good["surely_worse"]


def test_results_outlive_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    """The cut line is no result; the next one stands on its own line; the last of a table counts."""
    results = Results(tmp_path / "results.jsonl")
    results.add({"name": "a", "variant": "plain", "outcome": "failed"})
    with results.path.open("a") as stream:
        stream.write('{"name": "b", "var')
    results.add({"name": "a", "variant": "plain", "outcome": "served"})
    assert {key: found["outcome"] for key, found in results.all().items()} == {("a", "plain"): "served"}


def test_tables_are_chosen_by_pattern_and_in_the_order_of_their_hashes() -> None:
    """A larger sample holds the smaller one."""
    entries = [{"name": f"x/{number}", "variant": "plain"} for number in range(20)] + [{"name": "y/1", "variant": "odd"}]
    small, large = (engine.chosen(entries, "plain", None, count) for count in (5, 10))
    assert large[:5] == small
    assert [entry["name"] for entry in engine.chosen(entries, "all", "y/*", None)] == ["y/1"]


def test_a_failure_is_told_by_its_stage_and_its_error() -> None:
    """A traceback is a crash, an error of ours is not."""
    ours = runner.failure("run", Ended(1, "making 3 assets\nerror stranger__parity: sql differs by 1e-3\n", 1.0))
    crash = runner.failure("new", Ended(1, "Traceback (most recent call last)\n  x\nKeyError: 'a'\n", 1.0))
    late = runner.failure("run", Ended(124, "making 3 assets\n", 600.0))
    assert (ours["at"], ours["error"], ours["is_crash"]) == ("parity", "error stranger__parity: sql differs by 1e-3", False)
    assert (crash["at"], crash["is_crash"]) == ("new", True)
    assert crash["error"].endswith("KeyError: 'a'")
    assert late["error"] == f"took longer than {runner.LONGEST_SECONDS} s"


def test_the_page_is_written_between_its_markers(tmp_path: Path) -> None:
    """The words around them stay, and hostile text breaks no table."""
    path = tmp_path / "tables.md"
    path.write_text(f"# Before\n{page.START}\nold\n{page.END}\nafter\n", encoding="utf-8")
    common = {"variant": "plain", "rows": 1000, "columns": 5, "kind": "binary", "time": None, "code": "c0de", "jobs": 1}
    served = {
        **common, "name": "a/served", "target": "x|y", "outcome": "served", "learnable": True, "new_seconds": 1.0, "run_seconds": 6.0,
        "differences": {"sql": 2e-16, "onnx": 3e-14},
        "rivals": {"compared": True, "surely_worse": True, "metric": "roc_auc", "figures": {"product": 0.8, "booster": 0.9, "linear": 0.7}},
    }  # fmt: skip
    refused = {
        **common, "name": "a/refused", "target": "t", "outcome": "refused", "refused_by": ["baselines", "baselines"], "learnable": True,
        "new_seconds": 1.0, "run_seconds": 6.0, "differences": {"onnx": 0.0},
    }  # fmt: skip
    failed = {
        **common, "name": "a/failed", "target": "t", "outcome": "failed", "at": "new", "error": "no | `way`\nout", "new_seconds": 1.0
    }  # fmt: skip
    page.write(path, [served, refused, failed])
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    figures = {name: measured for name, measured, _ in page.summary([served, refused, failed])}
    assert figures["errors, drawn tables"] == "1 of 3"
    assert figures["learnable tables served"] == "50.0% (1 of 2)"
    assert figures["`new` + `run`, served tables of 700 to 1,500 rows, median"] == "7.0 s (1 tables)"
    assert figures["largest difference of pipeline, ONNX, SQL, wheel, service"] == "3e-14"
    assert "| a/served | 1,000 x 5 | `x/y` | binary | yes | served |" in text
    assert "failed at new: `no / 'way' out`" in text
    assert "| refused | baselines | 1 | 0 | 0 |" in text


def test_the_error_of_a_rank_gain_is_that_of_the_area_under_the_curve() -> None:
    """As it varies over many tables: no smaller, which would call what cannot be learnt learnable."""
    areas, errors = [], []
    for seed in range(300):
        random = np.random.default_rng(seed)
        labels = (np.arange(120) < 30).astype(int)
        scores = random.normal(size=120) + 0.5 * labels
        gains = learnability._gains(labels, labels, np.c_[-scores, scores], "binary")[1]
        areas.append(gains.mean())
        errors.append(np.std(learnability._influences(gains, labels), ddof=1) / np.sqrt(120))
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.1)
