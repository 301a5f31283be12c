"""Chain of digests: what a home's records say of one another and of the ledger, whatever the manifest says of their bytes.

Whoever changes a file and its line in the manifest is found here, where a name, the ledger, or a record that the ledger names
holds the digest too. Bytes are not read again: the digests are those of the manifest, which `verify` holds against the files.
"""

from __future__ import annotations

import fnmatch
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from assets.errors import DigestError, LooplineError
from assets.evaluation.evidence_files import read_by
from assets.promotion import current_artifacts, ledger, registered_versions, verdict_records
from assets.promotion.ledger_database import database
from assets.promotion.ledger_state import Entry, Standing
from assets.storage import erasures
from assets.storage.digests import file_digest, value_digest
from assets.storage.home import REPOSITORY, Home
from assets.storage.manifest_lines import Manifest
from assets.storage.publishing import read_json
from bentos import fallback, uncertainty
from bentos.runtime import FILES, digest_of

BESIDE = {uncertainty.ADAPTED: uncertainty.RECORD, fallback.FALLBACK: fallback.RECORD}
"""What may lie beside a model: where a promise names its digest, and the file."""
WITH_DIGESTS = ("predictions", "wheels", "uncertainty", "fallbacks")
"""The stages whose current record holds the digest of a file."""


@dataclass(frozen=True)
class Disagreement:
    """A file that contradicts the ledger or its own name: what it says, and what to do, if that is not said of its kind."""

    file: str
    told: str
    remedy: str = ""


@dataclass(frozen=True)
class Records:
    """What is held against one another: a home, its manifest, and the entries of its ledger."""

    home: Home
    known: Manifest
    entries: Sequence[Entry]

    def model_digest(self, folder: str) -> str | None:
        """The digest of the model in a folder, relative to the home; None if there is none."""
        files = [self.known.files.get(f"{folder}/{name}") for name in FILES]
        found = {name: item.digest for name, item in zip(FILES, files, strict=True) if item is not None}
        return digest_of(found) if len(found) == len(FILES) else None

    def record(self, file: str) -> dict[str, Any]:
        """A record by its path, relative to the home."""
        found = read_json(self.home.root / file)
        if not isinstance(found, dict):
            raise DigestError(f"{self.home.root / file} holds no record.")
        return found


def disagreements(home: Home, known: Manifest, *, is_whole: bool) -> Iterator[Disagreement]:
    """Everything that contradicts the ledger, or a name that is a digest.

    Parameters
    ----------
    home, known
        The home, and its manifest.
    is_whole : bool
        Whether every file is as the manifest says. If not, a record that cannot be read was told of already.
    """
    file = home.relative(database(home))
    try:
        ledger.verify(home)
        entries = ledger.entries(home)
    except (LooplineError, sqlite3.Error) as error:
        yield Disagreement(file, str(error))
        return
    records = Records(home, known, entries)
    steps: tuple[Callable[[Records], Iterator[Disagreement]], ...] = (
        _named_by_digest, _erasures, _models, _verdicts, _registered, _bentos, _made_of_models,
    )  # fmt: skip
    for step in steps:
        try:
            yield from step(records)
        except LooplineError as error:
            if is_whole:
                yield Disagreement(file, str(error), "mend that first")


def notes(home: Home, known: Manifest) -> list[str]:
    """What was erased at people's request; and bentos whose code is not that of this checkout.

    These were built by another version, or changed along with the manifest.
    """
    found = [
        f"{len(item['files'])} files were erased, or have other digests, by request {number} of {item['completed_at'][:10]}"
        for number, item in erasures.certificates(home.root).items()
    ]
    code = {path.name: file_digest(path) for path in (REPOSITORY / "bentos").glob("*.py")}
    for promise in _matching(known, "bentos/bentos/*/*/src/bentos/promoted.json"):
        folder = PurePosixPath(promise).parent
        inside = {name.rpartition("/")[2]: known.files[name].digest for name in _matching(known, f"{folder}/*.py")}
        other = sorted(name for name in {*code, *inside} if code.get(name) != inside.get(name))
        if other:
            found.append(
                f"{folder.parents[1]}: its code is not this checkout's ({', '.join(other)}): another version of Loopline "
                "built it, or somebody changed it. `loopline run` builds the champion's anew."
            )
    return found


