"""Scripts of migrations: read once in a process, not once for each of Dagster's databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

_READ: dict[tuple[str, str | None], ScriptDirectory] = {}
"""The scripts by their configuration's file and their place; they are part of an installed package and do not change."""


@contextmanager
def read_once() -> Iterator[None]:
    """Keep what Alembic reads of migrations meanwhile.

    Dagster looks up the newest revision whenever it opens a database, and stamps each new one with it; every run has a
    database of its own. Each time Alembic imports all scripts, some 60 files. What it read says which revisions there are,
    and nothing of a database, so one reading serves all.
    """
    from alembic.script import ScriptDirectory

    original = ScriptDirectory.__dict__["from_config"]

    def from_config(config: Config) -> ScriptDirectory:
        place = str(config.config_file_name), config.get_main_option("script_location")
        if place not in _READ:
            _READ[place] = original.__func__(ScriptDirectory, config)
        return _READ[place]

    ScriptDirectory.from_config = staticmethod(from_config)  # type: ignore[method-assign]
    try:
        yield
    finally:
        ScriptDirectory.from_config = original  # type: ignore[method-assign]
