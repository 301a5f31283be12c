"""The exported Feast repository: the real Feast takes it, and both of its reads agree with ours, row for row."""

from __future__ import annotations

import asyncio
import json
import subprocess
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError
from assets.features import feast_repository
from assets.features.offline_features import features_of
from assets.features.online_store import fill, path_of
from assets.storage.home import REPOSITORY, Home
from bentos.online_store import VALUES, SqliteStore, key_text
from tests.assets.features.online_world import NOW, ago, meters, published, readings

FEAST = REPOSITORY / ".venv-feast" / "bin" / "python"
FEATURES = ["plan", "level", "flow"]


def many_readings(rows: int = 1000) -> pd.DataFrame:
    """Readings of twenty meters over five hundred hours, some of them known only later than now."""
    random = np.random.default_rng(5)
    hours = np.round(random.uniform(-20, 500, rows), 4)
    flow = [
        None if missing else float(value) for missing, value in zip(random.random(rows) < 0.3, random.random(rows), strict=True)
    ]
    plans = random.choice(["basic", "free", "pro"], rows)
    return readings(
        [(f"m{random.integers(20)}", hours[row], str(plans[row]), float(row % 90), flow[row]) for row in range(rows)]
    )


@pytest.mark.skipif(not FEAST.exists(), reason="Feast is not set up: make feast")
def test_feast_gives_the_same_offline_and_online(home: Home, tmp_path: Path) -> None:
    """`apply`, `materialize`, and both reads; Feast's online read leaves the hours out, so ours is compared without."""
    spec = meters(ttl_hours=96, ttl_hours_of={"reading": 12})
    published(home, spec, many_readings())
    made = feast_repository.write(home, spec, tmp_path / "feast")
    assert (made.rows, made.views) == (1000, ["meters_place", "meters_reading"])
    random = np.random.default_rng(6)
    moments = [pd.Timestamp(ago(hour)) for hour in random.uniform(-10, 510, 3000)]
    asked = pd.DataFrame({"meter": [f"m{number}" for number in random.integers(0, 22, 3000)], "event_timestamp": moments})
    asked.to_parquet(tmp_path / "asked.parquet")
    done = subprocess.run(
        [FEAST, REPOSITORY / "tests" / "feast_answers.py", made.folder, "asked.parquet", ".", NOW.isoformat()],
        check=False,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "FEAST_USAGE": "False", "HOME": str(tmp_path)},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    by = ["meter", "event_timestamp"]
    theirs = pd.read_parquet(tmp_path / "offline.parquet").sort_values(by).reset_index(drop=True)
    ours = features_of(home, spec, asked, time_column="event_timestamp").sort_values(by).reset_index(drop=True)
    for name in FEATURES:
        assert (
            theirs[name].astype(object).where(theirs[name].notna(), None).tolist()
            == ours[name].astype(object).where(ours[name].notna(), None).tolist()
        ), name
        assert 0 < ours[name].notna().sum() < 3000
    fill(home, meters(), NOW)
    store = SqliteStore(path_of(home, "meters"))
    for row in json.loads((tmp_path / "online.json").read_text()):
        filling, found = asyncio.run(store.read(key_text([row["meter"]])))
        expected = (
            [None] * 3
            if found is None
            else [dict(zip(filling.features, found[VALUES:], strict=True))[name] for name in FEATURES]
        )
        assert [row[name] for name in FEATURES] == expected, row["meter"]


def test_a_folder_that_holds_something_is_refused(home: Home, tmp_path: Path) -> None:
    """And nothing is left where rows have no time."""
    published(home, meters(), readings())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(DataError, match="exists and is not empty"):
        feast_repository.write(home, meters(), tmp_path / "mine")
    with pytest.raises(DataError, match=r"takes less than 24 hours, or whole days, and serving.online has \[30.0\]"):
        feast_repository.write(home, meters(ttl_hours=30), tmp_path / "feast")
    declared = meters().model_dump(exclude_unset=True)
    declared["features"].pop("event_time")
    declared["split"]["by"] = "random"
    with pytest.raises(DataError, match="Feast needs the moment since which a row is known"):
        feast_repository.write(home, type(meters()).model_validate(declared), tmp_path / "feast")
    assert not (tmp_path / "feast").exists()


def test_what_is_known_later_is_written_for_feast_to_leave_out(home: Home, tmp_path: Path) -> None:
    """All rows by key and moment, with their zone."""
    published(home, meters(), readings())
    feast_repository.write(home, meters(), tmp_path / "feast")
    rows = pd.read_parquet(tmp_path / "feast" / "data" / "meters.parquet")
    assert rows["known_at"].max() == pd.Timestamp(NOW + timedelta(hours=5))
    assert list(rows) == ["meter", "known_at", *FEATURES]