def _matching(known: Manifest, pattern: str) -> list[str]:
    return fnmatch.filter(known.files, pattern)


def _named_by_digest(records: Records) -> Iterator[Disagreement]:
    """Files whose name is the digest of their bytes."""
    for file, item in records.known.files.items():
        folder, stem = file.split("/")[0], PurePosixPath(file).stem
        is_named = folder in ("landing", "quarantine", "snapshots") and file.endswith(".parquet")
        if is_named and stem != item.digest and erasures.erased_file(records.home.root / file, item.digest) is None:
            yield Disagreement(file, f"its name says digest {stem[:12]}, it has {item.digest[:12]}")


def _erasures(records: Records) -> Iterator[Disagreement]:
    """Certificates of erasures, each of which the ledger names by its digest."""
    told = {entry.finding for entry in records.entries if entry.finding}
    for number, certificate in erasures.certificates(records.home.root).items():
        if erasures.finding(number, value_digest(certificate)) not in told:
            yield Disagreement(f"{erasures.FOLDER}/{number:04}.json", "the ledger names no such certificate")


def _models(records: Records) -> Iterator[Disagreement]:
    """Model folders, whose name is the digest of what is in them, and that a champion's is there."""
    home = records.home
    for file in _matching(records.known, "models/*/*/model.onnx"):
        folder = str(PurePosixPath(file).parent)
        name, found = PurePosixPath(folder).name, records.model_digest(folder)
        if found != name:
            yield Disagreement(file, f"its folder's name says digest {name[:12]}, it has {str(found)[:12]}")
    for entry in _champions(records):
        folder = home.relative(home.models / entry.product / entry.model_digest)
        if records.model_digest(folder) is None:
            yield Disagreement(folder, f"the ledger's entry {entry.number} says that it serves; it is gone")
        file = home.relative(home.snapshots / entry.product / f"{entry.snapshot_digest}.parquet")
        if file not in records.known.files:
            yield Disagreement(file, f"the ledger's entry {entry.number} rests on it; it is gone")


def _champions(records: Records) -> list[Entry]:
    products = {entry.product: entry for entry in records.entries}
    found = [Standing.after(entry for entry in records.entries if entry.product == product).champion for product in products]
    return [champion for champion in found if champion is not None]


def _verdicts(records: Records) -> Iterator[Disagreement]:
    """The verdict of every entry that is still there, the champions' in any case, and the evidence that each names."""
    home, champions = records.home, {entry.digest for entry in _champions(records)}
    for entry in records.entries:
        path = verdict_records.place_of(home, entry)
        file = home.relative(path)
        if entry.verdict is None or (file not in records.known.files and entry.digest not in champions):
            continue
        try:
            verdict = verdict_records.read(path, str(entry.verdict))
        except LooplineError as error:
            yield Disagreement(file, f"the ledger's entry {entry.number} rests on it: {error}")
            continue
        for stage, digest in verdict["evidence"].items():
            read = read_by(path.parent, stage, digest)
            found = value_digest(read_json(read)) if read.exists() else "nothing"
            if found != digest and erasures.erased_value(records.home.root, digest, found) is None:
                told = f"the verdict of the ledger's entry {entry.number} read digest {digest[:12]}, it has {found[:12]}"
                yield Disagreement(home.relative(read), told)


def _registered(records: Records) -> Iterator[Disagreement]:
    """MLflow's versions, which must be those of the ledger and have the digests of what lies beside them."""
    home, file = records.home, records.home.relative(records.home.registry / "mlflow.db")
    for product in sorted({entry.product for entry in records.entries}):
        try:
            versions = registered_versions.versions(home, product)
            named = registered_versions.holder(home, product, registered_versions.CHAMPION)
        except LooplineError as error:
            yield Disagreement(file, str(error))
            continue
        champion = Standing.after(entry for entry in records.entries if entry.product == product).champion
        if (named.version if named else None) != (champion.version if champion else None):
            told = f"its alias 'champion' of {product} names {named.version if named else 'nobody'}, not what the ledger says"
            yield Disagreement(file, told, "run `loopline doctor`")
        for entry in records.entries:
            version = versions.get(entry.version)
            if entry.product == product and entry.version and (version is None or version.model_digest != entry.model_digest):
                told = f"version {entry.version} of {product} is registered with another model than the ledger's, or not at all"
                yield Disagreement(file, told)
        for version in versions.values():
            yield from _copies(records, version)


