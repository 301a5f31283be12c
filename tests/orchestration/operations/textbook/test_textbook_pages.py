"""Commands of the textbook's pages: what is recorded, what is compared, and what is let differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from assets.errors import SpecificationError
from orchestration.operations.textbook import textbook_pages
from orchestration.operations.textbook.textbook import Page, read, topics
from orchestration.operations.textbook.textbook_pages import Step, check, differences, ran, record, steps

PAGE = """---
title: A page
---
# A page

Words.

```console
$ loopline status shop | head -2
$ loopline evidence shop evaluation
```

More words.
"""
OUTPUT = "shop v1  0.758 [0.730, 0.781]\nlast run 35003258 2026-11-29T21:50:59+00:00 in 4.2 s\nthird"


def says(*told: str, code: int = 0) -> textbook_pages.Run:
    """A command line that prints these in turn."""
    remaining = iter(told)

    def run(arguments: list[str], more: Mapping[str, str]) -> tuple[int, str]:
        return code, next(remaining)

    return run


@pytest.fixture
def page(tmp_path: Path) -> Page:
    """A page with two commands whose output is not recorded yet."""
    path = tmp_path / "1.1.1-page.md"
    path.write_text(PAGE, encoding="utf-8")
    return read(path, topics()[0])


def test_a_page_is_recorded_and_then_agrees(page: Page, tmp_path: Path) -> None:
    """Filters are applied, the rest of the page stays, and a second recording changes nothing."""
    assert record(page, says(OUTPUT, "rows: 12"), tmp_path)
    written = page.path.read_text(encoding="utf-8")
    assert "$ loopline status shop | head -2\nshop v1" in written
    assert "third" not in written
    assert written.endswith("$ loopline evidence shop evaluation\nrows: 12\n```\n\nMore words.\n")
    now = read(page.path, page.topic)
    assert not record(now, says(OUTPUT, "rows: 12"), tmp_path)
    assert check(now, says(OUTPUT, "rows: 12"), tmp_path) == []
    assert [step.line for step in steps(now.body)] == ["loopline status shop | head -2", "loopline evidence shop evaluation"]
    told = check(now, says(OUTPUT, "rows: 13"), tmp_path)
    assert told == ["1.1.1 $ loopline evidence shop evaluation: recorded: 12, now: 13"]


@pytest.mark.parametrize(
    "now",
    [
        OUTPUT.replace("35003258", "0ff14c4a").replace("21:50:59", "08:00:01").replace("4.2 s", "311.9 s"),
        OUTPUT.replace("0.758", "0.760").replace("  ", "      "),
        OUTPUT.replace("35003258", "62d6d4c1-7c56-420c-aa1a-25accc7081fa"),
    ],
)
def test_what_differs_from_run_to_run_is_no_difference(now: str) -> None:
    """Digests, moments, seconds, blanks, and numbers within the tolerance."""
    assert differences(OUTPUT, now) == []


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (OUTPUT.replace("0.758", "0.70"), "recorded: 0.758, now: 0.7"),
        (OUTPUT.replace("shop", "shed"), "recorded: 'shop v1"),
        (OUTPUT.replace("third", "third fourth"), "now: 'fourth'"),
        (OUTPUT.replace("v1", "v2"), "now: 'v2"),
        (OUTPUT.replace("0.758 ", "-0.758 "), "now: -0.758"),
    ],
)
def test_any_other_difference_is_told(now: str, told: str) -> None:
    """A word, a version, a sign, a number beyond the tolerance, a line more."""
    (found,) = differences(OUTPUT, now)
    assert told in found


def test_dates_of_the_data_are_compared() -> None:
    """A month is a word, not a number within a tolerance."""
    assert differences("2013-11 27,268 rows", "2013-12 27,268 rows")
    assert differences("2013-11 27,268 rows", "2013-11 27,300 rows") == []


def test_paths_are_those_of_a_reader(tmp_path: Path) -> None:
    """Of the home, of the scratch folder, and of the clone."""
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    asked: list[str] = []

    def run(arguments: list[str], more: Mapping[str, str]) -> tuple[int, str]:
        asked.extend([*arguments, *more.values()])
        return 0, f"{home}/reports/x.html\n{scratch}/dags: 3\n"

    step = Step("LOOPLINE_STORE=file://build/store loopline export airflow shop --out build/dags", "")
    assert ran(step, run, home, scratch) == "data/reports/x.html\nbuild/dags: 3"
    assert asked == ["export", "airflow", "shop", "--out", f"{scratch}/dags", f"file://{scratch}/store"]


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("rm -rf /", 0, "no command of loopline"),
        ("loopline status | sort", 0, "'sort' is not allowed"),
        ("loopline status", 1, "ended with 1, and 0 is said"),
        ("loopline status # exit 1", 0, "ended with 0, and 1 is said"),
    ],
)
def test_a_command_that_cannot_be_shown_is_one_clear_error(line: str, code: int, told: str, tmp_path: Path) -> None:
    """Another program, another filter, another exit code than is said."""
    with pytest.raises(SpecificationError, match=told):
        ran(Step(line, ""), says("words", code=code), tmp_path / "home", tmp_path)
