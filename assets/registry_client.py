"""Registry client: MLflow's client on a home's own database, used in this process or in one beside it.

What is registered stands in `assets.registry`; these two modules alone import mlflow.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from assets.companion import Companion
from assets.storage import Home, exclusive

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
_companion: Companion | None = None


def prepare(home: Home) -> None:
    """Let MLflow be imported, and its database be made, by a process beside this one, while this one does other things.

    From then on that process does what this module is asked. Where MLflow is imported already, nothing happens.
    """
    global _companion  # noqa: PLW0603 - one for the life of the process
    if "mlflow" in sys.modules or (_companion is not None and _companion.is_ours):
        return
    _companion = Companion()
    _companion.begin(_make_ready, home)


def _make_ready(home: Home) -> None:
    """Import what registering needs, and make the database."""
    import skops.io  # noqa: F401 - imported now, used when a model is registered

    with connected(home) as client:
        client.search_experiments(max_results=1)


def beside(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Call a function in the companion where there is one, else here."""

    @wraps(function)
    def asked(*given: Given.args, **named: Given.kwargs) -> Answer:
        if _companion is not None and _companion.is_ours:
            answer: Answer = _companion.call(asked, *given, **named)
            return answer
        return function(*given, **named)

    return asked


def database(home: Home) -> Path:
    """MLflow's database in this home."""
    return home.registry / "mlflow.db"


@contextmanager
def connected(home: Home) -> Iterator[MlflowClient]:
    """A client on this home's database; one process at a time, as SQLite and its migrations want it."""
    import mlflow

    with exclusive(home.registry / "registry.lock"):
        uri = f"sqlite:///{database(home)}"
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        yield mlflow.MlflowClient(uri, uri)


def experiment(client: MlflowClient, name: str, home: Home) -> str:
    """The experiment of a name, made if need be."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, (home.registry / "artifacts" / name).as_uri()))
