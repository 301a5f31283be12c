"""Robust means: the mean of vectors of which some may be lies.

Trimmed mean: Yin and others (2018), "Byzantine-robust distributed learning". Krum, and the mean of several of its choices:
Blanchard and others (2017), "Machine learning with adversaries". Where honest senders differ, a trimmed mean leaves out what is
theirs; so each vector is first mixed with its nearest ones: Allouah and others (2023), "Fixing by mixing". How long
updates are cut to: Allouah and others (2025), "Adaptive gradient clipping for robust federated learning". Who sent which vector
is for whoever calls.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from assets.methods.ranking import Array

Robust = Literal["mean", "trimmed_mean", "krum"]


def robust_mean(vectors: Array, weights: Array, how: Robust, liars: int) -> Array:
    """The mean of some vectors.

    Parameters
    ----------
    vectors : ndarray of shape (n_vectors, n_values)
        One for each sender.
    weights : ndarray of shape (n_vectors,)
        The rows behind each. Only the plain mean uses them: a sender can lie about its rows, too.
    how : {'mean', 'trimmed_mean', 'krum'}
        With 'trimmed_mean', the `liars` lowest and highest of each value are left out, after each vector became the mean of
        its nearest ones, all but `liars` of them. With 'krum', the vectors whose
        nearest neighbours are nearest are averaged, all but `liars` of them.
    liars : int
        How many may lie.

    Returns
    -------
    ndarray of shape (n_values,)

    Raises
    ------
    ValueError
        If there are too few vectors for so many liars: `fewest`.

    Examples
    --------
    >>> told = np.array([[1.0], [1.1], [0.9], [1.0], [500.0]])
    >>> [round(float(robust_mean(told, np.ones(5), how, 1)[0]), 2) for how in ("mean", "trimmed_mean", "krum")]
    [100.8, 1.0, 1.0]
    """
    if len(vectors) < fewest(how, liars):
        raise ValueError(f"{len(vectors)} vectors, {fewest(how, liars)} needed")
    if how == "mean":
        return np.asarray(weights @ vectors / weights.sum())
    if how == "trimmed_mean":
        nearest = np.argsort(_squared_distances(vectors), axis=1, kind="stable")[:, : len(vectors) - liars]
        ordered = np.sort(vectors[nearest].mean(axis=1), axis=0)
        return np.asarray(ordered[liars : len(vectors) - liars].mean(axis=0))
    return np.asarray(vectors[krum_order(vectors, liars)[: len(vectors) - liars]].mean(axis=0))


def shortened(vectors: Array, liars: int) -> Array:
    """Vectors of which the longest are as long as the longest of the others.

    How many are shortened grows with the liars, who gain by length: 2 * liars * (1 - liars / n_vectors). It is for vectors that
    point away from a common start, such as updates.

    Examples
    --------
    >>> shortened(np.array([[1.0], [-2.0], [3.0], [-100.0]]), 1).tolist()
    [[1.0], [-2.0], [3.0], [-3.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1)
    longest = np.sort(lengths)[::-1][min(int(2 * liars * (1 - liars / len(vectors))), len(vectors) - 1)]
    return np.asarray(vectors * np.minimum(1.0, longest / np.maximum(lengths, 1e-300))[:, None])


def fewest(how: Robust, liars: int) -> int:
    """How many vectors are needed at least: a trimmed mean keeps one, Krum needs two more than twice the liars."""
    return {"mean": 1, "trimmed_mean": 2 * liars + 1, "krum": 2 * liars + 3}[how]


def krum_order(vectors: Array, liars: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The vectors' numbers, the one with the nearest neighbours first: squared distances to all but liars and two are added."""
    distances = _squared_distances(vectors)
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, axis=1)[:, : max(len(vectors) - liars - 2, 1)]
    return np.argsort(nearest.sum(axis=1), kind="stable")


def _squared_distances(vectors: Array) -> Array:
    """Of each two vectors, shape (n_vectors, n_vectors); 0 of a vector to itself, exactly."""
    return np.array([((vectors - vector) ** 2).sum(axis=1) for vector in vectors])
