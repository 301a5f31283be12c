"""Loopline in a notebook: `loopline.load` gives a product's declaration, snapshot, split and champion, and tries variants.

>>> import loopline
>>> callable(loopline.load)
True
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assets.research.workbench import Workbench

__all__ = ["load"]


def load(product: str, as_of: str | date | None = None, *, looks: int | None = None) -> Workbench:
    """What a notebook has of a declared product, in the home that `LOOPLINE_HOME` names.

    Parameters
    ----------
    product : str
        Its name.
    as_of : str, date or datetime, optional
        Only what was known then: rows of earlier events, with the labels that were known. Text is read as ISO 8601.
    looks : int, optional
        How many models may be shown all their figures on the same test rows, where that is not to be ten.

    Raises
    ------
    LooplineError
        If there is no such product, or no run has published its snapshot.
    """
    from assets.processes.settings import settle_process
    from orchestration import declarations, resources

    settle_process()
    home = resources.home_from_environment().prepare()
    spec = declarations.products(product)[0][0]
    from assets.evaluation.holdout_looks import BUDGET
    from assets.research.workbench import Workbench

    return Workbench(home, spec, actor=resources.actor(), as_of=as_of, budget=BUDGET if looks is None else looks)
