"""Federated declaration: what a product declares of it, as the plan that all who take part are told."""

from __future__ import annotations

from assets.errors import SpecificationError
from assets.methods.federated.plan import Plan, Privacy, usual_clip
from assets.spec import ProductSpec
from assets.spec.federated import LIAR_SHARE, PROXIMAL, FederatedSpec

PENALTIES = {
    "sklearn.linear_model.LogisticRegression": "C",
    "sklearn.linear_model.Ridge": "alpha",
    "sklearn.linear_model.LinearRegression": None,
}
"""The estimators whose model clients can agree on, and the parameter by which their weights are held small."""


def penalty_of(spec: ProductSpec) -> float:
    """The squared weights' share of the loss, as if there were one row: 1 / C of logistic, alpha of ridge regression."""
    name = PENALTIES.get(spec.model.estimator)
    if name is None:
        return 0.0
    value = float(spec.model.parameters.get(name, 1.0))
    return 1 / value if name == "C" else value


def declared(spec: ProductSpec) -> FederatedSpec:
    """What a product declares of it."""
    assert spec.model.learning is not None and spec.model.learning.federated is not None  # noqa: S101, PT018 - such products only
    return spec.model.learning.federated


def plan_of(spec: ProductSpec) -> Plan:
    """What all take part by.

    Raises
    ------
    SpecificationError
        If no noise keeps to the declared privacy.
    """
    said, (categories, numbers) = declared(spec), columns_by_type(spec)
    privacy = None
    if said.privacy is not None:
        given = said.privacy
        try:
            clip = given.clip or usual_clip(len(categories) + len(numbers))
            privacy = Privacy.planned(given.epsilon, given.delta, clip, given.sampling, said.rounds * said.local_steps)
        except ValueError as error:
            raise SpecificationError(
                f"{spec.name}: 'model.learning.federated.privacy': {error} in {said.rounds} rounds of {said.local_steps} "
                "steps. Raise epsilon or delta, or give fewer rounds."
            ) from error
    ranges = [(spec.columns[name].min, spec.columns[name].max) for name in numbers]
    return Plan(
        product=spec.name,
        kind=spec.kind,
        classes=len(spec.target.classes or ()) or 2,
        numbers=tuple(numbers),
        ranges=tuple((float(low or 0), float(high or 0)) for low, high in ranges),
        categories=tuple(categories),
        vocabularies=tuple(tuple(spec.columns[name].values or ()) for name in categories),
        rounds=said.rounds,
        local_steps=said.local_steps,
        proximal=(said.proximal or PROXIMAL) if said.strategy == "fedprox" else 0.0,
        penalty=penalty_of(spec),
        robust=said.robust,
        liar_share=said.liar_share or LIAR_SHARE,
        seed=spec.model.seed,
        privacy=privacy,
        is_masked=said.secure_aggregation,
    )


def columns_by_type(spec: ProductSpec) -> tuple[list[str], list[str]]:
    """The features that are categories, and those that are numbers, in declared order."""
    categories = [name for name, feature in spec.columns.items() if feature.type == "category"]
    return categories, [name for name, feature in spec.columns.items() if feature.type == "number"]
