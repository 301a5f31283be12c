"""The declarations under `orchestration/defs`, read without Dagster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import SpecificationError
from assets.storage.home import REPOSITORY

if TYPE_CHECKING:
    from assets.spec import ProductSpec, SourceSpec, WarehouseSpec

DEFS = REPOSITORY / "orchestration" / "defs"
NOTHING_DECLARED = (
    "nothing is declared in orchestration/defs. Declare a product: `loopline new NAME --data FILE --target COLUMN`."
)
FIRST_PORT = 3001
"""Where the first declared product is served; the next has the next port, and the Dagster UI the one before."""


@dataclass(frozen=True)
class Declared:
    """What is declared: the landed tables, as ``source.table``, and for each product those that it rests on."""

    tables: Sequence[str]
    products: Mapping[str, Sequence[str]]


def declared(defs: Path = DEFS) -> Declared:
    """What is declared, read without building assets: dbt's manifest says what a product over the warehouse rests on."""
    from assets.warehouse import dbt_build

    specs = [spec for spec, _ in products(defs=defs)]
    rests_on = {spec.name: [f"{spec.name}.{table}" for table in own.tables] for spec in specs if (own := spec.as_source())}
    tables = [f"{source.name}.{table}" for source in _shared(defs) for table in source.tables]
    manifests = [dbt_build.manifest(REPOSITORY / house.project, house.parameters) for house in warehouses(defs)]
    for spec in specs:
        if spec.name not in rests_on:
            relation = str(spec.features.relation)
            rests_on[spec.name] = sorted({table for manifest in manifests for table in dbt_build.rests_on(manifest, relation)})
    return Declared(sorted({*tables, *(table for own in rests_on.values() for table in own)}), dict(sorted(rests_on.items())))


def products(wanted: str | None = None, defs: Path = DEFS) -> list[tuple[ProductSpec, Path]]:
    """The declared products with their folders, or one of them.

    Raises
    ------
    SpecificationError
        If a declaration cannot be read, or there is no such product.
    """
    from assets.spec import ProductSpec, read_declaration

    found = [(read_declaration(path, ProductSpec), path.parent) for path in _declaring("ModelProduct", defs)]
    chosen = [item for item in found if wanted in (None, item[0].name)]
    if not chosen and wanted is not None:
        raise _unknown(wanted, [spec.name for spec, _ in found])
    return chosen


def names(wanted: str | None = None, defs: Path = DEFS) -> list[str]:
    """The names of the declared products, or one of them; nothing else of a declaration is read, nor need it be right.

    Raises
    ------
    SpecificationError
        If there is no such product.
    """
    found = []
    for path in _declaring("ModelProduct", defs):
        named = re.search(r"^  name:\s*[\"']?([a-z0-9_]+)[\"']?\s*(#.*)?$", path.read_text(encoding="utf-8"), re.MULTILINE)
        if named is None:  # not written as usual: a template, for example
            found = [spec.name for spec, _ in products(defs=defs)]
            break
        found.append(named[1])
    if wanted not in (None, *found):
        raise _unknown(str(wanted), found)
    return found if wanted is None else [wanted]


def _unknown(wanted: str, declared_names: Sequence[str]) -> SpecificationError:
    listed = ", ".join(declared_names) or "none"
    return SpecificationError(f"there is no product '{wanted}'. Declared are: {listed}.")


def is_anything_declared(defs: Path = DEFS) -> bool:
    """Whether there is any declaration: a source, a warehouse, a product or another component."""
    return next(defs.rglob("defs.yaml"), None) is not None


def require_declarations() -> None:
    """Refuse a checkout in which nothing is declared.

    Raises
    ------
    SpecificationError
        If there is no declaration.
    """
    if not is_anything_declared():
        raise SpecificationError(NOTHING_DECLARED)


def service_port(product: str, defs: Path = DEFS) -> int:
    """The port on which `loopline serve` answers for a declared product unless it is said otherwise, and Prometheus asks."""
    return FIRST_PORT + [spec.name for spec, _ in products(defs=defs)].index(product)


def warehouses(defs: Path = DEFS) -> list[WarehouseSpec]:
    """The declared warehouses."""
    from assets.spec import WarehouseSpec, read_declaration

    return [read_declaration(path, WarehouseSpec) for path in _declaring("Warehouse", defs)]


def sources(defs: Path = DEFS) -> list[SourceSpec]:
    """The declared sources, and those that products declare for themselves."""
    return _shared(defs) + [own for spec, _ in products(defs=defs) if (own := spec.as_source()) is not None]


def sources_of(spec: ProductSpec, folder: Path, defs: Path = DEFS) -> list[tuple[SourceSpec, Path]]:
    """The sources that a product rests on, each with the folder of its declaration: its own, or those of the warehouse."""
    from assets.spec import SourceSpec, read_declaration

    if (own := spec.as_source()) is not None:
        return [(own, folder)]
    wanted = {table.partition(".")[0] for table in declared(defs).products[spec.name]}
    found = [(read_declaration(path, SourceSpec), path.parent) for path in _declaring("Source", defs)]
    return [item for item in found if item[0].name in wanted]


def _shared(defs: Path) -> list[SourceSpec]:
    from assets.spec import SourceSpec, read_declaration

    return [read_declaration(path, SourceSpec) for path in _declaring("Source", defs)]


def declares_product(path: Path) -> bool:
    """Whether a file declares a model product."""
    return _declares("ModelProduct", path)


def declares_source(path: Path) -> bool:
    """Whether a file declares a source."""
    return _declares("Source", path)


def is_changed_by_dagster(path: Path) -> bool:
    """Whether Dagster changes the assets of a file once they are made (`post_processing`)."""
    return re.search(r"^post_processing:", path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def _declaring(component: str, defs: Path) -> list[Path]:
    return [path for path in sorted(defs.rglob("defs.yaml")) if _declares(component, path)]


def _declares(component: str, path: Path) -> bool:
    return re.search(rf"^type:\s*\S*\.{component}\s*$", path.read_text(encoding="utf-8"), re.MULTILINE) is not None
