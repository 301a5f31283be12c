"""What stands against a declared transfer, before anything is trained: the source, its kind, its features, a cycle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assets.spec import ProductSpec
from assets.spec.ways_of_learning import TransferSpec
from assets.storage.home import Home
from assets.training.estimators import estimator

FROM = "'model.learning.transfer.from'"


def problems(home: Home, spec: ProductSpec, transfer: TransferSpec, products: Mapping[str, ProductSpec]) -> Iterator[str]:
    """Each as a sentence: what, what is allowed, what to do."""
    name = transfer.source
    if name not in products:
        others = ", ".join(sorted(set(products).difference({spec.name}))) or "none"
        yield f"{FROM} is '{name}', which is no product. Products: {others}. Correct it."
        return
    if (cycle := _cycle(spec, products)) is not None:
        yield f"{FROM} leads back: {' <- '.join(cycle)}. Let one of them be learnt from its own rows."
        return
    source = products[name]
    yield from _kinds(spec, source)
    yield from _features(spec, source)
    yield from _weights(spec, source)
    if not list((home.models / name).glob("*/model.json")):
        yield f"{FROM} is '{name}', of which there is no champion to learn from. Run `loopline run {name}` first."


def _cycle(spec: ProductSpec, products: Mapping[str, ProductSpec]) -> list[str] | None:
    """The products from this one on, each learnt from the next, if they lead back to one of them."""
    path, at = [spec.name], spec
    while (learning := at.model.learning) is not None and learning.transfer is not None:
        name = learning.transfer.source
        path.append(name)
        if name in path[:-1]:
            return path
        if name not in products:
            return None
        at = products[name]
    return None


def _kinds(spec: ProductSpec, source: ProductSpec) -> Iterator[str]:
    if source.kind != spec.kind:
        yield f"{FROM} is '{source.name}', which is {source.kind}; this product is {spec.kind}. Choose one of the same kind."
    elif source.target.classes != spec.target.classes:
        yield (
            f"{FROM} is '{source.name}' with the classes {list(source.target.classes or ())}; this product has "
            f"{list(spec.target.classes or ())}. Declare the same, in the same order."
        )


def _features(spec: ProductSpec, source: ProductSpec) -> Iterator[str]:
    """The features of the one must be features of the other, of the same types."""
    lacking = sorted(set(spec.columns).difference(source.columns))
    if lacking:
        yield (
            f"{FROM} is '{source.name}', which has no feature {', '.join(lacking)}. It has: {', '.join(source.columns)}. "
            "Declare the same features."
        )
    for name, feature in spec.columns.items():
        if name in source.columns and source.columns[name].type != feature.type:
            yield f"'{name}' is a {feature.type} here and a {source.columns[name].type} in '{source.name}'. Declare it alike."


def _weights(spec: ProductSpec, source: ProductSpec) -> Iterator[str]:
    """What a fit on the source's rows asks for."""
    from sklearn.utils.validation import has_fit_parameter

    wanted = [name for name in (spec.target.column, spec.target.known_at, spec.features.event_time) if name is not None]
    if lacking := [name for name in wanted if name not in source.snapshot_columns]:
        yield (
            f"'model.learning.transfer.how' is weights, which learns from rows of '{source.name}', and its snapshot has no "
            f"{', '.join(lacking)}. Name the columns alike."
        )
    if not has_fit_parameter(estimator(spec), "sample_weight"):
        yield (
            f"'model.learning.transfer.how' is weights, and {spec.model.estimator} takes no weights of rows. Choose an "
            "estimator that does, such as sklearn.ensemble.HistGradientBoostingClassifier."
        )
