"""Lineage: the chain of digests from the landed files to the header of each answer, every link recomputed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from assets.errors import LedgerError, LooplineError
from assets.evaluation.evidence_files import read_by
from assets.features import lake_tables
from assets.features.snapshot_origin import origin
from assets.ingestion import landed_tables
from assets.promotion import current_artifacts, ledger, registered_versions, verdict_records
from assets.promotion.intact_models import require_intact
from assets.promotion.ledger_state import Entry
from assets.serving import bento_package
from assets.storage import erasures
from assets.storage.digests import file_digest, folder_digest, value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json
from bentos.runtime import model_digest
from orchestration.operations.catalog.lineage_links import Link, changed, erased, sources


def chain(home: Home, product: str) -> list[Link]:
    """The chain of what a product serves now, from the landed files to the answer's header.

    Raises
    ------
    LedgerError
        If nothing is served.
    """
    # one that stands in a ledger that was changed is shown, with what is wrong at the ledger's link
    champion = ledger.standing(home, product).champion or ledger.require_champion(home, product)
    steps: tuple[Callable[[Home, Entry], Iterator[Link]], ...] = (
        _landed, _snapshot, _lake, sources, _model, _evidence, _verdict, _ledger, _registered, _bento, _predictions, _wheel,
        _sql, _followed, _image,
    )  # fmt: skip
    return [link for step in steps for link in step(home, champion)]


def header(product: str, digest: str, url: str, key: str | None = None) -> Link:
    """Ask a running service which model answers, with a key of scope admin where it asks for one."""
    from urllib.request import Request, urlopen

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urlopen(Request(f"{url.rstrip('/')}/model", headers=headers), timeout=10) as answer:  # noqa: S310 - as given
            found = answer.headers.get("X-Model-Digest", "")
    except OSError as error:
        if getattr(error, "code", None) in {401, 403}:
            told = "the service asks for a key of scope admin: set LOOPLINE_KEY"
            return Link("answer", f"{url}/model", "", told)
        return Link("answer", f"{url}/model", "", f"the service does not answer ({error}). Start it, or leave --url out")
    problem = "" if found == digest else f"model {found[:12] or 'unknown'} answers, of {product} {digest[:12]} should"
    return Link("answer", "X-Model-Digest", found, problem)


def _landed(home: Home, champion: Entry) -> Iterator[Link]:
    rests_on = origin(home, champion.product, champion.snapshot_digest)
    if not rests_on.exists():
        yield Link("landing", str(rests_on), "", "it is gone: nobody knows which files the snapshot rests on")
        return
    record = read_json(rests_on)
    versions = record.get("versions", {})
    for table, files in record["landed"].items():
        source, name = table.split(".")
        recorded = {record.file: record for record in landed_tables.records(home, source, name)}
        problems = [told for file in files if (told := changed(home, file))]
        replaced = sum(file not in recorded for file in files)
        told = f"{len(files)} files" + (f", {replaced} of them replaced since" if replaced else "")
        told += "".join(sorted({erased(home, file) for file in files}))
        if table in versions:
            told += f", from {versions[table]['table']} at version {versions[table]['version']}"
        yield Link("landing", f"{table}: {told}", value_digest(files), "; ".join(problems))


def _snapshot(home: Home, champion: Entry) -> Iterator[Link]:
    digest = champion.snapshot_digest
    file = home.relative(home.snapshots / champion.product / f"{digest}.parquet")
    yield Link("snapshot", f"{file}{erased(home, file)}", digest, changed(home, file))


def _lake(home: Home, champion: Entry) -> Iterator[Link]:
    """The version of the lake table that the snapshot became, its rows taken out and written again."""
    held = lake_tables.found(home, champion.product, lake_tables.SNAPSHOT)
    version = None if held is None else lake_tables.version_of(held, champion.snapshot_digest)
    if held is None or version is None:
        return  # it is published since `publish` is declared
    problem, place = "", home.relative(home.lake / champion.product / lake_tables.SNAPSHOT)
    try:
        file = home.snapshots / champion.product / f"{champion.snapshot_digest}.parquet"
        if file.exists() and lake_tables.digest_of(home, held, version) != lake_tables.rows_digest(home, file):
            problem = "its rows are not those of the snapshot"
    except Exception as error:  # noqa: BLE001 - each library has its own error for a file that is gone
        problem = f"it cannot be read ({str(error).splitlines()[0]})"
    yield Link("lake", f"{place} at version {version.version}", champion.snapshot_digest, problem)


def _model(home: Home, champion: Entry) -> Iterator[Link]:
    folder, problem = home.models / champion.product / champion.model_digest, ""
    try:
        require_intact(home, champion.product, champion.model_digest)
    except LooplineError as error:
        problem = str(error)
    yield Link("model", home.relative(folder), champion.model_digest, problem)


def _evidence(home: Home, champion: Entry) -> Iterator[Link]:
    """Each record, as the verdict read it."""
    try:
        told = _verdict_of(home, champion)["evidence"]
    except LooplineError:
        return  # told by the next link
    folder = home.report_folder(champion.product, champion.model_digest, champion.snapshot_digest)
    for name, digest in told.items():
        path = read_by(folder, name, digest)
        found = value_digest(read_json(path)) if path.exists() else ""
        request = None if found in ("", digest) else erasures.erased_value(home.root, digest, found)
        problem = "" if found == digest or request else ("it was changed" if found else "it is gone")
        told_file = home.relative(path) + (f" (erased by request {request})" if request else "")
        yield Link("evidence", told_file, digest, problem)


def _verdict(home: Home, champion: Entry) -> Iterator[Link]:
    problem = ""
    try:
        verdict = _verdict_of(home, champion)
        if not verdict["promoted"] and not champion.overridden:
            problem = "it refuses the model, and nobody overrode it"
    except LooplineError as error:
        problem = str(error)
    yield Link("verdict", "overridden" if champion.overridden else "promoted", str(champion.verdict), problem)


def _verdict_of(home: Home, champion: Entry) -> dict[str, Any]:
    return verdict_records.read(verdict_records.place_of(home, champion), str(champion.verdict))


def _ledger(home: Home, champion: Entry) -> Iterator[Link]:
    problem = ""
    try:
        ledger.verify(home)
    except LooplineError as error:
        problem = str(error)
    yield Link("ledger", f"entry {champion.number}, {champion.event} {champion.told}", champion.digest, problem)


def _registered(home: Home, champion: Entry) -> Iterator[Link]:
    problem = ""
    try:
        version = registered_versions.version(home, champion.product, champion.version)
        named = registered_versions.holder(home, champion.product, registered_versions.CHAMPION)
        if version.model_digest != champion.model_digest:
            problem = f"it is registered with model {version.model_digest[:12]}"
        elif named is None or named.version != champion.version:
            problem = f"the alias names {named.version if named else 'nobody'}: run `loopline doctor`"
    except LedgerError as error:
        problem = str(error)
    yield Link("registry", f"version {champion.version}", champion.model_digest, problem)


def _bento(home: Home, champion: Entry) -> Iterator[Link]:
    tag = bento_package.tag_of(champion)
    inside = bento_package.bento_folder(home, tag) / "src" / "bentos" / "model"
    problem, found = "", ""
    try:
        found = model_digest(inside)
        promised = bento_package.promise(home, tag)
        if found != champion.model_digest:
            problem = f"its files have digest {found[:12]}: it was changed after it was built"
        elif (promised["model_digest"], promised["model_version"]) != (champion.model_digest, champion.version):
            problem = "it promises another model or version"
    except OSError as error:
        problem = f"{error.filename} is gone: run `loopline run {champion.product}`"
    except LooplineError as error:
        problem = str(error)
    yield Link("bento", tag, found, problem)


def _predictions(home: Home, champion: Entry) -> Iterator[Link]:
    yield _published(home, champion, "predictions", home.predictions / champion.product, digest_of=file_digest)


def _wheel(home: Home, champion: Entry) -> Iterator[Link]:
    yield _published(home, champion, "wheel", home.wheels / champion.product, digest_of=file_digest)


def _sql(home: Home, champion: Entry) -> Iterator[Link]:
    folder = home.sql / champion.product
    if current_artifacts.record(folder) is not None:
        # an estimator may have no translation
        yield _published(home, champion, "sql", folder, digest_of=folder_digest)


def _published(home: Home, champion: Entry, stage: str, folder: Path, *, digest_of: Callable[[Path], str]) -> Link:
    """What a stage made of the champion and recorded by its digest."""
    again = f"run `loopline run {champion.product}`"
    told, problem = current_artifacts.record(folder), ""
    if told is None:
        return Link(stage, home.relative(folder), "", f"there is nothing: {again}")
    path = folder / told["file"]
    if not path.exists() or digest_of(path) != told["digest"]:
        problem = f"it is gone or was changed: {again}"
    elif told["model_digest"] != champion.model_digest:
        problem = f"it is of model {told['model_digest'][:12]}: {again}"
    return Link(stage, home.relative(path), told["digest"], problem)


def _followed(home: Home, champion: Entry) -> Iterator[Link]:
    """What running services follow."""
    found = bento_package.followed(home, champion.product) or ""
    problem = ""
    if found != champion.model_digest:
        problem = f"services follow {found[:12] or 'nothing'}: run `loopline run {champion.product}`"
    yield Link("services", home.relative(bento_package.pointer(home, champion.product)), found, problem)


def _image(home: Home, champion: Entry) -> Iterator[Link]:
    """The container image, where one was built."""
    record = current_artifacts.record(home.images / champion.product)
    if record is None:
        return
    from assets.serving import container_image

    problem, again = "", f"run `loopline container {champion.product}`"
    try:
        found = container_image.digest_of(record["reference"])
        if found != record["digest"]:
            problem = f"the engine {'has no such image' if found is None else f'has {found[:19]}'}: {again}"
        elif record["model_digest"] != champion.model_digest:
            problem = f"it is of model {record['model_digest'][:12]}: {again}"
    except LooplineError as error:
        problem = str(error)
    yield Link("image", record["reference"], record["digest"], problem)
