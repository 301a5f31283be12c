"""Engines of Dagster's SQLite databases: one for each database while an instance is open, not one for each statement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

STORAGES = (
    "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
    "dagster._core.storage.schedules.sqlite.sqlite_schedule_storage",
)
"""The modules that make an engine whenever they connect."""
KEPT = 16
"""Engines: a run's history has a database of its own, and a process may run many."""


@contextmanager
def made_once() -> Iterator[None]:
    """Keep the engines that Dagster's SQLite storages make meanwhile.

    They make one for each of some 700 connections of a run. A new engine asks the database for its settings, and compiles each
    statement anew, as it holds what was compiled; that took a fifth of the processor time of a small product's run. An engine
    of theirs keeps no connection (its pool is `NullPool`), so it may serve all threads and outlive its file.
    """
    from sqlalchemy import create_engine

    @lru_cache(maxsize=KEPT)
    def kept(url: str, arguments: frozenset[tuple[str, Any]], options: frozenset[tuple[str, Any]]) -> Engine:
        return create_engine(url, connect_args=dict(arguments), **dict(options))

    def engine(url: str, connect_args: dict[str, Any] | None = None, **options: Any) -> Engine:
        return kept(url, frozenset((connect_args or {}).items()), frozenset(options.items()))

    modules = [import_module(name) for name in STORAGES]
    usual = [module.create_engine for module in modules]
    for module in modules:
        setattr(module, "create_engine", engine)  # noqa: B010 - mypy knows the name as a function
    try:
        yield
    finally:
        for module, made in zip(modules, usual, strict=True):
            setattr(module, "create_engine", made)  # noqa: B010
