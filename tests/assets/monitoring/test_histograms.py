"""Binned counts: every row lies in one bin, and the counts are those of pandas."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd

from assets.monitoring import histograms

ROWS = 5000


def frame() -> pd.DataFrame:
    """Numbers with gaps and ties, a constant, categories of which some come later only, and a residual with gaps."""
    random = np.random.default_rng(1)
    found = pd.DataFrame(
        {
            "day": np.sort(random.integers(0, 20, ROWS)),
            "value": random.normal(0, 1, ROWS).astype("float32"),
            "count": random.poisson(0.4, ROWS),
            "same": 7.0,
            "category": random.choice(["a", "b", "it's"], ROWS),
            "gone": np.nan,
            "residual": random.normal(0, 1, ROWS),
        }
    )
    found.loc[random.random(ROWS) < 0.1, ["value", "category"]] = None
    found.loc[random.random(ROWS) < 0.3, "residual"] = None
    found.loc[found["day"] >= 15, "category"] = "new"
    return found


def counted(given: pd.DataFrame) -> dict[str, histograms.Counts]:
    """All columns counted; the first fifteen days are the reference."""
    with duckdb.connect() as connection:
        connection.register("frame", given)
        connection.execute("create table given as from frame")
        columns = {"value": False, "count": False, "same": False, "gone": False, "category": True}
        bins = histograms.cut(connection, "given", columns, where="day < 15")
        return histograms.count(connection, "given", bins, units=20, unit="day", residual="residual")


def test_every_row_lies_in_one_bin_of_its_day() -> None:
    """Whatever its value, missing ones and new categories included."""
    given = frame()
    for name, counts in counted(given).items():
        assert (counts.rows.sum(axis=1) == given.groupby("day").size()).all(), name
        assert counts.labelled.sum() == given["residual"].count(), name
        assert np.isclose(counts.residuals.sum(), given["residual"].sum()), name
        assert counts.rows.shape[1] == len(counts.bins.names), name


def test_counts_are_those_of_pandas() -> None:
    """Equal frequency in the reference; ties keep together; missing values have a bin of their own."""
    given, found = frame(), counted(frame())
    value = found["value"]
    places = np.searchsorted(np.array(value.bins.edges), given["value"].astype("float64"))
    places[given["value"].isna()] = len(value.bins.names) - 1
    assert (value.rows.sum(axis=0) == np.bincount(places, minlength=len(value.bins.names))).all()
    assert np.allclose(value.rows[:15, :-1].sum(axis=0) / value.rows[:15, :-1].sum(), 0.1, atol=0.01)
    assert found["count"].bins.edges == (0.0, 1.0)
    assert found["same"].bins.edges == found["gone"].bins.edges == ()
    assert found["gone"].rows[:, -1].sum() == ROWS
    kind = dict(zip(found["category"].bins.names, found["category"].rows.sum(axis=0), strict=True))
    expected = given["category"].value_counts()
    assert kind == {
        "a": expected["a"], "b": expected["b"], "it's": expected["it's"], "(other)": expected["new"],
        "(missing)": given["category"].isna().sum(),
    }  # fmt: skip
