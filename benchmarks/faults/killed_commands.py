"""The commands that are killed, but those of experiments; a command more is a line more.

What lies outside the home (backups, files of outcomes, private keys) lies beside it.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from assets.errors import BackupError
from assets.storage import backup
from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.storage.restore import opened_manifest
from assets.storage.row_eraser import Person
from benchmarks.faults import checks
from benchmarks.faults.commands import asked, done
from benchmarks.faults.killed import Killed
from benchmarks.faults.small_product import PRODUCT
from benchmarks.faults.small_world import SmallWorld
from orchestration.operations.erasure import erased_files

OUTCOMES = 200
"""How many outcomes a file tells."""


def _decision(home: Path, number: int) -> list[str]:
    """Roll back to the first version where the second serves, and else promote the second."""
    champion = asked(checks.champion, home)
    reason = ["--reason", f"kill {number}"]
    return (
        ["rollback", PRODUCT, "--to", "1", *reason] if champion == ["2"] else ["promote", PRODUCT, "2", "--override", *reason]
    )


def _key(home: Path, number: int) -> list[str]:
    """Make keys, and revoke every third: a rotation is both."""
    file = home / "keys" / f"{PRODUCT}.json"
    valid = [key["id"] for key in json.loads(file.read_bytes())["keys"] if not key["revoked_at_utc"]] if file.exists() else []
    if number % 3 == 2 and valid:
        return ["key", "revoke", valid[0]]
    return ["key", "create", "--product", PRODUCT, "--scope", "predict"]


def _log_key(home: Path, number: int) -> list[str]:
    """Encrypt the log for another private key each time, and seal what was logged anew every third."""
    if number % 3 == 2 and (home / "keys" / "log.json").exists():
        return ["key", "log", "--seal-anew"]
    return ["key", "log", str(home.parent / f"log-{number}.pem")]


def _log_key_told(home: Path, _number: int) -> list[str]:
    """The private key that the home names must be there."""
    told = done("key", "log", home=home)
    if not told.is_clear or "(missing)" in told.printed:
        return [f"`key log` afterwards: {told.code} {told.printed[-600:]}"]
    return []


def _accept(home: Path, number: int) -> list[str]:
    """Record the files as they are, one of them changed."""
    (home / "quality" / f"{PRODUCT}.html").write_text(f"<p>{number}</p>", encoding="utf-8")
    return ["verify", "--accept"]


def _outcomes(home: Path, number: int) -> list[str]:
    """Tell a file of outcomes of requests that nobody logged: they are kept all the same."""
    file = home.parent / f"outcomes-{number}.csv"
    lines = [f"r{number}-{row},{row % 2},2026-01-01T00:00:00+00:00" for row in range(OUTCOMES)]
    file.write_text("\n".join(["request_id,outcome,observed_at", *lines]) + "\n", encoding="utf-8")
    return ["outcomes", PRODUCT, "--file", str(file)]


def _outcomes_told(home: Path, number: int) -> list[str]:
    """Of a file all outcomes are kept, or none; told again, none is doubled."""
    found = []
    told = done("outcomes", PRODUCT, "--json", home=home)
    if told.code or json.loads(told.printed)["told"] % OUTCOMES:
        found.append(f"a part of a file is kept: {told.code} {told.printed[-600:]}")
    again = done(*_outcomes(home, number), "--json", home=home)
    if again.code or json.loads(again.printed)["doubled"]:
        found.append(f"the same file once more: {again.code} {again.printed[-600:]}")
    return found


def _pruned(home: Path, _number: int) -> list[str]:
    """The next prune ends the job: after it nothing is left to remove."""
    ended, left = done("prune", home=home), done("prune", "--dry-run", home=home)
    if ended.code or left.code or "nothing to remove" not in left.printed:
        return [f"the next `prune`: {ended.code} {ended.printed[-600:]}; then {left.printed[-600:]}"]
    return []


def _backups(home: Path) -> Path:
    return home.parent / "backups"


def _begin_without_backups(world: SmallWorld) -> None:
    """Begin with a home, and with one backup of it in every second folder, so that objects of before are met too."""
    folder = _backups(world.home)
    if (folder / "manifests").exists():
        shutil.rmtree(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        world.begin()
        done("backup", str(folder), home=world.home)
        done("key", "create", "--product", PRODUCT, "--scope", "predict", home=world.home)


def _backed_up(home: Path, _number: int) -> list[str]:
    """Every object is what its name says, every manifest can be restored, and the next backup leaves no draft."""
    found = asked(_broken_backups, _backups(home))
    ended = done("backup", str(_backups(home)), home=home)
    if ended.code:
        found.append(f"the next `backup`: {ended.code} {ended.printed[-600:]}")
    return found + asked(_broken_backups, _backups(home)) + checks.left_over(_backups(home))


def _broken_backups(folder: Path) -> list[str]:
    found = [f"{path.name} is another object" for path in folder.glob("objects/*/*") if file_digest(path) != path.name]
    for path in backup.manifests(folder).values():
        try:
            held = opened_manifest(path)["files"]
        except BackupError as error:
            found.append(str(error))
            continue
        found += [f"{path.name}: no object of {file['path']}" for file in held if not _is_kept(folder, file["digest"])]
    return found


def _is_kept(folder: Path, digest: str) -> bool:
    return backup.object_path(folder, digest).exists()


def _begin_with_a_backup_alone(world: SmallWorld) -> None:
    """Begin with a backup, and no home."""
    if not (_backups(world.home) / "manifests").exists():
        shutil.rmtree(_backups(world.home), ignore_errors=True)
        world.begin()
        if (ended := done("backup", str(_backups(world.home)), home=world.home)).code:
            raise RuntimeError(f"`loopline backup` failed:\n{ended.printed}")
    shutil.rmtree(world.home, ignore_errors=True)


def _restored(home: Path, _number: int) -> list[str]:
    """The home is there, whole, or not at all; then the next restore makes it and sweeps the drafts beside it."""
    if home.exists():
        return []
    ended = done("restore", str(_backups(home)), home=home)
    found = [f"the next `restore`: {ended.code} {ended.printed[-600:]}"] if ended.code else []
    return found + [f"{path.name} stays beside the home" for path in home.parent.glob(".*")]


def _forget(_home: Path, number: int) -> list[str]:
    keep = ["--keep-models", "a test"] if number % 2 else []
    return ["forget", PRODUCT, "--entity", _entity(number), *keep]


def _entity(number: int) -> str:
    return f"C{number:05d}"


def _log_requests(world: SmallWorld) -> None:
    """Begin with a home whose log of experiments names entities."""
    world.begin()
    folder = world.home / "served" / PRODUCT / "arms"
    folder.mkdir(parents=True)
    from bentos.arm_log import INSERT, TABLE

    with closing(sqlite3.connect(folder / "2026-01-01.sqlite")) as connection, connection:
        connection.execute(TABLE)
        lines = [
            (f"r{row}", "2026-01-01T00:00:00.000+00:00", "e", "control", 0.5, _entity(row), "m", 200, 1.0) for row in range(600)
        ]
        connection.executemany(INSERT, lines)


def _forgotten(home: Path, number: int) -> list[str]:
    """The next command ends the erasure; then nothing of the person is left, or all is, where it had not begun."""
    ended = done("status", home=home)
    found = [f"the next command: {ended.code} {ended.printed[-600:]}"] if ended.code else []

    def half(root: Path) -> list[str]:
        return list(_half_erased(Home(root), _entity(number)))

    return found + asked(half, home)


def _half_erased(home: Home, key: str) -> Iterator[str]:
    if (home.root / "erasures" / "pending.json").exists():
        yield "the erasure is not ended"
    named = [item.file for item in erased_files.found(home, Person(key, ("customer_id",)), PRODUCT, [PRODUCT])]
    with suppress(FileNotFoundError), closing(sqlite3.connect(home.served / PRODUCT / "arms" / "2026-01-01.sqlite")) as log:
        if log.execute("select count(*) from requests where entity = ?", [key]).fetchone()[0]:
            named.append("served")
    is_certified = (home.root / "erasures" / "0001.json").exists()
    if is_certified and named:
        yield f"a certificate is there, and rows are left in {named}"
    if not is_certified and {name.split("/")[0] for name in named} < {"landing", "snapshots", "served"}:
        yield f"no certificate is there, and rows are left in {named} only"


COMMANDS = (
    Killed("`run` in an empty home", 80, 3.0, lambda _home, _number: ["run", PRODUCT], is_first=True),
    Killed("`promote` and `rollback`", 50, 3.0, _decision),
    Killed("`key create` and `key revoke`", 40, 0.12, _key),
    Killed("`key log` and `--seal-anew`", 20, 0.12, _log_key, after=_log_key_told),
    Killed("`ledger key new --replace`", 20, 0.12, lambda _home, _number: ["ledger", "key", "new", "--replace"]),
    Killed("`verify --accept`", 20, 0.15, _accept, allowed=f"quality/{PRODUCT}.html"),
    Killed("`outcomes --file`", 30, 0.4, _outcomes, after=_outcomes_told),
    Killed("`prune`", 40, 0.4, lambda _home, _number: ["prune"], renew=lambda world: world.begin(), after=_pruned),
    Killed(
        "`backup`",
        40,
        0.25,
        lambda home, _number: ["backup", str(_backups(home))],
        renew=_begin_without_backups,
        after=_backed_up,
    ),
    Killed(
        "`restore`",
        40,
        0.25,
        lambda home, _number: ["restore", str(_backups(home))],
        renew=_begin_with_a_backup_alone,
        after=_restored,
    ),
    Killed("`forget`", 50, 0.35, _forget, renew=_log_requests, after=_forgotten),
)
