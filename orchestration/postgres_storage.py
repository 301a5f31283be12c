"""Dagster's storage in the PostgreSQL database of a home; `dagster.yaml` of a home names it."""

from __future__ import annotations

from typing import Any

from dagster._config import UserConfigSchema
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from assets.errors import DatabaseError
from assets.storage import postgresql
from orchestration import resources

RECYCLED_SECONDS = 3600
STATEMENT_MILLISECONDS = 600_000
CONNECTIONS = 10
"""Of one process at most, for each of runs, events and schedules; one stays open, as an event would else pay for a new one."""


class HomeStorage(DagsterPostgresStorage):
    """Runs, events and schedules in the schema `loopline_dagster`.

    A class of ours, as `dagster.yaml` could name the address only with its schema in it, in a second variable.
    """

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """It takes no settings."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> HomeStorage:  # noqa: ARG003
        """Open it; the tables are made if need be.

        Raises
        ------
        DatabaseError
            If the variable is not set, or the database cannot be used.
        """
        url = resources.database_from_environment()
        if url is None:
            raise DatabaseError(f"{postgresql.VARIABLE} is not set, and this home's history is there. {postgresql.EXAMPLE}")
        with postgresql.alone(url):  # one clear error instead of five attempts, and tables that are made once
            opened = cls(postgresql.of_schema(url, postgresql.DAGSTER), inst_data=inst_data)
        for part in (opened.run_storage, opened.event_log_storage, opened.schedule_storage):
            part.optimize_for_webserver(STATEMENT_MILLISECONDS, RECYCLED_SECONDS, CONNECTIONS)
        return opened
