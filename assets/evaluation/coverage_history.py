"""Coverage history: how far answers reached since a model was made, static and following the labels, and what was inside.

Played from the rows of a snapshot: each day is answered with the labels that were known before it began, and nothing later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.features.labelled_rows import LabelledRows
from assets.features.snapshots import Snapshot, last_known, read
from assets.methods import conformal
from assets.methods.adaptive_conformal import Followed, follow
from assets.methods.conformal import Slice
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.training.uncertainty import slices_of
from bentos.runtime import Model
from bentos.uncertainty import Uncertainty

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CoverageHistory:
    """The rows since a model was made, in the order of the snapshot.

    Parameters
    ----------
    keys : ndarray of shape (n_rows,)
        Their entities.
    days : ndarray of datetime64[D] of shape (n_rows,)
        The local days on which they were answered.
    scores : ndarray of shape (n_rows,)
        How badly each outcome fits its answer; NaN where it is not known.
    static, adaptive : ndarray of shape (n_rows,)
        The threshold of each row, by the model alone and by following the labels; the same where nothing is followed.
    static_size, adaptive_size : ndarray of shape (n_rows,)
        The widths of intervals, or the classes in sets.
    parts : dict of Slice to Followed
        What follows, by slice; the empty one is of all rows. Nothing where nothing is followed.
    """

    keys: np.ndarray[Any, Any]
    days: np.ndarray[Any, Any]
    scores: Array
    static: Array
    adaptive: Array
    static_size: Array
    adaptive_size: Array
    parts: dict[Slice, Followed]

    @property
    def labelled(self) -> np.ndarray[Any, Any]:
        """Which outcomes are known."""
        return np.asarray(~np.isnan(self.scores))

    def inside(self, reach: Array) -> Array:
        """Whether each outcome lay inside, 1 or 0; of no meaning where it is not known."""
        return np.asarray((self.scores <= reach).astype(np.float64))

    def periods(self, form: str = "%Y-%m") -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
        """Each month, or what else the form names, and which rows are of it."""
        import pandas as pd

        names = pd.DatetimeIndex(self.days).strftime(form).to_numpy()
        for name in sorted(set(names)):
            yield name, names == name

    def by_month(self) -> list[dict[str, Any]]:
        """Coverage and size of each month, static and adaptive."""
        found = []
        for name, rows in self.periods():
            known = rows & self.labelled
            if known.any():
                figures = {
                    f"{kind}_{figure}": float(np.mean(values))
                    for kind, reach, size in (
                        ("static", self.static, self.static_size),
                        ("adaptive", self.adaptive, self.adaptive_size),
                    )
                    for figure, values in (("coverage", self.inside(reach)[known]), ("size", size[rows]))
                }
                found.append({"month": name, "rows": int(rows.sum()), "labelled": int(known.sum()), **figures})
        return found


def history(spec: ProductSpec, model: Model, snapshot: Snapshot, as_of: datetime | None = None) -> CoverageHistory:
    """Answer the rows since a model was made.

    Parameters
    ----------
    spec : ProductSpec
        The declaration; its rows have a time, and are split by it.
    model : Model
        A model that declares its uncertainty; the thresholds are its own, whatever it is adapted by.
    snapshot : Snapshot
        The rows.
    as_of : datetime, optional
        The moment (UTC, without a zone) up to which rows and labels are known; left out, the last of any row or label.

    Raises
    ------
    DataError
        If the snapshot holds no rows since.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    own = Uncertainty.of(model.signature)
    assert own is not None  # noqa: S101 - for the type checker: who calls has looked
    features, time, known_at = list(model.signature["features"]), str(spec.features.event_time), spec.target.known_at
    wanted = dict.fromkeys([spec.features.entity, *features, time, spec.target.column, *([known_at] if known_at else [])])
    if lacking := sorted(set(features).difference(pq.read_schema(snapshot.path).names)):
        raise DataError(f"{spec.name}: the model needs {', '.join(lacking)}, which the snapshot lacks. Promote another.")
    frame = read(snapshot, list(wanted))
    if as_of is None:
        as_of = last_known(frame, time, known_at)
    frame = frame[(frame[time] >= pd.Timestamp(made_until(model))) & (frame[time] <= as_of)]
    if frame.empty:
        raise DataError(
            f"{spec.name}: the snapshot holds no rows after {made_until(model)[:10]}, when the model was made. Land later ones."
        )
    outputs = model.predict({name: frame[name].to_numpy() for name in features})
    scores = _scores(spec, frame, outputs)
    known = frame[known_at] if known_at else frame[time]
    scores[~(known <= as_of).to_numpy()] = np.nan
    groups = slices_of(own.by, frame)
    static = conformal.Thresholds(own.whole, own.slices, {}).of(groups)
    asked = _days(spec, frame[time])
    adaptive, parts = static, dict[Slice, Followed]()
    if model.signature["uncertainty"]["adaptive"]:
        arrived = np.where(np.isnan(scores), 0, np.maximum(_days(spec, known), asked) + 1)
        end = int(_days(spec, pd.Series([pd.Timestamp(as_of)]))[0]) + 1
        adaptive, parts = _followed(model, scores, groups, (asked, arrived), (int(asked.min()), end))
    static_size, adaptive_size = (conformal.sizes(spec.kind, outputs, reach) for reach in (static, adaptive))
    days, keys = asked.astype("datetime64[D]"), frame[spec.features.entity].to_numpy()
    return CoverageHistory(keys, days, scores, static, adaptive, static_size, adaptive_size, parts)


def made_until(model: Model) -> str:
    """The first moment of rows that took no part in making the model (UTC, ISO text)."""
    return str(model.signature["windows"]["validate"][1])


def _followed(
    model: Model,
    scores: Array,
    groups: list[Slice],
    moments: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    span: tuple[int, int],
) -> tuple[Array, dict[Slice, Followed]]:
    """Each slice that has a threshold of its own follows its labels; the other rows follow those of all."""
    told = model.signature["uncertainty"]
    pools = {(): told["scores"], **{tuple(item["values"]): item["scores"] for item in told["slices"]}}
    places: dict[Slice, list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    found: dict[Slice, Followed] = {}
    reach = np.empty(len(scores))
    for group, pool in pools.items():
        rows = np.arange(len(scores)) if group == () else np.array(places.get(group, []), dtype=int)
        asked, arrived = (values[rows] for values in moments)
        found[group] = follow(
            scores[rows], asked, arrived, np.array(pool), coverage=told["coverage"], start=span[0], end=span[1]
        )
        reach[rows] = found[group].reach
    return reach, found


def _days(spec: ProductSpec, moments: pd.Series) -> np.ndarray[Any, Any]:
    """The numbers of moments' local days; of no meaning where there is no moment."""
    local = moments.dt.tz_localize("UTC").dt.tz_convert(spec.features.time_zone).dt.tz_localize(None)
    return np.asarray(local.to_numpy().astype("datetime64[D]").astype(np.int64))


def _scores(spec: ProductSpec, frame: pd.DataFrame, outputs: Array) -> Array:
    """The score of each row, NaN where no outcome is known."""
    is_told = frame[spec.target.column].notna().to_numpy()
    labels = LabelledRows("since", None, frame[is_told], {}, 0).labels(spec)
    found = np.full(len(frame), np.nan)
    found[is_told] = conformal.scores(spec.kind, labels, outputs[is_told])
    return found
