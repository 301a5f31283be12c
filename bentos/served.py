"""One promoted model with all that answering from it needs; a service that changes models changes this one object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from bentos import schemas
from bentos.contributions import contributions
from bentos.pseudonyms import Treatment
from bentos.row_graph import FILE, RowGraph
from bentos.runtime import Model, TamperedModelError

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Served:
    """A loaded model and the promise it was loaded under.

    Parameters
    ----------
    promise : dict
        The content of ``promoted.json``: product, version, digest, when the ledger made it champion, its head then, limits.
    model : Model
        Loaded only if its digest was the promised one.
    row_graph : RowGraph, optional
        The same model for single rows, if it was packaged with one.
    """

    promise: dict[str, Any]
    model: Model
    row_graph: RowGraph | None = None

    @classmethod
    def load(cls, folder: Path) -> Served:
        """Load ``model/`` beside ``promoted.json``.

        Raises
        ------
        TamperedModelError
            If the model's bytes are not those that were promoted.
        """
        promise = json.loads((folder / "promoted.json").read_text(encoding="utf-8"))
        model = Model.load(folder / "model", promise["model_digest"])
        served = cls(promise, model, _row_graph(folder, promise, model))
        # the first request finds everything made
        served.predict([served.model.signature["background"][0]])
        _ = served.requests, served.headers
        return served

    @property
    def limits(self) -> dict[str, Any]:
        """What the service may take on, as declared under ``serving``."""
        found: dict[str, Any] = self.promise["limits"]
        return found

    @property
    def privacy(self) -> dict[str, Treatment]:
        """The features whose values are private, and what the prediction log keeps of them, as declared under ``privacy``."""
        found: dict[str, Treatment] = self.promise.get("privacy", {})
        return found

    @cached_property
    def example(self) -> dict[str, Any]:
        """A row to show: a training row, with made-up values where they are private."""
        made_up = {"category": "example", "number": 0.0}
        features = self.model.signature["features"]
        row = {name: value for name, value in self.model.signature["background"][0].items() if value is not None}
        for name in self.privacy:
            low, high = features[name]["min"], features[name]["max"]
            row[name] = low if low is not None else high if high is not None else made_up[features[name]["type"]]
        return row

    @property
    def stamp(self) -> dict[str, Any]:
        """Which model answers, and by which rule it decides."""
        return {
            "decision": self.model.decision,
            "model_version": self.promise["model_version"],
            "model_digest": self.model.digest,
        }

    @cached_property
    def headers(self) -> dict[str, str]:
        """The stamp of every response, answers and refusals alike."""
        stamp = {"x-model-version": str(self.promise["model_version"]), "x-model-digest": self.model.digest}
        # a checkpoint's second and third line: how many entries the ledger had, and their root hash
        head = str(self.promise.get("ledger_head") or "").split("\n")
        return {**stamp, "x-ledger-head": " ".join(head[1:3])} if len(head) > 2 else stamp

    @cached_property
    def requests(self) -> dict[str, Any]:
        """What checks the body, by path."""
        types = schemas.requests(self.model.signature, self.limits["max_batch_rows"])
        return {path: TypeAdapter(kind) for path, kind in types.items()}

    def columns(self, rows: Sequence[Row]) -> dict[str, list[Any]]:
        """Rows as columns; what is left out is missing."""
        if len(rows) == 1:
            get = rows[0].get
            return {name: [get(name)] for name in self.model.signature["features"]}
        return {name: [row.get(name) for row in rows] for name in self.model.signature["features"]}

    def predict(self, rows: Sequence[Row]) -> tuple[np.ndarray[Any, Any], list[dict[str, Any]]]:
        """The outputs and the answers of checked rows, in their order."""
        found = None if self.row_graph is None or len(rows) != 1 else self.row_graph.outputs(rows[0])
        outputs = self.model.predict(self.columns(rows)) if found is None else self.model.told(found)
        answers = self._answers(outputs)
        for answer, row in zip(answers, rows, strict=True):
            answer["unknown_categories"] = self.model.unknown_categories(row)
        return outputs, answers

    def explain(self, row: Row) -> dict[str, Any]:
        """What each feature adds to a row's output: to the probability of yes or of the class said, or to the value."""
        _, (answer,) = self.predict([row])
        signature = self.model.signature
        if self.model.kind == "multiclass":
            place = signature["classes"].index(answer["predicted_class"])
            explained = f"probability of {answer['predicted_class']}"
        else:
            place, explained = None, "probability" if self.model.kind == "binary" else "value"

        def output(columns: Mapping[str, Any]) -> np.ndarray[Any, Any]:
            found = self.model.predict(columns)
            return found if place is None else found[:, place]

        whole = {name: row.get(name) for name in signature["features"]}
        told = contributions(output, whole, signature["background"])
        order = sorted(told.values, key=lambda name: -abs(told.values[name]))
        return {
            "prediction": answer,
            "explained": explained,
            "output": told.base + sum(told.values.values()),
            "base": told.base,
            "contributions": {name: told.values[name] for name in order},
            "standard_errors": {name: told.errors[name] for name in order},
        }

    def describe(self) -> dict[str, Any]:
        """The model's signature without the rows it carries, and since when the ledger lets it serve."""
        told = {name: value for name, value in self.model.signature.items() if name != "background"}
        return {**told, **self.stamp, "champion_since_utc": self.promise["champion_since_utc"], "limits": self.limits}

    def scores(self, outputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """One number a row to watch: the probability of yes, the largest of all classes', or the value."""
        return outputs.max(axis=1) if self.model.kind == "multiclass" else outputs

    def _answers(self, outputs: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
        """The fields of each row's prediction, by kind of target."""
        decided = self.model.decide(outputs).tolist()
        if self.model.kind == "binary":
            chances = np.clip(outputs, 0, 1).tolist()
            return [{"probability": p, "is_positive": said} for p, said in zip(chances, decided, strict=True)]
        if self.model.kind == "multiclass":
            names = self.model.signature["classes"]
            return [
                {"predicted_class": names[said], "probabilities": dict(zip(names, row, strict=True))}
                for row, said in zip(outputs.tolist(), decided, strict=True)
            ]
        margin = self.model.decision["margin"]
        return [
            {"value": value, "planned": plan, "low": value - margin, "high": value + margin}
            for value, plan in zip(outputs.tolist(), decided, strict=True)
        ]


def _row_graph(folder: Path, promise: Mapping[str, Any], model: Model) -> RowGraph | None:
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
