"""What stands against a declared transfer, before anything is trained: the source, its kind, its features, a cycle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assets.spec import ProductSpec
from assets.spec.ways_of_learning import OnnxFileSpec, TransferSpec
from assets.storage.home import Home
from assets.training.estimators import estimator

FROM, HOW = "'model.learning.transfer.from'", "'model.learning.transfer.how'"
TREES = ("sklearn.ensemble", "sklearn.tree", "lightgbm")
"""The modules of estimators whose trees can be read."""


def problems(home: Home, spec: ProductSpec, transfer: TransferSpec, products: Mapping[str, ProductSpec]) -> Iterator[str]:
    """Each as a sentence: what, what is allowed, what to do."""
    yield from _estimator(spec, transfer)
    if not isinstance(transfer.source, str):
        if transfer.how == "weights" or (transfer.how == "refit" and isinstance(transfer.source, OnnxFileSpec)):
            lacks = "rows" if transfer.how == "weights" else "trees"
            yield f"{HOW} is {transfer.how}, and this file has no {lacks} to read. Give boost or features, or name a product."
            return
        from assets.training.transfer.source import of_file  # which imports what trains

        source = of_file(spec, transfer.source)
        if spec.serving.sql == "required" and source.scores.is_single:
            yield (
                f"{FROM} computes in single precision, which SQL does not express exactly, and 'serving.sql' is required. Give "
                "a source in double precision, such as a LightGBM file, or 'serving.sql' auto."
            )
        return
    name = transfer.source
    if name not in products:
        others = ", ".join(sorted(set(products).difference({spec.name}))) or "none"
        yield f"{FROM} is '{name}', which is no product. Products: {others}. Correct it."
        return
    if (cycle := _cycle(spec, products)) is not None:
        yield f"{FROM} leads back: {' <- '.join(cycle)}. Let one of them be learnt from its own rows."
        return
    declared = products[name]
    yield from _kinds(spec, declared)
    yield from _features(spec, declared, transfer)
    yield from _rows(home, spec, declared) if transfer.how == "weights" else _known(home, spec, declared, transfer)
    if not list((home.models / name).glob("*/model.json")):
        yield f"{FROM} is '{name}', of which there is no champion to learn from. Run `loopline run {name}` first."


def _cycle(spec: ProductSpec, products: Mapping[str, ProductSpec]) -> list[str] | None:
    """The products from this one on, each learnt from the next, if they lead back to one of them."""
    path, at = [spec.name], spec
    while (learning := at.model.learning) is not None and learning.transfer is not None:
        name = learning.transfer.product
        if name is None or name not in products:
            return None
        path.append(name)
        if name in path[:-1]:
            return path
        at = products[name]
    return None


def _estimator(spec: ProductSpec, transfer: TransferSpec) -> Iterator[str]:
    """What the way asks of the declared estimator."""
    from sklearn.utils.validation import has_fit_parameter

    built = estimator(spec)
    if transfer.how == "boost":
        if not type(built).__module__.startswith("lightgbm"):
            yield (
                f"{HOW} is boost, which LightGBM does, and 'model.estimator' is {spec.model.estimator}. Give "
                f"lightgbm.{'LGBMRegressor' if spec.kind == 'regression' else 'LGBMClassifier'}, or choose refit."
            )
        elif strange := sorted({"objective", "linear_tree", "class_weight"}.intersection(spec.model.parameters)):
            yield f"{HOW} is boost, which has the loss of {spec.kind}; 'model.parameters' sets {', '.join(strange)}. Remove it."
    if transfer.how == "weights" and not has_fit_parameter(built, "sample_weight"):
        yield (
            f"{HOW} is weights, and {spec.model.estimator} takes no weights of rows. Choose an estimator that does, such as "
            "sklearn.ensemble.HistGradientBoostingClassifier."
        )


def _kinds(spec: ProductSpec, source: ProductSpec) -> Iterator[str]:
    if source.kind != spec.kind:
        yield f"{FROM} is '{source.name}', which is {source.kind}; this product is {spec.kind}. Choose one of the same kind."
    elif source.target.classes != spec.target.classes:
        yield (
            f"{FROM} is '{source.name}' with the classes {list(source.target.classes or ())}; this product has "
            f"{list(spec.target.classes or ())}. Declare the same, in the same order."
        )


def _features(spec: ProductSpec, source: ProductSpec, transfer: TransferSpec) -> Iterator[str]:
    """The features that are learnt from are there on both sides, of the same types."""
    if transfer.how == "weights":
        lacking, where, there = sorted(set(spec.columns).difference(source.columns)), f"'{source.name}' has not", source.columns
    else:
        lacking, where, there = sorted(set(source.columns).difference(spec.columns)), "this product has not", spec.columns
    if lacking:
        yield f"{FROM} is '{source.name}': {where} the feature {', '.join(lacking)}, but {', '.join(there)}. Declare the same."
    for name, feature in spec.columns.items():
        if name in source.columns and source.columns[name].type != feature.type:
            yield f"'{name}' is a {feature.type} here and a {source.columns[name].type} in '{source.name}'. Declare it alike."


def _known(home: Home, spec: ProductSpec, source: ProductSpec, transfer: TransferSpec) -> Iterator[str]:
    """The source has what is learnt from, and knows no row that chooses here."""
    from assets.training.transfer.shared_rows import known_validation_rows

    yield from _trees(source, transfer)
    yield from known_validation_rows(home, spec, source)


def _rows(home: Home, spec: ProductSpec, source: ProductSpec) -> Iterator[str]:
    """The source's snapshot holds what its rows are read by, and no row that judges here."""
    wanted = [name for name in (spec.target.column, spec.target.known_at, spec.features.event_time) if name is not None]
    if lacking := [name for name in wanted if name not in source.snapshot_columns]:
        yield (
            f"{HOW} is weights, which learns from rows of '{source.name}', and its snapshot has no {', '.join(lacking)}. Name "
            "the columns alike."
        )
    elif (home.snapshots / source.name / "current.json").exists():
        from assets.features import snapshots
        from assets.training.transfer.shared_rows import require_other_rows

        require_other_rows(home, spec, source.name, snapshots.current(home, source.name))


def _trees(source: ProductSpec, transfer: TransferSpec) -> Iterator[str]:
    """The source has trees whose leaves can be moved."""
    others = [item.estimator for item in source.model.candidates if not item.estimator.startswith(TREES)]
    if transfer.how == "refit" and others:
        yield f"{HOW} is refit, and '{source.name}' may be {', '.join(others)}, which has no trees. Choose boost or features."
