"""Federated problems: what must be mended of a declaration before its clients are asked for anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from assets.errors import LooplineError
from assets.features import labelled_rows, snapshots
from assets.features.labelled_rows import LabelledRows
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import cross_fitting
from assets.training.federated.declaration import PENALTIES, TREE_PARAMETERS, TREES, declared, plan_of
from assets.training.federated.processes import require_flower

if TYPE_CHECKING:
    import pandas as pd


def problems(home: Home, spec: ProductSpec, products: Mapping[str, ProductSpec]) -> Iterator[str]:  # noqa: ARG001 - as every way's
    """What must be mended before anything is trained."""
    said, where = declared(spec), "'model.learning.federated"
    yield from _estimator(spec)
    if said.by == spec.target.column:
        yield f"{where}.by' {said.by} is the target: each client would know one answer only. Give the column of its owner."
    if spec.privacy.get(said.by, "keep") != "keep":
        yield f"{where}.by' {said.by} names the clients in records and pages, but 'privacy' hides it. Give another."
    if said.privacy is not None:
        yield from _private(spec)
    if said.processes:
        yield from _flower()
    yield from _clients(home, spec)


def _estimator(spec: ProductSpec) -> Iterator[str]:
    """An estimator whose model clients cannot agree on, or parameters that they do not follow."""
    said, where = declared(spec), "'model.learning.federated"
    is_of_trees = said.strategy == "trees"
    allowed: Collection[str] = TREES if is_of_trees else PENALTIES
    if spec.model.estimator not in allowed:
        yield (
            f"{where}' with strategy {said.strategy} learns {'boosted histograms' if is_of_trees else 'a linear model'}, but "
            f"'model.estimator' is {spec.model.estimator}. Allowed: {', '.join(allowed)}."
        )
        return
    followed = [*TREE_PARAMETERS] if is_of_trees else [name for name in [PENALTIES[spec.model.estimator]] if name]
    given = set(spec.model.parameters) | set(spec.tune.parameters if spec.tune is not None else ())
    if strange := sorted(given.difference(followed)):
        instead = "; 'rounds' is how many trees are grown" if "max_iter" in strange else ""
        yield (
            f"{where}' takes no 'model.parameters' but {', '.join(followed) or 'none'}, got {', '.join(strange)}{instead}. "
            "Remove them."
        )
    if is_of_trees and spec.model.categories != "codes":
        yield f"{where}' with strategy trees shows no client the target's means of others: 'model.categories' must be codes."


def _flower() -> Iterator[str]:
    """Processes need Flower."""
    try:
        require_flower()
    except LooplineError as error:
        yield f"'model.learning.federated.processes': {error}."


def _private(spec: ProductSpec) -> Iterator[str]:
    """What would tell of rows without noise, or more often than is counted."""
    where = "'model.learning.federated.privacy'"
    if spec.kind == "regression":
        yield f"{where} needs a target of classes: the values of a regression have no declared range. Remove it."
        return
    if loose := [name for name, item in spec.columns.items() if item.type == "category" and item.values is None]:  # noqa: PD011
        yield f"{where} needs the 'values' of {', '.join(loose)} declared: clients must not tell which they have."
    if loose := [n for n, item in spec.columns.items() if item.type == "number" and (item.min is None or item.max is None)]:
        yield f"{where} needs 'min' and 'max' of {', '.join(loose)} declared: clients must not tell theirs."
    if spec.tune is not None:
        yield f"{where} counts one training, but 'tune' trains for each trial. Remove 'tune'."
    if spec.model.refit:
        yield f"{where} counts one training, but 'model.refit' trains twice. Remove it."
    if spec.evaluation.cross_fitted_below:
        yield (
            f"{where} counts one training, but below {spec.evaluation.cross_fitted_below} rows each fold is trained. Set "
            "evaluation.cross_fitted_below to 0."
        )
    try:
        plan_of(spec)
    except LooplineError as error:
        yield str(error)


def _clients(home: Home, spec: ProductSpec) -> Iterator[str]:
    """What the rows of the last snapshot say of the clients; nothing before the first one is published."""
    said = declared(spec)
    try:
        snapshot = snapshots.current(home, spec.name)
    except LooplineError:
        return
    parts = labelled_rows.labelled_parts(spec, snapshot)
    if said.by not in parts["train"].rows:
        return
    found = list(client_problems(spec, _counted(spec, parts["train"].rows)))
    yield from found or _folds(spec, [parts["train"], parts["validate"]])


def _folds(spec: ProductSpec, parts: list[LabelledRows]) -> Iterator[str]:
    """Where few rows are judged by models of folds, each fold's clients have fewer still."""
    if not cross_fitting.is_wanted(spec, parts):
        return
    rows = labelled_rows.joined(parts, "fitted")
    for fold in cross_fitting.folds_of(spec, rows, spec.model.seed):
        for problem in client_problems(spec, _counted(spec, rows.rows.iloc[fold.train])):
            yield (
                f"below {spec.evaluation.cross_fitted_below} rows ('evaluation.cross_fitted_below') models of folds judge, and "
                f"in one of {len(fold.train)} rows: {problem} Or set evaluation.cross_fitted_below to 0."
            )
            return


def _counted(spec: ProductSpec, rows: pd.DataFrame) -> dict[str, int]:
    """The rows of each client."""
    return {str(name): int(count) for name, count in rows[declared(spec).by].astype(str).value_counts().items()}


def client_problems(spec: ProductSpec, counts: Mapping[str, int]) -> Iterator[str]:
    """What is wrong with clients of so many training rows.

    Parameters
    ----------
    spec : ProductSpec
        The declaration.
    counts : mapping of str to int
        The rows of each client.
    """
    said, where = declared(spec), "'model.learning.federated"
    if len(counts) < 2:
        told = f"one value, {next(iter(counts))}" if counts else "no value"
        yield (
            f"{where}.by' {said.by} has {told}, so there is one client at most and nothing to agree on. Partition by another "
            "column, or remove 'learning'."
        )
    if few := {name: count for name, count in sorted(counts.items()) if count < said.min_client_rows}:
        listed = ", ".join(f"{name} has {count}" for name, count in list(few.items())[:6])
        more = f" and {len(few) - 6} more" if len(few) > 6 else ""
        yield (
            f"{where}.min_client_rows' is {said.min_client_rows}, but {listed}{more}. Lower it, partition by a column with "
            "fewer values, or leave these clients' rows out of the source."
        )
