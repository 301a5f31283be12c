"""Copy groups: by what a random split deals the rows of a snapshot, so that copies stay on one side.

Which rows are copies stands in `assets.methods.copies`; the parts of a split are cut in `labelled_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.methods.copies import NO_COPY, copies
from assets.spec import ProductSpec
from assets.spec.learning import COPIES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def copies_among(spec: ProductSpec, *parts: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.int64]]:
    """For each copy among labelled rows the position of the first row of its content, else `NO_COPY`; shape (n_rows,).

    Parts count as one table, of which one column at a time is put together.
    """
    return copies(_Stacked((*spec.columns, spec.target.column), parts))


@dataclass(frozen=True)
class _Stacked(Mapping[str, Any]):
    """Columns of several frames, one under the other."""

    names: tuple[str, ...]
    frames: Sequence[pd.DataFrame]

    def __getitem__(self, name: str) -> Any:
        import pandas as pd

        return pd.concat([frame[name] for frame in self.frames], ignore_index=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def with_copy_groups(spec: ProductSpec, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a snapshot with the column `COPIES`, where the split keeps copies together.

    A copy's group is the entity of the first row that it equals, that of any other row its own. Rows without a label are
    left aside: one that lacks its label would count as a row that differs in one column only.
    """
    if not spec.split.copies_together or COPIES in frame.columns:
        return frame
    has_label = frame[spec.target.column].notna().to_numpy()
    entities = frame[spec.features.entity].astype(str).to_numpy(dtype=object)
    inside, first = entities[has_label], copies_among(spec, frame[has_label])
    groups = entities.copy()
    groups[has_label] = [own if place == NO_COPY else inside[place] for own, place in zip(inside, first, strict=True)]
    return frame.assign(**{COPIES: groups})


def dealing(spec: ProductSpec, rows: pd.DataFrame) -> dict[str, Any]:
    """The strata and groups by which a random split or its folds are dealt (`assets.methods.split.places`).

    Groups of a named column may hold several classes, so they are dealt without strata; copies have one label.
    """
    column = spec.split.group_column
    is_stratified = spec.kind != "regression" and spec.split.group is None
    return {
        "strata": rows[spec.target.column] if is_stratified else None,
        "groups": None if column is None else rows[column],
    }
