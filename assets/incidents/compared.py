"""The two sides of a search: a reference period and now, scored by one model, with the draws of days by which it is judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from assets.incidents.period_rows import PeriodRows
from assets.incidents.put_back import Scorer
from assets.methods.kinds import sign_of
from assets.methods.paired_fall import Effect, drawn, effect
from assets.methods.ranking import Array

REPLICATES = 80
SURE_ERRORS = 1.645
WORTH = 0.01
"""A part of the reference's metric that a fall must lose, and that putting back must regain, to be worth a name."""


@dataclass(frozen=True)
class Compared:
    """What is held against what.

    Parameters
    ----------
    scorer : Scorer
        The model that serves now, and the metric.
    reference, now : PeriodRows
        The two periods.
    seed : int
        Of all draws.
    before_hidden : dict
        What is known of the reference with columns unknown, by these and the number of its rows; searches of one reference,
        model and seed may share it.
    """

    scorer: Scorer
    reference: PeriodRows
    now: PeriodRows
    seed: int
    before_hidden: dict[tuple[frozenset[str], int], Array] = field(default_factory=dict, compare=False, repr=False)
    _hidden: dict[frozenset[str], Array] = field(default_factory=dict, compare=False, repr=False)
    _sampled: dict[int, Compared] = field(default_factory=dict, compare=False, repr=False)

    def sampled(self, most: int) -> Compared:
        """The same by at most so many rows of each period, drawn at random; what is known of the reference is shared."""
        if max(len(self.reference), len(self.now)) <= most:
            return self
        if most not in self._sampled:
            reference, now = (rows.sample(most, self.seed) for rows in (self.reference, self.now))
            self._sampled[most] = Compared(self.scorer, reference, now, self.seed, self.before_hidden)
        return self._sampled[most]

    def with_now(self, now: PeriodRows) -> Compared:
        """The same with other rows of now."""
        return Compared(self.scorer, self.reference, now, self.seed, self.before_hidden)

    @cached_property
    def sign(self) -> float:
        """1, or -1 where a lower metric is better."""
        return sign_of(self.scorer.spec.kind, self.scorer.metric)

    @cached_property
    def said(self) -> tuple[Array, Array]:
        """The model's answers in the reference, and now."""
        return self.scorer.outputs(self.reference), self.scorer.outputs(self.now)

    def drawn(self, rows: PeriodRows, outputs: Array) -> Array:
        """The metric of rows as they are and in each draw of days, shape (1 + n_draws,)."""
        return drawn(self.scorer.measure(rows, outputs), rows.day, REPLICATES, self.seed)

    @cached_property
    def before(self) -> Array:
        """The reference's metric in each draw."""
        return self.drawn(self.reference, self.said[0])

    @cached_property
    def after(self) -> Array:
        """The metric of now in each draw."""
        return self.drawn(self.now, self.said[1])

    @cached_property
    def gaps(self) -> Array:
        """By how much now is worse than the reference, in each draw."""
        return np.asarray(self.sign * (self.before - self.after))

    @cached_property
    def degrees(self) -> int:
        """The degrees of freedom of what the draws say."""
        return min(len(self.reference.days), len(self.now.days)) - 1

    @cached_property
    def gap(self) -> Effect:
        """The fall."""
        return effect(self.gaps, self.degrees)

    @cached_property
    def sure_fall(self) -> float:
        """What the metric fell by at least, at 95 %: where days differ much, the fall itself is partly chance."""
        return max(0.0, self.gap.value - SURE_ERRORS * self.gap.error)

    @cached_property
    def worth(self) -> float:
        """The smallest fall that is worth a name."""
        return WORTH * abs(float(self.before[0]))

    def hidden(self, names: Iterable[str]) -> tuple[Array, Array]:
        """The metric of the reference and of now, in each draw, with some columns unknown in both."""
        key = frozenset(names)
        of_reference = key, len(self.reference)
        if of_reference not in self.before_hidden:
            self.before_hidden[of_reference] = self._drawn_without(self.reference, key)
        if key not in self._hidden:
            self._hidden[key] = self._drawn_without(self.now, key)
        return self.before_hidden[of_reference], self._hidden[key]

    def _drawn_without(self, rows: PeriodRows, names: Iterable[str]) -> Array:
        return self.drawn(rows, self.answered_without(rows, names))

    def answered_without(self, rows: PeriodRows, names: Iterable[str]) -> Array:
        """What the model says of rows of one of the sides with some columns unknown."""
        return self.scorer.without(rows, sorted(names), self.reference, self.seed)

    def closed(self, names: Iterable[str]) -> Array:
        """How much of the gap closes with some columns unknown in both, in each draw."""
        before, after = self.hidden(names)
        return np.asarray(self.gaps - self.sign * (before - after))
