"""A stream's workers judge as the landing does: the same good rows, the same bad ones, the same reasons. Spark is not needed."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from assets.ingestion import landed_tables, landing
from assets.ingestion.forgotten import Forgotten, KeyColumn, remember
from assets.spec import SourceSpec, TableSpec
from assets.storage.home import Home
from assets.streaming.judged_files import AGAINST, GIVEN, KEY, NUMBER, ROW, TEXT, FileJudge
from assets.streaming.stream_tables import model_tests, outcomes_of, rows_of
from tests.assets.ingestion.test_stream_consumer import SPEC, spoilt
from tests.shop import customers, product
from tests.world import World

NOTHING = Forgotten({}, b"")


def judged(judge: FileJudge, *files: Path) -> list[dict[str, Any]]:
    """The rows of files, as a worker gives them; the judge goes there and back as Spark sends it."""
    moments = pa.array([datetime.now(UTC)] * len(files), pa.timestamp("us", "UTC"))
    listed = pa.record_batch({"path": [f"file:{file}" for file in files], "arrived": moments})
    copy: FileJudge = pickle.loads(pickle.dumps(judge))  # noqa: S301 - our own
    return [row for batch in copy.judge(iter([listed])) for row in batch.to_pylist()]


def judge_of(table: TableSpec, event: str | None = None, **parts: Any) -> FileJudge:
    """A judge that forgets nothing."""
    return FileJudge(**{"table": table, "tests": (), "forgotten": NOTHING, "event_time": event, **parts})


def land(home: Home, spec: SourceSpec, table: str, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the landing makes of a file: good rows, and bad ones."""
    records = landing.land(home, spec, table, folder)
    good = pd.concat([pd.read_parquet(file) for file in landed_tables.files(home, spec.name, table)])
    return good, pd.concat([pd.read_parquet(home.root / record.quarantine_file) for record in records])


def test_a_file_gives_what_the_landing_gives(home: Home, tmp_path: Path) -> None:
    """Rows that break rules, twice the same key, and lines that are no rows."""
    text = spoilt(3000).to_csv(index=False)
    (tmp_path / "customers.csv").write_text(text + 'C1,"open\nC2,too,many,fields,in,this,line,are,told,of,it\n')
    good, bad = land(home, SPEC, "data", tmp_path)
    found = judged(judge_of(SPEC.tables["data"], "signed_up_at"), tmp_path / "customers.csv")
    kept = pd.DataFrame([row[ROW] for row in found if not row[AGAINST]])
    pd.testing.assert_frame_equal(kept, good.reset_index(drop=True), check_dtype=False)
    refused = sorted((row[NUMBER] or 0, tuple(row[AGAINST]), row[TEXT] or "") for row in found if row[AGAINST])
    told = [
        (0 if pd.isna(row) else int(row), tuple(why), "" if pd.isna(line) else line)
        for row, why, line in zip(bad["source_row"], bad["reasons"], bad["raw_line"], strict=True)
    ]
    assert refused == sorted(told)
    assert len(kept) > 2400
    assert len(refused) > 200
    assert all(row["event"] == row[ROW]["signed_up_at"] for row in found)


@pytest.mark.parametrize("table", ["flights", "weather", "planes", "airports", "airlines"])
def test_each_declared_table_is_judged_as_it_is_landed(home: Home, world: World, small_files: Path, table: str) -> None:
    """The repository's own declarations: months, rules over several columns, patterns."""
    good, bad = land(home, world.source, table, Path("/"))
    found = judged(judge_of(world.source.tables[table]), small_files / f"{table}.csv")
    kept = pd.DataFrame([row[ROW] for row in found if not row[AGAINST]])
    by = world.source.tables[table].key
    one, other = (frame.sort_values(list(by)).reset_index(drop=True) for frame in (kept, good))
    pd.testing.assert_frame_equal(one, other, check_dtype=False)
    assert len(bad) == sum(bool(row[AGAINST]) for row in found)
    keys = [row[KEY] for row in found if row[KEY] is not None]
    assert len(set(keys)) == len(keys) > 0


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".csv.gz"])
def test_every_form_of_file_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    """As many as there are formats of raw files: the landing reads them."""
    frame, place = customers(500), tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(place)
    elif suffix == ".jsonl":
        frame.to_json(place, orient="records", lines=True, date_format="iso")
    else:
        frame.to_csv(place, index=False)
    plain = tmp_path / "a.csv"
    frame.to_csv(plain, index=False)
    judge = judge_of(SPEC.tables["data"])
    assert [row[ROW] for row in judged(judge, place)] == [row[ROW] for row in judged(judge, plain)]


