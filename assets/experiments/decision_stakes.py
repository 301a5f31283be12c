"""Decision stakes: what is at stake where two models decide differently, as expressions of SQL over rows that both answered.

The rows have ``champion_output``, ``champion_decision``, ``champion_prediction`` and the same of the shadow; decisions are
booleans (binary), numbers (regression) or classes.
"""

from __future__ import annotations

from assets.spec import ProductSpec
from assets.storage.sql import literal

DECISIONS = {"binary": "({} = 'true')", "regression": "try_cast({} as double)", "multiclass": "{}"}
"""By kind of target, a decision of the log's text."""


def decision_of(spec: ProductSpec, text: str) -> str:
    """A decision, from an expression that gives the log's text of it."""
    return DECISIONS[spec.kind].format(text)


def stake_of(spec: ProductSpec) -> str:
    """How far apart the two decisions lie in money, before anybody knows what came.

    Binary and several classes: how far apart the costs lie that the two models expect of the one decision instead of the other,
    each by its own probabilities. Where each decides what costs least by them, it is what either expects to lose by the other's
    decision, added up. Regression: the difference of the planned values at the dearer of the two prices.
    """
    prices = spec.prices
    if spec.kind == "binary":
        price = prices["missed"] + prices["false_alarm"]
        return f"if(champion_decision != shadow_decision, abs(shadow_output - champion_output) * {price!r}, 0)"
    if spec.kind == "regression":
        return f"abs(shadow_decision - champion_decision) * {max(prices['under'], prices['over'])!r}"
    parts = []
    for row, true in enumerate(spec.target.classes or ()):
        champion, shadow = (_probability(f"{who}_prediction", true) for who in ("champion", "shadow"))
        gap = f"({_price(spec, row, 'shadow_decision')} - {_price(spec, row, 'champion_decision')})"
        parts.append(f"({champion} - {shadow}) * {gap}")
    return f"case when champion_decision != shadow_decision then abs({' + '.join(parts)}) else 0 end"


def cost_of(spec: ProductSpec, decision: str) -> str:
    """What a decision cost, once ``outcome`` is known; null before. As `assets.methods.row_costs` has it."""
    prices = spec.prices
    if spec.kind == "binary":
        missed, alarm = prices["missed"], prices["false_alarm"]
        return f"case {decision} when true then {alarm!r} * (1 - outcome) when false then {missed!r} * outcome end"
    if spec.kind == "regression":
        # not `greatest`, which passes over nulls
        gap = f"(outcome - {decision})"
        return f"case when {gap} > 0 then {prices['under']!r} * {gap} when {gap} <= 0 then -{prices['over']!r} * {gap} end"
    cases = " ".join(
        f"when outcome = {literal(true)} then {_price(spec, row, decision)}"
        for row, true in enumerate(spec.target.classes or ())
    )
    return f"case {cases} end"


def _probability(prediction: str, name: str) -> str:
    return f"cast(json_extract({prediction}, '$.probabilities') as map(varchar, double))[{literal(name)}]"


def _price(spec: ProductSpec, row: int, decision: str) -> str:
    """What it costs to decide so where a class came, by its number."""
    said = zip(spec.target.classes or (), spec.prices["costs"][row], strict=True)
    return f"case {decision} {' '.join(f'when {literal(name)} then {price!r}' for name, price in said)} end"
