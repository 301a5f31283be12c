"""Erasure: removes all rows of one entity from a home, so that its chain of digests can still be verified.

What will be done is written down first and carried out from that: an erasure that is killed is finished by the next command.
Each file keeps its name; the certificate says which digest it had and has.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from assets.errors import DataError
from assets.features import lake_tables
from assets.ingestion import extracts, forgotten
from assets.ingestion.forgotten import KeyColumn
from assets.monitoring import logged_erasure
from assets.promotion import ledger
from assets.promotion.ledger_state import Decision
from assets.storage import database_eraser, erasures, manifest
from assets.storage.digests import file_digest, value_digest
from assets.storage.durability import sync
from assets.storage.file_tree import remove
from assets.storage.home import Home
from assets.storage.home_files import STORE
from assets.storage.publishing import publishing, read_json, write_json
from assets.storage.row_eraser import Person
from orchestration.operations.erasure import erased_files

SCHEMA = 1
"""The version of a certificate."""
VIEWS = ("catalog.html", f"{STORE}/aside")
"""Copies of rows that nothing reads: the catalog's samples, and changes that `loopline store pull` put aside."""
NOT_ERASED = (
    "backups that were taken before: after a restore, ask for the erasure again",
    "what models learnt of the rows, and rows that they carry to explain answers: train a successor, and declare these invalid",
    "the ledger's reasons, if somebody wrote the key there",
    "raw files, which lie outside the home",
)


@dataclass
class Request:
    """What is to be erased, as it is written down before anything is.

    Parameters
    ----------
    number : int
        The number of the request in this home.
    product, actor, asked_at : str
        Of which product, who asked, and when.
    key, columns, is_number, pseudonym
        The parts of a `Person`.
    places : list of dict
        The parts of the landed columns of keys: see `KeyColumn`.
    sources : list of str
        The sources whose files may hold the rows.
    is_of_warehouse : bool
        Whether the product is made in the warehouse.
    kept_because : str, optional
        Why models that learnt from the rows are not replaced.
    files : list of dict
        ``file``, ``kind``, ``rows``, ``digest_before``, and of JSON ``value_before``.
    logged : dict
        The rows of the prediction log: see `logged_erasure`.
    models : list of dict
        See `erased_models`.
    source_rows : dict of str to int
        How many rows each raw file holds, by its name.
    """

    number: int
    product: str
    actor: str
    asked_at: str
    key: str
    columns: list[str]
    is_number: bool
    pseudonym: str | None
    places: list[dict[str, Any]]
    sources: list[str]
    is_of_warehouse: bool
    kept_because: str | None = None
    files: list[dict[str, Any]] = field(default_factory=list)
    logged: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    models: list[dict[str, Any]] = field(default_factory=list)
    source_rows: dict[str, int] = field(default_factory=dict)

    @property
    def person(self) -> Person:
        """Whose rows they are."""
        columns = [KeyColumn(**place) for place in self.places]
        made_of = tuple((column.column, column.parts) for column in columns if column.parts)
        return Person(self.key, tuple(self.columns), self.is_number, self.pseudonym, made_of)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows, or texts that name the key, were found, by the first folder of their place."""
        found: dict[str, int] = {}
        counted = [(item["file"], item["rows"]) for item in self.files]
        counted += [(file, len(rows)) for file, rows in self.logged.items()]
        for file, rows in counted:
            place = file.split("/")[0]
            found[place] = found.get(place, 0) + rows
        return dict(sorted(found.items()))


def follow(home: Home, products: Collection[str]) -> None:
    """Remove what is of this machine alone and may hold rows that another machine erased from these products' home."""
    own = [*VIEWS, "extracts", *(f"lake/{product}" for product in products)]
    own += [home.relative(path) for path in home.warehouse.parent.glob("warehouse.duckdb*")]
    own += [home.relative(home.warehouse.parent / "target")]
    for path in (home.root / item for item in own):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def require_rows(home: Home, request: Request) -> None:
    """Refuse a key that no row has.

    Raises
    ------
    DataError
        Saying so, or that it was erased before.
    """
    again = [forgotten.is_forgotten(home, KeyColumn(**place), request.key) for place in request.places]
    # rows of a raw file that is not landed at present would come with the next landing
    would_come = bool(request.source_rows) and not all(again)
    if would_come or any(item["kind"] in ("parquet", "stream") for item in request.files):
        return
    told = "was erased before, and no row has it any more" if any(again) else "is in no row"
    raise DataError(
        f"{request.product}: the key '{request.key}' {told} of {request.columns[0]}. Nothing was changed; keys are compared as "
        "landed, with capitals."
    )


def erase(home: Home, request: Request) -> dict[str, Any]:
    """Erase what was found; who calls holds the home's lock.

    Returns
    -------
    dict
        The certificate.
    """
    path = erasures.pending(home.root)
    with publishing(path) as draft:
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(request)), encoding="utf-8")
        sync(draft)
    return _carry_out(home, request)


