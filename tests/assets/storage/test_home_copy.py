"""A copy of a home holds what a run needs; to write in it changes nothing in the home."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from assets.storage.home import Home
from assets.storage.home_copy import copied
from assets.storage.publishing import write_json

DIGEST = "0f" * 32


def test_only_what_is_named_by_its_digest_is_shared(home: Home, tmp_path: Path) -> None:
    """Databases are copied as of one moment, with what their logs hold; what leads out of the home is left."""
    model = home.models / "churn" / DIGEST / "model.json"
    write_json(model, {"kind": "binary"})
    write_json(home.models / "churn" / "current.json", {"digest": DIGEST})
    for left in ("store/declared.json", "replays/churn/x/keeps.json", "keys/churn.json", "tmp/draft"):
        (home.root / left).parent.mkdir(parents=True, exist_ok=True)
        (home.root / left).write_text("{}")
    (home.dagster / "history").mkdir(parents=True)
    with closing(sqlite3.connect(home.dagster / "history" / "runs.db")) as database:
        database.execute("pragma journal_mode = wal")
        database.execute("create table runs (id text)")
        database.execute("insert into runs values ('first')")
        database.commit()
        copy = copied(home, tmp_path / "copy")
    assert (copy.root.stat().st_mode & 0o777) == 0o700
    assert (copy.models / "churn" / DIGEST / "model.json").samefile(model)
    assert not (copy.models / "churn" / "current.json").samefile(home.models / "churn" / "current.json")
    found = {copy.relative(path) for path in copy.root.rglob("*") if path.is_file()}
    models = {f"models/churn/{DIGEST}/model.json", "models/churn/current.json"}
    assert found - {"manifest.pending"} == {"home.json", "manifest.jsonl", "dagster/history/runs.db"} | models
    with closing(sqlite3.connect(copy.dagster / "history" / "runs.db")) as database:
        assert database.execute("select id from runs").fetchall() == [("first",)]
    before = {path: path.read_bytes() for path in home.root.rglob("*.json*")}
    write_json(copy.prepare().models / "churn" / "current.json", {"digest": "other"})
    (copy.models / "churn" / DIGEST / "model.json").unlink()
    assert before == {path: path.read_bytes() for path in home.root.rglob("*.json*")}


def test_a_database_that_is_named_by_a_digest_is_copied(home: Home, tmp_path: Path) -> None:
    """What a champion learned since it was promoted is still written to, though its file is named by the model."""
    place = home.updates("churn") / f"{DIGEST}.sqlite"
    place.parent.mkdir(parents=True)
    with closing(sqlite3.connect(place)) as database:
        database.execute("pragma journal_mode = wal")
        database.execute("create table blocks (id text)")
        database.execute("insert into blocks values ('first')")
        database.commit()
        copy = copied(home, tmp_path / "copy")
    with closing(sqlite3.connect(copy.updates("churn") / place.name)) as database, database:
        assert database.execute("select id from blocks").fetchall() == [("first",)]
        database.execute("delete from blocks")
    with closing(sqlite3.connect(place)) as database:
        assert database.execute("select id from blocks").fetchall() == [("first",)]
