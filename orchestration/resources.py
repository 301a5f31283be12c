"""Paths, the Dagster instance, and the environment of the processes that are started; only this module reads our variables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import HomeError, StoreError
from assets.processes.settings import SETTINGS
from assets.storage import database_home, postgresql
from assets.storage.drafts import draft_folder
from assets.storage.home import REPOSITORY, Home
from assets.storage.migrated_databases import copied
from assets.storage.publishing import publishing

if TYPE_CHECKING:
    import dagster as dg

    from assets.features.online_store import Credentials
    from assets.object_store.address import Address


HOME_VARIABLE = "LOOPLINE_HOME"
DEFAULT_HOME = REPOSITORY / "data"
PAGES_VARIABLE = "LOOPLINE_PAGES_PORT"
PAGES_PORT = 2980
"""Where `loopline ui` serves a home's pages; the ports from here to that of the Dagster UI are for those of other homes."""
IN_POSTGRESQL = """# In the PostgreSQL database that LOOPLINE_DATABASE names.
storage:
  custom:
    module: orchestration.postgres_storage
    class: HomeStorage
    config: {}
"""
"""What a home's `dagster.yaml` says more where its metadata is there."""


def store_address() -> Address | None:
    """Where `LOOPLINE_STORE` says that the home is published; None where it is not set.

    Raises
    ------
    StoreError
        If it names no store, or `LOOPLINE_STORE_TIMEOUT` is no number of seconds.
    """
    from assets.object_store.address import TIMEOUT_SECONDS, address_of

    url, given = os.environ.get("LOOPLINE_STORE"), os.environ.get("LOOPLINE_STORE_TIMEOUT") or str(TIMEOUT_SECONDS)
    if not url:
        return None
    try:
        seconds = float(given)
    except ValueError:
        raise StoreError(f"LOOPLINE_STORE_TIMEOUT={given} must be a number of seconds, such as 30.") from None
    found: Address = address_of(url, seconds)
    return found


def is_home_named() -> bool:
    """Whether `LOOPLINE_HOME` is set."""
    return bool(os.environ.get(HOME_VARIABLE))


def home_from_environment() -> Home:
    """The folder that `LOOPLINE_HOME` names, or `data` in the repository; it is not made yet.

    Raises
    ------
    HomeError
        If its metadata is in PostgreSQL and `LOOPLINE_DATABASE` is not set, or the other way round.
    """
    home = named_home()
    database_home.require_agreement(home)
    return home


def named_home() -> Home:
    """The same, wherever its metadata is: for who moves that."""
    return home_in(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)


def home_in(folder: str | Path) -> Home:
    """The home in a folder, with the database that `LOOPLINE_DATABASE` names for its metadata."""
    return Home(Path(folder).expanduser().absolute(), database_from_environment())


def database_from_environment() -> str | None:
    """The address of the PostgreSQL database for a home's metadata, with its password; None where SQLite files hold it."""
    return os.environ.get(postgresql.VARIABLE) or None


def actor() -> str:
    """Who decides by hand: `LOOPLINE_ACTOR`, or the user of this process."""
    import getpass

    try:
        return os.environ.get("LOOPLINE_ACTOR") or getpass.getuser()
    except KeyError:  # a container may run as a number that no password file knows
        return f"uid {os.getuid()}"


def pushgateway() -> str | None:
    """Where `LOOPLINE_PUSHGATEWAY` says that metrics are pushed after a run."""
    return os.environ.get("LOOPLINE_PUSHGATEWAY")


def webhooks_file() -> Path | None:
    """The file that `LOOPLINE_WEBHOOKS` names, which declares who is told of incidents; None where it is not set."""
    given = os.environ.get("LOOPLINE_WEBHOOKS")
    return Path(given).expanduser().absolute() if given else None


def pages_port() -> int:
    """The port of the pages that `loopline ui` serves: `LOOPLINE_PAGES_PORT`, or 2980.

    Raises
    ------
    HomeError
        If the variable holds no port.
    """
    given = os.environ.get(PAGES_VARIABLE) or str(PAGES_PORT)
    if not (given.isascii() and given.isdigit() and 0 < int(given) < 65536):
        raise HomeError(f"{PAGES_VARIABLE}={given} must be a port from 1 to 65535. Mend it, or leave it out for {PAGES_PORT}.")
    return int(given)


def is_started_by_pipes() -> bool:
    """Whether Dagster Pipes started this process; Dagster sets `DAGSTER_PIPES_CONTEXT`."""
    return "DAGSTER_PIPES_CONTEXT" in os.environ


def service_key() -> str | None:
    """The API key in `LOOPLINE_KEY`, with which a service is asked."""
    return os.environ.get("LOOPLINE_KEY")


def redis_credentials() -> Credentials:
    """By which a Redis that holds an online store lets us in: `LOOPLINE_REDIS_USER` and `LOOPLINE_REDIS_PASSWORD`."""
    from assets.features.online_store import Credentials

    return Credentials(os.environ.get("LOOPLINE_REDIS_USER"), os.environ.get("LOOPLINE_REDIS_PASSWORD"))


def dagster_environment(home: Home) -> dict[str, str]:
    """The environment of a Dagster process that shares this home's instance."""
    return {**os.environ, **SETTINGS, "DAGSTER_HOME": str(instance_folder(home)), HOME_VARIABLE: str(home.root)}