def _copies(records: Records, version: registered_versions.Version) -> Iterator[Disagreement]:
    """What MLflow holds of a version, where it lies in this home."""
    folder, copy = f"registry/artifacts/{version.product}/{version.run_id}/artifacts", "MLflow's copy"
    served, evaluation = f"{folder}/served", f"{folder}/evidence/evaluation.json"
    found = records.model_digest(served)
    if found is not None and found != version.model_digest:
        told = f"{copy} of version {version.version} has digest {found[:12]}, registered was {version.model_digest[:12]}"
        yield Disagreement(served, told)
    digest = value_digest(records.record(evaluation)) if evaluation in records.known.files else version.evaluation_digest
    is_erased = erasures.erased_value(records.home.root, version.evaluation_digest, digest) is not None
    if digest != version.evaluation_digest and not is_erased:
        yield Disagreement(evaluation, f"it is not what version {version.version} was registered with")


def _bentos(records: Records) -> Iterator[Disagreement]:
    """Bentos, which must hold the model and name the entry by which it serves; so must what running services follow."""
    served = {entry.digest: entry for entry in records.entries}
    for file in _matching(records.known, "bentos/bentos/*/*/src/bentos/promoted.json"):
        folder, told = PurePosixPath(file).parent, records.record(file)
        entry = served.get(str(told.get("ledger_entry")))
        if entry is None or (entry.model_digest, entry.version) != (told.get("model_digest"), told.get("model_version")):
            yield Disagreement(file, "it names no entry of the ledger")
        elif records.model_digest(f"{folder}/model") != entry.model_digest:
            yield Disagreement(f"{folder}/model", f"it is not model {entry.model_digest[:12]}")
        for name, record in BESIDE.items():
            yield from _beside(records, f"{folder}/{record}", told, name)
    for file in _matching(records.known, "bentos/champions/*.json"):
        told = records.record(file)
        if (entry := served.get(str(told.get("ledger_entry")))) is None or entry.model_digest != told.get("model_digest"):
            yield Disagreement(file, "it names no entry of the ledger")
        package = (records.home.root / file).parent / str(told.get("folder"))
        promise = records.home.relative(Path(os.path.normpath(package / "promoted.json")))
        for name, record in BESIDE.items():
            if promise in records.known.files and records.record(promise).get(name) != told.get(name):
                yield Disagreement(file, f"it names another {record} of the champion than the service that it names")


def _beside(records: Records, file: str, promise: Mapping[str, Any], name: str) -> Iterator[Disagreement]:
    """A record beside a model, which must be the promised one and of this model."""
    promised, held = promise.get(name), records.known.files.get(file)
    if promised is None and held is None:
        return
    if held is None or held.digest != promised:
        yield Disagreement(file, f"its digest is not {str(promised)[:12]}, which the service promises")
    elif records.record(file).get("model_digest") != promise.get("model_digest"):
        yield Disagreement(file, "it is of another model")


def _made_of_models(records: Records) -> Iterator[Disagreement]:
    """What is current of each stage, which must be of a version of the ledger and have the digest that is recorded."""
    models = {(entry.version, entry.model_digest) for entry in records.entries}
    for stage in ("predictions", "wheels", "sql", "images", "monitoring", "uncertainty", "fallbacks"):
        for file in _matching(records.known, f"{stage}/*/{current_artifacts.RECORD}"):
            told = records.record(file)
            if (told.get("model_version"), told.get("model_digest")) not in models:
                yield Disagreement(file, "it is of no version of the ledger")
            made = records.known.files.get(f"{PurePosixPath(file).parent}/{told.get('file')}")
            if stage in WITH_DIGESTS and (made is None or made.digest != told.get("digest")):
                yield Disagreement(file, f"{told.get('file')} is gone, or is not what was recorded")
