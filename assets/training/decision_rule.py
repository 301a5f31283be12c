"""The rule by which a model decides just these rows: where answers may be no decision, it says which are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.methods.abstention import ABSTAINED, COST, with_abstention
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.training.candidates import Choice
from assets.training.uncertainty import HeldOut
from bentos.runtime import Model
from bentos.uncertainty import Uncertainty

if TYPE_CHECKING:
    import pandas as pd


def decision_rule(model: Model, outputs: Array, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The rule of a model for rows with these outputs and features."""
    return _ruled(model.decision, model.uncertainty, model.signature.get("uncertainty"), outputs, columns)


def fold_rule(spec: ProductSpec, choice: Choice, held_out: HeldOut, outputs: Array, rows: pd.DataFrame) -> dict[str, Any]:
    """The rule of a fold's rows, as the rows that are held out chose it.

    Parameters
    ----------
    spec, choice
        The declaration, and what was chosen.
    held_out : HeldOut
        The rows that chose it.
    outputs, rows
        What is said of the fold's rows, and these.
    """
    if spec.abstain is None:
        return choice.decision
    decided = held_out.decided(spec, choice.decision, choice.answers)
    told = decided["uncertainty"]
    signature = {"kind": spec.kind, "classes": spec.target.classes or (), "uncertainty": told}
    columns = {name: rows[name].to_numpy() for name in told["by"]}
    return _ruled(choice.decision, Uncertainty.of(signature), told, outputs, columns)


def joined_rules(
    decision: dict[str, Any], rules: Sequence[tuple[np.ndarray[Any, Any], dict[str, Any]]], rows: int
) -> dict[str, Any]:
    """A decision rule for all rows of some folds, each of which its own fold decided or did not."""
    if not any(ABSTAINED in rule for _, rule in rules):
        return decision
    abstained = np.zeros(rows, dtype=bool)
    for places, rule in rules:
        abstained[places] = rule[ABSTAINED]
    return with_abstention(decision, abstained, rules[0][1][COST])


def _ruled(
    decision: dict[str, Any],
    uncertainty: Uncertainty | None,
    declared: Mapping[str, Any] | None,
    outputs: Array,
    columns: Mapping[str, Any],
) -> dict[str, Any]:
    if uncertainty is None or declared is None or not uncertainty.abstains:
        return decision
    abstained = np.array(uncertainty.of_columns(outputs, columns)["is_abstained"], dtype=bool)
    return with_abstention(decision, abstained, float(declared["abstain"]["cost"]))
