"""Answers: what a notebook is told of variants, with the rows that it rests on and what looking at them costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assets.evaluation.holdout_looks import Reuse
from assets.methods.paired import Gain
from assets.rendering.number_text import number_text


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth.

    Parameters
    ----------
    product, model_digest : str
        Of which model.
    metrics : mapping of str to mapping
        Of each metric ``value``, ``low`` and ``high``.
    rests_on : str
        ``test rows``, or where no budget was left ``validation rows`` or ``cross-fitting``.
    rows : int
        How many rows those are.
    reuse : Reuse
        How often the test rows were looked at, this look included.
    deciding : str
        The metric that decides a promotion.
    record : mapping
        All that a production run finds out; empty where the test rows were not looked at.
    digest : str or None
        The digest of the record, by which a verdict names it.
    """

    product: str
    model_digest: str
    metrics: Mapping[str, Mapping[str, float]]
    rests_on: str
    rows: int
    reuse: Reuse
    deciding: str
    record: Mapping[str, Any] = field(repr=False)
    digest: str | None

    @property
    def is_of_test_rows(self) -> bool:
        """Whether it is what a production run would give."""
        return self.digest is not None

    @property
    def flattery(self) -> float:
        """By how much the best of the models that were looked at is flattered at most, in the deciding metric."""
        return self.reuse.flattery(self.metrics[self.deciding]["low"], self.metrics[self.deciding]["high"])

    def __str__(self) -> str:
        shown = [f"model {self.model_digest[:12]} on {self.rows:,} {_rows(self.rests_on)}"]
        for name in sorted(self.metrics, key=lambda name: (name != self.deciding, name)):
            found = self.metrics[name]
            shown.append(
                f"  {name:<20} {number_text(found['value'])}  [{number_text(found['low'])}, {number_text(found['high'])}]"
            )
        told = self.reuse.told
        if self.reuse.shown > 1:
            told += f". The best of them is flattered by up to {number_text(self.flattery)} in {self.deciding}"
        return "\n".join([*shown, f"  {told}."])

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Comparison:
    """The first of two models against the second, on the same rows; positive is better for the first.

    Parameters
    ----------
    first, second : str
        Their digests.
    metric, unit : str
        The metric that decides a promotion, and the unit of money.
    gain, saving : Gain
        In the metric, and in money per 1,000 rows; ``low`` is what it surely exceeds.
    gain_high, saving_high : float
        What each surely stays below.
    confidence : float
        The one-sided confidence of each of these ends.
    rests_on : str
        ``test rows``, or ``validation rows`` where no budget was left.
    rows : int
        How many rows those are.
    least_gain : float
        What the declaration asks that a challenger gains.
    reuse : Reuse
        How often the test rows were looked at, these looks included.
    """

    first: str
    second: str
    metric: str
    unit: str
    gain: Gain
    saving: Gain
    gain_high: float
    saving_high: float
    confidence: float
    rests_on: str
    rows: int
    least_gain: float
    reuse: Reuse

    @property
    def is_surely_better(self) -> bool:
        """Whether the gain surely exceeds what is declared, as the gate asks it."""
        return self.gain.low > self.least_gain

    def __str__(self) -> str:
        ends = ((self.gain, self.gain_high), (self.saving, self.saving_high))
        gain, saving = (f"{item.value:+.4g} [{item.low:+.4g}, {high:+.4g}]" for item, high in ends)
        better = "is surely better" if self.is_surely_better else "is not surely better"
        return (
            f"model {self.first[:12]} against {self.second[:12]} on {self.rows:,} {_rows(self.rests_on)}\n"
            f"  gain in {self.metric}: {gain}\n"
            f"  saves {saving} {self.unit} per 1,000 rows\n"
            f"  It {better} by more than {self.least_gain:g}; each end holds with confidence {self.confidence:.4g}.\n"
            f"  {self.reuse.told}."
        )

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook shows."""

    svg: str = field(repr=False)

    def _repr_svg_(self) -> str:
        return self.svg


def _rows(rests_on: str) -> str:
    return "rows by cross-fitting" if rests_on == "cross-fitting" else rests_on
