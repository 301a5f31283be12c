"""Training: the same inputs give the same model, the ONNX graph is the pipeline, and what cannot be trained says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import skops.io

from assets.errors import DataError, SpecificationError
from assets.features import labelled_rows, snapshots
from assets.features.snapshots import Snapshot
from assets.storage.digests import file_digest
from assets.storage.home import REPOSITORY, Home
from assets.training import current_model, estimators, training
from bentos import runtime
from bentos.runtime import Model, TamperedModelError, model_digest
from tests.models import snapshot_of
from tests.shop import customers, product
from tests.world import World, changed


@pytest.fixture(scope="module")
def snapshot(ran: Home) -> Snapshot:
    """The small world's snapshot."""
    return snapshots.current(ran, "flight_delay")


def altered(home: Home, frame: pd.DataFrame) -> Snapshot:
    """Another snapshot of changed rows."""
    path = home.snapshots / "flight_delay" / "altered.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path)
    return Snapshot(path, file_digest(path), len(frame))


def test_the_same_inputs_give_the_same_digest(world: World, ran: Home, home: Home, snapshot: Snapshot) -> None:
    """In another home, at another time."""
    again = training.train(home, world.product, snapshot)
    assert (again.digest, snapshot.digest) == current_model.current(ran, "flight_delay")
    assert model_digest(again.folder) == again.digest


