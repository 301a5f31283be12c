"""Label order: in which order labels arrive, and which had arrived when a row was predicted.

River's ``simulate_qa`` plays a stream in the same order, but for one thing: a label that arrives at the very moment of a
prediction is not known to it here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.errors import DataError

Places = np.ndarray[Any, np.dtype[np.intp]]


def label_order(predicted_at: Any, known_at: Any, keys: Any) -> Places:
    """The rows in the order in which their labels arrived; labels of one moment in the order of their rows' keys.

    Parameters
    ----------
    predicted_at, known_at : array-like of datetime64 of shape (n_samples,)
        When each row was predicted and when its label arrived.
    keys : array-like of str of shape (n_samples,)
        What identifies each row.

    Raises
    ------
    DataError
        If a label arrived before its row was predicted: the model would be asked what it was told.

    Examples
    --------
    >>> label_order([1, 2, 3], [9, 3, 3], ["c", "b", "a"]).tolist()
    [2, 1, 0]
    """
    predicted, known, names = np.asarray(predicted_at), np.asarray(known_at), np.asarray(keys).astype(str)
    early = np.flatnonzero(known < predicted)
    if len(early):
        raise DataError(
            f"{len(early)} rows have a label that arrived before their prediction, the first is '{names[early[0]]}' (label "
            f" {known[early[0]]}, prediction {predicted[early[0]]}). Correct 'target.known_at' or 'features.predicted_at'."
        )
    return np.lexsort((names, known))


def arrived_before(known_in_order: Any, predicted_at: Any) -> Places:
    """How many labels had arrived before each moment.

    Parameters
    ----------
    known_in_order : array-like of datetime64 of shape (n_labels,)
        When each label arrived, ascending.
    predicted_at : array-like of datetime64 of shape (n_samples,)
        The moments.

    Examples
    --------
    >>> arrived_before([3, 3, 9], [1, 3, 4]).tolist()
    [0, 0, 2]
    """
    return np.searchsorted(np.asarray(known_in_order), np.asarray(predicted_at), side="left")
