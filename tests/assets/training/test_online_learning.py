"""Online learning: states to the bit, from whichever checkpoint; and as pipelines that give the same scores."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError, DigestError
from assets.features.labelled_rows import LabelledRows
from assets.spec import ProductSpec
from assets.spec.online_learning import OnlineLearningSpec
from assets.storage.home import Home
from assets.training.estimators import model_frame
from assets.training.online.learning import Learned, learned_online
from assets.training.online.pipeline import as_pipeline
from assets.training.online.state import as_record, from_record
from assets.training.online.stream import LabelStream, stream_of
from tests.shop import COLUMNS, customers, product

ESTIMATORS = {"churn": "sklearn.linear_model.LogisticRegression", "spend": "sklearn.linear_model.LinearRegression"}
MODELS: dict[str, Any] = {"churn": {"model": "logistic"}, "spend": {"model": "linear", "rate": 0.005}}


def delayed(rows: int = 2000) -> pd.DataFrame:
    """The shop's customers, whose labels arrive one to ten days later."""
    frame = customers(rows)
    frame["known_at"] = frame["signed_up_at"] + pd.to_timedelta(
        np.random.default_rng(2).integers(1440, 14400, rows), unit="min"
    )
    return frame


def online_product(name: str, **parts: Any) -> ProductSpec:
    """One of the shop's products, whose model can leave as a linear one."""
    target = product(name).target.model_dump(exclude_none=True) | {"known_at": "known_at"}
    source = {
        "file": "customers.csv",
        "key": ["customer_id"],
        "columns": {**COLUMNS, "known_at": {"type": "timestamp"}},
    }
    given = {"target": target, "source": source, "model": {"estimator": ESTIMATORS[name], "seed": 3}}
    return product(name, **{**given, **parts})


def declared(name: str, **parts: Any) -> OnlineLearningSpec:
    """How it is learned."""
    return OnlineLearningSpec.model_validate({**MODELS[name], "checkpoint_rows": 300, **parts})


def taught(spec: ProductSpec, rows: pd.DataFrame) -> LabelStream:
    """The rows as they are learned."""
    is_text = "churned" in rows and rows["churned"].dtype != bool
    frame = rows.assign(churned=rows["churned"] == "yes") if is_text else rows
    return stream_of(spec, model_frame(spec, rows), LabelledRows("all", None, frame, {}, 0).labels(spec), rows)


def learned(name: str, rows: pd.DataFrame, folder: Path | None = None, **parts: Any) -> Learned:
    """What these rows come to."""
    spec = online_product(name)
    return learned_online(spec, declared(name, **parts), taught(spec, rows), folder=folder)


def places(home: Home) -> Path:
    """Where checkpoints lie."""
    return home.learning / "churn"


def test_the_order_of_the_rows_in_the_snapshot_does_not_matter() -> None:
    """They are learned by the arrival of their labels."""
    rows = delayed()
    assert learned("churn", rows).digest == learned("churn", rows.sample(frac=1, random_state=1)).digest


def test_a_run_with_new_labels_goes_on_from_a_checkpoint_and_ends_with_the_same_bits(home: Home) -> None:
    """The labels of the first months are not learned again."""
    rows = delayed().sort_values("known_at")
    earlier = learned("churn", rows[:1000], places(home))
    whole, resumed = learned("churn", rows), learned("churn", rows, places(home))
    assert (earlier.resumed, resumed.resumed) == (0, 900)
    assert resumed.digest == whole.digest
    assert resumed.state.rows == 2000
    assert learned("churn", rows, places(home)).resumed == 1800


def test_a_checkpoint_of_other_rows_or_another_declaration_is_not_taken(home: Home) -> None:
    """Its name is a digest of both."""
    rows = delayed()
    learned("churn", rows, places(home))
    other = rows.assign(age=np.where(rows.index == rows["known_at"].idxmin(), rows["age"] + 1, rows["age"]))
    assert learned("churn", other, places(home)).resumed == 0
    assert learned("churn", rows, places(home), rate=0.02).resumed == 0
    assert learned("churn", rows, places(home)).resumed == 1800


def test_a_changed_checkpoint_is_told(home: Home) -> None:
    """Nobody goes on from a state that nobody wrote."""
    rows = delayed()
    learned("churn", rows, places(home))
    for path in places(home).iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace('"intercept": -', '"intercept": '), encoding="utf-8")
    with pytest.raises(DigestError, match=r"delete learning/churn/\w+\.json and run"):
        learned("churn", rows, places(home))


