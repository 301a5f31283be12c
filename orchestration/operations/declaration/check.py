"""Checking: everything about a product that can be known before it is run; its estimators are tried on made-up rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from assets.errors import LooplineError
from assets.evaluation.examinations import EXAMINATIONS
from assets.features import labelled_rows, snapshots
from assets.ingestion import extracts, raw_files, row_validation
from assets.promotion.gate_rules import GATE_RULES
from assets.spec import ProductSpec, WarehouseSpec
from assets.storage.home import REPOSITORY, Home
from assets.training import cross_fitting, estimators, learning, onnx_export, training
from assets.training.federated import problems as federated_problems
from assets.training.uncertainty import require_rows
from assets.warehouse import dbt_build
from orchestration.declarations import DEFS, products, warehouses

MADE_UP = 200
"""The rows on which it is tried whether an estimator converts."""
TYPES = {"category": {"varchar", "text", "string"}, "number": {"double"}}


@dataclass
class Checked:
    """What was found of one product: what must be mended, and what deserves a look."""

    product: str
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def check(home: Home, spec: ProductSpec, folder: Path, defs: Path = DEFS) -> Checked:
    """Check a declaration against the code, the file and the warehouse that it names.

    Fields, vocabularies, gates that can never pass and the like are checked when the declaration is read.

    Parameters
    ----------
    home : Home
        What earlier runs found out; it is only read, and need not be there.
    spec : ProductSpec
        The declaration.
    folder : Path
        Where it lies.
    defs : Path
        Where the warehouse is declared.
    """
    found = Checked(spec.name)
    houses = warehouses(defs)
    for test in (_estimator, _tuning):
        found.problems += _told(test, spec, houses)
    found.problems += _told(_uncertainty, spec, home)
    if not found.problems and spec.model.learning is not None:
        found.problems += _told(_learning, spec, home, defs)
    if spec.source is not None:
        found.problems += _told(_file, spec, folder)
    else:
        found.problems += _told(_relation, spec, houses)
    found.remarks += [*_uncovered(spec), *_extended(spec)]
    if not found.problems:
        _try_to_convert(spec, found)
    return found


def _told(test: Any, spec: ProductSpec, *given: Any) -> list[str]:
    try:
        return list(test(spec, *given))
    except LooplineError as error:
        return [str(error)]


def _estimator(spec: ProductSpec, houses: list[WarehouseSpec]) -> Iterator[str]:  # noqa: ARG001 - every test takes the same
    estimators.pipeline(spec, list(spec.columns))
    return iter(())


def _learning(spec: ProductSpec, home: Home, defs: Path) -> Iterator[str]:
    """What stands against the declared way of learning."""
    return learning.problems(home, spec, {other.name: other for other, _ in products(defs=defs)})


def _try_to_convert(spec: ProductSpec, found: Checked) -> None:
    """Fit each estimator on a few made-up rows: whether it can be served is known before it is trained, and how exactly."""
    frame, labels = estimators.made_up(spec, MADE_UP)
    for candidate in estimators.candidates(spec):
        name = candidate.model.estimator
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # such as those of a solver that stops early
                fitted = estimators.fit(candidate, frame, labels)
        except Exception as error:  # noqa: BLE001 - whatever an estimator of anyone's raises on rows that mean nothing
            found.remarks.append(f"{name} could not be tried on {MADE_UP} made-up rows ({error}): it may not convert")
            continue
        if onnx_export.is_double(candidate, fitted):
            continue
        try:
            onnx_export.convert(candidate, fitted, None)
        except LooplineError as error:
            found.problems.append(str(error))
            continue
        found.remarks.append(
            f"{name} is served in single precision: answers may differ from the fitted pipeline's in the sixth digit, and "
            f"a model that differs by more than {training.PARITY[False]:g} is not published. Exact are boosted histograms, "
            "LightGBM, CatBoost, trees, forests and linear models with their usual objectives"
        )


def _tuning(spec: ProductSpec, houses: list[WarehouseSpec]) -> Iterator[str]:
    if spec.tune is None:
        return
    allowed = estimators.parameters_of(spec)
    for name, searched in spec.tune.parameters.items():
        if name not in allowed:
            yield f"'tune.parameters.{name}' is none that {spec.model.estimator} takes. Allowed: {', '.join(sorted(allowed))}."
            continue
        for value in searched.values or (searched.low, searched.high):
            model = spec.model.model_copy(update={"parameters": {**spec.model.parameters, name: _whole(value)}})
            estimators.estimator(spec.model_copy(update={"model": model}))
    known = {name for house in houses for name in house.parameters}
    for name in sorted(set(spec.tune.warehouse).difference(known)):
        yield f"'tune.warehouse.{name}' is no parameter of the warehouse. Declared: {', '.join(sorted(known))}."
    if spec.tune.warehouse and spec.source is not None:
        yield "'tune.warehouse' searches feature parameters, but the product reads its own file. Remove it."


def _uncertainty(spec: ProductSpec, home: Home) -> Iterator[str]:
    """Whether the rows that were published last are enough for the declared coverage; before that, training tells."""
    if spec.uncertainty is not None and (home.snapshots / spec.name / "current.json").exists():
        parts = labelled_rows.labelled_parts(spec, snapshots.current(home, spec.name))
        choosing = [parts[name] for name in ("train", "validate")]
        if cross_fitting.is_wanted(spec, choosing):
            cross_fitting.require_choosing_rows(spec, parts)
        else:
            require_rows(spec, len(parts["validate"].rows))
    return iter(())


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _file(spec: ProductSpec, folder: Path) -> Iterator[str]:
    source = spec.as_source()
    assert source is not None  # noqa: S101 - for the type checker: the caller looked
    for name, table in source.tables.items():
        if table.stored is not None:
            with extracts.opened(table, raw_files.base(source, folder)):
                continue
        path = raw_files.locate(source, table, folder)
        with TemporaryDirectory() as scratch, raw_files.readable(path, table, Home(Path(scratch))) as read:
            found = [row_validation.named(column) for column in read[0].columns]
            raw_files.require_columns(table, found, f"{source.name}.{name} ({path.name})")
            if spec.model.client_column is not None:
                named = [table.columns[column].name or column for column in found]
                column = read[0].columns[named.index(spec.model.client_column)]
                yield from _clients(spec, column, [str(item.rows.path) for item in read])


def _clients(spec: ProductSpec, column: str, files: list[str]) -> Iterator[str]:
    """What the rows of a file say of the clients of federated learning; fewer of them train than there are."""
    import duckdb

    quoted = '"' + column.replace('"', '""') + '"'
    with duckdb.connect() as connection:
        counted = connection.execute(
            f"select {quoted}::varchar, count(*) from read_parquet($files) where {quoted} is not null group by 1",
            {"files": files},
        ).fetchall()
    yield from federated_problems.client_problems(spec, dict(counted))


def _relation(spec: ProductSpec, houses: list[WarehouseSpec]) -> Iterator[str]:
    schema, name = str(spec.features.relation).split(".")
    columns: dict[str, str] | None = None
    for house in houses:
        nodes = dbt_build.manifest(REPOSITORY / house.project, house.parameters)["nodes"].values()
        for node in nodes:
            if node["resource_type"] in ("model", "seed") and (node["schema"], node["name"]) == (schema, name):
                columns = {key: str(column.get("data_type") or "").lower() for key, column in node["columns"].items()}
    if columns is None:
        yield f"'features.relation' {spec.features.relation} is no model of the warehouse. Correct it, or add the model."
        return
    for wanted in spec.snapshot_columns:
        if wanted not in columns:
            yield f"{spec.features.relation} declares no column '{wanted}'. It has: {', '.join(columns)}."
    for wanted, feature in spec.columns.items():
        allowed = TYPES[str(feature.type)]
        if columns.get(wanted) and columns[wanted] not in allowed:
            found = f"{columns[wanted]} in {spec.features.relation}"
            yield f"'{wanted}' is a {feature.type}, but {found}: cast it to {min(allowed)}."


def _uncovered(spec: ProductSpec) -> Iterator[str]:
    loose = [
        name
        for name, feature in spec.columns.items()
        if (feature.type == "number" and (feature.min is None or feature.max is None))
        or (feature.type == "category" and feature.values is None)
    ]
    covered = len(spec.columns) - len(loose)
    if loose:
        shown = ", ".join(loose[:6]) + (f" and {len(loose) - 6} more" if len(loose) > 6 else "")
        yield f"the contract bounds {covered} of {len(spec.columns)} features; without a whole range or vocabulary: {shown}"


def _extended(spec: ProductSpec) -> Iterator[str]:
    """What extensions ask of a model beside the project's own rules."""
    for name, module in GATE_RULES.added.items():
        rule, told = GATE_RULES[name], ""
        if rule.limit:
            bound = spec.gates.rules.get(name)
            bounds = [
                f"{word} {limit:g}"
                for word, limit in (("at least", bound and bound.min), ("at most", bound and bound.max))
                if limit is not None
            ]
            told = f" must be {' and '.join(bounds)}" if bounds else " has no limit, so it only warns"
            told = f": {rule.limit}{told} ({rule.declared})"
        yield f"{module} adds the gate rule '{name}'{told}"
    for name, module in EXAMINATIONS.added.items():
        yield f"{module} adds the examination '{name}'"
