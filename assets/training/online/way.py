"""Online learning as a way of learning: the state after the last label that had arrived leaves as a linear model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from assets.errors import DataError
from assets.features import snapshots
from assets.spec import ProductSpec
from assets.spec.online_learning import ESTIMATORS, KINDS, OnlineLearningSpec, unfit
from assets.spec.privacy import hidden
from assets.storage.home import Home
from assets.training.online.learning import Learned, learned_online
from assets.training.online.pipeline import as_pipeline
from assets.training.online.stream import stream_of
from assets.training.way_of_learning import Learner, Learnt, Sources, WayOfLearning

if TYPE_CHECKING:
    import pandas as pd

FIELD = "'model.learning.online"
UPDATES, STATE = "updates", "state.json"
"""What a signature says of updates, and the file of the model's folder that they go on from."""
DAYS = {"days": 1.0, "months": 30.0}
"""How many days what a split counts has at least."""


def declared(spec: ProductSpec) -> OnlineLearningSpec:
    """What a product declares of its online learning."""
    assert spec.model.learning is not None  # noqa: S101 - for the type checker: only such products come here
    assert spec.model.learning.online is not None  # noqa: S101
    return spec.model.learning.online


def learner(home: Home, spec: ProductSpec, _: Sources) -> Learner:
    """Who learns rows in the order in which their labels arrived, from the furthest checkpoint of just these rows."""
    online = declared(spec)

    def learn(chosen: ProductSpec, frame: pd.DataFrame, labels: Any, rows: pd.DataFrame) -> Learnt:
        found = learned_online(chosen, online, stream_of(chosen, frame, labels, rows), folder=home.learning / spec.name)
        _require_warm(chosen, online, found)
        fitted = as_pipeline(chosen, found.state, found.numbers, found.vocabulary)
        told = {"state": found.digest, "rows": found.state.rows, "changes": found.state.changes}
        figures, files = {**told, "rows_of_checkpoint": found.resumed}, {}
        signed: dict[str, Any] = {"model": online.model, **told}
        if online.updates is not None:
            # what updates go on from: its digest is the state's, which the signature names
            signed, files = {**signed, UPDATES: online.updates.model_dump(mode="json")}, {STATE: found.record}
        return Learnt(fitted, signed, figures, files=files)

    return learn


def _require_warm(spec: ProductSpec, online: OnlineLearningSpec, found: Learned) -> None:
    first, last = found.state.first_day, found.state.losses.day
    if online.warmup_days and first is not None and last is None:
        raise DataError(
            f"{spec.name}: {FIELD}.warmup_days' is {online.warmup_days:g}, but the labels of the {found.state.rows} rows "
            "to train on arrived within fewer days, so drift was never looked for. Lower it, or train on more rows."
        )


def _problems(home: Home, spec: ProductSpec, _: Mapping[str, ProductSpec]) -> Iterator[str]:
    """What stands against it, before anything is trained."""
    online = declared(spec)
    found = unfit(spec, online)
    yield from (f"{FIELD}': {told}." for told in found)
    if spec.split.by == "random":
        yield f"{FIELD}' learns in order of time, but the split is at random. Split by months, days or time."
    if spec.kind == KINDS[online.model] and (wanted := ESTIMATORS[online.model]) != spec.model.estimator:
        yield f"'model.estimator' is {spec.model.estimator}, but {FIELD}' leaves as {wanted}. Give that."
    if spec.model.parameters:
        named = ", ".join(sorted(spec.model.parameters))
        yield f"'model.parameters' has {named}, but {FIELD}' has its own ('rate', 'l2', 'clip'). Remove 'parameters'."
    if spec.model.categories != "codes":
        yield f"'model.categories' is {spec.model.categories}, but {FIELD}' learns a weight for each value. Remove it."
    if online.updates is not None and (names := sorted(hidden(spec.privacy, spec.columns))):
        yield (
            f"{FIELD}.updates' learns from the prediction log, which does not keep {', '.join(names)} as asked ('privacy'). "
            "Remove 'updates', or keep these features."
        )
    if spec.tune is not None:
        yield f"'tune' searches parameters of the estimator, which {FIELD}' does not have. Remove it."
    days = None if found else _days(home, spec)
    if days is not None and online.warmup_days >= days:
        yield f"{FIELD}.warmup_days' is {online.warmup_days:g}, but the rows to train on are of {days:g} days. Lower it."


def _days(home: Home, spec: ProductSpec) -> float | None:
    """Of how many days the rows to train on are: as the split says, or the snapshot; None where neither does yet."""
    if spec.split.by in DAYS:
        return DAYS[spec.split.by] * spec.split.train
    if not (home.snapshots / spec.name / "current.json").exists():
        return None
    column = str(spec.features.event_time)
    moments = snapshots.read(snapshots.current(home, spec.name), [column])[column]
    return round(float((moments.max() - moments.min()).total_seconds() / 86400 * spec.split.train), 1)


ONLINE = WayOfLearning(
    "online",
    "Learns each row when its label arrives, and goes on from the last checkpoint.",
    learner,
    _problems,
    distributions=("river",),
)
