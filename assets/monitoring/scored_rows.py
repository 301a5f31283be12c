"""Monitored rows: what came since the champion was validated, scored by it, beside the rows it was made of.

Every figure of the monitoring is of these rows and of their counts by day; labels count from the moment they were known.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.features.snapshots import Snapshot, last_known, read, require_features, series
from assets.methods.ranking import Array
from assets.monitoring import histograms
from assets.monitoring.histograms import Counts
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.scratch_database import scratch_database
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

UNIT, SCORE, RESIDUAL, SERVED_RESIDUAL = "_unit", "_score", "_residual", "_served_residual"
PERIODS = {"day": "D", "week": "W-SUN", "month": "M"}


@dataclass(frozen=True)
class Monitored:
    """The rows of a snapshot up to a moment, from the champion's first training row on.

    Parameters
    ----------
    spec, model
        The declaration, and the champion.
    as_of : datetime
        The moment (UTC, without a zone) up to which rows and labels are known.
    features : dict of ndarray of shape (n_rows,)
        The features as the model takes them.
    unit : ndarray of int of shape (n_rows,)
        The number of each row's day.
    days : DatetimeIndex of shape (n_units,)
        The days, in the product's time zone.
    taught, held_out : ndarray of bool of shape (n_units,)
        The days of the champion's training rows and of its validation rows; the others came later.
    outputs : ndarray of shape (n_rows,) or (n_rows, n_classes)
        The champion's outputs; NaN for the rows that it was trained on.
    served : ndarray of the same shape
        What was answered: the champion's outputs too, unless something else answered.
    labels : ndarray of shape (n_rows,)
        The labels that are known; NaN for the others.
    told_apart : dict
        How well days of the reference were told from the rest of it: the same for many periods, and slow to find out.
    """

    spec: ProductSpec
    model: Model
    as_of: datetime
    features: dict[str, np.ndarray[Any, Any]]
    unit: np.ndarray[Any, Any]
    days: pd.DatetimeIndex
    taught: np.ndarray[Any, Any]
    held_out: np.ndarray[Any, Any]
    outputs: Array
    served: Array
    labels: Array
    told_apart: dict[tuple[bytes, bytes], float] = field(default_factory=dict, compare=False)

    @classmethod
    def load(
        cls,
        home: Home,
        spec: ProductSpec,
        snapshot: Snapshot,
        digest: str,
        as_of: datetime | None = None,
        *,
        last: int | None = None,
    ) -> Monitored:
        """Read, date, label and score the rows.

        Parameters
        ----------
        home : Home
            Where the model lies.
        spec : ProductSpec
            The declaration; its features have a time.
        snapshot : Snapshot
            The rows.
        digest : str
            The champion's.
        as_of : datetime, optional
            The moment to look from; left out, the last moment that any row or label has.
        last : int, optional
            Leave out what lies between the champion's validation rows and so many last periods; left out, nothing is.

        Raises
        ------
        TamperedModelError
            If the model's bytes are not those of its digest.
        DataError
            If the snapshot lacks what the model needs, or holds no row of its training window.
        """
        import pandas as pd

        model = Model.load(home.models / spec.name / digest, digest, threads=2)
        named, known, time = list(model.signature["features"]), spec.target.known_at, str(spec.features.event_time)
        require_features(spec.name, snapshot, named)
        frame = read(snapshot, list(dict.fromkeys([time, spec.target.column, *([known] if known else [])])))
        times = frame[time]
        if as_of is None:
            as_of = last_known(frame, time, known)
        start, cut, end = (pd.Timestamp(text) for text in _bounds(model, spec.name))
        frame = frame[(times >= start) & (times <= as_of)]
        local = frame[time].dt.tz_localize("UTC").dt.tz_convert(spec.features.time_zone).dt.tz_localize(None).dt.normalize()
        if last is not None:
            period = local.dt.to_period(PERIODS[spec.monitoring.period])
            kept = (frame[time] < end) | (period > period.max() - last)
            frame, local = frame[kept], local[kept]
        unit, days = pd.factorize(local, sort=True)
        days = pd.DatetimeIndex(days)
        begins = frame[time].groupby(unit).min().to_numpy()
        taught, held_out = begins < np.datetime64(cut), (begins >= np.datetime64(cut)) & (begins < np.datetime64(end))
        if not taught.any() or not held_out.any():
            raise DataError(
                f"{spec.name}: the snapshot holds no rows of the champion's training or validation window ({start:%Y-%m-%d} to "
                f"{end:%Y-%m-%d}), so there is nothing to hold later rows against. Land those months, or promote another."
            )
        labels = _labels(spec, frame)
        if known:
            labels[~(frame[known] <= as_of).to_numpy()] = np.nan
        features = {name: values.to_numpy()[frame.index] for name, values in series(snapshot, named)}
        seen = taught[unit]
        answered = model.predict({name: values[~seen] for name, values in features.items()})
        outputs = np.full((len(frame), *answered.shape[1:]), np.nan)
        outputs[~seen] = answered
        return cls(spec, model, as_of, features, unit, days, taught, held_out, outputs, outputs, labels)

    @cached_property
    def periods(self) -> dict[str, np.ndarray[Any, Any]]:
        """The days of each period, as booleans of shape (n_units,), in order of time."""
        found = self.days.to_period(PERIODS[self.spec.monitoring.period])
        form = "%Y-%m" if self.spec.monitoring.period == "month" else "%Y-%m-%d"
        names = np.asarray(found.start_time.strftime(form), dtype=object)
        return {name: np.asarray(names == name) for name in dict.fromkeys(names)}

    @property
    def later(self) -> np.ndarray[Any, Any]:
        """The days after the champion's validation rows, shape (n_units,)."""
        return np.asarray(~(self.taught | self.held_out))

    def rows(self, units: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Whether each row is of one of these days, shape (n_rows,)."""
        return np.asarray(units[self.unit])

    @cached_property
    def scores(self) -> Array:
        """What is watched of the answers, shape (n_rows,): the probability, the value, or the confidence."""
        return np.asarray(self.served.max(axis=1) if self.model.kind == "multiclass" else self.served)

    def residuals(self, outputs: Array) -> Array:
        """What came minus what these outputs say, shape (n_rows,), NaN where either is lacking.

        Of several classes, whether the likeliest was right minus its probability; of values, in standard deviations of the
        reference's errors.
        """
        if self.model.kind == "multiclass":
            right = (outputs.argmax(axis=1) == self.labels).astype(np.float64)
            return np.asarray(np.where(np.isnan(self.labels), np.nan, right - outputs.max(axis=1)))
        found = self.labels - outputs
        if self.model.kind == "regression":
            found = found / (np.nanstd(found[self.rows(self.held_out)]) or 1.0)
        return np.asarray(found)

    @cached_property
    def counts(self) -> dict[str, Counts]:
        """Rows and residuals by day and bin, of each feature and of `SCORE`.

        The residuals of features are those of the champion's fixed relation, those of the score are of what was answered.
        """
        texts, numbers = self.model.inputs
        with tempfile.TemporaryDirectory() as scratch, scratch_database(scratch) as connection:
            connection.register("given", self._table())
            connection.execute("create table monitored as from given")
            reference, scored = (
                f"{UNIT} in ({', '.join(map(str, np.flatnonzero(days)))})" for days in (~self.later, self.held_out)
            )
            columns = dict.fromkeys(numbers, False) | dict.fromkeys(texts, True)
            bins = histograms.cut(connection, "monitored", columns, where=reference)
            of_score = histograms.cut(connection, "monitored", {SCORE: False}, where=scored)
            count = partial(histograms.count, connection, "monitored", units=len(self.days), unit=UNIT)
            return count(bins, residual=RESIDUAL) | count(of_score, residual=SERVED_RESIDUAL)

    def matrix(self, places: np.ndarray[Any, Any]) -> Array:
        """The features of rows as numbers, shape (n_places, n_features): categories by their place among known ones."""
        import pandas as pd

        columns = []
        for name, values in self.features.items():
            known = self.model.signature["features"][name].get("known")
            if known is None:
                columns.append(np.asarray(values[places], dtype=np.float64))
            else:
                columns.append(pd.Index(known, dtype=object).get_indexer(values[places]).astype(np.float64))
        return np.column_stack(columns)

    def _table(self) -> pa.Table:
        import pyarrow as pa

        texts, _ = self.model.inputs
        columns: dict[str, Any] = {
            name: pa.array(values, pa.string() if name in texts else pa.float64(), from_pandas=True)
            for name, values in self.features.items()
        }
        columns |= {UNIT: pa.array(self.unit), SCORE: pa.array(self.scores, from_pandas=True)}
        for name, outputs in ((RESIDUAL, self.outputs), (SERVED_RESIDUAL, self.served)):
            columns[name] = pa.array(self.residuals(outputs), from_pandas=True)
        return pa.table(columns)


def not_watched(spec: ProductSpec) -> str | None:
    """Why the rows of a product make no periods to watch; None where they do."""
    if spec.features.event_time is None:
        return "its features have no event_time, so there are no periods to watch"
    if spec.split.by == "random":
        return "its split is random, so it learnt rows of every period, and none is later. Split by time to watch it"
    return None


def _bounds(model: Model, product: str) -> tuple[str, str, str]:
    """When the champion's training rows begin, when the rows begin that it was held against first, and when those end."""
    windows = model.signature["windows"]
    if windows["train"] is None:
        raise DataError(
            f"{product}: the champion learnt from rows drawn at random, so no period is later than these. Train again "
            f"(`loopline run {product}`) with the split that is declared now."
        )
    held_out = windows.get("test", windows["validate"])
    return windows["train"][0], held_out[0], held_out[1]


def _labels(spec: ProductSpec, frame: pd.DataFrame) -> Array:
    """The labels as numbers, NaN where there is none."""
    column = frame[spec.target.column]
    if spec.kind == "multiclass":
        column = column.map({name: float(index) for index, name in enumerate(spec.target.classes or ())})
    found: Array = column.astype("float64").to_numpy(copy=True, na_value=np.nan)
    return found
