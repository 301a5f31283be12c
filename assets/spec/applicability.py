"""Applicability: to which products an examination or a gate rule applies, as their declarations say.

Conditions stand here, below the stages: a verdict depends on them by what is declared, and not by the code of each examination.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assets.spec.product import ProductSpec

Condition = Callable[["ProductSpec"], bool]


def every(_: ProductSpec) -> bool:
    """To every product."""
    return True


def learnt_by(way: str) -> Condition:
    """To products whose models are learnt by this way of learning."""
    return lambda spec: spec.model.learning is not None and spec.model.learning.way == way
