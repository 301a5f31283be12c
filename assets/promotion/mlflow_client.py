"""Registry client: MLflow's client on a home's own database, used in this process or in one beside it.

What is registered stands in `model_registry`; these two modules alone import mlflow.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.processes.companion import Beside
from assets.promotion.registry_location import settle
from assets.storage import database_home, metadata, postgresql
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.migrated_databases import copied

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

BESIDE = Beside(niceness=5)
"""MLflow is the slowest import of all, and nothing else uses it; it is needed late, so it yields."""


def prepare(home: Home) -> None:
    """Let a process beside this one import MLflow and make its database; it then does what the registry is asked."""
    if "mlflow" not in sys.modules:
        BESIDE.start(_make_ready, home)


def _make_ready(home: Home) -> None:
    import skops.io  # noqa: F401 - imported now, used when a model is registered

    with connected(home) as client:
        client.search_experiments(max_results=1)


def database(home: Home) -> Path:
    """MLflow's database in this home."""
    return home.registry / "mlflow.db"


def address(home: Home) -> str:
    """The address of MLflow's backend store; one of PostgreSQL holds a password."""
    return f"sqlite:///{database(home)}" if home.database is None else postgresql.of_schema(home.database, postgresql.MLFLOW)


@contextmanager
def connected(home: Home) -> Iterator[MlflowClient]:
    """A client on this home's database; one process at a time, as SQLite and its migrations want it."""
    import mlflow

    with exclusive(home.registry / "registry.lock"):
        if home.database is None:
            if not database(home).exists():
                _make_database(home)
            settle(home)
        else:
            _make_schema(home, home.database)
        uri = address(home)
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        with postgresql.plain_errors(home.database):
            yield mlflow.MlflowClient(uri, uri)


def _make_database(home: Home) -> None:
    """Bring the database into place whole: MLflow refuses one whose migrations were interrupted."""
    with draft_folder(home) as scratch:
        draft = scratch / "mlflow.db"
        copied(f"mlflow-{version('mlflow')}.db", _migrate, draft)
        with contextlib.closing(sqlite3.connect(draft)) as connection, connection:
            artifacts = (home.registry / "artifacts" / "0").as_uri()
            connection.execute("update experiments set artifact_location = ? where experiment_id = 0", [artifacts])
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(database(home))


def _make_schema(home: Home, url: str) -> None:
    """Let MLflow make its tables in PostgreSQL, once."""
    if not metadata.exists(home, metadata.Part.REGISTRY):
        database_home.claim(home, declares=False)  # Dagster's instance, or a migration, does
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        with postgresql.plain_errors(url):
            SqlAlchemyStore(address(home), (home.registry / "artifacts").as_uri()).engine.dispose()
    settle(home)


def upgrade(home: Home) -> None:
    """Bring MLflow's tables in PostgreSQL to the revision that the installed MLflow reads."""
    import sqlalchemy
    from mlflow.store.db.utils import _upgrade_db

    with exclusive(home.registry / "registry.lock"):
        _upgrade_db(sqlalchemy.create_engine(address(home)))


def _migrate(path: Path) -> None:
    """Let MLflow make an empty database."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def unsynced(connection: Any, _: Any) -> None:
        # some 600 waits for the disk, for a draft that nobody reads when the machine stops
        connection.execute("pragma synchronous = off")

    event.listen(Engine, "connect", unsynced)
    try:
        SqlAlchemyStore(f"sqlite:///{path}", "file:///nowhere").engine.dispose()
    finally:
        event.remove(Engine, "connect", unsynced)


def experiment(client: MlflowClient, name: str, home: Home) -> str:
    """The experiment of a name, made if need be."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, (home.registry / "artifacts" / name).as_uri()))
