"""Online learning: each row is learned when its label arrives, never before, and answers others as they were predicted.

It goes on from the furthest checkpoint of the same rows, so that a run that was cut off, or has new labels, ends with the bits
of one that learned everything at once. `online_pipeline` makes of the state what is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.methods.online_linear import Learning, LinearState, learn
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.spec.online_learning import OnlineLearningSpec
from assets.storage.code_version import code_version
from assets.storage.digests import value_digest
from assets.training.online.state import Vocabulary, as_record, chain, from_record, furthest, keep, state_digest
from assets.training.online.stream import LabelStream, Questions


@dataclass(frozen=True)
class Learned:
    """What online learning came to.

    Parameters
    ----------
    state : LinearState
        After the last label.
    numbers, vocabulary
        The names that its lists are of.
    scores : ndarray of shape (n_asked,)
        Log-odds or values of the rows that were asked, in their order.
    resumed : int
        The rows that a checkpoint had learned already.
    """

    state: LinearState
    numbers: list[str]
    vocabulary: Vocabulary
    scores: Array
    resumed: int

    @property
    def record(self) -> dict[str, Any]:
        """The state as text."""
        return as_record(self.state, self.numbers, self.vocabulary)

    @property
    def digest(self) -> str:
        """The digest of the state."""
        return state_digest(self.record)


def learned_online(
    spec: ProductSpec,
    online: OnlineLearningSpec,
    stream: LabelStream,
    *,
    folder: Path | None,
    questions: Questions | None = None,
) -> Learned:
    """Learn rows in the order in which their labels arrived, and answer others when they were predicted.

    Parameters
    ----------
    spec, online
        The declaration, and how it is learned.
    stream : LabelStream
        The rows.
    folder : Path or None
        Of the checkpoints; None keeps none.
    questions : Questions, optional
        The rows to answer, of `stream`; they may be among those that are learned.

    Raises
    ------
    DigestError
        If a checkpoint was changed after it was written.
    """
    size, count = online.checkpoint_rows, len(stream.labels)
    starts = range(0, count + 1, size)
    names: list[str] = []
    done, record = 0, None
    if folder is not None:
        names = chain(beginning(spec, online), [stream.content(slice(start, start + size)) for start in starts[:-1]])
        is_asked = questions is not None and len(questions.places)
        before = int(questions.places[0]) // size if questions is not None and is_asked else len(names)
        done, record = furthest(folder, names[:before])
    vocabulary = stream.vocabulary(record)
    taught, asked = stream.taught(vocabulary), None if questions is None else questions.asked(vocabulary)
    if record is None:
        state = LinearState.empty(len(stream.names), sum(map(len, vocabulary.values())))
    else:
        state = from_record(record, stream.names, vocabulary)
    resumed = state.rows
    scores = []
    for number, start in enumerate(starts[done:], start=done):
        end = min(start + size, count)
        given = asked and asked(start, end if start < starts[-1] else end + 1)
        state, answers = learn(state, learning_of(online), taught(slice(start, end)), given)
        scores.append(answers)
        if number < len(names) and folder is not None:
            keep(folder, names[number], as_record(state, stream.names, vocabulary))
    found = np.concatenate(scores)
    return Learned(state, stream.names, vocabulary, found if questions is None else questions.in_order(found), resumed)


def learning_of(online: OnlineLearningSpec) -> Learning:
    """What the learner is told of the declaration."""
    return Learning(
        online.model,
        rate=online.rate,
        l2=online.l2,
        clip=np.inf if online.clip is None else online.clip,
        warmup_days=online.warmup_days,
        when_drifted=online.when_drifted if online.drift == "adwin" else None,
    )


def beginning(spec: ProductSpec, online: OnlineLearningSpec) -> str:
    """What all checkpoints of a declaration begin with: how it is learned, the features, and the learner's code."""
    code = code_version("assets.training.online.learning", distributions=("numpy", "river"))
    features = {name: feature.type for name, feature in spec.columns.items()}
    return value_digest([online.model_dump(mode="json", exclude={"updates"}), features, spec.features.time_zone, code])
