"""A criterion of a model of maturity: what is asked, where evidence of it is looked for, and what earns it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestration.operations.maturity.scene import Evidence, Scene


@dataclass(frozen=True)
class Criterion:
    """One thing that a model of maturity asks.

    Parameters
    ----------
    key : str
        Its name.
    group : str
        The section of the ML Test Score, or the level of the other models.
    title : str
        What is asked, in the source's words.
    find : callable
        What shows it, of a scene.
    earn : str
        What to do where nothing shows it.
    """

    key: str
    group: str
    title: str
    find: Callable[[Scene], list[Evidence]]
    earn: str


RUN = "`loopline run PRODUCT`"
