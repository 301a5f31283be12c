"""What modules do is read once, and kept between processes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets.storage import module_code as module
from assets.storage.home import Home
from assets.storage.module_code import module_code
from tests.clones import python

SOURCE = '"""A docstring."""\nfrom .above import rule\n\nLIMIT = 3  # a comment\nRULES = Registry("RULES")\n'


@pytest.fixture
def bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which Python is told to keep bytecode."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "bytecode"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module._kept.cache_clear()
    yield tmp_path / "bytecode"
    module._kept.cache_clear()


def test_what_was_read_is_kept_for_the_next_process(bytecode: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process does not compile what the first compiled."""
    told = module_code("assets.stage.here", SOURCE)
    module._write()
    module._kept.cache_clear()
    monkeypatch.setattr(module, "_read", lambda *_: pytest.fail("it was read again"))
    assert module_code("assets.stage.here", SOURCE) == told
    assert told.imports == ["assets.stage.above", "assets.stage.above.rule"]
    assert told.registries == ["RULES"]
    assert [file.suffix for file in bytecode.iterdir()] == [".json"]


def test_a_command_keeps_what_it_read(home: Home, tmp_path: Path) -> None:
    """It ends at once, without what Python does at its end; the next one finds nothing new, and writes nothing."""

    def kept() -> list[tuple[str, int]]:
        done = python("tests.orchestration.cli.keeping_command", str(tmp_path / "bytecode"), "plan", "--json", home=home.root)
        assert done.returncode == 0, done.stderr
        return [(file.name, file.stat().st_mtime_ns) for file in (tmp_path / "bytecode").glob("*.json")]

    (first,) = kept()
    assert first[0].startswith("module_code.")
    assert kept() == [first]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": 1}'])
def test_a_damaged_file_is_read_over(bytecode: Path, damage: str) -> None:
    """What cannot be read is made again."""
    told = module_code("assets.stage.here", SOURCE)
    module._write()
    module._file().write_text(damage)
    module._kept.cache_clear()
    assert module_code("assets.stage.here", SOURCE) == told
    assert len(module._kept()) == 1


def test_only_what_a_module_does_counts(bytecode: Path) -> None:
    """Comments and docstrings do not count, constants and the module's package do."""
    told = module_code("a.b", SOURCE)
    assert (
        module_code("a.b", SOURCE.replace("a comment", "another").replace("A docstring", "Another")).described == told.described
    )
    assert module_code("a.b", SOURCE.replace("3", "4")).described != told.described
    assert module_code("a.c.d", SOURCE).imports == ["a.c.above", "a.c.above.rule"]