def mlflow_environment(store: str) -> dict[str, str]:
    """The environment of MLflow's server on a backend store, whose address may hold a password.

    Its jobs judge language models, and would be processes of their own.
    """
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_BACKEND_STORE_URI": store}
    return {**os.environ, **SETTINGS, **own}


def service_environment(home: Home, product: str, pointer: Path) -> dict[str, str]:
    """The environment of a service that follows the champion and keeps its prediction log in this home."""
    from assets.features import online_store
    from assets.storage import log_keys, pseudonym_key

    log_key = [("LOOPLINE_LOG_KEY", item.public) for item in log_keys.keys(home)[-1:]]
    return {
        **os.environ,
        **dict(log_key),
        **SETTINGS,
        "BENTOML_HOME": str(home.bentos),
        "LOOPLINE_CHAMPION": str(pointer),
        "LOOPLINE_PREDICTION_LOG": str(home.served / product),
        "LOOPLINE_PSEUDONYM_KEY": str(pseudonym_key.file_of(home)),
        "LOOPLINE_ONLINE_STORE": str(online_store.path_of(home, product)),
        # compiled modules beside a bento's own would be run instead of them, and no manifest names them
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def notebook_environment(home: Home) -> dict[str, str]:
    """The environment of JupyterLab and its kernels: they find this checkout, and this home."""
    return {**os.environ, **SETTINGS, "PYTHONPATH": str(REPOSITORY), HOME_VARIABLE: str(home.root)}


def smoke_environment(home: Home, product: str, pointer: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a service that is only tried: as it is served, with other keys, and it logs nothing."""
    served = service_environment(home, product, pointer)
    log = ("LOOPLINE_PREDICTION_LOG", "LOOPLINE_LOG_KEY")
    return {**{name: value for name, value in served.items() if name not in log}, **more}


def spark_environment() -> dict[str, str]:
    """The environment of a program in Spark's own; another Spark that the machine has is not taken for it."""
    own = {"PYTHONPATH": str(REPOSITORY), "SPARK_LOCAL_IP": "127.0.0.1"}
    given = {name: value for name, value in os.environ.items() if name not in ("SPARK_HOME", "PYSPARK_SUBMIT_ARGS")}
    return {**given, **SETTINGS, **own}


def git_environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a git that writes nothing into the repository that it reads."""
    return {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **more}


def revision_environment(tree: Path, home: Home) -> dict[str, str]:
    """The environment of a process with the code of another tree in a home of its own.

    What leads to places outside of that home is left out: a store, a database, a gateway, a Redis.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOPLINE_", "DAGSTER_", "MLFLOW_"))}
    own = {HOME_VARIABLE: str(home.root), "PYTHONPATH": str(tree), "COLUMNS": "200", "NO_COLOR": "1"}
    return {**kept, **SETTINGS, **own}


def instance_folder(home: Home) -> Path:
    """Make the folder of this home's Dagster instance, with its configuration."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    configuration = _configuration(home)
    written = home.dagster / "dagster.yaml"
    if not written.exists() or written.read_bytes() != configuration.encode():
        with publishing(written) as temporary:
            temporary.write_text(configuration, encoding="utf-8")
    return home.dagster


@contextmanager
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """This home's Dagster instance, disposed of at the end."""
    from orchestration.database_engines import made_once
    from orchestration.event_history import held_open
    from orchestration.migration_scripts import read_once

    if home.database is not None:
        with _in_postgresql(home, home.database) as opened:
            yield opened
        return
    folder = instance_folder(home)
    if not (folder / "history").exists():
        with draft_folder(home) as scratch:
            copied(f"dagster-{version('dagster')}", _make_instance, scratch / "dagster")
            for part in ("schedules", "history"):
                with contextlib.suppress(OSError):  # another process was faster: its folder is not empty
                    (scratch / "dagster" / part).rename(folder / part)
    with held_open(folder.resolve()), made_once(), read_once(), _opened(folder) as opened:
        yield opened


@contextmanager
def _in_postgresql(home: Home, url: str) -> Iterator[dg.DagsterInstance]:
    """The instance whose storage is in PostgreSQL; what the server refuses is one clear error."""
    database_home.claim(home)
    with postgresql.plain_errors(url), _opened(instance_folder(home)) as opened:
        found, expected = map(str, opened.run_storage.alembic_version() or (None, None))
        database_home.require_revision(home, f"Dagster {version('dagster')}", found, expected)
        yield opened


def _opened(folder: Path) -> dg.DagsterInstance:
    """The instance in a folder, with what only our own processes do otherwise: `dagster dev` opens it by its file alone."""
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    logs = {"module": "orchestration.captured_logs", "class": "CapturedLogs", "config": {"base_dir": str(folder / "storage")}}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides={"compute_logs": logs}))


def _make_instance(folder: Path) -> None:
    """Let Dagster make its empty databases."""
    import dagster as dg

    folder.mkdir()
    (folder / "dagster.yaml").write_text(_configuration(None), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(folder)):
        pass


def _configuration(home: Home | None) -> str:
    written = (files("orchestration") / "dagster.yaml").read_text(encoding="utf-8")
    return written if home is None or home.database is None else f"{written}{IN_POSTGRESQL}"
