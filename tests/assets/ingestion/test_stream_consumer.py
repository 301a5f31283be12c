"""Streams: the rules of the landing, each row exactly once, whatever is killed, repeated or half-written."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from assets.errors import SourceError
from assets.ingestion import landed_tables, landing
from assets.ingestion.stream_consumer import Consumer
from assets.spec import SourceSpec
from assets.storage.home import Home
from tests.shop import COLUMNS, customers
from tests.world import REPOSITORY

SPEC = SourceSpec.model_validate(
    {
        "name": "people",
        "description": "Customers.",
        "folder": ".",
        "tables": {
            "data": {
                "description": "One customer.",
                "file": "customers.csv",
                "key": ["customer_id"],
                "columns": COLUMNS,
                "rules": {"adults_do_not_go_free": "plan <> 'free' or age < 70"},
            }
        },
    }
)


def spoilt(rows: int) -> pd.DataFrame:
    """Customers, some of them impossible, some twice."""
    frame = customers(rows).astype(object)
    frame["signed_up_at"] = frame["signed_up_at"].astype(str)
    frame.loc[frame.index % 50 == 7, "age"] = 200
    frame.loc[frame.index % 60 == 9, "plan"] = "gold"
    frame.loc[frame.index % 70 == 11, "customer_id"] = None
    frame = pd.concat([frame, frame.iloc[::40]], ignore_index=True)
    return frame.where(frame.notna(), None)


def lines(frame: pd.DataFrame) -> list[str]:
    """A JSON object a row."""
    return [json.dumps(row) + "\n" for row in frame.to_dict("records")]


def reasons_of(consumer: Consumer) -> dict[str, int]:
    """All reasons over all windows."""
    found: dict[str, int] = {}
    for window in consumer.windows():
        for reason, rows in window.reasons.items():
            found[reason] = found.get(reason, 0) + rows
    return found


def test_rows_are_judged_as_the_landing_judges_them(home: Home, tmp_path: Path) -> None:
    """The same good rows, the same reasons, whether they come as a file or row by row."""
    frame = spoilt(3000)
    raw, stream = tmp_path / "raw", tmp_path / "stream"
    for folder in (raw, stream):
        folder.mkdir()
    frame.to_csv(raw / "customers.csv", index=False)
    (record,) = landing.land(home, SPEC, "data", raw)
    (stream / "rows.jsonl").write_text("".join(lines(frame)))
    consumer = Consumer(home, SPEC, "data")
    assert consumer.consume(stream) == len(frame)
    assert consumer.counts() == (record.rows_good, record.rows_quarantined)
    assert reasons_of(consumer) == record.reasons
    with sqlite3.connect(consumer.database) as connection:
        kept = [json.loads(row[0]) for row in connection.execute("select row from good order by number")]
    landed = pd.read_parquet(landed_tables.files(home, "people", "data")[0])
    assert [row["customer_id"] for row in kept] == landed["customer_id"].tolist()
    assert [row["age"] for row in kept] == landed["age"].tolist()


@pytest.mark.parametrize("name", ["partition", "reasons", "first_row", "raw", "source_row"])
def test_a_column_may_be_named_like_what_the_consumer_adds(home: Home, tmp_path: Path, name: str) -> None:
    """As in the landing; the file's own `source_row` is declared by the name that `loopline new` gives it."""
    columns = {"source_row_1" if name == "source_row" else name: {"type": "integer", "min": 0}}
    table = {"description": "", "file": "x.csv", "columns": columns}
    spec = SourceSpec.model_validate({"name": "s", "description": "", "folder": ".", "tables": {"data": table}})
    consumer = Consumer(home, spec, "data")
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({name: value}) + "\n" for value in (1, 2, -3)))
    assert (consumer.consume(tmp_path), consumer.counts()) == (3, (2, 1))


def test_files_of_each_form_are_read_once(home: Home, tmp_path: Path) -> None:
    """A second look reads nothing; what grew is read from where it ended, half a line not at all."""
    frame = customers(300)
    frame["signed_up_at"] = frame["signed_up_at"].astype(str)
    frame.iloc[:100].to_csv(tmp_path / "a.csv", index=False)
    frame.iloc[100:200].to_parquet(tmp_path / "b.parquet")
    grown = lines(frame.iloc[200:].astype(object).where(frame.iloc[200:].notna(), None))
    (tmp_path / "c.jsonl").write_text("".join(grown[:50]) + grown[50][:10])
    (tmp_path / "ignored.tmp").write_text("half")
    consumer = Consumer(home, SPEC, "data")
    assert consumer.consume(tmp_path) == 250
    assert consumer.consume(tmp_path) == 0
    with (tmp_path / "c.jsonl").open("a") as file:
        file.write(grown[50][10:] + "".join(grown[51:]))
    assert consumer.consume(tmp_path) == 50
    good, bad = consumer.counts()
    assert good + bad == 300


