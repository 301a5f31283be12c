"""A model folder: `model.onnx` and its signature `model.json`, loaded only if their digest is the promised one.

This is the whole of what scores rows: the service, the batch predictions and the evaluation all come through here, so
what is evaluated is what is served. It needs numpy and onnxruntime.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .decisions import decide
from .uncertainty import ADAPTED, RECORD, Uncertainty

FILES = ("model.json", "model.onnx")
OUTPUTS = "/outputs"
"""The one output of every graph."""
DOUBLE = {"precision": "double"}
"""What a graph says of itself in its metadata where it computes in double precision throughout."""

MOST_ROWS = 65_536
"""How many rows a graph is given at once: what it needs beside its answers does not grow with a whole month or snapshot."""

FORMAT = 2
"""The version of a model folder, which its signature names. Raise it with a change after which earlier models cannot be run."""


class ModelError(Exception):
    """A model folder that is not loaded."""


class TamperedModelError(ModelError):
    """The model folder's bytes are not those that were promoted."""


class OutdatedModelError(ModelError):
    """Another version of Loopline made the model, and this one cannot run it."""


def read_signature(folder: Path) -> dict[str, Any]:
    """What a model says of itself."""
    signature: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return signature


def is_outdated(signature: Mapping[str, Any]) -> bool:
    """Whether another version of Loopline made the model; the first named none."""
    return bool(signature.get("format", 1) != FORMAT)


def session_of(graph: bytes, threads: int = 1) -> Any:
    """A session of onnxruntime that runs a graph on the processor, with so many threads for one call."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, sess_options=options, providers=["CPUExecutionProvider"])


def model_digest(folder: Path) -> str:
    """SHA-256 over the names and digests of a model folder's files, in hexadecimal."""
    return digest_of({name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES})


