"""Every byte of a home is accounted for: what is changed, missing or added is named, and nothing else is."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from assets.errors import DigestError, LooplineError
from assets.promotion import ledger, signing_key
from assets.promotion.ledger_database import database
from assets.serving import api_keys
from assets.storage import manifest
from assets.storage.home import Home
from assets.storage.home_files import MANIFEST, unrecorded
from assets.storage.manifest_lines import Manifest
from bentos.runtime import ModelError
from orchestration.declarations import Declared
from orchestration.operations.catalog import lineage
from orchestration.operations.monitoring.status import status
from orchestration.operations.promotion import doctor
from orchestration.operations.verification import verify as verifying
from orchestration.operations.verification.verify import Verified, verify

COMMANDS: tuple[Callable[[Home], object], ...] = (
    lambda home: lineage.chain(home, PRODUCT),
    lambda home: doctor.examine(home, [PRODUCT]),
    lambda home: status(home, DECLARED),
    lambda home: ledger.standing(home, PRODUCT),
)
TAMPERINGS = 320
PRODUCT = "flight_delay"
DECLARED = Declared(["flights.flights", "flights.weather"], {PRODUCT: ["flights.flights", "flights.weather"]})


@pytest.fixture(scope="module")
def spoilt(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy of the home in which the small world was run; each test leaves it as it found it."""
    copy = Home(tmp_path_factory.mktemp("spoilt") / "home")
    shutil.copytree(ran.root, copy.root)
    return copy


@contextmanager
def put_back(*paths: Path) -> Iterator[None]:
    """Files are afterwards as before, or gone if they were not there."""
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    try:
        yield
    finally:
        for path, content in before.items():
            if path.is_symlink() or content is None:
                path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)


def files(home: Home) -> dict[str, list[Path]]:
    """The files that the manifest names, by kind: their first folder and their suffix."""
    found: dict[str, list[Path]] = {}
    for file in sorted((manifest.read(home.root, anew=True) or Manifest()).files):
        found.setdefault(f"{file.split('/')[0]}*{PurePosixPath(file).suffix}", []).append(home.root / file)
    return found


def told(found: Verified) -> dict[str, str]:
    """What is wrong, by file."""
    return {problem.file: problem.state for problem in found.problems}


def flip(path: Path, _: Path, chance: random.Random) -> dict[Path, str]:
    """One bit."""
    content = bytearray(path.read_bytes())
    if not content:
        path.write_bytes(b"\n")
    else:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(content))
    return {path: "changed"}


def cut(path: Path, _: Path, chance: random.Random) -> dict[Path, str]:
    """The end is gone, from anywhere on."""
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))] if content else b"\0")
    return {path: "changed"}


def swap(path: Path, other: Path, _: random.Random) -> dict[Path, str]:
    """Two files in each other's place; equal ones are flipped instead."""
    first, second = path.read_bytes(), other.read_bytes()
    if first == second:
        return flip(path, other, random.Random(1))  # noqa: S311
    path.write_bytes(second)
    other.write_bytes(first)
    return {path: "changed", other: "changed"}


def delete(path: Path, _: Path, __: random.Random) -> dict[Path, str]:
    """It is gone."""
    path.unlink()
    return {path: "missing"}


def add(path: Path, _: Path, chance: random.Random) -> dict[Path, str]:
    """Another beside it."""
    added(path).write_bytes(chance.randbytes(8))
    return {added(path): "unknown"}


def added(path: Path) -> Path:
    """Where a file is added."""
    return path.with_name(f"added{path.suffix}")


def link(path: Path, other: Path, _: random.Random) -> dict[Path, str]:
    """The same bytes, by a link that may lead elsewhere tomorrow."""
    added(path).write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(added(path))
    return {path: "changed", added(path): "unknown"}


WAYS: tuple[Callable[[Path, Path, random.Random], dict[Path, str]], ...] = (flip, flip, cut, swap, delete, add, link)


def test_every_tampering_is_found_and_none_ends_in_a_traceback(spoilt: Home) -> None:
    """Over all kinds of files, drawn from a seed; each is named, and nothing else is called changed, missing or unknown."""
    chance, kinds = random.Random(16), files(spoilt)  # noqa: S311
    assert len(kinds) > 25
    assert verify(spoilt, deep=True).problems == []
    names = sorted(kinds)
    for number in range(TAMPERINGS):
        path = chance.choice(kinds[names[number % len(names)]])
        other = chance.choice(kinds[chance.choice(names)])
        way = chance.choice(WAYS)
        with put_back(path, other, added(path)):
            expected = {spoilt.relative(place): state for place, state in way(path, other, chance).items()}
            found = {file: state for file, state in told(verify(spoilt, deep=True)).items() if state != "disagrees"}
            assert found == expected, (number, way.__name__, path)
            with contextlib.suppress(LooplineError, ModelError):  # what else is raised would be a traceback
                COMMANDS[number % len(COMMANDS)](spoilt)
    assert verify(spoilt, deep=True).problems == []