def test_a_file_that_cannot_be_read_is_one_bad_row_and_stops_nothing(tmp_path: Path) -> None:
    """Corrupt, of other columns, or gone before it was read; the file after them is read."""
    (tmp_path / "a.parquet").write_bytes(b"no table")
    (tmp_path / "b.csv").write_text("other,columns\n1,2\n")
    customers(10).to_csv(tmp_path / "d.csv", index=False)
    found = judged(judge_of(SPEC.tables["data"]), *(tmp_path / name for name in ("a.parquet", "b.csv", "c.csv", "d.csv")))
    told = [row[AGAINST][0] for row in found if row[NUMBER] is None]
    assert [text.split(":")[0] for text in told] == ["file not read"] * 3
    assert "undeclared ['other', 'columns']" in told[1]
    assert "c.csv: is gone" in told[2]
    assert [row[NUMBER] for row in found[3:]] == list(range(1, 11))


def test_forgotten_entities_are_left_out(home: Home, tmp_path: Path) -> None:
    """As in the landing, so that a stream does not bring back who was erased."""
    table = SPEC.tables["data"]
    column = KeyColumn.of("people", "data", table, "customer_id")
    assert column is not None
    remember(home, column, "C00003")
    customers(10).to_csv(tmp_path / "a.csv", index=False)
    found = judged(judge_of(table, forgotten=Forgotten.of(home, "people", "data", table)), tmp_path / "a.csv")
    assert [row[ROW]["customer_id"] for row in found] == [f"C{number:05d}" for number in range(10) if number != 3]


def test_keys_that_are_equal_have_one_text(tmp_path: Path) -> None:
    """However the numbers are written; a key with a missing part is none."""
    table = TableSpec.model_validate(
        {
            "description": "",
            "file": "x",
            "key": ["a", "b"],
            "columns": {"a": {"type": "number"}, "b": {"type": "text", "nullable": True}},
        }
    )
    (tmp_path / "a.csv").write_text("a,b\n0,x\n-0.0,y\n1e0,x\n1.00,z\n2,\n")
    keys = [row[KEY] for row in judged(judge_of(table), tmp_path / "a.csv")]
    assert keys == ['["0.0","x"]', '["0.0","y"]', '["1.0","x"]', '["1.0","z"]', None]


def test_what_the_model_asks_beyond_the_file_is_asked_too(tmp_path: Path) -> None:
    """A feature's range that is narrower than its column's, and one that may not be missing; reasons are told once."""
    spec = product("churn", features={
        "entity": "customer_id", "event_time": "signed_up_at",
        "groups": {"all": {"age": {"max": 60}, "plan": {}, "visits": {}}},
    })  # fmt: skip
    table = rows_of(spec)
    frame = customers(400)
    frame.loc[0, "age"] = 130
    frame.to_csv(tmp_path / "a.csv", index=False)
    found = judged(judge_of(table, tests=tuple(model_tests(spec, table))), tmp_path / "a.csv")
    expected = [
        ["age: above 120"] * (age > 120) + ["age: above 60"] * (age > 60) + ["visits: missing"] * pd.isna(visits)
        for age, visits in zip(frame["age"], frame["visits"], strict=True)
    ]
    assert [row[AGAINST] for row in found] == expected
    assert 10 < sum(map(bool, expected)) < 390


def test_a_product_of_the_warehouse_takes_rows_of_features(world: World, tmp_path: Path) -> None:
    """As its service does: entity, moments, features in their ranges; nothing of the label."""
    spec = world.product
    table = rows_of(spec)
    assert table.names == [spec.features.entity, *spec.moments, *spec.columns]
    (tmp_path / "a.jsonl").write_text('{"flight_id": "F1", "origin": "BOS", "distance_miles": 7000}\n')
    (row,) = judged(judge_of(table, tests=tuple(model_tests(spec, table))), tmp_path / "a.jsonl")
    assert "file not read" in row[AGAINST][0]  # a file names all columns
    line = dict.fromkeys(table.names) | {"flight_id": "F1", "origin": "BOS", "distance_miles": 7000}
    pd.DataFrame([line]).to_json(tmp_path / "b.jsonl", orient="records", lines=True)
    (row,) = judged(judge_of(table, tests=tuple(model_tests(spec, table))), tmp_path / "b.jsonl")
    assert {"origin: not in the vocabulary", "distance_miles: above 6000", "carrier: missing"} <= set(row[AGAINST])
    assert len(set(row[AGAINST])) == len(row[AGAINST])
    assert '"flight_id":"F1"' in row[GIVEN]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("churn", "A,1,2024-01-01\nB,true,2024-01-01\nC,2,2024-01-01", [[], [], ["outcome: not a boolean", ]]),
        ("tier", "A,gold,2024-01-01\nB,tin,2024-01-01", [[], ["outcome: not in the vocabulary"]]),
        ("spend", "A,2.5,2024-01-01\nB,much,never", [[], ["outcome: not a number", "observed_at: not a timestamp"]]),
    ],
)  # fmt: skip
def test_outcomes_are_checked_by_the_kind_of_target(tmp_path: Path, name: str, text: str, expected: list[list[str]]) -> None:
    """The columns of a file of `loopline outcomes`."""
    (tmp_path / "a.csv").write_text(f"entity,outcome,observed_at\n{text}\n")
    assert [row[AGAINST] for row in judged(judge_of(outcomes_of(product(name))), tmp_path / "a.csv")] == expected
