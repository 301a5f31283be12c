"""New products: from a file to a `defs.yaml` that is known to be sound, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from assets.errors import SpecificationError
from assets.scaffolding import draft, profiling
from assets.scaffolding.column_roles import Ask, Role
from assets.scaffolding.question import Question
from assets.spec import ProductSpec, SourceSpec, read_declaration
from assets.spec.base import Name
from assets.storage.drafts import draft_folder
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import publishing
from orchestration.declarations import DEFS
from orchestration.operations.declaration.reference_docs import schema_path

STAGING = REPOSITORY / "dbt_project" / "models" / "staging"
TAKEN = ("features", "landing", "marts", "raw", "seeds", "sources", "staging", "warehouse")
"""Names that stand for layers."""


@dataclass(frozen=True)
class Written:
    """The files of a new product, its declaration first, the part of each column, and what else to tell."""

    files: tuple[Path, ...]
    table: tuple[Role, ...]
    notes: tuple[str, ...]


def new_product(
    home: Home,
    question: Question,
    data: str,
    *,
    encoding: str | None = None,
    nulls: Sequence[str] = (),
    staged: bool = False,
    ask: Ask | None = None,
    defs: Path = DEFS,
    staging: Path = STAGING,
) -> Written:
    """Look at a file and declare a product over it.

    Parameters
    ----------
    home : Home
        Where to keep what is only needed meanwhile.
    question : Question
        What to predict.
    data : str
        The file, folder or pattern; the table of a database, or the sheet of an Excel file, follows after ``::``.
    encoding : str, optional
        The encoding of a text file, where it is not to be found out.
    nulls : sequence of str
        Texts that mean 'no value'.
    staged : bool
        Whether to put a dbt staging model between landing and product.
    ask : callable, optional
        Asks a person about columns that tell the target too well; without it they are kept, with a warning.
    defs, staging : Path
        Where declarations and staging models lie.

    Raises
    ------
    LooplineError
        If the name is taken, or the file does not hold what is asked of it. Nothing is written then.
    """
    _require_free(question.name, defs)
    name, _, relation = data.partition("::")
    profile = profiling.profile(home, Path(name).expanduser().resolve(), relation or None, encoding=encoding, nulls=nulls)
    folder = defs / question.name
    source_folder = defs / "sources" / question.name if staged else folder
    made = draft.draft(question, profile, source_folder, staged=staged, ask=ask)
    files = {folder / "defs.yaml": made.text}
    if staged:
        files[source_folder / "defs.yaml"] = made.staging["source"]
        files[staging / f"stg_{question.name}.sql"] = made.staging["model"]
        files[staging / f"stg_{question.name}.yml"] = made.staging["properties"]
    _require_sound(home, made, data)
    for path, kind in ((folder / "defs.yaml", "ModelProduct"), (source_folder / "defs.yaml", "Source")):
        if kind == "ModelProduct" or staged:
            near = os.path.relpath(schema_path(kind), path.parent)
            files[path] = f"# yaml-language-server: $schema={near}\n{files[path]}"
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with publishing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SpecificationError(
                f"{path} cannot be written ({error.strerror}). A product is declared inside the checkout: "
                "run `loopline new` in one that you may write to, and commit what it writes."
            ) from error
    return Written(tuple(files), tuple(made.table), tuple(made.notes))


def _require_free(name: str, defs: Path) -> None:
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        raise SpecificationError(f"{name!r} cannot name a product. Use lower case letters, digits and underscores.") from error
    if name in TAKEN:
        raise SpecificationError(f"'{name}' is the name of a layer. Choose another one than {', '.join(TAKEN)}.")
    for path in sorted(defs.rglob("defs.yaml")):
        declared = _name_in(path)
        if name == declared or path.parent == defs / name:
            raise SpecificationError(
                f"'{name}' is declared already in {path}. Choose another name, or remove that folder first."
            )


def _name_in(path: Path) -> Any:
    try:
        return ((yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("attributes") or {}).get("name")
    except (yaml.YAMLError, AttributeError):
        return None


def _require_sound(home: Home, made: draft.Draft, data: str) -> None:
    """Read what was drafted the way it will be read."""
    with draft_folder(home) as scratch:
        for text, kind in ((made.text, ProductSpec), (made.staging.get("source"), SourceSpec)):
            if text is not None:
                path = scratch / "defs.yaml"
                path.write_text(text, encoding="utf-8")
                read_declaration(path, kind, drafted_for=data)
