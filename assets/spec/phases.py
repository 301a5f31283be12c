"""Phases of CRISP-ML(Q) and of CRISP-DM: which stages belong to each, and what each has to answer.

CRISP-ML(Q): Studer, Bui, Drescher, Hanuschkin, Winkler, Peters and Müller, Towards CRISP-ML(Q), 2021. CRISP-DM: Chapman and
others, CRISP-DM 1.0, 2000. Every asset carries both as tags, every check its phase as metadata, and `loopline phases PRODUCT`
walks through them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ML_Q, DM = "crisp_ml_q", "crisp_dm"
"""The tags of an asset."""
PHASE = "crisp_ml_q/phase"
"""The metadata of a check that name the phase that it belongs to."""


@dataclass(frozen=True)
class Phase:
    """One phase.

    Parameters
    ----------
    number : int
        Its place in CRISP-ML(Q).
    title : str
        Its name there.
    crisp_dm : str
        The phase of CRISP-DM that it corresponds to.
    question : str
        What it has to answer.
    stages : tuple of str
        The stages whose assets belong to it.
    """

    number: int
    title: str
    crisp_dm: str
    question: str
    stages: tuple[str, ...]

    @property
    def name(self) -> str:
        """How checks and pages name it."""
        return f"{self.number} {self.title}"


PHASES = (
    Phase(
        1,
        "Business and data understanding",
        "Data understanding",
        "What is predicted, for whom, what do mistakes cost, and what do the raw data hold?",
        ("ingestion",),
    ),
    Phase(
        2,
        "Data engineering",
        "Data preparation",
        "Which features are known when, under which contract, and does one of them leak?",
        ("warehouse", "features"),
    ),
    Phase(3, "Model engineering", "Modeling", "Which model was chosen, among which, and can it be made again?", ("training",)),
    Phase(
        4,
        "Evaluation",
        "Evaluation",
        "Is it better than the baselines and than who serves, where is it weak, and who decided that it may serve?",
        ("evaluation", "promotion"),
    ),
    Phase(
        5,
        "Deployment",
        "Deployment",
        "Who serves, on request and ahead, and do all ways agree?",
        ("serving", "experiments"),
    ),
    Phase(
        6,
        "Monitoring and maintenance",
        "Deployment",
        "Is it still as good, and what starts a training?",
        ("monitoring",),
    ),
)
"""CRISP-DM ends with deployment; its first phase, business understanding, is the declaration itself and makes no asset."""


def phase_of(stage: str) -> Phase:
    """The phase that a stage's assets belong to.

    Examples
    --------
    >>> phase_of("training").name
    '3 Model engineering'
    """
    return next(phase for phase in PHASES if stage in phase.stages)


def tags_of(stage: str) -> dict[str, str]:
    """The tags of an asset of a stage; Dagster allows no blanks in them.

    Examples
    --------
    >>> tags_of("features")
    {'stage': 'features', 'crisp_ml_q': '2-data-engineering', 'crisp_dm': 'data-preparation'}
    """
    phase = phase_of(stage)
    return {"stage": stage, ML_Q: _tag(phase.name), DM: _tag(phase.crisp_dm)}


def _tag(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower())
