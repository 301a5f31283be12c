"""Tuning: a search for better parameters by cross-validation on training and validation rows; the test rows stay unseen.

The first trial is the declaration itself, so the search cannot end below it. A search that is killed goes on where it
was. Which features a trial sees, and where trials are shown, is for whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from assets.errors import DataError
from assets.features.labelled_rows import joined, labelled_parts
from assets.features.snapshots import Snapshot
from assets.methods.folds import Fold, expanding_folds, hashed_folds
from assets.methods.kinds import KINDS, sign_of
from assets.spec import ProductSpec
from assets.spec.learning import RangeSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.training.candidates import deciding_metric
from assets.training.estimators import model_frame, outputs_of, pipeline
from assets.training.learning import learner_of
from assets.training.way_of_learning import Learner, Sources

if TYPE_CHECKING:
    import optuna

FEATURE = "warehouse."
"""What the names of feature parameters begin with, beside those of the estimator."""

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """One finished trial: its number, its parameters, and the metric in each fold."""

    number: int
    parameters: dict[str, Any]
    folds: tuple[float, ...]

    @property
    def value(self) -> float:
        """The mean over the folds."""
        return float(np.mean(self.folds))


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    `best` is the best trial with the declared feature parameters, whose estimator parameters are used from now on;
    `best_of_all` may have other feature parameters, which are shared and therefore changed by hand.
    """

    study: str
    metric: str
    declared: Trial
    best: Trial
    best_of_all: Trial
    trials: int
    path: Path


def tune(
    home: Home,
    spec: ProductSpec,
    snapshot: Snapshot,
    *,
    declared_settings: Settings,
    snapshot_with: Callable[[Settings], Snapshot],
    show: Callable[[str, list[Trial]], None],
    sources: Sources | None = None,
) -> Tuned:
    """Search, or go on searching, until the budget is spent.

    Parameters
    ----------
    home, spec : Home, ProductSpec
        Where to keep the search, and what to search.
    snapshot : Snapshot
        The current snapshot.
    declared_settings : mapping
        The present values of the feature parameters that are searched.
    snapshot_with : callable
        Gives the snapshot with other values of them.
    show : callable
        Called after each trial with the study's name and all finished trials.
    sources : mapping of str to str, optional
        By product, the digest of the champion to learn from.

    Raises
    ------
    DataError
        If no trial finished.
    """
    import optuna

    assert spec.tune is not None  # noqa: S101 - for the type checker: only such products have this stage
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    learn, named = learner_of(home, spec, sources), [snapshot.digest, spec.model_dump(mode="json", include=SEARCHED_OF)]
    name = value_digest([*named, sources] if sources else named)[:16]
    folder = home.tuning / spec.name
    folder.mkdir(parents=True, exist_ok=True)
    study = _study(spec, name, folder)
    cache = {value_digest(dict(declared_settings)): _prepared(spec, snapshot)}
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(_declared_point(spec, declared_settings))
    while _budget_left(spec, study):
        asked = study.ask()
        parameters = _suggested(spec, asked)
        settings = {key.removeprefix(FEATURE): value for key, value in parameters.items() if key.startswith(FEATURE)}
        key = value_digest(settings)
        if key not in cache:
            cache[key] = _prepared(spec, snapshot_with(settings))
        try:
            folds = _fold_values(spec, parameters, learn, cache[key])
        except (ValueError, FloatingPointError) as error:
            asked.set_user_attr("error", str(error)[:500])
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
            continue
        asked.set_user_attr("parameters", parameters)
        asked.set_user_attr("folds", folds)
        study.tell(asked, float(np.mean(folds)))
        show(name, _finished(study))
    finished = _finished(study)
    show(name, finished)  # a killed search may have left one unshown
    if not finished:
        errors = {trial.user_attrs.get("error", "killed") for trial in study.get_trials(deepcopy=False)}
        raise DataError(f"{spec.name}: no trial of the search finished. {'; '.join(sorted(errors))}. Correct 'tune'.")
    return _result(home, spec, name, finished, declared_settings)


def applied(home: Home, spec: ProductSpec) -> ProductSpec:
    """The specification with the parameters that the last search found, where it declares one that has run."""
    record = home.tuning / spec.name / "current.json"
    if spec.tune is None or not record.exists():
        return spec
    found = {key: value for key, value in read_json(record)["parameters"].items() if not key.startswith(FEATURE)}
    model = spec.model.model_copy(update={"parameters": {**spec.model.parameters, **found}})
    return spec.model_copy(update={"model": model})


SEARCHED_OF = {"name", "features", "target", "split", "model", "tune", "cost", "promotion"}
"""The parts of a declaration that change what a trial gives."""


def _study(spec: ProductSpec, name: str, folder: Path) -> optuna.Study:
    """The study of this name, made or found again; what a killed process left open is closed, and asked again."""
    import optuna

    backend = optuna.storages.journal.JournalFileBackend(str(folder / f"{name}.journal"))
    lower = spec.metric in KINDS[spec.kind].LOWER_IS_BETTER
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name=name,
        sampler=optuna.samplers.TPESampler(seed=spec.model.seed),
        direction="minimize" if lower else "maximize",
        load_if_exists=True,
    )
    running = [trial for trial in study.get_trials(deepcopy=False) if trial.state == optuna.trial.TrialState.RUNNING]
    for trial in running:
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params)
    if study.get_trials(deepcopy=False):
        # not the draws that it made before it was killed
        study.sampler = optuna.samplers.TPESampler(seed=spec.model.seed + len(study.get_trials(deepcopy=False)))
    return study