@pytest.mark.parametrize("hash_seed", ["1", "2", "3"])
def test_a_process_with_another_hash_seed_gives_the_same_digest(
    ran: Home, home: Home, snapshot: Snapshot, hash_seed: str
) -> None:
    """Nothing in the model's bytes follows the order of a set."""
    code = (
        "import sys; from pathlib import Path; from assets.features import snapshots; from assets.storage.home import Home\n"
        "from assets.training import training\n"
        "from tests.world import small_product; made, home = (Home(Path(path)) for path in sys.argv[1:])\n"
        "print(training.train(home, small_product(), snapshots.current(made, 'flight_delay')).digest)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ran.root), str(home.root)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-1] == current_model.current(ran, "flight_delay")[0]


def test_another_seed_or_parameter_gives_another_digest(world: World, ran: Home, home: Home, snapshot: Snapshot) -> None:
    """The digest tells models apart."""
    other = changed(world.product, model={**world.product.model.model_dump(), "parameters": {"max_iter": 5}})
    assert training.train(home, other, snapshot).digest != current_model.current(ran, "flight_delay")[0]


def test_the_graph_answers_as_the_fitted_pipeline(world: World, ran: Home, snapshot: Snapshot) -> None:
    """Also for categories never seen and values that are missing."""
    digest, _ = current_model.current(ran, "flight_delay")
    folder = ran.models / "flight_delay" / digest
    pipeline = skops.io.load(folder / "model.skops", trusted=list(estimators.trusted_types(world.product)))
    rows = snapshots.read(snapshot).iloc[-2000:].copy()
    rows.iloc[:500, rows.columns.get_loc("carrier")] = "ZZ"
    rows.iloc[500:1000, rows.columns.get_loc("destination")] = None
    rows.iloc[1000:1500, rows.columns.get_loc("distance_miles")] = np.nan
    expected = pipeline.predict_proba(estimators.model_frame(world.product, rows))[:, 1]
    answered = Model.load(folder, digest).predict({name: rows[name].to_numpy() for name in world.product.columns})
    assert np.abs(answered - expected).max() < 1e-12


def test_many_rows_are_answered_in_blocks_as_at_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given as arrays, lists, tuples or a frame with an index and columns of its own; no row gives no answer."""
    spec, frame = product("churn"), customers().set_index("visits", drop=False)
    made = training.train(home, spec, snapshot_of(home, spec, customers()))
    model, columns = Model.load(made.folder, made.digest), {name: frame[name].to_numpy() for name in spec.columns}
    expected = model.predict(columns)
    monkeypatch.setattr(runtime, "MOST_ROWS", 7)
    several: tuple[Any, ...] = (
        columns,
        {name: values.tolist() for name, values in columns.items()},
        {name: tuple(values) for name, values in columns.items()},
        {"another": ["a"], **columns},
        frame,
    )
    for given in several:
        assert np.array_equal(model.predict(given), expected)
    assert model.predict({name: values[:0] for name, values in columns.items()}).shape == (0,)


def test_a_threshold_between_neighbouring_numbers_parts_them_in_the_graph_too(home: Home) -> None:
    """Also where single precision would hold them for the same."""
    low = 1 + 2 * np.finfo(float).eps  # the middle of these two rounds down, so scikit-learn itself can part them
    high = float(np.nextafter(low, 2.0))
    assert np.float32(low) == np.float32(high)
    frame = customers().assign(visits=lambda rows: np.where(rows["churned"] == "yes", high, low))
    spec = product("churn")
    made = training.train(home, spec, snapshot_of(home, spec, frame))
    answers = Model.load(made.folder, made.digest).predict({"age": [40, 40], "plan": ["pro", "pro"], "visits": [low, high]})
    assert made.largest_onnx_difference < 1e-14
    assert answers[0] < 0.1
    assert answers[1] > 0.9


def test_a_tampered_model_is_not_loaded(ran_copy: Home) -> None:
    """One changed byte in either file, or a file that has gone."""
    digest, _ = current_model.current(ran_copy, "flight_delay")
    folder = ran_copy.models / "flight_delay" / digest
    for name in ("model.json", "model.onnx"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
        with pytest.raises(TamperedModelError, match=f"has digest .*promoted was {digest[:12]}. It is not loaded"):
            Model.load(folder, digest)
        (folder / name).write_bytes(content)
    (folder / "model.onnx").unlink()
    with pytest.raises(TamperedModelError, match=r"lacks model\.onnx"):
        Model.load(folder, digest)


def test_rows_whose_label_came_too_late_do_not_train(world: World, snapshot: Snapshot) -> None:
    """A flight of the last evening lands after the window's end: its label was not known yet."""
    frame = snapshots.read(snapshot)
    parts = labelled_rows.labelled(world.product, frame)
    assert (parts["train"].rows["label_known_utc"] < parts["validate"].window.start).all()
    late = frame.index[: len(frame) // 4]
    frame.loc[late, "label_known_utc"] = parts["validate"].window.end
    again = labelled_rows.labelled(world.product, frame)["train"]
    assert again.late_labels > parts["train"].late_labels
    assert not set(again.rows.index) & set(late)


def test_flights_without_a_label_are_counted_by_reason(world: World, snapshot: Snapshot) -> None:
    """Cancelled and diverted ones, and no others."""
    frame = snapshots.read(snapshot)
    part = labelled_rows.labelled(world.product, frame)["train"]
    inside = frame[part.window.holds(frame["scheduled_departure_utc"])]
    assert part.unlabelled == {"is_cancelled": inside["is_cancelled"].sum(), "is_diverted": inside["is_diverted"].sum()}
    assert part.unlabelled["is_cancelled"] > 0


def test_a_shuffled_target_teaches_nothing(world: World, home: Home, snapshot: Snapshot) -> None:
    """On test rows the model of shuffled labels is no better than chance."""
    from sklearn.metrics import roc_auc_score

    parts = labelled_rows.labelled(world.product, snapshots.read(snapshot))
    frame, tested = (estimators.model_frame(world.product, parts[name].rows) for name in ("train", "test"))
    labels, truth = (parts[name].labels(world.product) for name in ("train", "test"))
    found = [
        roc_auc_score(truth, estimators.fit(world.product, frame, shuffled).predict_proba(tested)[:, 1])
        for shuffled in (np.random.default_rng(seed).permutation(labels) for seed in range(6))
    ]
    assert abs(np.mean(found) - 0.5) < 0.04, found


def test_a_feature_without_any_training_value_teaches_nothing(world: World, home: Home, snapshot: Snapshot) -> None:
    """Whether it may lack values is for the contract; a value that comes later changes no answer."""
    frame = snapshots.read(snapshot).assign(plane_seats=np.nan)
    made = training.train(home, world.product, altered(home, frame))
    model = Model.load(made.folder, made.digest)
    columns = {name: frame[name].to_numpy()[:50] for name in world.product.columns}
    assert np.array_equal(model.predict(columns), model.predict({**columns, "plane_seats": np.full(50, 100.0)}))


def test_a_target_of_one_class_is_refused(world: World, home: Home, snapshot: Snapshot) -> None:
    """There is nothing to tell apart."""
    frame = snapshots.read(snapshot).assign(is_late=False)
    with pytest.raises(DataError, match=r"the train window .* with 1 class of 'is_late'; each class must be in it"):
        training.train(home, world.product, altered(home, frame))


def test_a_window_without_rows_is_refused(world: World, home: Home, snapshot: Snapshot) -> None:
    """A split that ends after the data."""
    spec = changed(world.product, split={"by": "months", "train": 1, "validation": 1, "test": 1, "end": "2015-01"})
    with pytest.raises(DataError, match="holds 0 labelled rows .*Land more rows, or change split"):
        training.train(home, spec, snapshot)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"estimator": "sklearn.ensemble.NoSuchClassifier"}, "cannot be imported .*correct the path"),
        ({"estimator": "sklearn.svm.LinearSVC"}, "LinearSVC gives no probabilities"),
        (
            {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"max_itr": 5}},
            "'model.parameters' has max_itr, which LogisticRegression does not take. Allowed: .*max_iter",
        ),
    ],
)
def test_an_estimator_that_cannot_be_built_is_refused(world: World, model: dict[str, object], message: str) -> None:
    """With what it would take."""
    with pytest.raises(SpecificationError, match=message):
        estimators.estimator(changed(world.product, model=model))


def test_nothing_is_published_when_training_fails(world: World, home: Home, snapshot: Snapshot) -> None:
    """No model folder, no pointer, no draft."""
    frame = snapshots.read(snapshot).assign(is_late=False)
    with pytest.raises(DataError, match="1 class"):
        training.train(home, world.product, altered(home, frame))
    assert not home.models.exists()
    assert list(home.temporary.iterdir()) == []


def test_the_signature_carries_the_lineage(ran: Home, snapshot: Snapshot) -> None:
    """Snapshot, windows, parameters and seed are under the digest."""
    digest, _ = current_model.current(ran, "flight_delay")
    signature = json.loads((ran.models / "flight_delay" / digest / "model.json").read_text())
    assert signature["snapshot_digest"] == snapshot.digest
    assert signature["windows"]["train"][1] == signature["windows"]["validate"][0]
    assert signature["seed"] == 20130101
    assert pq.read_metadata(Path(snapshot.path)).num_rows == snapshot.rows
