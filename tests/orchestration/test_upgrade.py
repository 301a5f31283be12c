"""A home of another version of Loopline: told apart in one sentence, and made anew by a run; who serves stays until then."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from assets.errors import BackupError, DigestError, HomeError
from assets.promotion import ledger, verdicts
from assets.promotion.ledger_state import Decision
from assets.spec import ProductSpec
from assets.storage.digests import file_digest
from assets.storage.home import LAYOUT, Home
from assets.storage.home_files import MANIFEST
from assets.storage.publishing import read_json, write_json
from assets.storage.restore import restore
from assets.storage.upgrade import Upgraded
from assets.storage.upgrade import upgrade as upgrade_into
from bentos.runtime import Model, OutdatedModelError, model_digest
from orchestration import resources
from orchestration.cli.main import loopline
from orchestration.operations.monitoring.status import status
from orchestration.operations.promotion import decisions, doctor
from orchestration.operations.storage import backups
from orchestration.staleness.plan import declared_in
from tests.shop import customers, definitions, product, run_products

MADE = {"landing", "quarantine", "snapshots", "reports", "quality", "monitoring", "code_versions"}


def upgrade(home: Home) -> Upgraded | None:
    """Upgrade a home, with a backup beside it."""
    return upgrade_into(home, home.root.with_name("kept"), datetime(2026, 11, 29, tzinfo=UTC))


def content(home: Home) -> dict[str, str]:
    """The digest of each file but locks and what SQLite keeps beside a database while it is open."""
    found = {home.relative(path): path for path in home.root.rglob("*") if path.is_file()}
    return {name: file_digest(path) for name, path in found.items() if not name.endswith((".lock", "-shm", "-wal"))}


def churn(**parameters: int) -> ProductSpec:
    """The product, with these parameters."""
    model = product("churn").model.model_dump()
    return product("churn", model={**model, "parameters": {**model["parameters"], **parameters}})


def champion_of_the_first_format(home: Home) -> Decision:
    """Let a model serve whose signature names no format, as those of the first version do."""
    entry = ledger.standing(home, "churn").champion
    assert entry is not None
    draft = home.models / "churn" / "draft"
    shutil.copytree(home.models / "churn" / entry.model_digest, draft)
    signature = read_json(draft / "model.json")
    del signature["format"]
    write_json(draft / "model.json", signature)
    digest = model_digest(draft)
    draft.rename(home.models / "churn" / digest)
    decision = Decision(entry.version, digest, entry.snapshot_digest, "gate", "promoted", entry.verdict)
    ledger.promote(home, "churn", decision, instead_of=entry.model_digest)
    return decision


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The customers' file."""
    folder = tmp_path_factory.mktemp("shop")
    customers().to_csv(folder / "customers.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def earlier(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home as the first version left it: it names no layout, and no record has a field that is read today."""
    home = Home(tmp_path_factory.mktemp("earlier") / "home")
    run_products(home, folder, churn(max_iter=12))
    champion_of_the_first_format(home)
    for name in MADE:
        for record in (home.root / name).rglob("*.json"):
            record.write_text("{}")
    home.record.unlink()
    (home.root / MANIFEST).unlink()
    return home


@pytest.fixture
def home(earlier: Home, tmp_path: Path) -> Home:
    """A copy of it."""
    return Home(Path(shutil.copytree(earlier.root, tmp_path / "home")))


def test_a_home_of_an_earlier_version_is_told_apart_before_anything_is_read(home: Home) -> None:
    """With what to do; nothing is written to it."""
    for _ in range(2):
        with pytest.raises(
            HomeError, match=r"by an earlier version of Loopline \(layout 1, this one reads 2\). Run `loopline run`"
        ):
            home.prepare()


def test_what_it_recorded_is_put_aside_once(home: Home, folder: Path) -> None:
    """Until a run, nothing but the champion is known; it is named, as is that it cannot be run."""
    done = upgrade(home)
    assert done is not None
    assert done.aside == home.root / "earlier" / "1"
    assert upgrade(home) is None
    assert {path.name for path in (home.root / "earlier" / "1").iterdir()} == MADE
    assert home.prepare().layout == LAYOUT
    standing = ledger.standing(home, "churn")
    found = status(home, declared_in(definitions(home, folder, churn()))).products[0]
    assert (found.champion_version, found.champion_digest, found.metrics) == (1, standing.champion_digest, {})
    assert any("made by another version of Loopline" in finding.problem for finding in doctor.examine(home, ["churn"]))
    with pytest.raises(OutdatedModelError, match=r"has format 1, .* runs format 2\. What was built of it goes on serving"):
        Model.load(home.models / "churn" / str(standing.champion_digest), str(standing.champion_digest))


def test_a_backup_of_it_is_taken_before_it_is_touched(home: Home, tmp_path: Path) -> None:
    """Restored, it is the home of the earlier version; where it cannot be taken, nothing changes."""
    before = content(home)
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "picture.png").touch()
    with pytest.raises(BackupError, match=r"holds no backups .* The home is as it was; `loopline upgrade --backup FOLDER`"):
        upgrade_into(home, tmp_path / "holiday", datetime(2026, 11, 29, tzinfo=UTC))
    assert content(home) == before
    done = upgrade(home)
    assert done is not None
    there = Home(tmp_path / "restored")
    assert restore(done.folder, there) == done.backup.name
    databases = {name for name in before if name.endswith(".db")}  # SQLite copies rows, not bytes
    assert {name: digest for name, digest in content(there).items() if name not in databases} == {
        name: digest
        for name, digest in before.items()
        if name not in databases and not name.startswith(("warehouse/target/", "tmp/"))
    }
    assert ledger.entries(there) == ledger.entries(home)
    assert there.layout == 1
    assert backups.back_up(home, done.folder, datetime(2026, 11, 30, tzinfo=UTC)).files  # it is known as the same home