def test_a_checkpoint_holds_no_key_of_a_row(home: Home) -> None:
    """What is forgotten elsewhere need not be looked for in it."""
    learned("churn", delayed(), places(home))
    assert not any("C0" in path.read_text(encoding="utf-8") for path in places(home).iterdir())


def test_a_kill_ends_with_the_same_bits(home: Home) -> None:
    """Wherever it falls, between two rows or in the midst of a checkpoint."""
    rows = delayed(1500)
    spec, online = online_product("churn"), declared("churn", checkpoint_rows=100)
    stream = taught(spec, rows)
    whole = learned_online(spec, online, stream, folder=None)
    started = time.monotonic()
    learned_online(spec, online, stream, folder=home.learning / "timed")
    seconds = time.monotonic() - started
    draw, killed = np.random.default_rng(0), 0
    for number in range(8):
        folder = home.learning / f"churn{number}"
        child = os.fork()
        if not child:
            learned_online(spec, online, stream, folder=folder)
            os._exit(0)
        time.sleep(draw.uniform(0.1, 0.9) * seconds)
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert learned_online(spec, online, stream, folder=folder).digest == whole.digest
    assert killed >= 4


@pytest.mark.parametrize("name", ["churn", "spend"])
def test_a_state_as_text_keeps_every_bit(name: str) -> None:
    """Written, read and written again, it is the same; and so is what is learned from it."""
    found = learned(name, delayed(), drift="adwin", when_drifted="faster")
    text = json.dumps(found.record)
    again = from_record(json.loads(text), found.numbers, found.vocabulary)
    assert json.dumps(as_record(again, found.numbers, found.vocabulary)) == text
    assert again.weights.tobytes() == found.state.weights.tobytes()
    assert again.variances.tobytes() == found.state.variances.tobytes()


@pytest.mark.parametrize("name", ["churn", "spend"])
def test_the_pipeline_of_a_state_gives_its_scores(name: str) -> None:
    """Of rows with gaps and categories that nobody saw, too."""
    spec, rows = online_product(name), delayed()
    stream = taught(spec, rows)
    later = rows.assign(signed_up_at=rows["known_at"].max() + pd.Timedelta(days=1), plan="unheard of").head(200)
    later.loc[later.index[50:], "plan"] = rows["plan"][50:200]
    questions = stream.questions(spec, model_frame(spec, later), later)
    found = learned_online(spec, declared(name), stream, folder=None, questions=questions)
    fitted = as_pipeline(spec, found.state, found.numbers, found.vocabulary)
    asked = fitted.decision_function if name == "churn" else fitted.predict
    assert later["visits"].isna().any()
    np.testing.assert_allclose(asked(model_frame(spec, later)), found.scores, rtol=1e-12, atol=1e-12)


def test_answers_are_those_of_the_moment_of_prediction(home: Home) -> None:
    """Each row by the labels that had arrived then, whether learning goes on from a checkpoint or not."""
    spec, rows = online_product("churn"), delayed()
    stream = taught(spec, rows)
    last = rows.tail(300)
    questions = stream.questions(spec, model_frame(spec, last), last)
    whole = learned_online(spec, declared("churn"), stream, folder=None, questions=questions)
    learned_online(spec, declared("churn"), stream, folder=places(home))
    resumed = learned_online(spec, declared("churn"), stream, folder=places(home), questions=questions)
    assert resumed.resumed >= 900
    assert resumed.scores.tolist() == whole.scores.tolist()
    for number in (0, 150, 299):
        row = last.iloc[[number]]
        known = rows[rows["known_at"] < row["signed_up_at"].iloc[0]]
        earlier = taught(spec, known)
        alone = learned_online(
            spec, declared("churn"), earlier, folder=None, questions=earlier.questions(spec, model_frame(spec, row), row)
        )
        assert alone.scores[0] == whole.scores[number]


def test_a_model_that_diverges_is_told() -> None:
    """With a remedy; nothing is made of such weights."""
    rows = delayed()
    found = learned("spend", rows.assign(spend=rows["spend"] * 1e6), rate=1.0)
    with (
        np.errstate(all="ignore"),
        pytest.raises(DataError, match=r"diverged within 2000 rows.*Lower 'model.learning.online.rate'"),
    ):
        as_pipeline(online_product("spend"), found.state, found.numbers, found.vocabulary)


def test_a_wild_number_is_refused() -> None:
    """It would be the mean and the variance of all others."""
    rows = delayed()
    with pytest.raises(DataError, match=r"feature 'visits' holds 1e\+200, whose square is beyond double precision"):
        learned("churn", rows.assign(visits=np.where(rows.index == 7, 1e200, rows["visits"])))
