"""The prequential rule: an online challenger that goes on learning, against whoever serves, in money on the same rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.findings import Finding
from assets.promotion import champion_challenger
from assets.promotion.champion_challenger import Rival
from assets.storage.digests import verified

RULE = "prequential"
"""Its name, and that of the examination that it reads."""
ANSWERS = "prequential.npy"
"""The file with the answers, beside the record."""


def prequential(case: Case, rival: Rival | str, found: Evidence | None, tolerated: float) -> Iterator[Finding]:
    """Answering each test row by the labels that had arrived, it does not cost surely more than whoever serves.

    Parameters
    ----------
    case : Case
        The challenger.
    rival : Rival or str
        Whoever serves, or the constant baseline where nobody does; or why it cannot be compared.
    found : Evidence, optional
        What the examination of the same name found out; its answers lie beside its record.
    tolerated : float
        The share of the rival's cost by which it may be dearer, unless a saving is declared.
    """
    if isinstance(rival, str) or rival.is_baseline or found is None:
        told = rival if isinstance(rival, str) else "nobody looked how it learns on" if found is None else "nobody serves yet"
        passed = not isinstance(rival, str) and found is not None
        yield Finding(RULE, "learning on as labels arrive, it is no dearer than the champion", told, passed)
        return
    spec, rule = case.spec, case.spec.promotion
    answers = np.load(verified(found.path.with_name(ANSWERS), found.record["answers_digest"]), allow_pickle=False)
    compared = champion_challenger.against(case, rival, answers, rule.confidence)
    least = -tolerated * compared.rival_cost if rule.min_saving is None else rule.min_saving
    asked = f"saves more than {least:.4g}" if least >= 0 else f"costs at most {-least:.4g}"
    asked += f" {spec.cost.unit} per 1,000 rows {'' if least >= 0 else 'more '}than {rival.name}"
    told = (
        f"saves {compared.saving.value:.4g}, at least {compared.saving.low:.4g}; {spec.metric} gains {compared.gain.value:.4g}"
    )
    told += f", at least {compared.gain.low:.4g}"
    yield Finding(RULE, f"learning on as labels arrive, it {asked}", told, compared.saving.low > least)
