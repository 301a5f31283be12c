"""Notebooks: a product's own, written from its declaration, and JupyterLab, which has an environment of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from assets.errors import EngineError, SpecificationError
from assets.spec import ProductSpec
from assets.storage.home import REPOSITORY
from assets.storage.publishing import publishing

NOTEBOOKS = REPOSITORY / "notebooks"
PROGRAM = REPOSITORY / ".venv-notebook" / "bin" / "jupyter"
PRODUCT = "loopline"
"""Where a notebook's metadata name its product."""

TEXT = """
# {name}

{description}

The rows, the split, the training, the metrics and the gate are those of production: what a variant gives here, a run of
the same declaration gives, digest for digest. Nothing here changes what is served. Each model that is shown its figures on
the test rows is counted: the best of many is the luckiest, too, and `lab.reuse` says what that costs.

---
import loopline

lab = loopline.load("{name}")
lab

---
## The rows

Features as they were known when each row was to be predicted. `loopline.load("{name}", as_of="2013-10-01")` shows only what was
known then.

---
lab.features.head()

---
{{name: (len(part.rows), part.span) for name, part in lab.split.items()}}

---
## The declaration

Trained by production's function, it is the model that production has.

---
declared = lab.variant()
declared.evaluate()

---
next(iter(declared.plots.values()))

---
## A variant

Other parameters, fewer features, or another estimator: `features=[…]`, `estimator="…"`. What could not be declared is an error.

---
variant = lab.variant({variant})
variant.evaluate()

---
lab.compare(variant, declared)

---
## The gate

What it would say of the variant now, against who serves. All examinations are made, so this takes longest.

---
print(variant.verdict().told)

---
## Many variants

The Ladder tells only whether a variant is better than the best before it. It costs no look, however often it is asked.

---
declared.ladder(), variant.ladder()

---
print(lab.reuse.told)

---
## Adopt it

The record keeps what was changed and what was found. `loopline adopt notebooks/{name}.ipynb` makes a branch of it.

---
variant.record("Tried in notebooks/{name}.ipynb.").name
"""


def prepared(spec: ProductSpec, folder: Path = NOTEBOOKS) -> Path:
    """A product's notebook; it is written where there is none, and never written over."""
    file = folder / f"{spec.name}.ipynb"
    if not file.exists():
        try:
            with publishing(file) as temporary:
                temporary.write_text(drafted(spec), encoding="utf-8")
        except OSError as error:
            raise SpecificationError(
                f"{file} cannot be written ({error.strerror}). Run `loopline notebook` in a clone that you may write to."
            ) from error
    return file


def drafted(spec: ProductSpec) -> str:
    """The text of a product's notebook, without outputs."""
    told = TEXT.format(name=spec.name, description=spec.description, variant=_variant(spec))
    cells = [_cell(number, part.strip("\n")) for number, part in enumerate(told.split("\n---\n"), start=1)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, PRODUCT: {"product": spec.name}}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n"  # as Jupyter writes it


def product_of(notebook: str) -> str:
    """The product that a notebook is about; a name that is no notebook's is the product's own.

    Raises
    ------
    SpecificationError
        If the file is no notebook of a product.
    """
    if not notebook.endswith(".ipynb"):
        return notebook
    file = Path(notebook)
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["metadata"][PRODUCT]["product"])
    except OSError as error:
        told = f"{file} cannot be read ({error.strerror}). `loopline notebook PRODUCT` writes one."
        raise SpecificationError(told) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SpecificationError(
            f"{file} does not say which product it is about: its metadata need {PRODUCT}.product. Name the product instead, or "
            "begin with the notebook that `loopline notebook PRODUCT` writes."
        ) from error


def jupyter_lab(file: Path) -> list[str]:
    """The command that opens JupyterLab on a notebook.

    Raises
    ------
    EngineError
        If it is not set up.
    """
    if not PROGRAM.exists():
        raise EngineError(f"JupyterLab is not set up, as {PROGRAM.parent.parent} is not there. Run `make notebook`.")
    asks_nobody = ("check_for_updates_class=jupyterlab.NeverCheckForUpdate", "news_url=None", "extension_manager=readonly")
    return [str(PROGRAM), "lab", *(f"--LabApp.{setting}" for setting in asks_nobody), str(file)]


def _cell(number: int, source: str) -> dict[str, Any]:
    is_text = source.startswith("#")
    lines = source.splitlines(keepends=True)
    cell: dict[str, Any] = {"cell_type": "markdown", "id": f"cell-{number:02d}", "metadata": {}, "source": lines}
    return cell if is_text else {**cell, "cell_type": "code", "execution_count": None, "outputs": []}


def _variant(spec: ProductSpec) -> str:
    """A first variant to begin with: half of the first number among the parameters, else one feature less."""
    for name, value in spec.model.parameters.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 1:
            return f"parameters={{{name!r}: {value // 2 if isinstance(value, int) else value / 2!r}}}".replace("'", '"')
    named = {*spec.baseline.by, *spec.evaluation.slices}
    kept = [name for name in spec.columns if name not in named]
    return f"features=[name for name in lab.spec.columns if name != {kept[-1]!r}]".replace("'", '"') if kept else ""
