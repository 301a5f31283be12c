"""Late classes: the classes of a target that come only after the rows that would train, where rows are split in order of time.

No model can answer with a class that it has never seen. `loopline new` tells of them before anything is trained.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.errors import UnlearnableError
from assets.ingestion.value_parsing import moment
from assets.methods.split import share_windows
from assets.scaffolding.file_profile import ColumnProfile, FileProfile
from assets.scaffolding.question import option, shown

SHARES = (0.7, 0.15, 0.15)
"""The shares of rows that train, validate and test, in order of time."""
FEWEST = 5
"""The rows of a class, all late, by which it is taken for a late one where only a sample of the file's rows was looked at."""


def late_classes(profile: FileProfile, target: ColumnProfile, time: ColumnProfile) -> tuple[str, ...]:
    """The values of the target, as its column counts them, that no row of the training window has.

    Parameters
    ----------
    profile : FileProfile
        The file, with its sample of rows.
    target, time : ColumnProfile
        The column of classes, and the one that dates a row, as it is to be declared.

    Raises
    ------
    UnlearnableError
        If the training, validation or test window has fewer than two classes beside them.
    """
    import pandas as pd

    moments, values = _moments(profile, time), profile.sample.texts(target.name)
    is_dated = pd.notna(moments)
    if is_dated.sum() < len(SHARES):
        return ()
    windows = share_windows(pd.Series(moments[is_dated]), SHARES, "UTC")
    known = is_dated & np.array([value is not None for value in values])
    moments, values = pd.Series(moments[known]), values[known]
    found, counts = np.unique(values, return_counts=True)
    taught = set(values[windows.train.holds(moments).to_numpy()])
    is_whole = profile.sample.rows == profile.rows
    fewest = 1 if is_whole else FEWEST
    late = tuple(str(value) for value, count in zip(found, counts, strict=True) if value not in taught and count >= fewest)
    if not late and not is_whole:
        return ()
    for name, window in (("training", windows.train), ("validation", windows.validate), ("test", windows.test)):
        if len(set(values[window.holds(moments).to_numpy()]) - set(late)) < 2:
            listed = ", ".join(repr(shown(value)) for value in late[:5]) + (" and others" if len(late) > 5 else "")
            told = f"; {listed} come only after the training rows, which end on {windows.train.end:%Y-%m-%d}" if late else ""
            raise UnlearnableError(
                f"{profile.path}: {option('target', target)} cannot be judged in order of time: the {name} rows, "
                f"{window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}, have fewer than two classes that can be learnt{told}. "
                "Leave out --time for a random split, bring rows of a longer time, or name another column."
            )
    return _as_counted(target, late)


def _as_counted(target: ColumnProfile, values: tuple[str, ...]) -> tuple[str, ...]:
    """The same values in the spelling of the file, in which classes are declared: 1.50 for the sample's 1.5."""
    if target.type not in ("integer", "number"):
        return tuple(value for value in values if value in target.counts)
    numbers = {float(value) for value in values}
    return tuple(value for value in target.counts if _number(value) in numbers)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moments(profile: FileProfile, time: ColumnProfile) -> np.ndarray[Any, Any]:
    """The moment of each row of the sample."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        texts = profile.sample.texts(time.name).tolist()
        found = connection.execute(f"select {moment('v', time.format)} as m from (select unnest(?::varchar[]) as v)", [texts])
        return np.ma.filled(found.fetchnumpy()["m"].astype("datetime64[us]"), np.datetime64("NaT"))
