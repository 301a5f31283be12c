"""Streams in a real Spark: what comes of files is exact, scored and labelled, whatever is killed; and what is refused before."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from assets.errors import EngineError, SpecificationError
from assets.ingestion import landed_tables, landing
from assets.promotion.ledger import require_champion
from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.storage.home import REPOSITORY, Home
from assets.streaming.stream_job import StreamJob, of_product, of_table
from bentos.runtime import Model
from orchestration import resources
from orchestration.cli.main import loopline
from orchestration.operations.engines import spark_engine
from tests.shop import AT_RANDOM, COLUMNS, customers, product, run_products
from tests.spark import needs_spark, seem_set_up


def spoilt(rows: int = 2000) -> pd.DataFrame:
    """Customers, some impossible, some twice, with text as it would be in a file."""
    frame = customers(rows, seed=4)
    frame["signed_up_at"] = frame["signed_up_at"].astype(str)
    frame.loc[frame.index % 50 == 7, "age"] = 200
    frame.loc[frame.index % 60 == 9, "plan"] = "gold"
    return pd.concat([frame, frame.iloc[::40]], ignore_index=True)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, ProductSpec]:
    """A home in which a product is served."""
    folder, spec = tmp_path_factory.mktemp("served"), product("churn")
    customers().to_csv(folder / "customers.csv", index=False)
    home = Home(folder / "home").prepare()
    run_products(home, folder, spec)
    return home, spec


def job_of(home: Home, spec: ProductSpec, folder: Path, **given: Any) -> StreamJob:
    """The product's stream of what lies in ``in``, which is read to its end."""
    (folder / "in").mkdir(exist_ok=True)
    asked = {"folder": folder / "in", "out": folder / "out", "home": home.root, "once": True, **given}
    return of_product(spec, bento_package.pointer(home, spec.name), **asked)


def run(job: StreamJob) -> list[dict[str, Any]]:
    """What a stream tells until its end."""
    environment = resources.spark_environment()
    return list(spark_engine.run(job, environment, spark_engine.require_spark(environment)))


def rows(job: StreamJob, kind: str) -> pd.DataFrame:
    """The rows of one kind of all batches."""
    place = f"{job.out}/{kind}/*/*.parquet"
    with duckdb.connect() as connection:
        return connection.execute(f"from read_parquet('{place}', hive_partitioning = false)").df()


def test_a_stream_is_checked_scored_and_labelled(served: tuple[Home, ProductSpec], tmp_path: Path) -> None:
    """In two runs: the first three files, then one more, which repeats keys of the first, and late outcomes."""
    needs_spark()
    home, spec = served
    frame = spoilt()
    parts = [frame.iloc[:700], frame.iloc[700:1400], frame.iloc[1400:1950], frame.iloc[1950:]]
    (tmp_path / "outcomes").mkdir()
    job = job_of(home, spec, tmp_path, files=2, outcomes=tmp_path / "outcomes")
    parts[0].to_csv(job.folder / "a b.csv", index=False)
    parts[1].to_parquet(job.folder / "b.parquet")
    parts[2].to_json(job.folder / "c ü.jsonl", orient="records", lines=True)
    (job.folder / "d.csv").write_text("no,such\n1,2\n")
    (job.folder / "ignored.tmp").write_text("half")
    known = pd.DataFrame(
        {"entity": frame["customer_id"], "outcome": (frame["churned"] == "yes").astype(int), "observed_at": "2025-01-01"}
    )
    # the outcomes of some rows are told before the rows arrive, and some are told twice
    pd.concat([known.iloc[:300], known.iloc[1950:1975]]).to_csv(tmp_path / "outcomes" / "first.csv", index=False)
    first = run(job)
    assert sum("batch" in line for line in first) == 3  # two of rows, one of outcomes
    parts[3].to_csv(job.folder / "e.csv", index=False)
    known.iloc[200:1900].to_csv(tmp_path / "outcomes" / "second.csv", index=False)
    last = run(job)[-1]["done"]

    raw = tmp_path / "raw"
    raw.mkdir()
    frame.to_csv(raw / "customers.csv", index=False)
    source = spec.as_source()
    assert source is not None
    (record,) = landing.land(home, source, "data", raw)
    (landed,) = (pd.read_parquet(file) for file in landed_tables.files(home, spec.name, "data"))
    good = rows(job, "good")
    pd.testing.assert_frame_equal(
        good.sort_values("customer_id").reset_index(drop=True),
        landed.sort_values("customer_id").reset_index(drop=True),
        check_dtype=False,
    )
    bad = rows(job, "quarantine")
    told = {reason: count for reason, count in last["counts"].items() if not reason.startswith(("(", "file not read"))}
    assert told == record.reasons
    assert (len(good), len(bad)) == (record.rows_good, record.rows_quarantined + 1)
    assert sum(reasons[0].startswith("file not read: d.csv") for reasons in bad["reasons"]) == 1
    twice = bad[["duplicate of an earlier row" in reasons for reasons in bad["reasons"]]]
    assert list(twice["source_file"]) == ["e.csv"] * 50

    champion = require_champion(home, spec.name)
    model = Model.load(home.models / spec.name / champion.model_digest, champion.model_digest)
    scored = rows(job, "predictions").merge(good, on="customer_id", suffixes=("", "_row"))
    assert len(scored) == len(good)
    outputs = model.predict({name: scored[name].to_numpy() for name in model.signature["features"]})
    np.testing.assert_array_equal(scored["probability"].to_numpy(), outputs)
    assert set(scored["model_digest"]) == {champion.model_digest}

    labelled = pd.concat([rows(job, "labelled"), rows(replace(job, out=job.out / "outcomes"), "labelled")])
    told_of = pd.concat([known["entity"].iloc[:1900], known["entity"].iloc[1950:1975]])
    answered = scored[scored["customer_id"].isin(told_of)]
    assert sorted(labelled["customer_id"]) == sorted(answered["customer_id"])
    wrong = (labelled["outcome"] != labelled["is_positive"]).sum()
    metrics = (job.out / "metrics.prom").read_text()
    for line in (
        f'loopline_stream_rows{{state="good",stream="churn"}} {len(good)}.0',
        'loopline_stream_broken_rules{rule="duplicate of an earlier row",stream="churn"} 50.0',
        f'loopline_stream_labelled_predictions{{stream="churn"}} {len(labelled)}.0',
        f'loopline_stream_label_error_sum{{stream="churn"}} {wrong}.0',
        f'version="{champion.version}"',
    ):
        assert line in metrics