def finish(home: Home) -> dict[str, Any] | None:
    """Finish an erasure that was killed, if there is one; its certificate."""
    path = erasures.pending(home.root)
    if not path.exists():
        return None
    request = Request(**read_json(path))
    known = {item["file"] for item in request.files}
    request.files += [item for item in scan(home, request) if item["file"] not in known]
    return _carry_out(home, request)


def scan(home: Home, request: Request) -> list[dict[str, Any]]:
    """Every file that holds rows of the person, but the prediction log, with its digest."""
    return [
        {**asdict(found), "digest_before": file_digest(home.root / found.file), "value_before": found.value}
        for found in erased_files.found(home, request.person, request.product, request.sources)
    ]


def _carry_out(home: Home, request: Request) -> dict[str, Any]:
    for place in request.places:
        forgotten.remember(home, KeyColumn(**place), request.key)
        extracts.forget(home, place["source"], place["table"])
    lake_tables.remove(home, request.product)  # every version of them may hold the rows
    for part in VIEWS:
        manifest.remove(home.root / part)
    logged_erasure.erase(home, {file: [(str(name), int(row)) for name, row in rows] for file, rows in request.logged.items()})
    for item in request.files:
        erased_files.erase(home, request.person, item["file"], item["kind"])
    database_eraser.erase(home, request.person)
    if request.kept_because is None:
        _land_again(home, request)
    _replays(home, request)
    _checkpoints(home, request)
    _experiment_reports(home, request)
    _warehouse(home, request)
    certificate = _certified(home, request)
    finding = erasures.finding(request.number, value_digest(certificate))
    if finding not in {entry.finding for entry in ledger.entries(home)}:
        rows, places = sum(request.rows.values()), len(request.rows)
        reason = f"erasure request {request.number}: {rows} rows in {places} places"
        ledger.accept(home, request.product, Decision(0, "", "", request.actor, reason, finding=finding))
    manifest.remove(erasures.pending(home.root))
    return certificate


def _land_again(home: Home, request: Request) -> None:
    """Take current landings with the rows away, so that the next run lands without them, and all that follows is made anew."""
    held = {item["file"] for item in request.files}
    for place in request.places:
        for record in sorted((home.landing / place["source"] / place["table"]).glob("*.json")):
            told = read_json(record)
            if told["file"] in held:
                manifest.remove(home.root / told["file"])
                manifest.remove(record)


def _replays(home: Home, request: Request) -> None:
    """Replays hold rows in homes of their own, and are played again."""
    folder = home.replays / request.product
    if folder.exists():
        manifest.remove(folder)


def _checkpoints(home: Home, request: Request) -> None:
    """States of an online learner, which holds values that no other row may have; the next run learns what is left anew."""
    folder = home.learning / request.product
    if folder.exists():
        from assets.storage.locks import updates_lock

        with updates_lock(home, request.product):
            manifest.remove(folder)


def _experiment_reports(home: Home, request: Request) -> None:
    """Reports of experiments list single requests, and are written again when they are asked for."""
    for path in sorted((home.experiments / request.product).glob("*-report.*")):
        manifest.remove(path)


def _warehouse(home: Home, request: Request) -> None:
    """The warehouse is a cache of landed rows, and is built again."""
    if request.is_of_warehouse:
        from assets.storage.locks import warehouse_lock

        with warehouse_lock(home):
            manifest.remove(home.warehouse.parent / "build.json")  # by which a run knows that it is built
            for path in home.warehouse.parent.glob("warehouse.duckdb*"):
                remove(path)  # a folder is what a killed build put aside
            shutil.rmtree(home.warehouse.parent / "target", ignore_errors=True)


def _certified(home: Home, request: Request) -> dict[str, Any]:
    """The certificate, written if it is not there yet; it names nobody."""
    path = erasures.folder(home.root) / f"{request.number:04}.json"
    if path.exists():
        found: dict[str, Any] = read_json(path)
        return found
    files, records = [], []
    for item in request.files:
        place = home.root / item["file"]
        after = file_digest(place) if place.is_file() else None
        files.append({**{name: item[name] for name in ("file", "rows", "digest_before")}, "digest_after": after})
        if item["value_before"] is not None and after is not None:
            value = {"digest_before": item["value_before"], "digest_after": value_digest(read_json(place))}
            records.append({"file": item["file"], **value})
    kept = None if request.kept_because is None else f"models are kept: {request.kept_because}"
    certificate = {
        "schema": SCHEMA,
        "request": request.number,
        "product": request.product,
        "asked_at": request.asked_at,
        "completed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "actor": request.actor,
        "rows": request.rows,
        "files": files,
        "records": records,
        "prediction_log": {file: len(rows) for file, rows in request.logged.items()},
        "models": request.models,
        "retraining": kept or "the next `loopline run` lands without the rows and trains anew",
        "raw_files": request.source_rows,
        "not_erased": [*NOT_ERASED, *(() if request.person.is_distinctive else (erased_files.TOO_SHORT,))],
        "still_named_in": erased_files.still_named(home, request.person),
    }
    write_json(path, certificate)
    return certificate