def test_what_no_manifest_names_is_a_cache_a_log_a_database_a_lock_or_a_draft(spoilt: Home) -> None:
    """All others are in the manifest, from landing to pages."""
    known = manifest.read(spoilt.root, anew=True)
    assert known is not None
    left = {path.relative_to(spoilt.root).as_posix() for path in spoilt.root.rglob("*") if path.is_file()} - set(known.files)
    kinds = ("cache", "log", "database", "lock", "draft", "manifest", "history", "counters")
    assert all(any(kind in str(unrecorded(file)) for kind in kinds) for file in left), left
    first = {file.split("/")[0] for file in known.files}
    assert first >= {
        "landing",
        "quarantine",
        "snapshots",
        "models",
        "reports",
        "registry",
        "bentos",
        "wheels",
        "sql",
        "predictions",
    }


@pytest.mark.parametrize("way", [flip, cut])
def test_a_damaged_manifest_is_an_error_that_says_what_to_do(spoilt: Home, way: Callable[..., object]) -> None:
    """Wherever it is damaged; a line that is only cut is told as such."""
    chance, path = random.Random(3), spoilt.root / MANIFEST  # noqa: S311
    for _ in range(20):
        with put_back(path):
            way(path, path, chance)
            with pytest.raises(
                (DigestError, AssertionError), match=r"manifest\.jsonl: line \d+ is not .* --accept|as published"
            ):
                assert not verify(spoilt, deep=True).problems, "not as published"
    assert verify(spoilt).problems == []


FORGED = (
    f"models/{PRODUCT}/*/model.onnx", f"snapshots/{PRODUCT}/*.parquet", "landing/flights/flights/*.parquet",
    "quarantine/flights/flights/*.parquet", f"reports/{PRODUCT}/*/verdict-*.json", f"reports/{PRODUCT}/*/evaluation.json",
    f"reports/{PRODUCT}/*/leakage.json", "bentos/bentos/*/*/src/bentos/promoted.json",
    "bentos/bentos/*/*/src/bentos/model/model.json", "bentos/champions/*.json", f"predictions/{PRODUCT}/*.parquet",
    f"wheels/{PRODUCT}/*.whl", f"registry/artifacts/{PRODUCT}/*/artifacts/served/model.onnx",
    f"registry/artifacts/{PRODUCT}/*/artifacts/evidence/evaluation.json",
)  # fmt: skip


@pytest.mark.parametrize("pattern", FORGED)
def test_a_file_that_is_changed_with_its_line_in_the_manifest_contradicts_the_ledger(spoilt: Home, pattern: str) -> None:
    """The manifest agrees with the bytes; the ledger, a name, or a record that the ledger names does not."""
    path = next(spoilt.root.glob(pattern))
    with put_back(path, spoilt.root / MANIFEST):
        if path.suffix == ".json":
            record = json.loads(path.read_text())
            record = {key: f"{value[:-1]}~" if isinstance(value, str) else value for key, value in record.items()}
            path.write_text(json.dumps(record))
        else:
            path.write_bytes(path.read_bytes() + b" ")
        manifest.record(path)
        found = told(verify(spoilt, deep=True))
        assert found
        assert set(found.values()) == {"disagrees"}
    assert verify(spoilt, deep=True).problems == []


def test_the_code_of_a_bento_is_held_against_this_checkout(spoilt: Home) -> None:
    """Forged with its line in the manifest, it is noted, as an upgrade of Loopline looks the same."""
    (path,) = spoilt.root.glob("bentos/bentos/*/*/src/bentos/app.py")
    assert verify(spoilt).notes == []
    with put_back(path, spoilt.root / MANIFEST):
        path.write_text(path.read_text() + "\n# something else\n")
        manifest.record(path)
        (note,) = verify(spoilt).notes
        assert "its code is not this checkout's (app.py)" in note


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "update model_version_tags set value = '~' || substr(value, 2) where key = 'model_digest'",
            "another model than the ledger's",
        ),
        (
            "update model_version_tags set value = 'f' where key = 'evaluation_digest'",
            "is not what version 1 was registered with",
        ),
        ("delete from model_version_tags where key = 'snapshot_digest'", "lacks snapshot_digest"),
        ("delete from registered_model_aliases", "names nobody, not what the ledger says"),
        ("delete from model_versions", "there is no version 1"),
    ],
)
def test_what_mlflow_says_is_held_against_the_ledger(spoilt: Home, change: str, expected: str) -> None:
    """Its versions, digests and alias."""
    database = spoilt.registry / "mlflow.db"
    with put_back(database):
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(change)
        found = verify(spoilt).problems
        assert any(expected in problem.told for problem in found), found


