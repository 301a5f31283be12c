"""One row at a time: the model's graph behind two tensors, one of numbers and one of the categories' places.

onnxruntime takes 5 microseconds for each tensor that it is given, and a model has one for each feature: for a single row that
is most of its time. Here memory is bound once, and each row is written into it. What the graph computes is the model's own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from .runtime import OUTPUTS, Model, session_of

FILE = "row.onnx"
NUMBERS, CODES = "/row_numbers", "/row_codes"
"""The graph's inputs; what a model has none of is left out."""


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
        self.numbers = model.inputs[1]
        self.codes = [(name, {text: code for code, text in enumerate(texts)}) for name, texts in categories(model).items()]
        self._numbers = np.zeros((1, len(self.numbers)), dtype=np.float64 if model.is_double else np.float32)
        self._codes = np.zeros((1, len(self.codes)), dtype=np.int64)
        self._bound = [
            (name, onnxruntime.OrtValue.ortvalue_from_numpy(memory))
            for name, memory in ((NUMBERS, self._numbers), (CODES, self._codes))
            if memory.size
        ]
        # the first run says of which shape and type the outputs are
        (first,) = self.session.run([OUTPUTS], {name: value.numpy() for name, value in self._bound})
        self._outputs = np.zeros_like(first)
        self._binding = self.session.io_binding()
        for name, value in self._bound:
            self._binding.bind_ortvalue_input(name, value)
        self._output = onnxruntime.OrtValue.ortvalue_from_numpy(self._outputs)
        self._binding.bind_ortvalue_output(OUTPUTS, self._output)
        self._turn = threading.Lock()

    def outputs(self, row: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """What the graph gives for a checked row; None for a row with a category that has no code, which the model answers.

        Returns
        -------
        ndarray of shape (1, n_outputs), or None
        """
        get = row.get
        try:
            codes = [known[get(name) or ""] for name, known in self.codes]
        except KeyError:
            return None
        with self._turn:
            if self.numbers:
                self._numbers[0] = [get(name) for name in self.numbers]
            if codes:
                self._codes[0] = codes
            self.session.run_with_iobinding(self._binding)
            found: np.ndarray[Any, np.dtype[np.float64]] = self._outputs.astype(np.float64)
        return found
