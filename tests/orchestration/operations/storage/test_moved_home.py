"""A home that was backed up and restored elsewhere works as it did: nothing in it leads to where it lay."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from assets.errors import HomeError, UntrustedLedgerError
from assets.promotion import ledger, ledger_database, ledger_proofs, mlflow_client, model_registry, registered_versions
from assets.promotion.ledger_state import Decision
from assets.promotion.registry_location import ADDRESSES
from assets.serving import bento_package
from assets.storage.backup import manifests
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from bentos.runtime import model_digest
from orchestration import resources
from orchestration.cli.main import loopline
from orchestration.declarations import Declared
from orchestration.operations.catalog import lineage
from orchestration.operations.monitoring.status import status
from orchestration.operations.promotion import doctor
from orchestration.operations.storage import backups
from orchestration.operations.storage.quiet_home import quiet
from orchestration.operations.verification.verify import verify
from tests.world import World


def test_a_home_restored_elsewhere_is_whole(ran_copy: Home, world: World, tmp_path: Path) -> None:
    """The loop finds nothing to do, every link holds, the registry writes to the new place."""
    product = world.product.name
    backups.back_up(ran_copy, tmp_path / "kept", datetime(2026, 11, 29, tzinfo=UTC))
    there = Home(tmp_path / "else where")
    backups.restore(tmp_path / "kept", there)
    before = status(ran_copy, Declared([], {product: []}))
    shutil.move(ran_copy.root, tmp_path / "gone")
    try:
        assert world.run(there).executed == {}
        assert [link.problem for link in lineage.chain(there, product) if link.problem] == []
        assert doctor.examine(there, [product]) == []
        assert verify(there, deep=True).problems == []
        assert status(there, Declared([], {product: []})).products[0].metrics == before.products[0].metrics
        champion = ledger.require_champion(there, product)
        served = (
            bento_package.pointer(there, product).parent / "../bentos" / product / champion.tag / "src" / "bentos" / "model"
        )
        assert model_digest(served) == champion.model_digest
        (tmp_path / "note.txt").write_text("new")
        version = registered_versions.version(there, product, champion.version)
        model_registry.attach(there, version, tmp_path / "note.txt")
        assert len(list(there.registry.rglob("note.txt"))) == 1
        assert not ran_copy.root.exists()
        with closing(sqlite3.connect(mlflow_client.database(there))) as connection:
            for table, column in ADDRESSES.items():
                found = [row[0] for row in connection.execute(f"select {column} from {table}")]
                assert found
                assert all(item.startswith((there.registry / "artifacts").as_uri() + "/") for item in found)
    finally:
        shutil.move(tmp_path / "gone", ran_copy.root)


def test_a_backup_vouches_for_the_ledger(home: Home, tmp_path: Path) -> None:
    """A ledger that was cut after a backup goes into no further one; one that a forged manifest brings is not restored."""
    for number in (1, 2):
        decision = Decision(number, f"{number}" * 64, "s" * 64, "ann", "for a test", by_hand=True)
        ledger.promote(home, "churn", decision, instead_of="1" * 64 if number == 2 else None)
    kept = tmp_path / "kept"
    name = backups.back_up(home, kept, datetime(2026, 11, 29, tzinfo=UTC)).name
    (told,) = manifests(kept).values()
    assert read_json(told)["ledger_head"] == ledger.checkpoint(home).note
    with closing(sqlite3.connect(ledger_database.database(home), isolation_level=None)) as connection:
        connection.executescript("drop trigger entries_are_kept; delete from entries where number = 2; pragma user_version = 1")
    with pytest.raises(UntrustedLedgerError, match=r"an older copy: it holds 1 entries .* the backup .*kept/manifests"):
        backups.back_up(home, kept, datetime(2026, 11, 30, tzinfo=UTC))
    assert [*manifests(kept)] == [name]
    cut = backups.back_up(home, tmp_path / "cut", datetime(2026, 11, 30, tzinfo=UTC)).name
    forged = read_json(manifests(tmp_path / "cut")[cut])
    forged.pop("digest")
    forged["ledger_head"] = read_json(told)["ledger_head"]
    write_json(tmp_path / "cut" / "manifests" / f"{cut}.json", {**forged, "digest": value_digest(forged)})
    with pytest.raises(UntrustedLedgerError, match=r"an older copy: it holds 1 entries .* the backup's manifest"):
        backups.restore(tmp_path / "cut", Home(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".new*"))
    ledger.accept_ledger(home, "ann", "an entry of a test", ledger_proofs.opened(home, told))
    assert backups.back_up(home, kept, datetime(2026, 11, 30, tzinfo=UTC)).files
    backups.restore(kept, Home(tmp_path / "new"), name)
    assert ledger.entries(Home(tmp_path / "new"))[1].version == 2


def test_backup_and_restore_from_the_command_line(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says what it did; an error is one sentence."""
    monkeypatch.setenv(resources.HOME_VARIABLE, str(home.root))
    done = CliRunner().invoke(loopline, ["backup", str(tmp_path / "kept")])
    assert done.exit_code == 0, done.output
    assert "3 files" in done.output
    monkeypatch.setenv(resources.HOME_VARIABLE, str(tmp_path / "new"))
    nothing = CliRunner().invoke(loopline, ["backup", str(tmp_path / "kept")])
    assert (nothing.exit_code, (tmp_path / "new").exists()) == (1, False)
    assert "holds nothing to back up" in nothing.output
    assert CliRunner().invoke(loopline, ["restore", str(tmp_path / "kept")]).exit_code == 0
    again = CliRunner().invoke(loopline, ["restore", str(tmp_path / "kept")])
    assert again.exit_code == 1
    assert "exists and is not empty" in again.output


@dg.job
def nothing() -> None:
    """No step."""


def test_a_run_of_the_daemon_refuses_a_backup(home: Home) -> None:
    """It may write at any moment; a killed `loopline run` does not refuse, as its lock is free."""
    with resources.instance(home) as instance:
        run = instance.create_run_for_job(nothing)
        with pytest.raises(HomeError, match=f"a run is going on: {run.run_id[:8]}"), quiet(home, print):
            pass
        instance.report_run_failed(run)
        with quiet(home, print):
            pass
