"""Assignment: by which experiment a request got the model that answered it, and how probable that was."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Assignment:
    """An arm of an experiment, as the prediction log records it beside an answer.

    Estimates from logged answers weight each one by the inverse of its propensity (Horvitz and Thompson, 1952), so it must be
    the probability with which this arm was drawn, and never 0.

    Parameters
    ----------
    experiment, arm : str
        Their names.
    propensity : float
        The probability of the arm for this request, above 0 and at most 1.

    Raises
    ------
    ValueError
        If it is no such probability.

    Examples
    --------
    >>> Assignment("cheaper_alarms", "challenger", 0.25).propensity
    0.25
    >>> Assignment("cheaper_alarms", "challenger", 0.0)
    Traceback (most recent call last):
        ...
    ValueError: the propensity of arm 'challenger' is 0.0, but must lie above 0 and be at most 1
    """

    experiment: str
    arm: str
    propensity: float

    def __post_init__(self) -> None:
        if not 0 < self.propensity <= 1:
            raise ValueError(f"the propensity of arm '{self.arm}' is {self.propensity}, but must lie above 0 and be at most 1")
