"""Source scores: what another model's graph answers, as columns that an estimator sees; the graph goes into the served one.

The scores are log-odds of two classes, logarithms of the probabilities of several, or values. The pipeline too computes them by
the very nodes that are served, so that both see the same numbers to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from assets.methods.calibration import SMALLEST
from assets.training.onnx_nodes import SINGLE_SOURCE, Builder, alike
from bentos.runtime import DOUBLE, as_numbers, as_text, session_of

PREFIX = "/source"
"""What the names of the source's tensors begin with in the graph that is served."""


class SourceScores(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The raw scores of a model that is an ONNX graph.

    Parameters
    ----------
    graph : bytes
        The graph; its inputs are features by name, or one tensor of all numbers in order.
    output : str
        The tensor of its probabilities or values.
    kind : str
        ``binary``, ``multiclass`` or ``regression``.
    names : sequence of str
        The features that it takes, in order.
    """

    def __init__(self, graph: bytes = b"", output: str = "", kind: str = "binary", names: Sequence[str] = ()) -> None:
        self.graph = graph
        self.output = output
        self.kind = kind
        self.names = names

    def fit(self, X: Any, y: Any = None) -> SourceScores:  # noqa: ARG002, N803 - scikit-learn's signature
        """Nothing is left to fit."""
        self.n_features_in_ = len(self.names)
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's signature
        """The scores of rows, shape (n_samples, n_outputs)."""
        if getattr(self, "_session", None) is None:
            self._session = session_of(self._alone())
        feeds = {
            item.name: (as_text if item.type == "tensor(string)" else as_numbers)(X[item.name].to_numpy()).reshape(-1, 1)
            for item in self._session.get_inputs()
        }
        return np.asarray(self._session.run(None, feeds)[0], dtype=np.float64)

    def __getstate__(self) -> Any:
        """Everything but the session."""
        return {name: value for name, value in super().__getstate__().items() if name != "_session"}

    @property
    def is_single(self) -> bool:
        """Whether its graph computes in single precision somewhere."""
        import onnx

        told = {item.key: item.value for item in onnx.load_from_string(self.graph).metadata_props}
        return not told.items() >= DOUBLE.items() or told.items() >= SINGLE_SOURCE.items()

    def written(self, builder: Builder) -> str:
        """Add the source's nodes, and give the tensor of its scores, shape (n_rows, n_outputs), in double precision."""
        import onnx

        inner = onnx.load_from_string(self.graph).graph
        if self.is_single:
            builder.properties |= SINGLE_SOURCE
        names = {item.name: self._fed(builder, item) for item in inner.input}
        for item in inner.initializer:
            copied = onnx.TensorProto.FromString(item.SerializeToString())
            copied.name = names[item.name] = f"{PREFIX}/{item.name}"
            builder.constants.append(copied)
        for node in inner.node:
            copied = onnx.NodeProto.FromString(node.SerializeToString())
            names |= {name: f"{PREFIX}/{name}" for name in node.output if name}
            copied.input[:] = [names.get(name, name) for name in node.input]
            copied.output[:] = [names.get(name, name) for name in node.output]
            copied.name = f"{PREFIX}/{node.name or node.output[0]}"
            builder.nodes.append(copied)
        answers = builder.double(names[self.output], f"{PREFIX}_answers")
        return answers if self.kind == "regression" else self._log_odds(builder, answers, self._classes(inner))

    def _fed(self, builder: Builder, item: Any) -> str:
        """The tensor that an input of the source's graph gets: a feature, or all of them together, in its precision."""
        from onnx import TensorProto

        kind = item.type.tensor_type.elem_type
        name = item.name
        if name not in self.names:
            name = (
                builder.add("Concat", list(self.names), f"{PREFIX}_columns", axis=1) if len(self.names) > 1 else self.names[0]
            )
        if kind in (TensorProto.STRING, TensorProto.DOUBLE):
            return str(name)
        return builder.add("Cast", [name], f"{PREFIX}_single/{item.name}", to=kind)

    def _classes(self, inner: Any) -> int:
        shape = next(item for item in inner.output if item.name == self.output).type.tensor_type.shape.dim
        return int(shape[1].dim_value)

    def _log_odds(self, builder: Builder, answers: str, classes: int) -> str:
        ends = builder.constant(f"{PREFIX}_least", np.array(SMALLEST)), builder.constant(f"{PREFIX}_most", np.array(1.0))
        kept = builder.add("Clip", [answers, *ends], f"{PREFIX}_kept")
        logs = alike(builder, "Log", kept, classes, f"{PREFIX}_logs")
        if self.kind == "multiclass":
            return logs
        sides = []
        for place, name in enumerate(("no", "yes")):
            at = builder.constant(f"{PREFIX}_{name}_place", np.array([place]))
            sides.append(builder.add("Gather", [logs, at], f"{PREFIX}_log_{name}", axis=1))
        return builder.add("Sub", sides[::-1], f"{PREFIX}_log_odds")

    def _alone(self) -> bytes:
        """A graph that gives the scores alone."""
        import onnx
        from onnx import TensorProto, helper

        builder = Builder()
        scores = self.written(builder)
        texts = {
            item.name
            for item in onnx.load_from_string(self.graph).graph.input
            if item.type.tensor_type.elem_type == TensorProto.STRING
        }
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.STRING if name in texts else TensorProto.DOUBLE, [None, 1])
            for name in self.names
        ]
        output = helper.make_tensor_value_info(scores, TensorProto.DOUBLE, [None, None])
        content: bytes = builder.model("source", inputs, output, {}).SerializeToString()
        return content