def _budget_left(spec: ProductSpec, study: optuna.Study) -> bool:
    import optuna

    assert spec.tune is not None  # noqa: S101 - for the type checker
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished() and trial.user_attrs]
    spent = sum(trial.duration.total_seconds() for trial in ended if trial.duration is not None)
    waiting = any(trial.state == optuna.trial.TrialState.WAITING for trial in study.get_trials(deepcopy=False))
    if spec.tune.trials is not None and len(ended) >= spec.tune.trials:
        return False
    return spec.tune.minutes is None or spent < 60 * spec.tune.minutes or (waiting and not ended)


def _searched(spec: ProductSpec) -> dict[str, RangeSpec]:
    assert spec.tune is not None  # noqa: S101 - for the type checker
    return {**spec.tune.parameters, **{FEATURE + name: item for name, item in spec.tune.warehouse.items()}}


def _suggested(spec: ProductSpec, trial: optuna.Trial) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, item in _searched(spec).items():
        if item.values is not None:
            found[name] = trial.suggest_categorical(name, list(item.values))
        elif _is_whole(item, _declared(spec, name)):
            found[name] = trial.suggest_int(name, int(item.low or 0), int(item.high or 0), log=item.log)
        else:
            found[name] = trial.suggest_float(name, float(item.low or 0), float(item.high or 0), log=item.log)
    return found


def _is_whole(item: RangeSpec, declared: Any) -> bool:
    """Whether a range is one of whole numbers: its ends are, and so is what is declared, if anything is."""
    ends = all(float(end).is_integer() for end in (item.low, item.high) if end is not None)
    return ends and (declared is None or (isinstance(declared, int) and not isinstance(declared, bool)))


def _declared(spec: ProductSpec, name: str) -> Any:
    """The declared value of a parameter, or the estimator's own."""
    if name in spec.model.parameters:
        return spec.model.parameters[name]
    return pipeline(spec, list(spec.columns)).steps[-1][1].get_params().get(name)


def _declared_point(spec: ProductSpec, settings: Settings) -> dict[str, Any]:
    """The declaration as a point of the search, as far as it lies within."""
    point = {name: _declared(spec, name) for name in _searched(spec) if not name.startswith(FEATURE)}
    point |= {FEATURE + name: value for name, value in settings.items()}
    return {name: value for name, value in point.items() if _lies_within(_searched(spec)[name], value)}


def _lies_within(item: RangeSpec, value: Any) -> bool:
    if item.values is not None:
        return value in item.values
    return isinstance(value, (int, float)) and float(item.low or 0) <= value <= float(item.high or 0)


class _Searched(NamedTuple):
    """The training and validation rows, as the snapshot holds them and as the model sees them."""

    rows: Any
    frame: Any
    labels: Any
    folds: list[Fold]


def _prepared(spec: ProductSpec, snapshot: Snapshot) -> _Searched:
    """The rows of a snapshot that are searched."""
    parts = labelled_parts(spec, snapshot)
    searched = joined((parts["train"], parts["validate"]), "searched")
    rows = searched.rows
    count = spec.tune.folds if spec.tune else 3
    if spec.split.by == "random":
        keys = rows[spec.split.group_column or spec.features.entity].to_numpy()
        folds = hashed_folds(keys, count, spec.model.seed)
    else:
        known = rows[spec.target.known_at] if spec.target.known_at else None
        folds = expanding_folds(rows[spec.features.event_time], known, count)
    return _Searched(rows, model_frame(spec, rows), searched.labels(spec), folds)


def _fold_values(spec: ProductSpec, parameters: Settings, learn: Learner, searched: _Searched) -> list[float]:
    own = {key: value for key, value in parameters.items() if not key.startswith(FEATURE)}
    model = spec.model.model_copy(update={"parameters": {**spec.model.parameters, **own}})
    varied = spec.model_copy(update={"model": model})
    values = []
    frame, labels = searched.frame, searched.labels
    for fold in searched.folds:
        fitted = learn(varied, frame.iloc[fold.train], labels[fold.train], searched.rows.iloc[fold.train]).fitted
        outputs = outputs_of(spec, fitted, frame.iloc[fold.test])
        values.append(deciding_metric(spec, labels[fold.test], outputs)(np.ones(len(fold.test))))
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{spec.metric} is not defined in every fold: {values}")
    return values


def _finished(study: optuna.Study) -> list[Trial]:
    import optuna

    return [
        Trial(trial.number, trial.user_attrs["parameters"], tuple(trial.user_attrs["folds"]))
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    ]


def _result(home: Home, spec: ProductSpec, name: str, finished: list[Trial], declared_settings: Settings) -> Tuned:
    sign = sign_of(spec.kind, spec.metric)

    def has_declared_features(trial: Trial) -> bool:
        return all(trial.parameters.get(FEATURE + key, value) == value for key, value in declared_settings.items())

    usable = [trial for trial in finished if has_declared_features(trial)] or finished[:1]
    best = max(usable, key=lambda trial: (sign * trial.value, -trial.number))
    best_of_all = max(finished, key=lambda trial: (sign * trial.value, -trial.number))
    record = {
        "study": name,
        "metric": spec.metric,
        "parameters": best.parameters,
        "folds": best.folds,
        "declared_folds": finished[0].folds,
        "best_of_all": {"parameters": best_of_all.parameters, "folds": best_of_all.folds},
        "trials": len(finished),
    }
    path = write_json(home.tuning / spec.name / "current.json", record)
    return Tuned(name, spec.metric, finished[0], best, best_of_all, len(finished), path)
