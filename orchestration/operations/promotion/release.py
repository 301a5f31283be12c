"""Release: the champion of one environment served in the next, by its digest; nothing is trained, packaged or built again.

An environment is a home, with a store or without. The next one is given the bytes that were tested in the one before, and its
ledger, which extends the one that it has: an environment decides nothing by itself.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from assets.errors import ReleaseError
from assets.promotion import fallback_entries, ledger
from assets.promotion.intact_models import require_runnable
from assets.promotion.ledger_database import database
from assets.promotion.ledger_state import Entry
from assets.serving import bento_package, fallback_pointer, fallback_switch
from assets.storage import manifest
from assets.storage.backup import copy_database
from assets.storage.digests import file_digest
from assets.storage.drafts import draft_folder
from assets.storage.durability import sync
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.publishing import read_json, write_json
from orchestration.operations.promotion import smoke

RELEASES = "releases"
"""Where a home keeps what was released to it."""


def release(
    source: Home,
    target: Home,
    product: str,
    *,
    actor: str,
    reason: str,
    at: datetime,
    digest: str | None = None,
    with_fallback: bool = False,
) -> Entry | None:
    """Let the next environment serve what the earlier one serves.

    Parameters
    ----------
    source, target : Home
        The earlier environment, in which nothing is changed, and the next one.
    product : str
        The product.
    actor, reason : str
        Who releases it, and why.
    at : datetime
        When (UTC, aware).
    digest : str, optional
        The digest of the model, or the beginning of it: another champion is refused.
    with_fallback : bool
        Let the fallback answer in the next environment too, if a person wants it to in the earlier one.

    Returns
    -------
    Entry or None
        The promotion by which it serves; None where nothing had to be changed there.

    Raises
    ------
    ReleaseError
        If the earlier environment does not serve that model, its smoke test there failed or is of other bytes, an experiment
        runs against it, its fallback answers there and is not to here, or the next environment decided something by itself.
    """
    if source.root.resolve() == target.root.resolve():
        raise ReleaseError(f"{source.root} is both environments. --from names the earlier one, LOOPLINE_HOME the next.")
    if not source.record.exists():
        raise ReleaseError(f"{source.root} is no home, so nothing was promoted there. Name the earlier environment's folder.")
    with exclusive(source.decision_lock), exclusive(target.decision_lock):
        ledger.verify(source)
        ledger.verify(target)
        champion, tag = _champion(source, product, digest), bento_package.served_tag(source, product)
        bento = bento_package.bento_folder(source, tag)
        _require_tested(source, product, champion, tag, bento)
        require_runnable(source, product, champion.model_digest)
        _require_no_fork(source, target)
        _require_no_experiment(source, product)
        fallback_switch.named_in_pointer(source, product, bento_package.promise(source, tag))
        there, here = (fallback_entries.in_force(home, product) for home in (source, target))
        left = None if with_fallback else there
        record = {**_told(source, champion, tag), "actor": actor, "reason": reason, "at": at.isoformat()}
        if _is_released(target, product, champion, bento, bento_package.bento_folder(target, tag)) and (left or there == here):
            if left or not bento_package.point_if_changed(target, product, champion):
                return None
            _keep(target, product, record)
            return champion
        if left is not None:
            raise ReleaseError(
                f"{product}: its fallback answers in {source.root} {left.told}, and the ledger, which is released as a whole, "
                "would let it answer here too. Release the fallback there first: "
                f"`LOOPLINE_HOME={source.root} loopline mitigate {product} --how release --reason … --do`; or give "
                "--with-fallback."
            )
        _copy_ledger(source, target)  # before the bento, whose head it must hold
        _copy(source, target, [*_rested_on(source), bento])
        bento_package.point(target, product, champion)
        _keep(target, product, record)
        return champion


def fallback_told(source: Home, target: Home, product: str) -> str | None:
    """What is to be said of the fallback after a release; None where what was released has none."""
    if fallback_pointer.answers(target, product) and (here := fallback_entries.in_force(target, product)) is not None:
        return f"its fallback answers here too, {here.told}"
    if (there := fallback_entries.in_force(source, product)) is not None:
        return f"its fallback answers in {source.root} {there.told}, and not here; --with-fallback lets it"
    if fallback_pointer.is_packaged(target, product):
        return f"a fallback that a person lets answer in {source.root} from now on answers here once that is released"
    return None


def releases(home: Home, product: str) -> list[dict[str, Any]]:
    """What was released to a home, in order: who, when, why, from where, and which digests."""
    path = _path(home, product)
    return list(read_json(path)) if path.exists() else []


def is_later(home: Home) -> bool:
    """Whether a home is a later environment: what it serves, and its ledger, were released to it."""
    return any((home.root / RELEASES).glob("*/released.json"))


def _path(home: Home, product: str) -> Path:
    return home.root / RELEASES / product / "released.json"


def _keep(home: Home, product: str, record: dict[str, Any]) -> None:
    write_json(_path(home, product), [*releases(home, product), record])


def _told(source: Home, champion: Entry, tag: str) -> dict[str, Any]:
    tested = smoke.last(source, champion.product)
    return {
        "from": str(source.root),
        "version": champion.version,
        "model_digest": champion.model_digest,
        "tag": tag,
        "bento_digest": tested and tested.bento_digest,
        "ledger_entry": champion.digest,
    }


def _is_released(target: Home, product: str, champion: Entry, bento: Path, place: Path) -> bool:
    """Whether a release of this entry came to its end there, and left these bytes.

    The ledger alone does not say so: it comes first, and with the release of any product.
    """
    ended = [item["ledger_entry"] for item in releases(target, product)][-1:]
    is_followed = bento_package.pointer(target, product).exists() and place.exists() and _digests(place) == _digests(bento)
    return ended == [champion.digest] and ledger.standing(target, product).champion == champion and is_followed


def _require_no_experiment(source: Home, product: str) -> None:
    running = ledger.standing(source, product).running
    if running is not None:
        raise ReleaseError(
            f"{product}: experiment {running.stage[0]} runs in {source.root}, and the bentos and records of its arms are not "
            f"released. End it first: `LOOPLINE_HOME={source.root} loopline experiment stop {product} --reason …`."
        )


def _require_no_fork(source: Home, target: Home) -> None:
    """The next environment's ledger is the beginning of the earlier one's."""
    theirs, known = ([entry.digest for entry in ledger.entries(home)] for home in (target, source))
    if known[: len(theirs)] != theirs:
        raise ReleaseError(
            f"the ledger of {target.root} holds entries that the one of {source.root} lacks: an environment decided something "
            "by itself, or is of another home. Decide in the first environment and release from there, or begin with an empty "
            "folder."
        )


def _copy_ledger(source: Home, target: Home) -> None:
    """Replace the ledger by the one that extends it, whole or not at all."""
    place = database(target)
    place.parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(target) as scratch:
        copy_database(database(source), scratch / "ledger.db")
        for log in ("-wal", "-shm"):
            place.with_name(f"{place.name}{log}").unlink(missing_ok=True)
        sync(scratch / "ledger.db")
        (scratch / "ledger.db").replace(place)
        sync(place.parent)


def _champion(source: Home, product: str, digest: str | None) -> Entry:
    champion = ledger.trusted(source, product).champion
    if champion is None:
        raise ReleaseError(
            f"{product}: nobody is champion in {source.root}, so there is nothing to release. Promote there first."
        )
    if digest is not None and not champion.model_digest.startswith(digest):
        raise ReleaseError(
            f"{product}: the champion in {source.root} is {champion.model_digest[:12]}, not {digest[:12]}. What was not "
            "promoted in the earlier environment is not released to the next one: promote it there first."
        )
    return champion


def _require_tested(source: Home, product: str, champion: Entry, tag: str, bento: Path) -> None:
    """The very bytes that are released passed the smoke test of the earlier environment."""
    tested = smoke.last(source, product)
    remedy = f"Run `LOOPLINE_HOME={source.root} loopline smoke {product}`"
    if tested is None or tested.model_digest != champion.model_digest or tested.tag != tag:
        raise ReleaseError(f"{product}: its champion was not tested in {source.root}. {remedy}.")
    if not tested.passed:
        raise ReleaseError(
            f"{product}: the smoke test of version {tested.version} in {source.root} failed: {tested.told}. {remedy}."
        )
    if tested.fallback is not None and fallback_entries.in_force(source, product) is None:
        raise ReleaseError(f"{product}: in {source.root} its fallback answered the smoke test, not the champion. {remedy}.")
    if smoke.bento_digest(bento) != tested.bento_digest:
        raise ReleaseError(f"{product}: the bento {tag} in {source.root} was changed after its smoke test. {remedy}.")


def _rested_on(source: Home) -> list[Path]:
    """What the entries of the ledger rest on and the earlier environment holds: models, evidence with verdicts, snapshots."""
    found: dict[Path, None] = {}
    for entry in ledger.entries(source):
        folder = source.snapshots / entry.product
        found[source.models / entry.product / entry.model_digest] = None
        found[source.report_folder(entry.product, entry.model_digest, entry.snapshot_digest)] = None
        found |= dict.fromkeys(sorted(folder.glob(f"{entry.snapshot_digest}.*")))
    return [path for path in found if path.exists()]


def _copy(source: Home, target: Home, paths: list[Path]) -> None:
    """Copy files and folders to the same places of the other home, each whole or not at all, and compare every byte."""
    with draft_folder(target) as scratch:
        for number, path in enumerate(paths):
            place = target.root / source.relative(path)
            if place.exists() and _digests(place) == _digests(path):
                continue
            draft = scratch / str(number)
            shutil.copytree(path, draft) if path.is_dir() else shutil.copy2(path, draft)
            if _digests(draft) != _digests(path):
                raise ReleaseError(f"{path} changed while it was copied. Release again.")
            manifest.remove(place)
            manifest.publish(draft, place)


def _digests(path: Path) -> dict[str, str]:
    """The digest of a file, or of each file of a folder."""
    if path.is_file():
        return {"": file_digest(path)}
    return {file.relative_to(path).as_posix(): file_digest(file) for file in sorted(path.rglob("*")) if file.is_file()}
