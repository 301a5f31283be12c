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
from pydantic_core import to_json

from bentos.assignment import Assignment
from bentos.bodies import Bodies, Row
from bentos.contributions import contributions
from bentos.fallback import FALLING_BACK, Fallback
from bentos.keyed_bodies import KeyedBodies
from bentos.pseudonyms import Treatment
from bentos.refusals import RefusedError
from bentos.row_graph import MOST_ROWS, RowGraph, row_graph_in
from bentos.runtime import Model

UPDATED = "updated"
"""What a promise says of the state that labels have taught the model since."""


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
        The same model for few rows, if it was packaged with one.
    assignment : Assignment, optional
        The arm of an experiment that it answers in.
    fallback : Fallback, optional
        What may answer in the place of the model.
    """

    promise: dict[str, Any]
    model: Model
    row_graph: RowGraph | None = None
    assignment: Assignment | None = None
    fallback: Fallback | None = None

    @classmethod
    def load(cls, folder: Path) -> Served:
        """Load ``model/`` beside ``promoted.json``.

        Raises
        ------
        TamperedModelError
            If the model's bytes are not those that were promoted, or the fallback's not those that were promised.
        """
        promise = json.loads((folder / "promoted.json").read_text(encoding="utf-8"))
        model = Model.load(folder / "model", promise["model_digest"]).adapted_beside(folder, promise)
        served = cls(promise, model, row_graph_in(folder, promise, model), fallback=Fallback.beside(folder, promise))
        served.warm()
        return served

    @cached_property
    def state(self) -> str | None:
        """The digest of the state that answers, of a model that labels go on teaching; None where a fallback answers."""
        if UPDATED in self.promise and not self.is_fallback:
            return str(self.promise[UPDATED]["state"])
        learning = self.model.signature.get("learning", {})
        return str(learning["state"]) if "updates" in learning and not self.is_fallback else None

    def warm(self) -> None:
        """Make everything that requests need, so that the first one finds it."""
        self.predict([self.bodies.row(self.model.signature["background"][0])])
        _ = self.headers, self.stamp_json, self.log_key

    @property
    def limits(self) -> dict[str, Any]:
        """What the service may take on, as declared under ``serving``."""
        found: dict[str, Any] = self.promise["limits"]
        return found

    @property
    def is_fallback(self) -> bool:
        """Whether the fallback answers in the place of the model."""
        return FALLING_BACK in self.promise

    @cached_property
    def version(self) -> str:
        """The model's version, as texts name it."""
        return str(self.promise["model_version"])

    @property
    def privacy(self) -> dict[str, Treatment]:
        """The features whose values are private, and what the prediction log keeps of them, as declared under ``privacy``."""
        found: dict[str, Treatment] = self.promise.get("privacy", {})
        return found

    @property
    def entity(self) -> dict[str, str] | None:
        """What requests are about, as declared under ``serving.entity``: its ``name``, and what the log may ``keep``."""
        found: dict[str, str] | None = self.limits.get("entity")
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
    def stamp_json(self) -> bytes:
        """The stamp as the end of an answer's JSON."""
        return b"," + to_json(self.stamp)[1:]

    @property
    def for_log(self) -> tuple[dict[str, Any], dict[str, Any], str]:
        """What the prediction log needs to know of who answers: the promise, the signature, and the digest."""
        return self.promise, self.model.signature, self.model.digest

    @cached_property
    def log_key(self) -> bytes:
        """What names it where requests are handed to the prediction log's process."""
        return hashlib.sha256(to_json(self.for_log)).digest()[:16]

    @cached_property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The stamp of every response, answers and refusals alike."""
        stamp = {"x-model-version": self.version, "x-model-digest": self.model.digest}
        if self.state is not None:
            stamp["x-model-state"] = self.state
        # a checkpoint's second and third line: how many entries the ledger had, and their root hash
        head = str(self.promise.get("ledger_head") or "").split("\n")
        if len(head) > 2:
            stamp["x-ledger-head"] = " ".join(head[1:3])
        return [(name.encode(), value.encode()) for name, value in stamp.items()]

    @property
    def online(self) -> dict[str, Any]:
        """How features are looked up by key, as declared under ``serving.online``; it is not, where this is refused.

        Raises
        ------
        RefusedError
            If this version was packaged without (404).
        """
        found: dict[str, Any] | None = self.promise.get("online")
        if found is None:
            raise RefusedError(404, "This version looks no features up: serving.online is not declared. Send rows to /predict.")
        return found

    @cached_property
    def keyed(self) -> KeyedBodies:
        """What decodes the bodies of requests by key."""
        return KeyedBodies(self.model.signature, self.online)

    @cached_property
    def bodies(self) -> Bodies:
        """What decodes and checks the bodies of requests."""
        return Bodies(self.model.signature, self.limits["max_batch_rows"])

    def predict(self, rows: Sequence[Row]) -> tuple[list[float], list[dict[str, Any]]]:
        """The scores and the answers of checked rows, in their order.

        A score is one number to watch: the probability of yes, the largest of all classes', or the value.
        """
        found = None if self.row_graph is None or len(rows) > MOST_ROWS else self.row_graph.outputs(rows)
        if found is None:
            outputs = self.outputs(dict(zip(self.bodies.features, zip(*rows, strict=True), strict=True)))
        else:
            outputs = self.model.told(found)
        categories = [(name, known, [row[place] for row in rows]) for place, name, known in self._categories]
        by = {name: [row[place] for row in rows] for place, name in self._slicing}
        scores, fields = self._fields(outputs, categories, by)
        return scores, in_rows(fields)

    def predict_columns(self, columns: Mapping[str, Any]) -> tuple[list[float], dict[str, list[Any]]]:
        """The scores of checked columns, and the fields of their answers as columns too."""
        categories = [(name, known, columns[name]) for _, name, known in self._categories]
        return self._fields(self.outputs(columns), categories, columns)

    def outputs(self, columns: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The outputs of checked rows, as `Model.predict` gives them."""
        return self.model.predict(columns)

    def reach(self, values: Sequence[Any], by: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """What answers say of how sure they are; `by` holds the columns that it depends on."""
        if (uncertainty := self.model.uncertainty) is not None:
            return uncertainty.fields(values, uncertainty.thresholds(by, len(values)))
        if self.model.kind != "regression":
            return {}
        low, high = ([value + sign * self.model.decision["margin"] for value in values] for sign in (-1, 1))
        return {"low": low, "high": high}

    @cached_property
    def _categories(self) -> list[tuple[int, str, frozenset[str | None]]]:
        """Where a row has categories, and which texts of each were seen in training."""
        return [(self.bodies.features.index(name), name, known) for name, known in self.model.known.items()]

    @cached_property
    def _slicing(self) -> list[tuple[int, str]]:
        """Where a row has the categories that say how far its answer reaches."""
        uncertainty = self.model.uncertainty
        return [] if uncertainty is None else [(self.bodies.features.index(name), name) for name in uncertainty.by]

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
            found = self.outputs(columns)
            return found if place is None else found[:, place]

        whole = dict(zip(self.bodies.features, row, strict=True))
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
        told |= {} if self.model.adapted is None else {"adapted_uncertainty": self.model.adapted}
        told |= {UPDATED: self.promise[UPDATED]} if UPDATED in self.promise else {}
        return {**told, **self.stamp, "champion_since_utc": self.promise["champion_since_utc"], "limits": self.limits}

    def _fields(
        self,
        outputs: np.ndarray[Any, Any],
        categories: Sequence[tuple[str, frozenset[str | None], Sequence[Any]]],
        by: Mapping[str, Sequence[Any]],
    ) -> tuple[list[float], dict[str, list[Any]]]:
        """Scores and answers by the outputs: the fields of a kind of target, how sure they are, and unknown categories.

        `by` holds the columns that say how far an answer reaches.
        """
        values, said = outputs.tolist(), self.model.decide(outputs).tolist()
        scores = values
        fields: dict[str, list[Any]]
        if self.model.kind == "binary":
            # the sums of trees' leaves may pass the bounds by a rounding error
            passed = min(values) < 0 or max(values) > 1
            fields = {"probability": [min(max(value, 0.0), 1.0) for value in values] if passed else values, "is_positive": said}
        elif self.model.kind == "multiclass":
            names = self.model.signature["classes"]
            scores = [max(value) for value in values]
            probabilities = [dict(zip(names, value, strict=True)) for value in values]
            fields = {"predicted_class": [names[place] for place in said], "probabilities": probabilities}
        else:
            fields = {"value": values, "planned": said}
        fields |= self.reach(values, by)
        unknown: list[list[str]] = [[] for _ in values]
        for name, known, texts in categories:
            if known.issuperset(texts):
                continue
            for place, text in enumerate(texts):
                if (text or None) not in known:
                    unknown[place].append(name)
        return scores, {**fields, "unknown_categories": unknown}


def in_rows(fields: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Columns of answers as one answer for each row."""
    return [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
