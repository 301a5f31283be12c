"""The rows of a snapshot cut into training, validation and test, and their labels.

What stands here is the same for training, evaluation and the gate: who judges sees the rows that a model was not fitted on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.features.copy_groups import dealing, with_copy_groups
from assets.features.number_block import NumberBlock
from assets.features.snapshots import Snapshot, read, series
from assets.methods.ranking import Array
from assets.methods.split import Window, Windows, day_windows, month_windows, random_parts, share_windows, uniform
from assets.spec import ProductSpec
from assets.spec.learning import COPIES

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "validate", "test")
CLUSTERS = 1000
"""Into how many random groups rows without time or group are dealt for the bootstrap."""
FEWEST_CLUSTERS = 5
"""Of fewer days or groups no draw shows how much they differ: rows are dealt as if they were independent, and that is said."""


@dataclass(frozen=True)
class LabelledRows:
    """The labelled rows of one part; its window is None where the split is random."""

    name: str
    window: Window | None
    rows: pd.DataFrame
    unlabelled: dict[str, int]
    late_labels: int

    @property
    def span(self) -> list[str] | None:
        """Start and end of the window (UTC), as ISO text."""
        return None if self.window is None else self.window.span

    def absent(self, spec: ProductSpec) -> tuple[str, ...]:
        """The classes that no row of the part has; only validation and test may lack one."""
        found = set(self.rows[spec.target.column].unique())
        return tuple(name for name in spec.target.classes or () if name not in found)

    def labels(self, spec: ProductSpec) -> Array:
        """The labels, shape (n_rows,): 0 and 1, class numbers in declared order, or values."""
        column = self.rows[spec.target.column]
        if spec.kind == "multiclass":
            numbers = {name: float(index) for index, name in enumerate(spec.target.classes or ())}
            return np.asarray(column.map(numbers), dtype=np.float64)
        return np.asarray(column.astype(bool) if spec.kind == "binary" else column, dtype=np.float64)

    def digest(self, spec: ProductSpec) -> str:
        """SHA-256 over the entities of the rows, in order: which rows these are."""
        entities = self.rows[spec.features.entity].astype(str)
        return hashlib.sha256("\n".join(entities).encode()).hexdigest()

    def local_times(self, spec: ProductSpec) -> pd.Series:
        """The event times in the product's time zone, shape (n_rows,)."""
        return self.rows[spec.features.event_time].dt.tz_localize("UTC").dt.tz_convert(spec.features.time_zone)

    def clusters(self, spec: ProductSpec) -> np.ndarray[Any, Any]:
        """The clusters of the bootstrap, numbered from 0, shape (n_rows,): local days, the split's groups, or dealt rows."""
        if self.has_few_clusters(spec) or not self._cluster_name(spec):
            return _dealt(self.rows[spec.features.entity], spec.model.seed)
        if spec.features.event_time is None and spec.split.copies_together:
            return _dealt(self.rows[COPIES], spec.model.seed)
        return self._codes(spec)

    def cluster_name(self, spec: ProductSpec) -> str:
        """What the clusters are, in words."""
        named, rows = self._cluster_name(spec), "rows" if len(self.rows) <= CLUSTERS else "random groups of rows"
        if named and self.has_few_clusters(spec):
            return f"{rows}, as there are fewer than {FEWEST_CLUSTERS} {named}"
        return named or rows

    def has_few_clusters(self, spec: ProductSpec) -> bool:
        """Whether there are too few days or groups to tell how much they differ."""
        return bool(self._cluster_name(spec) and self._codes(spec).max(initial=-1) + 1 < FEWEST_CLUSTERS)

    def _cluster_name(self, spec: ProductSpec) -> str:
        if spec.features.event_time is not None:
            return "days"
        if spec.split.copies_together:
            return "groups that keep copies together"
        return f"groups of equal {spec.split.group}" if spec.split.group is not None else ""

    def _codes(self, spec: ProductSpec) -> np.ndarray[Any, Any]:
        """The number of each row's day or group."""
        import pandas as pd

        if spec.features.event_time is not None:
            codes, _ = self.local_times(spec).dt.normalize().factorize(sort=True)
        else:
            codes, _ = pd.factorize(self.rows[spec.split.group_column], sort=True, use_na_sentinel=False)
        return np.asarray(codes)


