"""What serves in one environment is promoted in the next by its digest, once its very bytes passed a smoke test; else nothing changes."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assets.errors import ReleaseError
from assets.experiments import stages
from assets.promotion import ledger
from assets.promotion.ledger_database import database
from assets.promotion.ledger_state import Decision
from assets.serving import bento_package
from assets.storage.backup import copy_database
from assets.storage.digests import file_digest
from assets.storage.home import Home
from orchestration.operations.promotion import decisions
from orchestration.operations.promotion.release import release, releases
from orchestration.operations.promotion.smoke import last, smoke
from orchestration.operations.verification.verify import verify
from tests.orchestration.operations.promotion.test_experiments import SHADOW
from tests.two_versions import churn

WHO: dict[str, Any] = {"actor": "ann", "reason": "ticket 12", "at": datetime(2026, 11, 29, tzinfo=UTC)}


def files(folder: Path) -> dict[str, str]:
    """The digest of each file."""
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def smoked(twice: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose champion passed its smoke test; do not change it."""
    copy = Home(tmp_path_factory.mktemp("smoked") / "home")
    shutil.copytree(twice.root, copy.root)
    logged = files(copy.served) if copy.served.exists() else {}
    tested = smoke(copy, "churn")
    champion = ledger.require_champion(copy, "churn")
    assert (tested.passed, tested.model_digest) == (True, champion.model_digest), tested.told
    assert last(copy, "churn") == tested
    assert (files(copy.served) if copy.served.exists() else {}) == logged
    return copy


@pytest.fixture
def smoked_copy(smoked: Home, tmp_path: Path) -> Home:
    """A copy of it, to be changed at will."""
    copy = Home(tmp_path / "smoked")
    shutil.copytree(smoked.root, copy.root)
    return copy


def test_nothing_is_released_before_it_was_tested(twice_copy: Home, tmp_path: Path) -> None:
    """The error names the command that tests it."""
    staging = Home(tmp_path / "staging").prepare()
    with pytest.raises(
        ReleaseError, match=r"its champion was not tested in .*copy. Run `LOOPLINE_HOME=.* loopline smoke churn`"
    ):
        release(twice_copy, staging, "churn", **WHO)
    assert ledger.entries(staging) == []


def test_the_tested_bytes_are_promoted_in_the_next_environment(smoked_copy: Home, tmp_path: Path) -> None:
    """By an entry of its own ledger; refused for another model, and once the bytes are others."""
    dev, staging = smoked_copy, Home(tmp_path / "staging").prepare()
    champion, tested = ledger.require_champion(dev, "churn"), last(dev, "churn")
    assert tested is not None
    before = files(staging.root)
    with pytest.raises(ReleaseError, match="What was not promoted in the earlier environment is not released"):
        release(dev, staging, "churn", **WHO, digest="0123")
    assert {name for name in files(staging.root) if not name.endswith(".lock")} == {
        name for name in before if not name.endswith(".lock")
    }

    assert release(dev, staging, "churn", **WHO, digest=champion.model_digest[:8]) == champion
    assert ledger.entries(staging) == ledger.entries(dev)
    (told,) = releases(staging, "churn")
    assert (told["actor"], told["model_digest"], told["bento_digest"]) == ("ann", champion.model_digest, tested.bento_digest)
    tag = bento_package.served_tag(staging, "churn")
    assert files(bento_package.bento_folder(staging, tag)) == files(bento_package.bento_folder(dev, tag))
    assert bento_package.followed(staging, "churn") == champion.model_digest
    # MLflow's registry stays where models are trained; every file is as it was published
    assert {item.file for item in verify(staging, deep=True).problems} == {"registry/mlflow.db"}
    assert release(dev, staging, "churn", **WHO) is None
    assert len(releases(staging, "churn")) == 1

    production = Home(tmp_path / "production").prepare()
    (bento_package.bento_folder(dev, tag) / "README.md").write_text("another")
    with pytest.raises(ReleaseError, match="was changed after its smoke test"):
        release(dev, production, "churn", **WHO)
    with pytest.raises(ReleaseError, match="was not tested in .*staging"):
        release(staging, production, "churn", **WHO)
    assert ledger.entries(production) == []