def digest_of(files: Mapping[str, str]) -> str:
    """The digest of a model folder of whose files, by name, these are the digests."""
    return hashlib.sha256("".join(f"{files[name]}  {name}\n" for name in FILES).encode()).hexdigest()


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Parameters
    ----------
    signature : dict
        The content of ``model.json``: features with types and ranges, threshold, lineage.
    digest : str
        The digest of the folder it was loaded from.
    session : onnxruntime.InferenceSession
        The graph.
    adapted : dict, optional
        The record that followed the labels since, whose thresholds replace those of the signature.
    """

    signature: dict[str, Any]
    digest: str
    session: Any
    adapted: Mapping[str, Any] | None = None

    @classmethod
    def load(cls, folder: Path, digest: str, threads: int = 1) -> Model:
        """Load a model folder after checking its bytes.

        Parameters
        ----------
        folder : Path
            The folder.
        digest : str
            The digest that was promised.
        threads : int
            How many threads one prediction may use; more than one pays for many rows only.

        Raises
        ------
        TamperedModelError
            If the folder's digest is not `digest`, or a file is missing.
        OutdatedModelError
            If another version of Loopline made it.
        """
        missing = [name for name in FILES if not (folder / name).exists()]
        found = "" if missing else model_digest(folder)
        if found != digest:
            reason = f"lacks {', '.join(missing)}" if missing else f"has digest {found[:12]}"
            raise TamperedModelError(
                f"Model folder {folder} {reason}, promoted was {digest[:12]}. It is not loaded: package the champion again."
            )
        signature = read_signature(folder)
        if is_outdated(signature):
            raise OutdatedModelError(
                f"Model {digest[:12]} has format {signature.get('format', 1)}, this version of Loopline runs format {FORMAT}. "
                "What was built of it goes on serving; `loopline run` trains its successor."
            )
        return cls(signature, digest, session_of((folder / "model.onnx").read_bytes(), threads))

    def adapted_beside(self, folder: Path, promise: Mapping[str, Any]) -> Model:
        """The model with the thresholds of the record beside it, if its promise names one.

        Raises
        ------
        TamperedModelError
            If the record is not the promised one, or is of another model.
        """
        promised = promise.get(ADAPTED)
        if promised is None:
            return self
        content = (folder / RECORD).read_bytes() if (folder / RECORD).exists() else b""
        record = json.loads(content) if hashlib.sha256(content).hexdigest() == promised else {}
        if record.get("model_digest") != self.digest:
            raise TamperedModelError(
                f"{folder / RECORD} is not the record {promised[:12]} of model {self.digest[:12]}. It is not loaded: package "
                "the champion again."
            )
        return replace(self, adapted=record)

    @cached_property
    def kind(self) -> str:
        """``binary``, ``multiclass`` or ``regression``."""
        return str(self.signature["kind"])

    @cached_property
    def decision(self) -> dict[str, Any]:
        """The decision rule that was chosen in training."""
        rule: dict[str, Any] = self.signature["decision"]
        return rule

    @cached_property
    def uncertainty(self) -> Uncertainty | None:
        """How far its answers reach; None where none is declared."""
        return Uncertainty.of(self.signature, self.adapted)

    def predict(self, columns: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Score rows.

        Parameters
        ----------
        columns : mapping of str to array-like of shape (n_samples,)
            The features by name; a missing number is NaN or None, a missing category is None.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            The probability of yes, the probability of each class, or the predicted value.
        """
        return self.told(self.session_outputs(columns))

    def session_outputs(self, columns: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """What the graph itself gives for rows, of shape (n_samples, n_outputs)."""
        names = self.signature["features"]
        rows = len(columns[next(iter(names))])
        if rows <= MOST_ROWS:
            return self._run(columns)
        parts = (slice(first, first + MOST_ROWS) for first in range(0, rows, MOST_ROWS))
        return np.concatenate([self._run({name: columns[name][part] for name in names}) for part in parts])

    def _run(self, columns: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        texts, numbers = self.inputs
        feeds = {name: as_text(columns[name]).reshape(-1, 1) for name in texts}
        if numbers:
            # one conversion for all: for a single row, many small ones take as long as the model
            taken = np.float64 if self.is_double else np.float32
            block = as_numbers([columns[name] for name in numbers]).astype(taken, copy=False)[:, :, np.newaxis]
            feeds.update(zip(numbers, block, strict=True))
        (outputs,) = self.session.run([OUTPUTS], feeds)
        found: np.ndarray[Any, np.dtype[np.float64]] = outputs.astype(np.float64, copy=False)
        return found

    def told(self, found: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """What of the graph's outputs is the prediction: of two classes the chance of yes, of a value the value alone."""
        if self.kind == "multiclass":
            return found
        return found[:, 1] if self.kind == "binary" else found.reshape(-1)

    @cached_property
    def is_double(self) -> bool:
        """Whether the graph computes in double precision throughout; what skl2onnx converted does not."""
        return bool(self.session.get_modelmeta().custom_metadata_map.items() >= DOUBLE.items())

    @cached_property
    def inputs(self) -> tuple[list[str], list[str]]:
        """The names of the categories and of the numbers."""
        features = self.signature["features"].items()
        texts = [name for name, feature in features if feature["type"] == "category"]
        return texts, [name for name, feature in features if feature["type"] != "category"]

    def decide(self, outputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Decide rows by their outputs: booleans, class numbers, or the values to plan with."""
        return decide(self.kind, outputs, self.decision)

    @cached_property
    def known(self) -> dict[str, frozenset[str | None]]:
        """The categories seen in training, by feature, and None for a missing one; of texts none is told."""
        features = self.signature["features"].items()
        categories = {name: item for name, item in features if item["type"] == "category" and not item.get("is_text")}
        return {name: frozenset([*item["known"], None]) for name, item in categories.items()}


def as_text(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Categories as text, a missing one as the empty text."""
    # written out: it runs for each value of each row
    return np.array(
        ["" if value is None or value != value else value if type(value) is str else str(value) for value in values],  # noqa: PLR0124
        dtype=object,
    )


def as_numbers(values: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Numbers in the precision of training, double, a missing one as NaN."""
    return np.asarray(values, dtype=np.float64)


def is_missing(value: Any) -> bool:
    """Whether it is None or NaN."""
    return value is None or value != value  # noqa: PLR0124 - only NaN differs from itself