def test_a_row_later_than_the_watermark_is_told_and_keys_before_it_are_forgotten(
    served: tuple[Home, ProductSpec], tmp_path: Path
) -> None:
    """The watermark of a batch goes by the batches before it."""
    needs_spark()
    home, spec = served
    job = job_of(home, spec, tmp_path, files=1, delay_seconds=10 * 86400)
    frame = customers(1000).assign(age=30, plan="pro", visits=1.0)
    early, late = frame.iloc[:100], frame.iloc[900:]
    # a key of the first batch is known no more; its row, as early as before, comes too late
    again = pd.concat([early.iloc[:5], late.iloc[-5:], early.iloc[5:10].assign(signed_up_at=frame["signed_up_at"].iloc[999])])
    for number, part in enumerate((early, late, again)):
        part.to_csv(job.folder / f"{number}.csv", index=False)
        os.utime(job.folder / f"{number}.csv", (1e9 + number, 1e9 + number))
    run(job)
    bad = rows(job, "quarantine")
    told = [list(reasons) for reasons in bad.sort_values("source_row")["reasons"]]
    assert told == [["later than the watermark"]] * 5 + [["duplicate of an earlier row"]] * 5
    assert len(rows(job, "good")) == 205


def test_counts_are_exact_through_kills(served: tuple[Home, ProductSpec], tmp_path: Path) -> None:
    """Spark, its workers and our program end at once, twice, somewhere in their work."""
    needs_spark()
    home, spec = served
    job = job_of(home, spec, tmp_path, files=1)
    frame = spoilt(6000)
    for number in range(12):
        frame.iloc[number::12].to_csv(job.folder / f"{number:02d}.csv", index=False)
    program = "import sys; from tests.orchestration.operations.engines.test_spark_engine import run, StreamJob; run(StreamJob.read(sys.stdin.read()))"
    for wanted in (1, 5):
        kill_when(job, program, lambda wanted=wanted: len(list((job.out / "batches").glob("*.json"))) >= wanted)
    run(job)
    good, bad = rows(job, "good"), rows(job, "quarantine")
    keys = frame["customer_id"].nunique()
    twice = sum("duplicate of an earlier row" in reasons for reasons in bad["reasons"])
    assert (len(good) + len(bad), twice) == (len(frame), len(frame) - keys)
    assert good["customer_id"].is_unique
    assert sorted(rows(job, "predictions")["customer_id"]) == sorted(good["customer_id"])
    assert sum(
        json.loads(path.read_text())["batch_counts"]["(all rows)"] for path in (job.out / "batches").glob("*.json")
    ) == len(frame)