def test_a_service_that_does_not_start_fails_its_test_and_is_not_released(twice_copy: Home, tmp_path: Path) -> None:
    """What it said is kept. Once it starts, its test passes, and an experiment that runs is what keeps it from being released."""
    champion = ledger.require_champion(twice_copy, "churn")
    staging = Home(tmp_path / "staging").prepare()
    tag = bento_package.served_tag(twice_copy, "churn")
    model = bento_package.bento_folder(twice_copy, tag) / "src" / "bentos" / "model" / "model.onnx"
    kept = model.read_bytes()
    model.write_bytes(kept[:100])
    tested = smoke(twice_copy, "churn")
    assert not tested.passed
    assert "package the champion again" in tested.told
    with pytest.raises(ReleaseError, match=f"the smoke test of version {champion.version} in .* failed: "):
        release(twice_copy, staging, "churn", **WHO)
    model.write_bytes(kept)
    # the bentos of an experiment's arms, and what its stages rest on, are not in the next environment
    stages.start(twice_copy, churn(), SHADOW, actor="ann", reason="a trial")
    assert smoke(twice_copy, "churn").passed
    with pytest.raises(ReleaseError, match="experiment dark runs in .*copy"):
        release(twice_copy, staging, "churn", **WHO)
    assert ledger.entries(staging) == []


def test_environments_that_are_not_one_after_the_other_are_refused(smoked_copy: Home, tmp_path: Path) -> None:
    """The same home twice, no home, one in which nobody is champion, and one that decided something by itself."""
    champion = ledger.require_champion(smoked_copy, "churn")
    staging = Home(tmp_path / "staging").prepare()
    with pytest.raises(ReleaseError, match="is both environments"):
        release(smoked_copy, smoked_copy, "churn", **WHO)
    with pytest.raises(ReleaseError, match="is no home"):
        release(Home(tmp_path / "nowhere"), staging, "churn", **WHO)
    with pytest.raises(ReleaseError, match="nobody is champion"):
        release(staging, Home(tmp_path / "production").prepare(), "churn", **WHO)
    own = Decision(
        champion.version, champion.model_digest, champion.snapshot_digest, "ann", "a decision of its own", by_hand=True
    )
    ledger.promote(staging, "churn", own, instead_of=None)
    with pytest.raises(ReleaseError, match="an environment decided something by"):
        release(smoked_copy, staging, "churn", **WHO)


def test_a_ledger_that_came_without_the_bento_is_no_release(smoked_copy: Home, tmp_path: Path) -> None:
    """It comes with the release of another product, and first: a release that was broken off is ended by the next one."""
    dev, staging = smoked_copy, Home(tmp_path / "staging").prepare()
    release(dev, staging, "churn", **WHO)
    back = decisions.rollback(dev, churn(), None, actor="ann", reason="worse")
    bento_package.package(dev, churn(), back)
    bento_package.point(dev, "churn", back)
    assert smoke(dev, "churn").passed
    copy_database(database(dev), tmp_path / "ledger.db")
    (tmp_path / "ledger.db").replace(database(staging))

    assert release(dev, staging, "churn", **WHO) == back
    assert [item["version"] for item in releases(staging, "churn")] == [2, 1]
    tag = bento_package.served_tag(staging, "churn")
    assert tag == bento_package.served_tag(dev, "churn")

    (bento_package.bento_folder(dev, tag) / "README.md").write_text("packaged again")
    assert smoke(dev, "churn").passed
    assert release(dev, staging, "churn", **WHO) == back
    assert files(bento_package.bento_folder(staging, tag)) == files(bento_package.bento_folder(dev, tag))
