"""Code versions: what changes a stage's result changes its version, and nothing else does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from assets.storage import code_version as versions
from assets.storage.home import REPOSITORY


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of our sources, which versions are taken of."""
    for name in ("assets", "bentos"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(versions, "REPOSITORY", tmp_path)
    return tmp_path


def version(module: str, **more: object) -> str:
    """A version, read anew."""
    versions._read.cache_clear()
    found = versions.code_version(module, **more)  # type: ignore[arg-type]
    versions._read.cache_clear()
    return found


def edit(path: str, old: str, new: str) -> Callable[[Path], None]:
    """Replace a text in a source file."""

    def change(sources: Path) -> None:
        text = (sources / path).read_text()
        assert old in text
        (sources / path).write_text(text.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("module", "change"),
    [
        ("assets.training.training", edit("assets/training/training.py", "BACKGROUND = 32", "BACKGROUND = 33")),
        ("assets.training.training", edit("assets/methods/binary.py", "values[0] + 1.0", "values[0] + 2.0")),
        ("assets.training.training", edit("bentos/runtime.py", "log_severity_level = 3", "log_severity_level = 4")),
        ("assets.promotion.model_card", edit("assets/promotion/report.html.j2", "Month by month", "By month")),
    ],
)
def test_a_change_of_code_at_any_depth_changes_the_version(sources: Path, module: str, change: Callable[[Path], None]) -> None:
    """In the stage, in what it imports, in a template."""
    before = version(module)
    change(sources)
    assert version(module) != before


@pytest.mark.parametrize(
    ("module", "change"),
    [
        ("assets.training.training", edit("assets/training/training.py", '"""Training: ', '"""About training: ')),
        ("assets.training.training", edit("assets/training/training.py", "BACKGROUND = 32", "# how many\nBACKGROUND  =  32")),
        ("assets.training.training", edit("assets/ingestion/file_formats.py", "BATCH = 50_000", "BATCH = 60_000")),
        ("assets.training.training", edit("assets/promotion/report.html.j2", "Month by month", "By month")),
    ],
)
def test_words_layout_and_other_stages_do_not_count(sources: Path, module: str, change: Callable[[Path], None]) -> None:
    """A docstring, a comment, another stage, a template of another stage."""
    before = version(module)
    change(sources)
    assert version(module) == before


def test_parameters_and_libraries_count() -> None:
    """The declaration that a stage reads, and what it rests on."""
    base = version("assets.training.training", parameters={"a": 1}, distributions=["numpy"])
    assert base != version("assets.training.training", parameters={"a": 2}, distributions=["numpy"])
    assert base != version("assets.training.training", parameters={"a": 1}, distributions=["pandas"])
