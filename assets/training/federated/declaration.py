"""Federated declaration: what a product declares of it, as the plan that all who take part are told."""

from __future__ import annotations

from assets.errors import SpecificationError
from assets.methods.federated.plan import Plan, Privacy, TreePlan, usual_clip
from assets.spec import ProductSpec
from assets.spec.federated import LIAR_SHARE, LOCAL_STEPS, PROXIMAL, FederatedSpec
from assets.training.estimators import estimator

PENALTIES = {
    "sklearn.linear_model.LogisticRegression": "C",
    "sklearn.linear_model.Ridge": "alpha",
    "sklearn.linear_model.LinearRegression": None,
}
"""The estimators whose linear model clients can agree on, and the parameter by which their weights are held small."""
TREES = (
    "sklearn.ensemble.HistGradientBoostingClassifier",
    "sklearn.ensemble.HistGradientBoostingRegressor",
)
"""The estimators whose trees clients can grow together."""
TREE_PARAMETERS = ("learning_rate", "max_leaf_nodes", "max_depth", "min_samples_leaf", "l2_regularization", "max_bins")
"""Their parameters that clients follow."""
SIGNS = {"increasing": 1, "decreasing": -1, None: 0}


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
        If no noise keeps to the declared privacy, or trees cannot be grown by the estimator's parameters.
    """
    said, (categories, numbers) = declared(spec), columns_by_type(spec)
    privacy, steps = None, said.local_steps or LOCAL_STEPS
    if said.privacy is not None:
        given = said.privacy
        try:
            clip = given.clip or usual_clip(len(categories) + len(numbers))
            privacy = Privacy.planned(given.epsilon, given.delta, clip, given.sampling, said.rounds * steps)
        except ValueError as error:
            raise SpecificationError(
                f"{spec.name}: 'model.learning.federated.privacy': {error} in {said.rounds} rounds of {steps} "
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
        local_steps=steps,
        proximal=(said.proximal or PROXIMAL) if said.strategy == "fedprox" else 0.0,
        penalty=penalty_of(spec),
        robust=said.robust,
        liar_share=said.liar_share or LIAR_SHARE,
        seed=spec.model.seed,
        privacy=privacy,
        is_masked=said.secure_aggregation,
        trees=_tree_plan(spec, [*categories, *numbers]) if said.strategy == "trees" else None,
    )


def of_one_place(spec: ProductSpec, trees: int) -> ProductSpec:
    """The declaration by which scikit-learn grows as many trees, of rows at one place."""
    parameters = {**spec.model.parameters, "max_iter": trees, "early_stopping": False}
    return spec.model_copy(update={"model": spec.model.model_copy(update={"parameters": parameters})})


def _tree_plan(spec: ProductSpec, columns: list[str]) -> TreePlan:
    """How trees are grown: by the estimator's parameters."""
    given = estimator(spec).get_params(deep=False)
    return TreePlan(
        learning_rate=float(given["learning_rate"]),
        leaves=given["max_leaf_nodes"],
        depth=given["max_depth"],
        least_rows=int(given["min_samples_leaf"]),
        shrinkage=float(given["l2_regularization"]),
        bins=int(given["max_bins"]),
        signs=tuple(SIGNS[spec.columns[name].monotone] for name in columns),
    )


def columns_by_type(spec: ProductSpec) -> tuple[list[str], list[str]]:
    """The features that are categories, and those that are numbers, in declared order."""
    categories = [name for name, feature in spec.columns.items() if feature.type == "category"]
    return categories, [name for name, feature in spec.columns.items() if feature.type == "number"]