@pytest.mark.parametrize("database", ["ledger/ledger.db", "registry/mlflow.db", "dagster/history/runs.db"])
def test_a_damaged_database_is_named(spoilt: Home, database: str) -> None:
    """And what to do; no traceback."""
    path = spoilt.root / database
    with put_back(path):
        content = path.read_bytes()
        path.write_bytes(content[:50] + bytes(len(content) // 2 - 50))
        assert told(verify(spoilt, deep=True))[database] == "changed"


def test_a_head_that_was_kept_elsewhere_shows_that_the_manifest_was_replaced(spoilt: Home) -> None:
    """Files that were recorded since are counted."""
    head, path = manifest.read(spoilt.root, anew=True).head, spoilt.root / "quality" / "added.html"  # type: ignore[union-attr]
    with put_back(spoilt.root / MANIFEST, path):
        assert verify(spoilt, head=head).recorded_since == 0
        path.write_text("more")
        assert told(verify(spoilt)) == {"quality/added.html": "unknown"}
        assert [problem.file for problem in verifying.accept(spoilt)] == ["quality/added.html"]
        again = verify(spoilt, head=head)
        assert (again.problems, again.recorded_since) == ([], 1)
        (spoilt.root / MANIFEST).unlink()
        with pytest.raises(DigestError, match=r"is missing, so nothing says .* `loopline verify --accept` records"):
            verify(spoilt)
        verifying.accept(spoilt)
        assert verify(spoilt).problems == []
        with pytest.raises(DigestError, match=r"no line has the digest .* cut, rewritten or replaced since"):
            verify(spoilt, head=head)


def test_without_deep_a_large_file_is_compared_by_size_only(spoilt: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is said, and a cut one is found all the same."""
    path = next(spoilt.root.glob(f"snapshots/{PRODUCT}/*.parquet"))
    monkeypatch.setattr(verifying, "SMALL", path.stat().st_size - 1)
    with put_back(path):
        flip(path, path, random.Random(2))  # noqa: S311
        assert verify(spoilt).problems == []
        assert told(verify(spoilt, deep=True)) == {spoilt.relative(path): "changed"}
        path.write_bytes(path.read_bytes()[:-1])
        assert told(verify(spoilt)) == {spoilt.relative(path): "changed"}


def test_a_ledger_that_is_gone_is_found(spoilt: Home) -> None:
    """By the heads that are kept of it."""
    path = database(spoilt)
    with put_back(path):
        path.unlink()
        found = verify(spoilt).problems
        assert any("the ledger is gone" in problem.told for problem in found), found


def test_keys_are_accounted_for(ran_copy: Home) -> None:
    """Those of services, and the one that signs the ledger; a key that is slipped in is found."""
    api_keys.create(ran_copy, PRODUCT, "predict", datetime.now(UTC))
    signing_key.make(ran_copy, len(ledger.entries(ran_copy)))
    assert verify(ran_copy, deep=True).problems == []
    file = api_keys.file_of(ran_copy, PRODUCT)
    file.write_text(file.read_text().replace('"predict"', '"admin"'))
    assert told(verify(ran_copy)) == {ran_copy.relative(file): "changed"}


def test_files_of_a_registration_that_was_cut_off_are_named_and_no_problem(spoilt: Home) -> None:
    """MLflow lays them before a manifest names them; a file that is added to a version's stays unknown."""
    lines = (spoilt.root / MANIFEST).read_bytes()
    known = manifest.read(spoilt.root, anew=True)
    assert known is not None
    ours = sorted(file for file in known.files if file.startswith(f"registry/artifacts/{PRODUCT}/"))
    folder = "/".join(ours[0].split("/")[:4])
    inside = [file for file in ours if file.startswith(f"{folder}/")]
    added = spoilt.root / folder / "artifacts" / "added.txt"
    with put_back(spoilt.root / MANIFEST, added):
        added.write_text("x")
        assert [(item.file, item.state) for item in verify(spoilt).problems] == [(spoilt.relative(added), "unknown")]
        added.unlink()
        with put_back(*(spoilt.root / file for file in inside)):
            copies = {file: (spoilt.root / file).read_bytes() for file in inside}
            manifest.remove(spoilt.root / folder)
            for file, content in copies.items():  # as before the manifest named them
                (spoilt.root / file).parent.mkdir(parents=True, exist_ok=True)
                (spoilt.root / file).write_bytes(content)
            found = verify(spoilt)
            assert [item for item in found.problems if item.state == "unknown"] == []
            assert f"{len(inside)} files in {folder} are of a registration that was cut off" in " ".join(found.notes)
    assert (spoilt.root / MANIFEST).read_bytes() == lines
