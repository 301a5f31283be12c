"""Training ranges: which values of a row lie outside of what the model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

INF = float("inf")


class TrainingRanges:
    """Tells which features of a row are out of range: a number beyond the training rows', or a category they did not have.

    What is missing is out of range where no training row lacked it.

    Parameters
    ----------
    record : mapping
        By feature, ``low`` and ``high`` (None where no row had a value), or ``known``; and ``is_missing``, whether a training
        row lacked it. Features that are not there are not looked at.
    features : sequence of str
        The order of a row's values.

    Examples
    --------
    >>> age, plan = {"low": 18.0, "high": 90.0, "is_missing": False}, {"known": ["free"], "is_missing": True}
    >>> ranges = TrainingRanges({"age": age, "plan": plan}, ["age", "plan"])
    >>> ranges.outside((30.0, "free")), ranges.outside((30.0, None)), ranges.outside((None, "gold"))
    ((), (), ('age', 'plan'))
    """

    def __init__(self, record: Mapping[str, Mapping[str, Any]], features: Sequence[str]) -> None:
        self._names = tuple(features)
        self._numbers: list[tuple[int, float, float, bool]] = []
        self._known: list[tuple[int, frozenset[str | None]]] = []
        for place, name in enumerate(features):
            if (told := record.get(name)) is None:
                continue
            if "known" in told:
                # the service takes an empty text for a missing one
                self._known.append((place, frozenset([*told["known"], *((None, "") if told["is_missing"] else ())])))
            else:
                low = INF if told["low"] is None else float(told["low"])
                high = -INF if told["high"] is None else float(told["high"])
                self._numbers.append((place, low, high, bool(told["is_missing"])))

    def outside(self, row: Sequence[Any]) -> tuple[str, ...]:
        """The names of the features that are out of range; it runs for each row that is asked."""
        for place, low, high, may_miss in self._numbers:
            value = row[place]
            if value is None or not low <= value <= high:
                if may_miss and (value is None or value != value):  # noqa: PLR0124 - only NaN differs from itself
                    continue
                return self._all(row)
        for place, known in self._known:
            if row[place] not in known:
                return self._all(row)
        return ()

    def _all(self, row: Sequence[Any]) -> tuple[str, ...]:
        """All of them, of a row that has some."""
        found = []
        for place, low, high, may_miss in self._numbers:
            value = row[place]
            is_missing = value is None or value != value  # noqa: PLR0124
            if not may_miss if is_missing else not low <= value <= high:
                found.append(place)
        found += [place for place, known in self._known if row[place] not in known]
        return tuple(self._names[place] for place in sorted(found))
