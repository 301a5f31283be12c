"""Experiments as a person asks for them: the declaration is found, its history read, and its design worked out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import SourceError, SpecificationError
from assets.experiments.design import Design, design
from assets.experiments.labelled_history import labelled_history
from assets.experiments.outcome_history import OutcomeHistory
from assets.promotion import ledger
from assets.promotion.error_budget import experiment_level
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home
from orchestration.declarations import products

if TYPE_CHECKING:
    import pandas as pd


def declared_experiment(product: str, name: str) -> tuple[ProductSpec, ExperimentSpec]:
    """A product and one of its experiments.

    Raises
    ------
    SpecificationError
        If there is no such product, or it declares no such experiment.
    """
    spec, folder = products(product)[0]
    found = next((item for item in spec.experiments if item.name == name), None)
    if found is None:
        listed = ", ".join(item.name for item in spec.experiments) or "none"
        raise SpecificationError(
            f"{product}: there is no experiment '{name}'. Declared are: {listed}. Declare it under 'experiments' in "
            f"{folder / 'defs.yaml'}; docs/experiments.md lists the fields."
        )
    return spec, found


def designed(home: Home, product: str, name: str, history: Path | None = None) -> Design:
    """Design a declared experiment by the product's labelled rows, or by a file.

    Parameters
    ----------
    home, product, name
        The experiment of which product.
    history : Path, optional
        A Parquet or CSV file with ``unit``, ``day`` and ``value`` (and ``rows``, where a line stands for several).

    Raises
    ------
    LooplineError
        If it is not declared, or the history cannot be read or says too little.
    """
    spec, experiment = declared_experiment(product, name)
    if experiment.kind != "test":
        raise SpecificationError(
            f"{product}: '{name}' is a {experiment.kind}, which has no duration to design. Declare one of kind 'test' instead."
        )
    frame = labelled_history(home, spec, experiment) if history is None else _read(history)
    level = experiment_level(home, spec, ledger.trusted(home, product).entries, experiment.false_positive)
    return design(product, experiment, OutcomeHistory(frame, product if history is None else str(history)), level)


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    readers = {".parquet": pd.read_parquet, ".csv": pd.read_csv}
    if (reader := readers.get(path.suffix)) is None:
        raise SourceError(f"{path} is no history that can be read. Give a .parquet or .csv file.")
    try:
        frame: pd.DataFrame = reader(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read as {path.suffix[1:]}: {error}. Write it anew.") from error
    return frame
