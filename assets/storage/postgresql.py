"""PostgreSQL: connections to the database that holds a home's metadata, and one clear error that never tells the password.

Each part has a schema of its own in one database. What is read of either kind of database stands in `metadata`; whose a
database is, in `database_home`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from assets.errors import DatabaseError
from assets.storage.error_chain import causes

if TYPE_CHECKING:
    import psycopg

VARIABLE = "LOOPLINE_DATABASE"
"""The variable that holds the address; nothing else does."""
HOME, DAGSTER, MLFLOW = "loopline", "loopline_dagster", "loopline_mlflow"
"""The schemas: whose the database is and the ledger's index; Dagster's storage; MLflow's backend store."""
SCHEMAS = (HOME, DAGSTER, MLFLOW)
SECONDS = 10
"""How long a server may take until it answers."""
EXAMPLE = f"{VARIABLE}=postgresql://USER:PASSWORD@HOST:5432/DATABASE"


def require_address(url: str) -> str:
    """The address, if it is one of a PostgreSQL database.

    Parameters
    ----------
    url : str
        ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``; letters that mean something in an address are percent-encoded.

    Raises
    ------
    DatabaseError
        If it is no such address; the error does not quote it.

    Examples
    --------
    >>> require_address("mysql://us@here/loop")
    Traceback (most recent call last):
    ...
    assets.errors.DatabaseError: LOOPLINE_DATABASE must be the address of a PostgreSQL database, such as ...
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in {"postgresql", "postgres"} and bool(parts.path.strip("/")) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one:
        raise DatabaseError(
            f"{VARIABLE} must be the address of a PostgreSQL database, such as {EXAMPLE}. Write letters like @ or / of a "
            "password as %40 or %2F, or leave the variable out: then SQLite files of the home are used."
        )
    return url


def place(url: str) -> str:
    """Where a database is, without user and password.

    Examples
    --------
    >>> place("postgresql://ann:secret@db.example:5433/loop?sslmode=require")
    'database loop on db.example:5433'
    >>> place("postgresql:///loop?host=/run/postgresql")
    'database loop on this machine'
    """
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2] or "this machine"
    return f"database {unquote(parts.path.strip('/'))} on {where}"


def of_schema(url: str, schema: str) -> str:
    """The address by which SQLAlchemy finds the tables of one schema, as Dagster and MLflow are given it.

    It names the driver that both are made for; psycopg 3 closes a connection where they end a transaction.

    Examples
    --------
    >>> of_schema("postgres://ann@here/loop?sslmode=require", "loopline_mlflow")
    'postgresql+psycopg2://ann@here/loop?sslmode=require&options=-csearch_path%3Dloopline_mlflow'
    """
    parts = urlsplit(url)
    options = f"options={quote(f'-csearch_path={schema}', safe='-')}"
    query = f"{parts.query}&{options}" if parts.query else options
    return urlunsplit(("postgresql+psycopg2", parts.netloc, parts.path, query, ""))


@contextmanager
def connected(url: str, schema: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to one schema; what is written is committed at the end, or nothing is.

    Raises
    ------
    DatabaseError
        If psycopg is not installed, nobody answers, the password is wrong, or a table is missing.
    """
    try:
        import psycopg
    except ImportError as error:
        raise DatabaseError(f"{VARIABLE} is set, but PostgreSQL's libraries are not installed. Run `make stores`.") from error
    try:
        with psycopg.connect(require_address(url), connect_timeout=SECONDS, options=f"-csearch_path={schema}") as connection:
            yield connection
    except psycopg.Error as error:
        raise plain_error(url, error) from None  # libraries put the address into what they raise


def is_of_server(error: BaseException | None) -> bool:
    """Whether a server, or a library on the way to it, raised this error or one that it rests on."""
    return any(
        type(item).__module__.split(".")[0] in {"psycopg", "psycopg2", "dagster_postgres"}
        or "out-of-date database" in str(item)
        for item in causes(error)
    )


@contextmanager
def alone(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to our own schema while no other process has one by this function: for what is made once."""
    with connected(url, HOME) as server:
        server.execute("select pg_advisory_xact_lock(hashtext('loopline'))")
        yield server


@contextmanager
def plain_errors(url: str | None) -> Iterator[None]:
    """Raise what libraries say of a server as one clear error; they may put the address, with its password, into theirs."""
    try:
        yield
    except Exception as error:
        if url is not None and is_of_server(error):
            raise plain_error(url, error) from None
        raise


def plain_error(url: str, error: BaseException) -> DatabaseError:
    """What a user is told of an error of any library that was given this address."""
    told = without_secret(url, " ".join(str(error).split()))[:300]
    if any(word in told for word in ("password authentication failed", "no password supplied", "does not exist", "pg_hba")):
        what, remedy = "lets us not in", f"Mend the user, the password or the database's name in {VARIABLE}"
    elif "permission denied" in told:
        what, remedy = "does not permit this", "Let the user own the database, or its schemas whose names begin with loopline"
    else:
        what, remedy = "cannot be used", "Start the server, or mend the address, and run the command again"
    return DatabaseError(
        f"{VARIABLE}: {place(url)} {what} ({told}). {remedy}. Nothing was lost; files of the home are untouched."
    )


def without_secret(url: str, text: str) -> str:
    """A text in which neither the address nor its password stands any more.

    Examples
    --------
    >>> without_secret("postgresql://ann:s%40cret@here/loop", "could not use s@cret")
    'could not use ***'
    """
    parts = urlsplit(url)
    for secret in (url, parts.password, unquote(parts.password or ""), quote(unquote(parts.password or ""))):
        if secret:
            text = text.replace(secret, "***")
    return text


def program_environment(url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment by which `pg_dump` and `pg_restore` find the database: no password stands on a command line.

    Parameters
    ----------
    url : str
        The address.
    environment : mapping
        What else the process is given.
    """
    from psycopg.conninfo import conninfo_to_dict

    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    names |= {name: f"PG{name.upper()}" for name in ("sslmode", "sslrootcert", "sslcert", "sslkey", "options")}
    given = conninfo_to_dict(url)
    return {**environment, **{names[name]: str(value) for name, value in given.items() if name in names and value is not None}}
