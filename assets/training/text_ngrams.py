"""Text n-grams: how often a text has each of the word n-grams that most training rows have.

Words stand between spaces, with capitals and punctuation as they come: lower case differs between languages and libraries, and
no operator of ONNX lowers all of Unicode alike. The graph counts by `StringSplit` and `TfIdfVectorizer`; here it is counted in
Python, and the training holds the two against one another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

if TYPE_CHECKING:
    from assets.training.onnx_nodes import Builder

SPLITTING = 20
"""The version of ONNX's operators that splits strings first."""
FEWEST = 2
"""The training rows that an n-gram must be in: what one row alone has would tell of it."""
NOTHING = "\0"
"""The n-gram of the columns that are left over where training rows have fewer n-grams than are asked for."""


class TextNgrams(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Counts of n-grams of one or several texts; each has as many columns as are asked for, whatever the rows hold.

    Parameters
    ----------
    sizes, lengths : list of int
        Of each text: how many n-grams are counted, and the most words that one has.

    Attributes
    ----------
    ngrams_ : list of list of str
        Of each text, the n-grams with columns, their words with a space between.

    Examples
    --------
    >>> texts = np.array([["good food"], ["good"], ["bad food"]], dtype=object)
    >>> TextNgrams([2], [2]).fit(texts).ngrams_
    [['food', 'good']]
    """

    def __init__(self, sizes: list[int], lengths: list[int]) -> None:
        self.sizes, self.lengths = sizes, lengths

    def fit(self, texts: Any, labels: Any = None) -> TextNgrams:  # noqa: ARG002 - scikit-learn's signature
        """Choose the n-grams that most rows have; of equally many, the first in the alphabet.

        Parameters
        ----------
        texts : array-like of str of shape (n_samples, n_texts)
            A missing one is empty.
        labels : ignored
        """
        columns = np.asarray(texts, dtype=object).T
        self.n_features_in_ = len(columns)
        self.ngrams_ = [
            _chosen(column, size, length) for column, size, length in zip(columns, self.sizes, self.lengths, strict=True)
        ]
        return self

    def transform(self, texts: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The counts, shape (n_samples, sum of sizes)."""
        columns = np.asarray(texts, dtype=object).T
        counted = []
        for column, known, size, length in zip(columns, self.ngrams_, self.sizes, self.lengths, strict=True):
            found = np.zeros((len(column), size))
            places = {ngram: place for place, ngram in enumerate(known)}
            for row, text in enumerate(column):
                for ngram in ngrams(text, length):
                    if (place := places.get(ngram)) is not None:
                        found[row, place] += 1
            counted.append(found)
        return np.hstack(counted)

    def written(self, builder: Builder, names: Sequence[str]) -> list[str]:
        """Add the nodes that count, and name the tensors of the counts."""
        builder.require_operators(SPLITTING)
        whole = builder.constant("text_shape", np.array([-1], dtype=np.int64))
        parts = []
        for name, known, size, length in zip(names, self.ngrams_, self.sizes, self.lengths, strict=True):
            flat = builder.add("Reshape", [name, whole], f"{name}/flat")
            words = builder.split(flat, f"{name}/words")
            counts = builder.add("TfIdfVectorizer", [words], f"{name}/ngrams", **_pool(known, size, length))
            parts.append(builder.double(counts, f"{name}/counted"))
        return parts


def ngrams(text: str, length: int) -> Iterator[str]:
    """The n-grams of a text of one word up to so many, their words with one space between.

    What lies between two spaces is an empty word, as it is to `StringSplit`, and of no n-gram.

    Examples
    --------
    >>> list(ngrams("not good", 2))
    ['not', 'good', 'not good']
    >>> list(ngrams("not  good", 2))
    ['not', 'good']
    """
    words = text.split(" ")
    for count in range(1, length + 1):
        for start in range(len(words) - count + 1):
            if all(found := words[start : start + count]):
                yield " ".join(found)


def _chosen(texts: Any, size: int, length: int) -> list[str]:
    rows: Counter[str] = Counter()
    for text in texts:
        rows.update(set(ngrams(text, length)))
    often = [(ngram, count) for ngram, count in rows.items() if count >= FEWEST]
    often.sort(key=lambda item: (-item[1], item[0]))
    return sorted(ngram for ngram, _ in often[:size])


def _pool(known: Sequence[str], size: int, length: int) -> dict[str, Any]:
    """The n-grams as the operator takes them: by their number of words, each with its column."""
    filled = [*known, *([NOTHING] if len(known) < size else [])]
    places = [*range(len(known)), *([size - 1] if len(known) < size else [])]
    by_count: list[list[int]] = [[] for _ in range(length)]
    for number, ngram in enumerate(filled):
        by_count[ngram.count(" ")].append(number)
    words: list[str] = []
    begins, columns = [], []
    for numbers in by_count:
        begins.append(len(words))
        for number in numbers:
            words += filled[number].split(" ")
            columns.append(places[number])
    return {
        "mode": "TF",
        "min_gram_length": 1,
        "max_gram_length": length,
        "max_skip_count": 0,
        "ngram_counts": begins,
        "ngram_indexes": columns,
        "pool_strings": words,
    }
