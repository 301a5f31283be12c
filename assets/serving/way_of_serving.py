"""Way of serving: one form in which a champion answers, as `ways_of_serving` lists them all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from assets.errors import ParityError
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult
from assets.storage.home import Home
from bentos.runtime import Model

Mode = Literal["on request", "ahead"]
Rows = list[dict[str, Any]]
Answers = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]
"""Outputs of shape (n_rows,) or (n_rows, n_classes), decisions of shape (n_rows,), and by name what they say of their own
uncertainty, of shape (n_rows,); a product that declares none has none."""


@dataclass(frozen=True)
class Question:
    """What all ways are asked, to see whether they agree.

    Parameters
    ----------
    home, spec, model
        Whose answers are wanted.
    rows : list of dict
        Feature values by name, None where missing.
    keys : list of str
        The entities of the first rows, which are test rows; the others are made up.
    """

    home: Home
    spec: ProductSpec
    model: Model
    rows: Rows
    keys: list[str]


@dataclass(frozen=True)
class WayOfServing:
    """One form in which a champion answers: the asset that makes it, and how it is asked.

    Parameters
    ----------
    name, asset, description : str
        What it is called, the asset that makes it, and what that is.
    make : callable
        The body of the asset.
    place : callable
        Where its answers are found; None where this champion does not have it.
    answers : callable
        Its answers to a question, at a place; to the first rows only, where it was not asked others.
    reads, kinds : frozenset of str
        The parts of the declaration that `make` reads, and the kinds that the UI shows.
    distributions, inputs : tuple of str
        The libraries and the assets that it rests on.
    files : callable
        The files that it copies.
    withdraw : callable, optional
        Removes what was made of a model, by product and digest, when that is declared invalid.
    mode : {"on request", "ahead"}
        Whether it answers when it is asked (service mode), or what is to come is answered before, by the schedule (operating
        mode).
    can_fall_back : bool
        Whether it can answer with the fallback that a product declares.
    """

    name: str
    asset: str
    description: str
    make: Callable[[Home, ProductSpec], AssetResult]
    place: Callable[[Home, Entry], Path | None]
    answers: Callable[[Question, Path], Answers]
    reads: frozenset[str]
    kinds: frozenset[str]
    distributions: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ("champion",)
    files: Callable[[], Sequence[Path]] = tuple
    withdraw: Callable[[Home, str, str], object] | None = None
    mode: Mode = "on request"
    can_fall_back: bool = False


def answers_of_program(spec: ProductSpec, way: str, arguments: list[str], folder: Path, rows: Rows) -> Any:
    """What another Python process answers; it sees only what lies in the folder."""
    done = subprocess.run(
        [sys.executable, "-B", *arguments],  # no bytecode among the files that were published
        cwd=folder,
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise ParityError(f"{spec.name}: the {way} way cannot answer; it says: {last[0]}")
    return json.loads(done.stdout)


def answers_of_columns(model: Model, columns: dict[str, Any]) -> Answers:
    """What a way answered, from the columns that batch predictions have."""
    told = () if model.uncertainty is None else ("low", "high", "prediction_set", "is_certain", "is_abstained")
    sure = {name: np.asarray(columns[name]) for name in told if name in columns}
    if model.kind == "binary":
        return columns["probability"].astype(float), columns["is_positive"].astype(bool), sure
    if model.kind == "regression":
        return columns["prediction"].astype(float), columns["planned"].astype(float), sure
    classes = model.signature["classes"]
    return np.column_stack([columns[f"probability_{name}"] for name in classes]), columns["predicted_class"], sure
