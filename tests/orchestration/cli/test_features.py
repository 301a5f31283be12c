"""`loopline features` as its users type it: what each subcommand prints, with which exit code, and the commands of docs/features.md."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import yaml

from assets.features import snapshots
from assets.features.online_store import path_of
from assets.serving.online_promise import online_promise
from assets.spec import ProductSpec, read_declaration
from assets.storage import manifest
from assets.storage.home import REPOSITORY, Home
from bentos.app import ModelApp
from bentos.online_store import SqliteStore
from tests.assets.features.online_world import NOW, ago, entities_file, meters, published, readings
from tests.bentos.serving import answering, until
from tests.clones import copied, loopline
from tests.models import promised, trained
from tests.orchestration.cli.test_serve import served
from tests.ports import free_port
from tests.shop import customers, product
from tests.world import DEFS, MONTHS, World, changed

PAGE = REPOSITORY / "docs" / "features.md"
HOURS = {"ttl_hours": 24, "ttl_hours_of": {"reading": 2}}
CHURN = product("churn", serving={"online": {"request": ["visits"]}})
METERS = meters(**HOURS)


def declare(clone: Path, spec: ProductSpec, name: str) -> None:
    """Declare a product in a copy of the repository."""
    declared = {**spec.model_dump(mode="json", exclude_unset=True), "name": name}
    path = clone / "orchestration" / "defs" / name / "defs.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"type": "orchestration.components.ModelProduct", "attributes": declared}, sort_keys=False))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that declares meters that are asked by key, others that are not or by an address, and a shop."""
    made = copied(tmp_path_factory.mktemp("clone") / "repository")
    rounded = {"online": {"key": ["meter"], "ttl_hours": 36}}
    closed = {"online": {"key": ["meter"], "store": f"redis://127.0.0.1:{free_port()}"}}
    declare(made, METERS, "meters")
    declare(made, METERS.model_copy(update={"serving": changed(METERS, serving={}).serving}), "unasked")
    declare(made, changed(METERS, serving=rounded), "odd_hours")
    declare(made, changed(METERS, serving=closed), "elsewhere")
    declare(made, CHURN, "churn")
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a snapshot of each of them."""
    home = Home(tmp_path_factory.mktemp("features") / "home").prepare()
    for name in ("meters", "unasked", "odd_hours", "elsewhere"):
        published(home, METERS.model_copy(update={"name": name}), readings())
    frame = customers(600)
    frame["signed_up_at"] += NOW.replace(tzinfo=None) - timedelta(hours=1) - frame["signed_up_at"].max()
    published(home, CHURN, frame)
    return home


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    """A copy of it, to be changed at will."""
    copy = Home(tmp_path / "home")
    shutil.copytree(made.root, copy.root)
    return copy


def asked(folder: Path, *rows: tuple[str, float], name: str = "asked.csv") -> Path:
    """A file of meters, each with the hours ago of its moment."""
    frame = pd.DataFrame({"meter": [row[0] for row in rows], "at": [ago(row[1]).isoformat() for row in rows]})
    return entities_file(folder, name, frame)


def test_get_prints_csv_and_counts_what_is_missing(home: Home, clone: Path, tmp_path: Path) -> None:
    """The rows are on the standard output, so that they can be piped; what is unknown or too old is told beside them."""
    file = asked(tmp_path, ("a", 0), ("a", 24), ("b", 0), ("z", 0))
    done = loopline("features", "get", "meters", "--entities", str(file), "--time-column", "at", home=home.root, cwd=clone)
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.splitlines()
    assert header == "meter,at,plan,level,flow,features_known_at"
    by_meter = sorted(row.split(",")[:1] + row.split(",")[2:5] for row in rows)
    assert by_meter == [["a", "free", "2.0", ""], ["a", "pro", "3.0", "1.5"], ["b", "", "", ""], ["z", "", "", ""]]
    digest = snapshots.current(home, "meters").digest
    assert done.stderr.splitlines() == [
        f"4 rows of snapshot {digest[:12]}",
        "1 of a key that had no features by then",
        "1 without plan, level, flow, which were too old",
    ]


def test_get_of_one_moment_writes_the_file_that_is_named(home: Home, clone: Path, tmp_path: Path) -> None:
    """Parquet or CSV, of the current snapshot or of one that is named by the beginning of its digest."""
    before = snapshots.current(home, "meters").digest
    published(home, METERS, readings([("a", 4, "free", 50.0, 1.0), ("b", 2, "pro", 51.0, 2.0)]))
    file = entities_file(tmp_path, "asked.parquet", pd.DataFrame({"meter": ["a", "b"]}))
    moment = ago(1).strftime("%Y-%m-%dT%H:%M:%SZ")
    words = ("features", "get", "meters", "--entities", str(file), "--as-of", moment, "--out")
    levels = {}
    for out, snapshot in (("now.parquet", ()), ("before.csv", ("--snapshot", before[:10]))):
        done = loopline(*words, str(tmp_path / out), *snapshot, home=home.root, cwd=clone)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.splitlines()[0].endswith(f": {tmp_path / out}")
        read = pd.read_csv if out.endswith("csv") else pd.read_parquet
        levels[out] = read(tmp_path / out).sort_values("meter")["level"].fillna(-1).tolist()
    assert levels == {"now.parquet": [-1, 51.0], "before.csv": [3.0, -1]}


@pytest.mark.parametrize(
    ("words", "frame", "told"),
    [
        (("meters", "--as-of", "2001-01-01"), {"meter": ["a"]}, "before all data: the first row was known at"),
        (("meters", "--as-of", "2999-01-01T12:00"), {"meter": ["z"]}, "Its first is z; meter is written as a here"),
        (("meters", "--as-of", "2999-01-01"), {"gauge": ["a"]}, "has no column meter. It has: gauge"),
        (("meters", "--as-of", "2999-01-01"), {"meter": [7]}, "the key 'meter' is bigint, but meters has varchar"),
        (("meters", "--as-of", "2999-01-01"), {"meter": ["a"], "level": [1.0]}, "has columns that are looked up: level"),
        (("meters", "--as-of", "2999-01-01"), {"meter": []}, "has no rows. Give at least one entity"),
        (("meters",), {"meter": ["a"]}, "exactly one of them"),
        (("meters", "--as-of", "2999-01-01", "--time-column", "at"), {"meter": ["a"], "at": ["2999-01-01"]}, "exactly one of"),
        (("meters", "--time-column", "when"), {"meter": ["a"]}, "has no column when"),
        (("meters", "--time-column", "at"), {"meter": ["a"], "at": ["tomorrow"]}, "cannot be read: "),
        (
            ("meters", "--as-of", "2999-01-01", "--snapshot", "ff00ff"),
            {"meter": ["a"]},
            "0 snapshots have a digest like 'ff00ff'. There are: ",
        ),
        (("meter", "--as-of", "2999-01-01"), {"meter": ["a"]}, "there is no product 'meter'. Declared are:"),
        (("diamond_cut",), {"source_row": [1]}, "diamond_cut"),
    ],
)
def test_what_cannot_be_got_is_one_error(
    made: Home, clone: Path, tmp_path: Path, words: tuple[str, ...], frame: dict[str, Any], told: str
) -> None:
    """On one line, with exit code 1; no file is written, and none of the home changes."""
    types = {"meter": "str"} if frame.get("meter") == [] else {}
    file = entities_file(tmp_path, "asked.parquet", pd.DataFrame(frame).astype(types))
    out = tmp_path / "out.parquet"
    done = loopline("features", "get", *words, "--entities", str(file), "--out", str(out), home=made.root, cwd=clone)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert done.stderr.startswith("error ")
    assert told in done.stderr
    assert not out.exists()


def test_get_refuses_files_and_moments_that_are_none(made: Home, clone: Path, tmp_path: Path) -> None:
    """A file that is missing or of another kind, an output of another kind, a moment that is no date."""
    file = asked(tmp_path, ("a", 0))
    for words, code, told in (
        (("--entities", "none.csv", "--as-of", "2999-01-01"), 1, "none.csv is no file. Give a Parquet or CSV file"),
        (("--entities", str(PAGE), "--as-of", "2999-01-01"), 1, "must be a Parquet or CSV file"),
        (("--entities", str(file), "--time-column", "at", "--out", "x.json"), 1, "x.json must end with .parquet or .csv"),
        (("--entities", str(file), "--as-of", "noon"), 2, "Invalid value for '--as-of': 'noon' does not match the formats"),
        (("--as-of", "2999-01-01"), 2, "Missing option '--entities'"),
    ):
        done = loopline("features", "get", "meters", *words, home=made.root, cwd=clone)
        assert done.returncode == code, done.stderr
        assert told in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr


def test_fill_says_how_many_keys_are_known_now(home: Home, clone: Path) -> None:
    """A row that is known later is not among them; the home knows the new file, also the second time."""
    for _ in range(2):
        done = loopline("features", "fill", "meters", home=home.root, cwd=clone)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(r"2 keys as of \S+\+00:00 in SQLite\n", done.stdout)
    with closing(sqlite3.connect(path_of(home, "meters"))) as connection:
        assert connection.execute("select count(*) from features where key <> ''").fetchone() == (2,)
    done = loopline("verify", home=home.root, cwd=clone)
    assert "features.sqlite" not in done.stdout + done.stderr


def test_fill_replaces_nothing_that_cannot_be_replaced(home: Home, clone: Path, tmp_path: Path) -> None:
    """Each is one error, and the store that is there stays."""
    assert loopline("features", "fill", "meters", home=home.root, cwd=clone).returncode == 0
    kept = path_of(home, "meters").read_bytes()
    twice = [("a", 5, "free", 1.0, 0.5), ("a", 5, "free", 2.0, 0.5), ("b", 1, "pro", 1.0, 0.5)]
    for rows, told in (
        (twice, "2 rows of the key (meter a) and the moment"),
        ([("a", -5, "free", 1.0, 0.5), ("b", -9, "pro", 1.0, 0.5)], "no row of its snapshot is known by"),
    ):
        published(home, METERS, readings(rows))
        done = loopline("features", "fill", "meters", home=home.root, cwd=clone)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert told in done.stderr
        assert path_of(home, "meters").read_bytes() == kept
    for name, told in (
        ("unasked", "unasked declares no online store. Declare serving.online; see docs/features.md."),
        ("elsewhere", "cannot be filled"),
        ("diamond_cut", "declares no online store"),
    ):
        done = loopline("features", "fill", name, home=home.root, cwd=clone)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert told in done.stderr
    done = loopline("features", "fill", "meters", home=tmp_path / "empty", cwd=clone)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "loopline run" in done.stderr


def test_skew_tells_what_was_served_otherwise(home: Home, clone: Path, tmp_path: Path) -> None:
    """Nothing to compare is an error; what agrees ends with 0, what differs with 1, for people and as JSON."""
    done = loopline("features", "skew", "churn", home=home.root, cwd=clone)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "churn: no logged row was asked by key. Ask its service under /predict_by_key" in done.stderr
    assert loopline("features", "fill", "churn", home=home.root, cwd=clone).returncode == 0
    package = promised(home, trained(home, "churn"), tmp_path / "package")
    keyed = replace(package, promise={**package.promise, "online": online_promise(CHURN)})

    def ask(*keys: str) -> None:
        app = ModelApp(keyed, online=SqliteStore(path_of(home, "churn")), log_folder=home.served / "churn")
        with answering(app) as client:
            for key in keys:
                found = client.post("/predict_by_key", json={"key": {"customer_id": key}, "features": {"visits": 2.0}})
                assert found.status_code == 200, found.text

    ask("C00001", "C00002")
    done = loopline("features", "skew", "churn", home=home.root, cwd=clone)
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        ["2 logged rows asked by key, 2 compared with the offline store", "✓ Every feature was served as it was known."],
    )
    with closing(sqlite3.connect(path_of(home, "churn"))) as connection, connection:
        (row,) = connection.execute("select row from features where key = '[\"C00003\"]'").fetchone()
        values = json.loads(row)
        values[2] += 0.25
        connection.execute("update features set row = ? where key = '[\"C00003\"]'", (json.dumps(values),))
    manifest.record(path_of(home, "churn"))
    ask("C00003", "C00004")
    done = loopline("features", "skew", "churn", home=home.root, cwd=clone)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "4 logged rows asked by key, 4 compared with the offline store"
    assert re.fullmatch(r"✗ age differs in 1 rows, by up to 0\.25, such as request \S+", done.stdout.splitlines()[1])
    done = loopline("features", "skew", "churn", "--json", home=home.root, cwd=clone)
    told = json.loads(done.stdout)
    assert (done.returncode, told["product"], told["rows"], told["compared"]) == (1, "churn", 4, 4)
    assert [(item["feature"], item["rows"], item["largest"]) for item in told["skews"]] == [("age", 1, 0.25)]


def test_export_feast_writes_a_repository_and_says_how_to_go_on(made: Home, clone: Path, tmp_path: Path) -> None:
    """With the rows; a folder that holds something, and hours that Feast cannot count, are refused."""
    out = tmp_path / "feast"
    done = loopline("features", "export", "feast", "meters", "--out", str(out), home=made.root, cwd=clone)
    assert done.returncode == 0, done.stderr
    digest = snapshots.current(made, "meters").digest
    assert done.stdout.startswith(
        f"5 rows of snapshot {digest[:12]} in {out}: meters_place, meters_reading\ncd {out} && feast apply"
    )
    assert (out / "feature_store.yaml").exists()
    before = sorted(out.rglob("*"))
    for name, folder, told in (
        ("meters", out, "exists and is not empty. Give another folder."),
        ("odd_hours", tmp_path / "odd", "takes less than 24 hours, or whole days"),
    ):
        done = loopline("features", "export", "feast", name, "--out", str(folder), home=made.root, cwd=clone)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert told in done.stderr
    assert sorted(out.rglob("*")) == before
    assert not (tmp_path / "odd").exists()


def commands(page: str) -> list[str]:
    """The commands of the page's code blocks, in order; a line that ends with a backslash goes on."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = "\n".join(block for language, block in blocks if not language).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip().startswith(("loopline ", "curl "))]