def kill_when(job: StreamJob, program: str, is_time: Callable[[], bool]) -> None:
    """Start a stream, and kill all its processes at once when it is time."""
    started = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        cwd=REPOSITORY,
        # what is killed removes no folder of its own
        env={**os.environ, "TMPDIR": str(job.out.parent)},
        start_new_session=True,
        text=True,
    )
    assert started.stdin is not None
    started.stdin.write(job.text())
    started.stdin.close()
    while not is_time():
        assert started.poll() is None
        time.sleep(0.02)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()


def test_an_engine_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    """No environment, no Java, a Java that Spark does not run on."""
    python = tmp_path / "python"
    with pytest.raises(EngineError, match=r"^Spark is not set up: make spark$"):
        spark_engine.require_spark({}, python)
    python.touch()
    with pytest.raises(EngineError, match="needs Java 17 or 21, and there is no 'java' on the path"):
        spark_engine.require_spark({"PATH": str(tmp_path)}, python)
    with pytest.raises(EngineError, match="JAVA_HOME is /none, which has no bin/java"):
        spark_engine.require_spark({"PATH": str(tmp_path), "JAVA_HOME": "/none"}, python)
    java = tmp_path / "java"
    for told, found in (
        ('openjdk version "11.0.1"', "version 11"),
        ('java version "1.8.0_401"', "version 8"),
        ("what", "none that"),
    ):
        java.write_text(f"#!/bin/sh\necho '{told}' >&2\n")
        java.chmod(0o755)
        with pytest.raises(EngineError, match=f"is {found}.*set JAVA_HOME"):
            spark_engine.require_spark({"PATH": f"{tmp_path}:/usr/bin:/bin"}, python)
    java.write_text("#!/bin/sh\necho 'openjdk version \"17.0.2\"' >&2\n")
    assert spark_engine.require_spark({"PATH": f"{tmp_path}:/usr/bin:/bin"}, python) == python


def test_folders_that_cannot_be_read_or_written_are_refused(home: Home, tmp_path: Path) -> None:
    """Before Spark is started."""
    job = job_of(home, product("churn"), tmp_path)
    for wrong, told in (
        ({"folder": tmp_path / "none"}, "is no folder"),
        ({"out": job.folder / "out"}, "what is written would be read"),
        ({"out": tmp_path}, "what is written would be read"),
        ({"outcomes": job.folder}, "cannot hold both rows and outcomes"),
        ({"outcomes": tmp_path / "none"}, "is no folder"),
        ({"out": home.root / "streams" / "out"}, "lies in the home"),
    ):
        with pytest.raises(EngineError, match=told):
            next(spark_engine.run(replace(job, **wrong), {}, Path("python")))
    assert not job.out.exists()


def test_what_a_stream_cannot_date_or_label_is_refused(home: Home, tmp_path: Path) -> None:
    """A column that is no timestamp; a watermark without one; outcomes of rows that have a number in a file only."""
    spec = product("churn")
    with pytest.raises(SpecificationError, match="'age' is no timestamp of its rows. Such columns are: signed_up_at"):
        job_of(home, spec, tmp_path, event_time="age")
    numbered = product(
        "churn",
        features={"entity": "source_row", "groups": {"all": {"age": {}, "plan": {}}}},
        split=AT_RANDOM,
        source={"file": "customers.csv", "columns": COLUMNS},
    )
    with pytest.raises(SpecificationError, match="a number in one file, by which no outcome can be told"):
        job_of(home, numbered, tmp_path, outcomes=tmp_path)
    source = spec.as_source()
    assert source is not None
    with pytest.raises(SpecificationError, match="a watermark needs a moment"):
        of_table(source, "data", delay_seconds=5.0, folder=tmp_path, out=tmp_path, home=home.root)


def test_a_job_is_read_as_it_was_written(home: Home, tmp_path: Path) -> None:
    """Spark's program is handed what was asked for."""
    job = job_of(home, product("tier"), tmp_path, delay_seconds=3.5, outcomes=tmp_path / "o", gateway="h:1")
    assert StreamJob.read(job.text()) == job


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "there is no product or table 'nothing' whose rules a row could keep. Declared are: "),
        (["diamond_cut"], "diamond_cut: nothing is served yet"),
        (["flights.weather", "--outcomes", "."], "flights.weather is a table: outcomes are of a product's predictions"),
    ],
)
def test_the_command_refuses_in_one_sentence(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    """A name that is not declared, a product without a champion, outcomes of a table; nothing is written."""
    monkeypatch.setenv("LOOPLINE_HOME", str(home.root))
    seem_set_up(tmp_path, monkeypatch)
    done = CliRunner().invoke(
        loopline, ["stream", *arguments, "--from", str(tmp_path), "--out", str(tmp_path / "out"), "--once"]
    )
    assert done.exit_code == 1
    assert told.rsplit("|", maxsplit=1)[-1] in done.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()