def _dealt(keys: pd.Series, seed: int) -> np.ndarray[Any, Any]:
    """Keys dealt to at most `CLUSTERS` random groups (Wolter, Introduction to Variance Estimation, 2007, chapter 2)."""
    numbers, names = keys.factorize()
    groups = np.empty(len(names), dtype=np.int64)
    groups[np.argsort(uniform(names, seed), kind="stable")] = np.arange(len(names)) % CLUSTERS
    return np.asarray(groups[numbers])


def windows_of(spec: ProductSpec, frame: pd.DataFrame) -> Windows | None:
    """The windows that a specification cuts a snapshot into; None where the split is random.

    Raises
    ------
    DataError
        If no row has an event time.
    """
    import pandas as pd

    split = spec.split
    if split.by == "random":
        return None
    times = frame[spec.features.event_time].dropna()
    if times.empty:
        raise DataError(f"{spec.name}: no row has a moment in '{spec.features.event_time}'. Land rows, or split by random.")
    if split.by == "time":
        return share_windows(times, (split.train, split.validation, split.test), spec.features.time_zone)
    last = pd.Timestamp(times.max(), tz="UTC").tz_convert(spec.features.time_zone)
    sizes = int(split.train), int(split.validation), int(split.test)
    if split.by == "days":
        return day_windows(last.date(), *sizes, spec.features.time_zone)
    return month_windows(split.end or f"{last:%Y-%m}", *sizes, spec.features.time_zone)


def parts_of(spec: ProductSpec, frame: pd.DataFrame) -> dict[str, tuple[Any, Window | None]]:
    """For each part a boolean a row, shape (n_rows,), whether the row is in it, and the part's window."""
    windows = windows_of(spec, frame)
    if windows is not None:
        times = frame[spec.features.event_time]
        chosen = dict(zip(PARTS, (windows.train, windows.validate, windows.test), strict=True))
        return {name: (window.holds(times).to_numpy(), window) for name, window in chosen.items()}
    split, frame = spec.split, with_copy_groups(spec, frame)
    dealt = random_parts(
        frame[spec.features.entity].to_numpy(),
        (split.train, split.validation, split.test),
        spec.model.seed,
        **dealing(spec, frame),
    )
    # a row without a label can neither train nor validate: it is only predicted, with the test rows
    dealt[frame[spec.target.column].isna().to_numpy()] = PARTS.index("test")
    return {name: (dealt == number, None) for number, name in enumerate(PARTS)}


def labelled(spec: ProductSpec, frame: pd.DataFrame) -> dict[str, LabelledRows]:
    """Cut a snapshot into the labelled rows of each part.

    In order of time, a row trains or validates only if its label was known before the next window begins; the others are
    counted.

    Returns
    -------
    dict
        ``train``, ``validate`` and ``test``.

    Raises
    ------
    DataError
        If a part has fewer than two values of the target, or the training rows lack a class.
    """
    frame = with_copy_groups(spec, frame)
    cut = parts_of(spec, frame)
    following = {"train": cut["validate"][1], "validate": cut["test"][1], "test": None}
    has_label = frame[spec.target.column].notna().to_numpy()
    parts = {}
    for name, (mask, window) in cut.items():
        later = following[name]
        known = has_label
        if later is not None and spec.target.known_at is not None:
            known = has_label & (frame[spec.target.known_at] < later.start).to_numpy()
        rows = frame[mask & known]
        _require_labels(spec, name, window, rows)
        lacking = mask & ~has_label
        because = {reason: int(frame.loc[lacking, reason].sum()) for reason in spec.target.unlabelled_because}
        other = int(lacking.sum()) - sum(because.values())
        unlabelled = {**because, **({"other": other} if other else {})}
        parts[name] = LabelledRows(name, window, rows, unlabelled, int((mask & has_label & ~known).sum()))
    return parts


