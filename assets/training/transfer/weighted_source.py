"""Weighted source rows: the declared estimator fitted on a product's rows and on those of another, each of these weighted.

A row of the source counts by how much it is like a row of the target (`assets.methods.density_ratio`): what is learnt is then
of the target's mix of rows, as long as the relation of features and target is the same in both (Shimodaira 2000).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.features import snapshots
from assets.features.labelled_rows import LabelledRows
from assets.methods.density_ratio import effective, held_out_chances, weights
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training.estimators import fit, model_frame, threads_for
from assets.training.transfer.shared_rows import require_other_rows
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 20
"""The rows of each side that tell source and target apart, at least."""


@dataclass(frozen=True)
class SourceRows:
    """The labelled rows of another product, as this one's declaration reads them."""

    product: str
    rows: LabelledRows


def source_rows(home: Home, spec: ProductSpec, product: str, digest: str) -> SourceRows:
    """The labelled rows of the snapshot that a model of another product was trained on.

    Raises
    ------
    DataError
        If they lack a column that this product declares, or may be the very rows that judge.
    """
    snapshot = snapshots.opened(home, product, Model.load(home.models / product / digest, digest).signature["snapshot_digest"])
    require_other_rows(home, spec, product, snapshot)
    frame = snapshots.read(snapshot)
    wanted = [*spec.columns, spec.target.column, *spec.moments, *([spec.target.known_at] if spec.target.known_at else [])]
    if lacking := sorted(set(wanted).difference(frame.columns)):
        raise DataError(
            f"{spec.name}: the snapshot of {product} lacks {', '.join(lacking)}, so its rows cannot be learnt from. Declare "
            "the same columns there, and run it again."
        )
    known = frame[frame[spec.target.column].notna()]
    return SourceRows(product, LabelledRows("source", None, known, {}, 0))


def weighted_fit(
    spec: ProductSpec, source: SourceRows, frame: pd.DataFrame, labels: Any, rows: pd.DataFrame
) -> tuple[Any, dict[str, Any]]:
    """Fit the declared estimator on these rows and on the source's, of which none is later.

    Returns
    -------
    fitted : sklearn.pipeline.Pipeline
    figures : dict
        How many rows of the source took part, and how many of equal weight they amount to.
    """
    import pandas as pd

    earlier = _no_later(spec, source.rows.rows, rows)
    if min(len(earlier), len(rows)) < FEWEST:
        raise DataError(
            f"{spec.name}: {len(rows)} rows to learn from, and {len(earlier)} of {source.product} that are no later; at least "
            f"{FEWEST} of each tell how they differ. Bring more rows, or remove 'model.learning'."
        )
    part = LabelledRows("source", None, earlier, {}, 0)
    taught = pd.concat([model_frame(spec, earlier), frame])
    is_target = np.repeat([False, True], [len(earlier), len(frame)])
    found = weights(_chances(spec, taught, is_target)[~is_target], len(earlier), len(frame))
    fitted = fit(spec, taught, np.concatenate([part.labels(spec), labels]), np.concatenate([found, np.ones(len(frame))]))
    return fitted, {"source_rows": len(earlier), "effective_source_rows": round(effective(found), 1)}


def _no_later(spec: ProductSpec, source: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The source's rows that happened, and whose label was known, no later than the latest of these rows."""
    moments = [name for name in (spec.features.event_time, spec.target.known_at) if name is not None]
    kept = np.ones(len(source), dtype=bool)
    for name in moments if spec.split.by != "random" else ():
        kept &= (source[name] <= rows[name].max()).to_numpy()
    return source[kept]


def _chances(spec: ProductSpec, frame: pd.DataFrame, is_target: np.ndarray[Any, Any]) -> Any:
    """The probability that each row is of the target."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    from assets.training.column_encoding import encoding

    columns = [name for name in frame.columns if frame[name].notna().any()]
    classifier = HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=8, random_state=spec.model.seed)
    plain = spec.model_copy(update={"model": spec.model.model_copy(update={"categories": "codes"})})
    with threads_for(frame):
        matrix = encoding(plain, classifier, columns).fit_transform(frame)
        return held_out_chances(classifier, matrix, is_target, spec.model.seed)
