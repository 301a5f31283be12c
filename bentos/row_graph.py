"""A few rows at a time: the model's graph behind the columns of its estimator, and what each category becomes in a table.

onnxruntime takes 5 microseconds for each tensor that it is given, and a model has one for each feature: for a few rows that
is most of its time. Here memory is bound once for each number of rows, and rows are written into it. What the graph computes
is the model's own.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from .runtime import OUTPUTS, Model, TamperedModelError, session_of

FILE = "row.onnx"
ROW, CODE = "/row", "/row_code"
"""The graph's inputs begin so: columns, and the places of categories among the known texts."""
LAYOUT = "row_layout"
"""Where the graph's metadata say which columns each input has."""


MOST_ROWS = 16
"""From more rows on, what remains of the model's own graph is not much of its time."""


def categories(model: Model) -> dict[str, list[str]]:
    """The texts of each category in the order of their codes; the first is the missing one's."""
    features = model.signature["features"]
    return {name: ["", *(text for text in features[name]["known"] if text)] for name in model.inputs[0]}


@dataclass(frozen=True)
class _Memory:
    """What a call for so many rows reads and writes: a block for each input of columns, the codes, and the outputs."""

    blocks: list[np.ndarray[Any, Any]]
    codes: np.ndarray[Any, Any]
    outputs: np.ndarray[Any, Any]
    binding: Any


class RowGraph:
    """Runs the graph on a few rows; threads take turns.

    Parameters
    ----------
    content : bytes
        The graph, as it was made when the model was packaged.
    model : Model
        The model that it was made from.
    """

    def __init__(self, content: bytes, model: Model) -> None:
        self.session = session_of(content)
        layout = json.loads(self.session.get_modelmeta().custom_metadata_map[LAYOUT])
        places = {name: place for place, name in enumerate(model.signature["features"])}
        known = categories(model)
        looked_up = [column for block in layout["blocks"].values() for column in block if column[0] == "category"]
        # what is found for categories stands behind the row's own values
        self._tables = [(places[name], dict(zip(known[name], values, strict=True))) for _, name, values in looked_up]
        self._tables += [(places[name], {text: code for code, text in enumerate(known[name])}) for name in layout["codes"]]
        behind = iter(range(len(places), len(places) + len(self._tables)))
        self._blocks = {
            name: (_picked([places[column[1]] if column[0] == "number" else next(behind) for column in block]), len(block))
            for name, block in layout["blocks"].items()
        }
        self._coded = _picked(list(behind))
        self._codes = [f"{CODE}/{name}" for name in layout["codes"]]
        self._number = np.float64 if model.is_double else np.float32
        self._memory: dict[int, _Memory] = {}
        self._turn = threading.Lock()

    def outputs(self, rows: Sequence[Sequence[Any]]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """What the graph gives for checked rows; None if a category of them has no code: the model answers then.

        Parameters
        ----------
        rows : sequence of shape (n_rows, n_features)
            At least one row and at most `MOST_ROWS`, in the order of the signature's features; what is missing is None.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs), or None
        """
        try:
            whole = [(*row, *[table[row[place] or ""] for place, table in self._tables]) for row in rows]
        except KeyError:
            return None
        with self._turn:
            memory = self._memory.get(len(rows)) or self._bound(len(rows))
            for block, (picked, _) in zip(memory.blocks, self._blocks.values(), strict=True):
                block[:] = [picked(row) for row in whole]
            if self._codes:
                memory.codes[:] = [self._coded(row) for row in whole]
            self.session.run_with_iobinding(memory.binding)
            given: np.ndarray[Any, np.dtype[np.float64]] = memory.outputs.astype(np.float64)
        return given

    def _bound(self, rows: int) -> _Memory:
        """Memory for so many rows, bound to the graph and kept."""
        from onnxruntime import OrtValue

        blocks = {name: np.zeros((rows, columns), dtype=self._number) for name, (_, columns) in self._blocks.items()}
        # a code's memory is a column's: what is written by rows lies together by codes
        codes = np.zeros((len(self._codes), rows), dtype=np.int64)
        inputs = {**blocks, **dict(zip(self._codes, codes, strict=True))}
        # the first run says of which shape and type the outputs are
        (outputs,) = self.session.run([OUTPUTS], inputs)
        binding = self.session.io_binding()
        for name, memory in inputs.items():
            binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(memory))
        binding.bind_ortvalue_output(OUTPUTS, OrtValue.ortvalue_from_numpy(outputs))
        self._memory[rows] = _Memory(list(blocks.values()), codes.T, outputs, binding)
        return self._memory[rows]


def row_graph_in(folder: Path, promise: Mapping[str, Any], model: Model) -> RowGraph | None:
    """The graph for single rows, if the promise names one."""
    promised = promise.get("row_graph_digest")
    if promised is None:
        return None
    content = (folder / FILE).read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != promised:
        raise TamperedModelError(
            f"{folder / FILE} has digest {found[:12]}, promised was {promised[:12]}. It is not loaded: package the champion "
            "again."
        )
    return RowGraph(content, model)


def _picked(places: Sequence[int]) -> Any:
    """Takes the values at some places out of a sequence, as a sequence."""
    return itemgetter(*places) if len(places) > 1 else lambda values: [values[place] for place in places]
