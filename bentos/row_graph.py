"""One row at a time: the model's graph behind the columns that its estimator sees, and what each category becomes in a table.

onnxruntime takes 5 microseconds for each tensor that it is given, and a model has one for each feature: for a single row that
is most of its time. Here memory is bound once, and each row is written into it. What the graph computes is the model's own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from .runtime import OUTPUTS, Model, session_of

FILE = "row.onnx"
ROW, CODE = "/row", "/row_code"
"""The graph's inputs begin so: columns, and the places of categories among the known texts."""
LAYOUT = "row_layout"
"""Where the graph's metadata say which columns each input has."""


def categories(model: Model) -> dict[str, list[str]]:
    """The texts of each category in the order of their codes; the first is the missing one's."""
    features = model.signature["features"]
    return {name: ["", *(text for text in features[name]["known"] if text)] for name in model.inputs[0]}


class RowGraph:
    """Runs the graph on single rows; threads take turns.

    Parameters
    ----------
    content : bytes
        The graph, as it was made when the model was packaged.
    model : Model
        The model that it was made from.
    """

    def __init__(self, content: bytes, model: Model) -> None:
        import onnxruntime

        self.session = session_of(content)
        layout = json.loads(self.session.get_modelmeta().custom_metadata_map[LAYOUT])
        places = {name: place for place, name in enumerate(model.signature["features"])}
        known = categories(model)
        columns = [column for block in layout["blocks"].values() for column in block]
        looked_up = [column for column in columns if column[0] == "category"]
        coded = layout["codes"]
        # what is found for categories stands behind the row's own values
        self._tables = [(places[name], dict(zip(known[name], values, strict=True))) for _, name, values in looked_up]
        self._tables += [(places[name], {text: code for code, text in enumerate(known[name])}) for name in coded]
        behind = iter(range(len(places), len(places) + len(self._tables)))
        self._columns = _picked([places[column[1]] if column[0] == "number" else next(behind) for column in columns])
        self._coded = _picked(list(behind))
        self._row = np.zeros(len(columns), dtype=np.float64 if model.is_double else np.float32)
        self._codes = np.zeros(len(coded), dtype=np.int64)
        edges = accumulate((len(block) for block in layout["blocks"].values()), initial=0)
        bound = {
            name: self._row[start:end].reshape(1, -1)
            for name, (start, end) in zip(layout["blocks"], pairwise(edges), strict=True)
        }
        bound |= {f"{CODE}/{name}": self._codes[place : place + 1] for place, name in enumerate(coded)}
        # the first run says of which shape and type the outputs are
        (first,) = self.session.run([OUTPUTS], bound)
        self._outputs = np.zeros_like(first)
        self._bound = {name: onnxruntime.OrtValue.ortvalue_from_numpy(memory) for name, memory in bound.items()}
        self._output = onnxruntime.OrtValue.ortvalue_from_numpy(self._outputs)
        self._binding = self.session.io_binding()
        for name, value in self._bound.items():
            self._binding.bind_ortvalue_input(name, value)
        self._binding.bind_ortvalue_output(OUTPUTS, self._output)
        self._turn = threading.Lock()

    def outputs(self, values: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """What the graph gives for a checked row; None for a row with a category that has no code, which the model answers.

        Parameters
        ----------
        values : sequence of shape (n_features,)
            The row, in the order of the signature's features; what is missing is None.

        Returns
        -------
        ndarray of shape (1, n_outputs), or None
        """
        try:
            found = [table[values[place] or ""] for place, table in self._tables]
        except KeyError:
            return None
        whole = (*values, *found)
        with self._turn:
            self._row[:] = self._columns(whole)
            if self._codes.size:
                self._codes[:] = self._coded(whole)
            self.session.run_with_iobinding(self._binding)
            given: np.ndarray[Any, np.dtype[np.float64]] = self._outputs.astype(np.float64)
        return given


def _picked(places: Sequence[int]) -> Any:
    """Takes the values at some places out of a sequence, as a sequence."""
    return itemgetter(*places) if len(places) > 1 else lambda values: [values[place] for place in places]
