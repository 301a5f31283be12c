"""What is made once: it is made, copied, and made where it is needed if it cannot be kept."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import pytest

from assets.promotion.mlflow_client import connected, database, experiment
from assets.storage import migrated_databases
from assets.storage.home import Home
from orchestration import resources


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment in which nothing was made yet."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    return tmp_path / "environment"


def test_a_thing_is_made_once_and_copied_whole(environment: Path, tmp_path: Path) -> None:
    """A file and a folder; what is done to a copy is not done to what is kept."""
    made = []

    def make(path: Path) -> None:
        made.append(path)
        path.mkdir()
        (path / "inside").write_text("as made")

    for number in (1, 2):
        migrated_databases.copied("thing-1", make, tmp_path / str(number))
        assert (tmp_path / str(number) / "inside").read_text() == "as made"
        (tmp_path / str(number) / "inside").write_text("changed")
    assert len(made) == 1
    migrated_databases.copied("thing-2", lambda path: path.write_text("a file") and None, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "a file"
    assert sorted(path.name for path in (environment / "var" / "loopline").iterdir()) == ["thing-1", "thing-2", "tmp"]


def test_a_copy_has_the_permissions_of_who_makes_it(environment: Path, tmp_path: Path) -> None:
    """What is kept may be open to others; a copy under umask 077 is not."""

    def make(path: Path) -> None:
        (path / "deep").mkdir(parents=True)
        (path / "deep" / "file").write_text("as made")

    migrated_databases.copied("thing", make, tmp_path / "open")
    before = os.umask(0o077)
    try:
        migrated_databases.copied("thing", make, tmp_path / "closed")
    finally:
        os.umask(before)
    copied = [tmp_path / "closed", *(tmp_path / "closed").rglob("*")]
    assert len(copied) == 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in copied)


def test_where_nothing_can_be_kept_it_is_made_in_place(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the folder would be; and no virtual environment."""
    environment.write_text("not a folder")
    migrated_databases.copied("thing", lambda path: path.write_text("made") and None, tmp_path / "a")
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    migrated_databases.copied("thing", lambda path: path.write_text("made") and None, tmp_path / "b")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["made", "made"]


def test_a_maker_that_fails_leaves_nothing(environment: Path, tmp_path: Path) -> None:
    """The next one makes it."""

    def fail(path: Path) -> None:
        path.mkdir()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        migrated_databases.copied("thing", fail, tmp_path / "a")
    assert not list((environment / "var" / "loopline").glob("*/*"))
    migrated_databases.copied("thing", lambda path: path.mkdir(), tmp_path / "b")
    assert (tmp_path / "b").is_dir()


def test_new_homes_have_databases_of_their_own(environment: Path, tmp_path: Path) -> None:
    """MLflow's names its own home, Dagster's remembers its own runs; the second of each is a copy."""
    for name in ("first", "second"):
        home = Home(tmp_path / name).prepare()
        with resources.instance(home) as instance:
            assert instance.run_storage.get_cursor_values({"seen"}) == {}
            instance.run_storage.set_cursor_values({"seen": name})
        with connected(home) as client:
            experiment(client, "mine", home)
        with sqlite3.connect(database(home)) as connection:
            places = dict(connection.execute("select name, artifact_location from experiments"))
        assert all(place.startswith((home.registry / "artifacts").as_uri()) for place in places.values()), places
        assert set(places) == {"Default", "mine"}
