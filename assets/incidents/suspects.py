"""Suspects: an input that was put back, what the metric gained by it, and how surely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from assets.methods.paired_fall import Effect

Kind = Literal["rows", "version", "model", "features", "relation"]

KINDS: dict[Kind, str] = {
    "rows": "rows that are there more than once",
    "version": "values of the same rows that another version of the snapshot gives otherwise",
    "model": "the version of the model",
    "features": "columns whose values are not as in the reference",
    "relation": "what comes at like values: labels, a wrong join of unchanged values, or the world",
}


@dataclass(frozen=True)
class Suspect:
    """One group of inputs.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    name : str
        The group: of features as it is declared, a snapshot, a model version, or what else was put back.
    columns : tuple of str
        Which columns of it; the label under its own name.
    effect : Effect
        How much of the fall closes when it is put back.
    adjusted : float
        Its p-value, adjusted for all that were tried beside it (Holm); 0 where what was put back is known to be the truth.
    returns_to, reference : float
        The metric now with it put back, and in the reference with the same put back.
    is_guilty : bool
        Whether it closes enough of the fall, surely.
    where : mapping
        In which rows: of which value of a slice, or on which days; empty where in all.
    told : str
        What else is known, such as which landed files differ.
    """

    kind: Kind
    name: str
    columns: tuple[str, ...]
    effect: Effect
    adjusted: float
    returns_to: float
    reference: float
    is_guilty: bool
    where: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""

    @property
    def confidence(self) -> float:
        """One less the adjusted p-value."""
        return 1.0 - self.adjusted

    def as_json(self) -> dict[str, Any]:
        """As it is recorded."""
        return {
            "kind": self.kind,
            "name": self.name,
            "columns": list(self.columns),
            "closes": self.effect.value,
            "error": self.effect.error,
            "confidence": self.confidence,
            "returns_to": self.returns_to,
            "reference": self.reference,
            "is_guilty": self.is_guilty,
            "where": dict(self.where),
            "told": self.told,
        }