def test_what_cannot_be_read_is_kept_and_counted_or_told(home: Home, tmp_path: Path) -> None:
    """A line that is no object; a file that shrank; a file that is no table."""
    (tmp_path / "a.jsonl").write_text('{"customer_id": "C1"\n[1]\n\n')
    consumer = Consumer(home, SPEC, "data")
    assert consumer.consume(tmp_path) == 2
    assert reasons_of(consumer) == {"cannot be split into fields": 2}
    (tmp_path / "a.jsonl").write_text("{}\n")
    with pytest.raises(SourceError, match="shorter than what was read of it"):
        consumer.consume(tmp_path)
    (tmp_path / "a.jsonl").unlink()
    (tmp_path / "b.parquet").write_bytes(b"no table")
    with pytest.raises(SourceError, match=r"b\.parquet cannot be read"):
        consumer.consume(tmp_path)
    assert consumer.counts() == (0, 2)


def test_rates_are_of_windows_of_arrival(home: Home, tmp_path: Path) -> None:
    """Ten rows in one minute, ten in another; the rule is broken in the second only."""
    now = datetime(2024, 6, 1, 12, 0, 30, tzinfo=UTC)
    consumer = Consumer(home, SPEC, "data", 60, clock=lambda: now)
    frame = customers(20).astype(object)
    frame["signed_up_at"] = frame["signed_up_at"].astype(str)
    frame = frame.where(frame.notna(), None)
    frame["plan"] = "pro"
    frame.loc[15:, "age"] = 300
    (tmp_path / "a.jsonl").write_text("".join(lines(frame.iloc[:10])))
    consumer.consume(tmp_path)
    now += timedelta(minutes=1)
    (tmp_path / "b.jsonl").write_text("".join(lines(frame.iloc[10:])))
    consumer.consume(tmp_path)
    told = [(window.begins[11:16], window.rows, window.reasons) for window in consumer.windows()]
    assert told == [("12:00", 10, {}), ("12:01", 10, {"age: above 120": 5})]


CONSUME = """
import sys
from pathlib import Path
from assets.ingestion import stream_consumer
from assets.storage.home import Home
from tests.assets.ingestion.test_stream_consumer import SPEC
stream_consumer.PIECE = 50
consumer = stream_consumer.Consumer(Home(Path(sys.argv[1])), SPEC, "data")
print("ready", flush=True)
while True:
    consumer.consume(Path(sys.argv[2]))
"""


def test_a_consumer_that_is_killed_loses_and_doubles_nothing(home: Home, tmp_path: Path) -> None:
    """Killed again and again at random moments while rows arrive; in the end each row was counted once."""
    frame = spoilt(4000)
    given, stream = lines(frame), tmp_path / "stream"
    stream.mkdir()
    draw, written = random.Random(1), 0  # noqa: S311 - when to kill
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", CONSUME, str(home.root), str(stream)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with (stream / "rows.jsonl").open("a") as file:
            file.writelines(given[written : written + 600])
        written += 600
        time.sleep(draw.uniform(0.02, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with (stream / "rows.jsonl").open("a") as file:
        file.writelines(given[written:])
    consumer = Consumer(home, SPEC, "data")
    consumer.consume(stream)
    assert sum(consumer.counts()) == len(frame)
    assert sum(window.rows for window in consumer.windows()) == len(frame)
    raw = tmp_path / "raw"
    raw.mkdir()
    frame.to_csv(raw / "customers.csv", index=False)
    (record,) = landing.land(home, SPEC, "data", raw)
    assert consumer.counts() == (record.rows_good, record.rows_quarantined)
    assert reasons_of(consumer) == record.reasons


def test_a_complete_file_is_read_as_its_table_declares(home: Home, tmp_path: Path) -> None:
    """Delimiter, encoding, and the lines before the header."""
    table = {"description": "", "file": "x.csv", "csv": {"delimiter": ";", "encoding": "cp1251", "decimal": ",", "skip": 1}}
    columns = {"city": {"type": "text"}, "price": {"type": "number", "affixes": ["руб"]}}
    spec = {"name": "shop", "description": "", "folder": ".", "tables": {"data": {**table, "columns": columns}}}
    (tmp_path / "x.csv").write_bytes("# выгрузка\ncity;price\nТверь;1,5 руб\nОмск;много\n".encode("cp1251"))
    consumer = Consumer(home, SourceSpec.model_validate(spec), "data")
    assert consumer.consume(tmp_path) == 2
    assert consumer.counts() == (1, 1)
    assert reasons_of(consumer) == {"price: not a number": 1}
