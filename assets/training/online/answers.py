"""Online answers: what an online model says of rows by the labels that had arrived when each was predicted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assets.features.labelled_rows import LabelledRows
from assets.methods.calibration import of_two
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.spec.online_learning import OnlineLearningSpec
from assets.training.estimators import model_frame
from assets.training.online.learning import Learned, learned_online
from assets.training.online.stream import stream_of

if TYPE_CHECKING:
    import pandas as pd


def answered_online(
    spec: ProductSpec, online: OnlineLearningSpec, rows: pd.DataFrame, asked: pd.DataFrame, *, folder: Path | None
) -> tuple[Learned, Array]:
    """Learn the labelled ones of some rows, and answer others as they were predicted.

    Parameters
    ----------
    spec, online
        The declaration, and how it is learned.
    rows : DataFrame
        Of a snapshot: what has no label, or no moment of its arrival, is not learned.
    asked : DataFrame
        The rows to answer, which may be among them.
    folder : Path or None
        Of the checkpoints; None keeps none.

    Returns
    -------
    tuple of Learned and ndarray
        What was learned in the end, and the answers in the form of `candidates.raw_outputs`.
    """
    known = rows[rows[spec.target.column].notna() & rows[str(spec.target.known_at)].notna()]
    labels = LabelledRows("online", None, known, {}, 0).labels(spec)
    stream = stream_of(spec, model_frame(spec, known), labels, known)
    questions = stream.questions(spec, model_frame(spec, asked), asked)
    learned = learned_online(spec, online, stream, folder=folder, questions=questions)
    return learned, as_raw_outputs(spec, learned.scores)


def as_raw_outputs(spec: ProductSpec, scores: Array) -> Array:
    """Scores in the form of `candidates.raw_outputs`: values, or 0 beside the log-odds."""
    return scores if spec.kind == "regression" else of_two(scores)