def labelled_parts(spec: ProductSpec, snapshot: Snapshot) -> dict[str, LabelledRows]:
    """Read a snapshot and cut it (`labelled`), some numbers at a time: they are never in memory twice.

    The numbers of a part are one block (`number_block`), which a matrix of them is a view of.

    Raises
    ------
    DataError
        As `labelled`; and if the snapshot, made for an earlier declaration, lacks what the rows are cut by now.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, needed = pq.read_schema(snapshot.path), _needed(spec)
    cut_by = (*needed, spec.target.known_at, *spec.target.unlabelled_because)
    if lacking := [name for name in dict.fromkeys(cut_by) if name is not None and name not in schema.names]:
        raise DataError(
            f"{spec.name}: the snapshot {snapshot.digest[:12]} lacks {', '.join(lacking)}, by which rows are labelled and "
            "split as is declared now. Train anew: `loopline run`; or declare target and split as they were."
        )
    apart = spec.columns.keys() - set(needed)
    numbers = [item.name for item in schema if item.type == pa.float64() and item.name in apart]
    cut = labelled(spec, read(snapshot, [name for name in schema.names if name not in numbers]))
    if not numbers:
        return cut
    blocks = {part: NumberBlock(len(numbers), len(given.rows)) for part, given in cut.items()}
    for _, values in series(snapshot, numbers):
        for part, given in cut.items():
            blocks[part].add(values.to_numpy()[given.rows.index])
    for part, given in cut.items():
        block = pd.DataFrame(blocks[part].table(), given.rows.index, numbers, copy=False)
        cut[part] = replace(given, rows=pd.concat([given.rows, block], axis=1)[schema.names])
    return cut


def part_of(spec: ProductSpec, snapshot: Snapshot, part: str) -> tuple[Any, Window | None]:
    """A boolean a row of a snapshot, shape (n_rows,), whether it is in a part, labelled or not; and the part's window."""
    return parts_of(spec, read(snapshot, _needed(spec)))[part]


def _needed(spec: ProductSpec) -> list[str]:
    """The columns that tell in which part a row is; which rows are copies is seen in all."""
    content = tuple(spec.columns) if spec.split.copies_together else ()
    named = (spec.features.entity, spec.features.event_time, spec.target.column, spec.split.group, *content)
    return [name for name in dict.fromkeys(named) if name is not None]


def joined(parts: Sequence[LabelledRows], name: str) -> LabelledRows:
    """The rows of several parts as one."""
    import pandas as pd

    unlabelled: dict[str, int] = {}
    for part in parts:
        for reason, count in part.unlabelled.items():
            unlabelled[reason] = unlabelled.get(reason, 0) + count
    late = sum(part.late_labels for part in parts)
    return LabelledRows(name, None, pd.concat([part.rows for part in parts]), unlabelled, late)


def _require_labels(spec: ProductSpec, name: str, window: Window | None, rows: pd.DataFrame) -> None:
    """Training must have every class; validation and test two values at least, or nothing can be told apart there."""
    found = set(rows[spec.target.column].unique())
    lacking = sorted(set(spec.target.classes or ()) - found)
    if len(found) >= 2 and not (lacking and name == "train"):
        return
    place = "part" if window is None else f"window {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}"
    lack = f", and lacks {', '.join(lacking)}" if lacking else ""
    noun = ("value", "values") if spec.kind == "regression" else ("class", "classes")
    needed = "each class" if name == "train" and spec.kind != "regression" else f"two {noun[1]} that differ"
    raise DataError(
        f"{spec.name}: the {name} {place} holds {len(rows)} labelled rows with {len(found)} {noun[len(found) != 1]} of "
        f"'{spec.target.column}'{lack}; {needed} must be in it. Land more rows, or change split or target."
    )
