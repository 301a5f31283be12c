"""Online updates: a champion that goes on learning from the labels of its answers, as they arrive.

Labels get their places in the champion's journal, and are learned in blocks of as many as the product declares. After each
block the state is kept, and becomes a graph that running services change to. Whenever this is killed, it ends with the
same states. The promoted state answers again where the updated ones surely do worse (`assets.methods.update_guard`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import DataError, DigestError, SpecificationError
from assets.methods.calibration import Scaling
from assets.methods.online_linear import Inputs, LinearState, learn
from assets.methods.ranking import Array
from assets.methods.update_guard import UpdateGuard, worse
from assets.promotion.ledger_state import Entry
from assets.serving.row_graph import row_graph
from assets.spec import ProductSpec
from assets.spec.online_learning import OnlineLearningSpec, UpdatesSpec, learns_online
from assets.storage import manifest
from assets.storage.digests import file_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.locks import updates_lock
from assets.storage.publishing import read_json, write_json
from assets.streaming.arriving_labels import Arrived, arriving
from assets.streaming.label_journal import CURRENT, Kept, LabelJournal, journal
from assets.streaming.state_scores import state_scores
from assets.streaming.told_outcomes import Contradicted
from assets.training import onnx_export
from assets.training.candidates import outputs_of_scores
from assets.training.online.answers import as_raw_outputs
from assets.training.online.learning import beginning, learning_of
from assets.training.online.pipeline import as_pipeline
from assets.training.online.state import Vocabulary, as_record, chain, from_record, state_digest
from assets.training.online.stream import LabelStream
from assets.training.online.way import STATE, UPDATES, declared
from bentos.row_graph import FILE
from bentos.runtime import Model, session_of

NOTHING = Contradicted()
STATES = 3
"""The latest states whose graphs are kept: a service may still be loading the one before."""


@dataclass(frozen=True)
class Learning:
    """What came of looking once.

    Parameters
    ----------
    learned, waiting : int
        The labels that were learned, and those that wait until there are enough for the next state.
    rows : int
        The labels that the served state has learned since the promotion.
    state : str
        Its digest.
    stopped : str or None
        Why the promoted state answers again.
    contradicted : Contradicted
        The labels of which several values were told: the first stands.
    """

    learned: int
    waiting: int
    rows: int
    state: str
    stopped: str | None
    contradicted: Contradicted


class OnlineUpdates:
    """The updates of a champion.

    Parameters
    ----------
    home, spec
        Whose.
    champion : Entry
        Who serves.

    Raises
    ------
    SpecificationError
        If the product does not declare updates.
    DataError
        If its champion was trained before it did, or with other features.
    """

    def __init__(self, home: Home, spec: ProductSpec, champion: Entry) -> None:
        if not learns_online(spec) or declared(spec).updates is None:
            raise SpecificationError(
                f"{spec.name}: 'model.learning.online.updates' is not declared, so nothing is learned between promotions. "
                "Declare it, for instance {rows: 1000}, and run again."
            )
        self.home, self.spec, self.champion = home, spec, champion
        folder = home.models / spec.name / champion.model_digest
        self.model = Model.load(folder, champion.model_digest)
        told = self.model.signature["features"]
        if {name: feature.type for name, feature in spec.columns.items()} != {name: told[name]["type"] for name in told}:
            raise DataError(f"{spec.name}: its champion has other features than are declared. Run `loopline run {spec.name}`.")
        learning = self.model.signature.get("learning", {})
        if UPDATES not in learning:
            raise DataError(
                f"{spec.name}: version {champion.version} was trained before 'updates' was declared, and brings no state to go "
                f"on from. Run `loopline run {spec.name}`."
            )
        self.base: dict[str, Any] = read_json(folder / STATE)
        if state_digest(self.base) != learning["state"]:
            raise DataError(
                f"{folder / STATE} is not the state {learning['state'][:12]} that was promoted. Restore it from a backup."
            )

    @property
    def online(self) -> OnlineLearningSpec:
        """How it is learned."""
        return declared(self.spec)

    @property
    def updates(self) -> UpdatesSpec:
        """How many labels make a state, and when the promoted one answers again."""
        assert self.online.updates is not None  # noqa: S101 - for the type checker: it was asked when this was made
        return self.online.updates

    @cached_property
    def folder(self) -> Path:
        """Where the champion's journal and its graphs lie."""
        return self.home.updates(self.spec.name)

    @cached_property
    def scaling(self) -> Scaling | None:
        """What scores are rescaled by, as the training chose it."""
        told = self.model.signature["calibration"]
        return Scaling(told["slope"], tuple(told["intercepts"])) if told["method"] == "scaling" else None

    @property
    def path(self) -> Path:
        """The champion's journal."""
        return self.folder / f"{self.champion.model_digest}.sqlite"

    def note(self, moment: datetime, waiting: int) -> None:
        """Note that nothing new was to be learned at a moment, so that a learner that is idle is told from one that ended."""
        with updates_lock(self.home, self.spec.name), journal(self.path) as kept:
            kept.note(moment, waiting)

    def look(self) -> Learning:
        """Learn the labels that have arrived, as far as they fill blocks, and let services follow.

        Raises
        ------
        HomeError
            If the logs are encrypted, and the private key cannot be had.
        """
        with updates_lock(self.home, self.spec.name), journal(self.path) as kept:
            began = datetime.now(UTC)
            found = self._learn(kept)
            kept.note(began, found.waiting)
            return found

    def _learn(self, kept: LabelJournal) -> Learning:
        begun = hashlib.sha256(f"{state_digest(self.base)} {beginning(self.spec, self.online)}".encode()).hexdigest()
        since = kept.begin(begun, self.champion.recorded_at[:10])
        last, learned = kept.last(), 0
        self._publish(last)  # who was killed before it did so
        while last is None or last.content["stopped"] is None:
            found = self._arrived(kept, last, since)
            before = learned
            for block in self._blocks(found):
                last = self._learned(last, found, block, begun)
                kept.keep(last)
                learned += len(found.places[block])
                if last.content["stopped"] is not None:
                    break
            if learned > before:
                self._publish(last)  # services need not change to each state of many
            if found.is_all:
                return self._told(last, learned, len(found.places) - learned + before, found.contradicted)
        return self._told(last, learned, 0)

    def _told(self, last: Kept | None, learned: int, waiting: int, contradicted: Contradicted = NOTHING) -> Learning:
        stopped = None if last is None else last.content["stopped"]
        if last is None or stopped is not None:
            return Learning(learned, waiting, 0, state_digest(self.base), stopped, contradicted)
        return Learning(learned, waiting, last.rows, last.digest, None, contradicted)

    def _arrived(self, kept: LabelJournal, last: Kept | None, since: str) -> Arrived:
        place = 0 if last is None else last.place
        return arriving(self.home, self.spec, self.champion.model_digest, kept, place, since=since)

    def _blocks(self, found: Arrived) -> Iterator[slice]:
        size = self.updates.rows
        for start in range(0, len(found.places) - size + 1, size):
            yield slice(start, start + size)

    def _learned(self, last: Kept | None, found: Arrived, block: slice, begun: str) -> Kept:
        """The state after a block, and what the guard says of the answers to it."""
        stream = _part(found.stream, block)
        labels, record = stream.labels, self.base if last is None else last.content["state"]
        vocabulary = stream.vocabulary({"categories": _both(self.base, record)})
        taught = stream.taught(vocabulary)(slice(None))
        state = from_record(record, stream.names, vocabulary)
        promoted = self._answers(from_record(self.base, stream.names, vocabulary), taught.inputs)
        guard = UpdateGuard() if last is None else UpdateGuard(**last.content["guard"])
        differences = worse(self.spec.kind, labels, self._answers(state, taught.inputs), promoted)
        evidence = guard.add(np.where(np.isfinite(differences), differences, 1.0))
        after, _ = learn(state, learning_of(self.online), taught)
        told = as_record(after, stream.names, vocabulary)
        (name,) = chain(begun if last is None else last.name, [stream.content(slice(None))])
        rows = len(labels) + (0 if last is None else last.rows)
        content = {"state": told, "guard": asdict(guard), "stopped": self._stopped(after, evidence, rows)}
        return Kept(rows, found.places[block][-1], name, state_digest(told), content)

    def _answers(self, state: LinearState, inputs: Inputs) -> Array:
        """What a state answers to rows, none of which it learns meanwhile."""
        return outputs_of_scores(self.spec, as_raw_outputs(self.spec, state_scores(state, inputs)), self.scaling)

    def _stopped(self, state: LinearState, evidence: float, rows: int) -> str | None:
        parts = (state.means, state.variances, state.weights, state.category_weights, [state.intercept])
        if not all(np.isfinite(part).all() for part in parts):
            return f"within {rows} labels the weights diverged beyond double precision; lower 'model.learning.online.rate'"
        if evidence < 1 / (1 - self.updates.confidence):
            return None
        return (
            f"within {rows} labels the updated states answered worse than the promoted one, with a confidence of more than "
            f"{self.updates.confidence:g}"
        )

    def _publish(self, last: Kept | None) -> None:
        """Let services answer by a state; or by the promoted one, where there is no other or updates ended."""
        record: dict[str, Any] = {"product": self.spec.name, "model_digest": self.champion.model_digest}
        if last is None or last.content["stopped"] is not None:
            stopped = None if last is None else {"reason": last.content["stopped"], "rows": last.rows}
            record |= {"state": state_digest(self.base), "rows": 0, "folder": None, "stopped": stopped}
        else:
            record |= {"state": last.digest, "rows": last.rows, "labels": last.name, "folder": last.digest, "stopped": None}
            path = self.folder / last.digest
            if not _is_whole(path):
                if path.exists():
                    manifest.remove(path)
                self._export(last.content["state"], path)
            record |= {"graph_digest": file_digest(path / "model.onnx")}
            record |= {"row_graph_digest": file_digest(path / FILE) if (path / FILE).exists() else None}
        if not (self.folder / CURRENT).exists() or read_json(self.folder / CURRENT) != record:
            write_json(self.folder / CURRENT, record)
        folders = sorted((path for path in self.folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime_ns)
        for path in folders[:-STATES]:
            if path.name != record["folder"]:
                manifest.remove(path)

    def _export(self, record: dict[str, Any], path: Path) -> None:
        """Write a state as the graphs that a service runs."""
        names = list(record["numbers"])
        vocabulary: Vocabulary = {name: sorted(values) for name, values in record["categories"].items()}
        fitted = as_pipeline(self.spec, from_record(record, names, vocabulary), names, vocabulary)
        content = onnx_export.convert(self.spec, fitted, self.scaling)
        with draft_folder(self.home) as scratch:
            draft = scratch / "state"
            draft.mkdir()
            (draft / "model.onnx").write_bytes(content)
            if (single := row_graph(replace(self.model, session=session_of(content)), content)) is not None:
                (draft / FILE).write_bytes(single)
            manifest.publish(draft, path)


def _part(stream: LabelStream, block: slice) -> LabelStream:
    """Some of the labels."""
    texts = {name: values[block] for name, values in stream.texts.items()}
    alone = {name: getattr(stream, name)[block] for name in ("numbers", "labels", "days", "known", "keys")}
    return replace(stream, texts=texts, **alone)


def _both(first: dict[str, Any], second: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The values of each category that either state knows."""
    return {name: {**values, **second["categories"][name]} for name, values in first["categories"].items()}


def _is_whole(folder: Path) -> bool:
    """Whether a state's graphs are as they were written: what is not must not get a record that names its digest."""
    try:
        for path in folder.iterdir():
            manifest.require(path, path.read_bytes())
    except (OSError, DigestError):
        return False
    return (folder / "model.onnx").exists()
