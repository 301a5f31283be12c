"""What units add up to, as the database counts it, is what counting them one by one gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from assets.experiments.arm_moments import ArmMoments, arm_moments, numbered
from assets.methods.moments import Moments

START = datetime(2026, 3, 1, tzinfo=UTC)
ENDS = [START + timedelta(days=day) for day in (1, 3, 7)]


@pytest.fixture
def rows() -> pd.DataFrame:
    """Rows of units that come several times, some with a past, some without a unit or a value."""
    random = np.random.default_rng(1)
    count = 3000
    unit = random.integers(0, 400, count)
    frame = pd.DataFrame(
        {
            "unit": unit.astype(str).astype(object),
            "arm": np.where(unit % 3 == 0, "treatment", "control").astype(object),
            "moment": [START + timedelta(days=float(days)) for days in random.uniform(-5, 8, count)],
            "value": random.gamma(1.0, 10.0, count) * (random.random(count) < 0.5),
        }
    )
    frame.loc[frame["moment"] < START, "arm"] = None
    frame.loc[random.random(count) < 0.05, "unit"] = None
    frame.loc[random.random(count) < 0.1, "value"] = None
    return frame


def moments_of(given: pd.DataFrame, arms: list[str], values: list[str]) -> dict[str, ArmMoments]:
    """As a log gives them to `arm_moments`; rows without an arm are the units' past."""
    known = " ".join(f"when '{arm}' then {place}" for place, arm in enumerate(arms))
    columns = numbered(f"case when arm is null then {len(arms)} else case arm {known} end end", "unit", "moment", ENDS)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        rows = connection.from_df(given).query(
            "rows", f"select {', '.join(f'{text} as {name}' for name, text in columns.items())}, {', '.join(values)} from rows"
        )
        return arm_moments(rows, arms, len(ENDS), values)


@pytest.mark.parametrize("with_past", [True, False])
def test_moments_are_those_of_units_counted_one_by_one(rows: pd.DataFrame, with_past: bool) -> None:
    """At each look, with the covariate of the past and without any."""
    given = rows if with_past else rows[rows["arm"].notna()]
    found = moments_of(given, ["treatment", "control"], ["value"])["value"]
    assert found.has_past is with_past
    assert found.nameless == (given["arm"].notna() & given["unit"].isna()).sum()
    assert found.waiting == (given["arm"].notna() & given["unit"].notna() & given["value"].isna()).sum()
    valued = given.dropna(subset=["unit", "value"])
    past = valued[valued["arm"].isna()].groupby("unit")["value"].mean()
    for arm, moments in found.arms.items():
        for look, end in enumerate(ENDS):
            seen = valued[(valued["arm"] == arm) & (valued["moment"] < end)].groupby("unit")["value"].agg(["sum", "count"])
            columns = [seen["sum"], seen["count"]]
            if with_past:
                x = seen.index.map(past).to_numpy(dtype=float)
                columns += [np.where(np.isnan(x), 0.0, x - past.mean()), np.isnan(x).astype(float)]
            expected = Moments.of(np.stack(columns, axis=-1))
            assert moments.count[look] == expected.count
            np.testing.assert_allclose(moments.mean[look], expected.mean, rtol=1e-9)
            np.testing.assert_allclose(moments.scatter[look], expected.scatter, rtol=1e-7, atol=1e-6)
            assert found.positive[arm][look] == (seen["sum"] > 0).sum()
    assert found.units()[-1].sum() == valued[valued["arm"].notna() & (valued["moment"] < ENDS[-1])]["unit"].nunique()


def test_an_arm_that_nobody_reached_has_no_units(rows: pd.DataFrame) -> None:
    """It is there, empty."""
    found = moments_of(rows, ["treatment", "other"], ["value"])["value"]
    assert found.arms["other"].count.tolist() == [0, 0, 0]
    assert found.arms["treatment"].count[-1] > 0


def test_several_columns_in_one_pass_are_as_each_alone(rows: pd.DataFrame) -> None:
    """Though the one is missing where the other is known, and units come first at another look."""
    given = rows.assign(other=rows["value"].shift(7) + 1.0)
    arms = ["treatment", "control"]
    both = moments_of(given, arms, ["value", "other"])
    alone = {name: moments_of(given, arms, [name])[name] for name in ("value", "other")}
    assert both["value"].waiting != both["other"].waiting
    for name, found in both.items():
        assert (found.nameless, found.waiting, found.has_past) == (alone[name].nameless, alone[name].waiting, True)
        assert found.skewness == pytest.approx(alone[name].skewness)
        for arm in arms:
            np.testing.assert_allclose(found.arms[arm].mean, alone[name].arms[arm].mean)
            np.testing.assert_allclose(found.arms[arm].scatter, alone[name].arms[arm].scatter)
