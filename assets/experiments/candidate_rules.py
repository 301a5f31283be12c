"""Candidate rules: decision rules that may be evaluated from a log: another threshold of the champion, or another version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.errors import DataError, SpecificationError
from assets.methods.bootstrap import Array
from assets.promotion import ledger, registered_versions
from assets.spec import ProductSpec
from assets.storage.home import Home
from bentos.decisions import decide
from bentos.runtime import Model


@dataclass(frozen=True)
class CandidateRule:
    """A decision rule.

    Parameters
    ----------
    name : str
        What files about it are called.
    told : str
        What sentences call it.
    version : int
        The registered version whose model it asks.
    model : Model
        That model.
    decision : mapping
        How it decides by the model's outputs; see `bentos.decisions.decide`.
    """

    name: str
    told: str
    version: int
    model: Model
    decision: dict[str, Any]

    def decide(self, outputs: Array) -> np.ndarray[Any, Any]:
        """Decide rows by the model's outputs."""
        return decide(self.model.kind, outputs, self.decision)


def candidate_rule(
    home: Home, spec: ProductSpec, *, threshold: float | None = None, version: int | None = None
) -> CandidateRule:
    """The champion with another threshold, or a version with its own rule; the newest version where neither is given.

    Parameters
    ----------
    home, spec
        Of which product.
    threshold : float, optional
        From which probability on the champion's answer is yes, from 0 to 1.
    version : int, optional
        The number of a registered version.

    Raises
    ------
    SpecificationError
        If both are given, or a threshold where the target has none.
    LedgerError
        If nobody is champion, or there is no such version.
    DataError
        If its model was removed.
    """
    if threshold is not None and version is not None:
        raise SpecificationError(
            f"{spec.name}: a threshold is one of the champion, so it cannot be given together with a version. Give one of them."
        )
    if threshold is not None:
        if spec.kind != "binary":
            raise SpecificationError(
                f"{spec.name}: a threshold decides between yes and no, and the target is {spec.kind}. Give a version instead."
            )
        if not 0 <= threshold <= 1:
            raise SpecificationError(f"{spec.name}: the threshold must be a probability from 0 to 1, got {threshold:g}.")
        champion = ledger.require_champion(home, spec.name)
        model = loaded(home, spec, champion.version, champion.model_digest)
        told = f"the threshold {threshold:g} of version {champion.version}"
        return CandidateRule(f"threshold-{threshold:g}", told, champion.version, model, {"threshold": threshold})
    registered = registered_versions.versions(home, spec.name)
    if version is None and not registered:
        raise DataError(
            f"{spec.name}: no version is registered, so there is no rule to evaluate. Run `loopline run {spec.name}`."
        )
    found = registered_versions.version(home, spec.name, max(registered) if version is None else version)
    model = loaded(home, spec, found.version, found.model_digest)
    return CandidateRule(f"version-{found.version}", f"version {found.version}", found.version, model, model.decision)


def loaded(home: Home, spec: ProductSpec, version: int, digest: str) -> Model:
    """The model of a version.

    Raises
    ------
    DataError
        If it was removed.
    """
    if not is_kept(home, spec, digest):
        raise DataError(
            f"{spec.name}: the model of version {version} was removed, so nobody can ask what it would have decided. "
            f"`loopline history {spec.name}` lists the versions; evaluate one that is kept."
        )
    return Model.load(home.models / spec.name / digest, digest, threads=2)


def is_kept(home: Home, spec: ProductSpec, digest: str) -> bool:
    """Whether a model is still there."""
    return (home.models / spec.name / digest).exists()