def test_the_command_says_where_the_backup_lies(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the home; a second time there is nothing to do."""
    monkeypatch.setenv(resources.HOME_VARIABLE, str(home.root))
    done = CliRunner().invoke(loopline, ["upgrade"])
    assert (done.exit_code, done.exception) == (0, None), done.output
    assert f"into {home.root}.backups" in done.output.replace("\n", "")
    assert "nothing to do" in CliRunner().invoke(loopline, ["upgrade"]).output


def test_a_run_makes_everything_anew_and_replaces_a_champion_that_cannot_be_scored(home: Home, folder: Path) -> None:
    """The ledger goes on from where it was; nobody goes back to a model that cannot be run."""
    before = ledger.entries(home, "churn")
    upgrade(home)
    # the model of the first format was put into the ledger by hand, and is not what was registered
    executed = run_products(home, folder, churn(), agrees=False).executed
    assert {"landing/churn/data", "churn/snapshot", "churn/model", "churn/report", "churn/bento"} <= set(executed)
    after = ledger.entries(home, "churn")
    assert after[: len(before)] == before
    assert [(entry.event, entry.version) for entry in after[len(before) :]] == [("promotion", 2)]
    (told,) = [item.evidence for item in verdicts.current(home, "churn").findings if item.gate == "champion"]
    assert told == "it is of an earlier version of Loopline and cannot be scored"
    assert doctor.examine(home, ["churn"]) == []
    assert run_products(home, folder, churn(), agrees=False).executed == {}
    with pytest.raises(DigestError, match=r"made by another version of Loopline, and this one cannot run it\. Choose another"):
        decisions.rollback(home, churn(), None, actor="tester", reason="for a test")


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ('{"layout": 3}', r"by a later version of Loopline \(layout 3, this one reads 2\)\. Use that version, or point"),
        ("{}", r'home\.json must hold a layout, such as \{"layout": 2\}\. Restore it; or delete it'),
        ("", r"home\.json must hold a layout"),
        ('{"layout": null}', r"home\.json must hold a layout"),
    ],
)
def test_a_record_of_a_later_version_or_of_none_is_refused(tmp_path: Path, record: str, told: str) -> None:
    """By `prepare` and by `upgrade`, which leaves it as it is."""
    home = Home(tmp_path / "home").prepare()
    assert read_json(home.record) == {"layout": LAYOUT}
    home.record.write_text(record)
    with pytest.raises(HomeError, match=told):
        home.prepare()
    if '"layout": 3' in record:
        assert upgrade(home) is None
    else:
        with pytest.raises(HomeError, match=told):
            upgrade(home)
    assert home.record.read_text() == record