def by_flight() -> ProductSpec:
    """The repository's product that is asked by flight, split within the small window and quick to train."""
    return changed(
        read_declaration(DEFS / "arrival_delay" / "defs.yaml", ProductSpec),
        split={"by": "months", "train": 4, "validation": 1, "test": 1, "end": MONTHS[1]},
        model={
            "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
            "seed": 1,
            "parameters": {"loss": "absolute_error", "max_iter": 30, "min_samples_leaf": 50},
        },
        evaluation={"bootstrap_replicates": 100, "slices": ["origin"]},
        gates={"metrics": {"mae": {"max": 60}}},
    )


def test_the_commands_of_the_page_run(ran_copy: Home, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after another, in a home in which the loop ran: as of a moment, the service by key, what it looked up, and Feast."""
    outcome = replace(world, product=by_flight()).run(ran_copy)
    assert "arrival_delay/online_features" in outcome.executed
    flights = snapshots.read(snapshots.current(ran_copy, "arrival_delay"))[["flight_id"]].iloc[:50]
    flights.to_csv(tmp_path / "flights.csv", index=False)
    flights.assign(asked_at="2013-07-01 12:00").to_parquet(tmp_path / "asked.parquet", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))

    def told(command: str) -> str:
        done = loopline(*shlex.split(command)[1:], home=ran_copy.root, cwd=tmp_path)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout + done.stderr

    offline, table, fill, serve, curl, skew, feast = commands(PAGE.read_text(encoding="utf-8"))
    for command in (offline, table):
        (tmp_path / "features.parquet").unlink(missing_ok=True)
        assert told(command).startswith("50 rows of snapshot ")
        found = pd.read_parquet(tmp_path / "features.parquet")
        assert found["features_known_at"].notna().all()
        assert found["carrier"].notna().all()
    assert re.match(r"[\d,]+ keys as of .* in SQLite", told(fill))
    port = free_port()
    with served(ran_copy, tmp_path / "log", "--port", str(port), product=serve.removeprefix("loopline serve ")) as process:
        until(lambda: process.poll() is not None or is_ready(port), seconds=60)
        word = shlex.split(curl)
        assert word[2] == "localhost:3001/predict_by_key"
        body = json.loads(word[word.index("-d") + 1])
        answer = httpx.post(f"http://localhost:{port}/predict_by_key", json=body)
        assert answer.status_code == 200, answer.text
        assert set(answer.json()["freshness"]) == {
            "features_known_at",
            "age_seconds",
            "missing",
            "snapshot_digest",
            "filled_at",
        }
    assert told(skew).startswith("1 logged rows asked by key, 1 compared with the offline store\n✓ ")
    assert "feast apply" in told(feast)
    assert (tmp_path / "feast" / "feature_store.yaml").exists()


def is_ready(port: int) -> bool:
    """Whether a service answers on a port."""
    try:
        return httpx.get(f"http://localhost:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False
