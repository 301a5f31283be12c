"""A model's intervals or sets as SQL expressions, by the same comparisons as in the service."""

from __future__ import annotations

from collections.abc import Sequence

from assets.serving.sql_operators import number
from assets.storage.sql import identifier, literal
from bentos.runtime import Model
from bentos.uncertainty import NO, SEPARATOR, YES


def answers(model: Model, outputs: Sequence[str], sliced: str) -> dict[str, str]:
    """The columns that a model's uncertainty adds, by name; none where none is declared.

    Parameters
    ----------
    model : Model
        The model.
    outputs : sequence of str
        The expressions of its outputs.
    sliced : str
        The name of the column that holds a category, with the feature's name in braces.
    """
    uncertainty = model.uncertainty
    if uncertainty is None:
        return {}
    reach = number(uncertainty.whole)
    if uncertainty.slices:
        columns = [identifier(sliced.format(name)) for name in uncertainty.by]
        whens = [
            f"when {' and '.join(f'{column} = {literal(value)}' for column, value in zip(columns, values, strict=True))} "
            f"then {number(threshold)}"
            for values, threshold in uncertainty.slices.items()
        ]
        reach = f"case {' '.join(whens)} else {reach} end"
    if model.kind == "regression":
        found = {"low": f"{outputs[0]} - ({reach})", "high": f"{outputs[0]} + ({reach})"}
        if uncertainty.wider_than is not None:
            found["is_abstained"] = f"2 * ({reach}) > {number(uncertainty.wider_than)}"
        return found
    if model.kind == "binary":
        inside = {NO: f"{outputs[1]} <= ({reach})", YES: f"1 - {outputs[1]} <= ({reach})"}
    else:
        inside = {name: f"1 - {chance} <= ({reach})" for name, chance in zip(uncertainty.classes, outputs, strict=True)}
    parts = [f"case when {holds} then {literal(SEPARATOR + name)} else '' end" for name, holds in inside.items()]
    count = " + ".join(f"case when {holds} then 1 else 0 end" for holds in inside.values())
    # each class brings the separator before it; the first one's is cut
    found = {"prediction_set": f"substring({' || '.join(parts)}, 2)", "is_certain": f"({count}) = 1"}
    if uncertainty.abstains:
        found["is_abstained"] = f"({count}) <> 1"
    return found
