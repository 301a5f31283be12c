"""Updates between promotions: every label once, in the order in which it was told, to the bit, however often one is killed."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.errors import DataError, SpecificationError
from assets.methods.calibration import chances
from assets.methods.online_linear import Asked, Inputs, Taught, learn
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.streaming import learner_progress
from assets.streaming.arriving_labels import arriving, stamp
from assets.streaming.label_journal import CURRENT, journal
from assets.streaming.online_updates import OnlineUpdates
from assets.training import learning
from assets.training.online.learning import learning_of
from assets.training.online.state import from_record
from bentos import updated_state
from bentos.following import Followed, Follower
from bentos.runtime import TamperedModelError, model_digest
from bentos.served import Served
from orchestration.operations.verification.verify import verify
from tests.assets.streaming.update_world import BLOCK, ROWS, answered_world, asked, champion_in, new_customers, told, updating
from tests.clones import python
from tests.models import promised

KILLS = 24
TOO_FAST: dict[str, Any] = {"rate": 1.0, "updates": {"rows": BLOCK, "confidence": 0.8}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Answers and labels of which nothing was learned."""
    return answered_world(tmp_path_factory.mktemp("updates"), updating())


@pytest.fixture
def copied(world: Home, tmp_path: Path) -> Home:
    """A copy of it."""
    shutil.copytree(world.root, tmp_path / "copy")
    return Home(tmp_path / "copy")


@pytest.fixture(scope="module")
def uninterrupted(world: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy in which all was learned at once."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "home"
    shutil.copytree(world.root, folder)
    found = learner(Home(folder)).look()
    assert (found.learned, found.waiting, found.rows, found.stopped) == (BLOCK * (ROWS // BLOCK), ROWS % BLOCK, 1000, None)
    return Home(folder)


def learner(home: Home, **online: Any) -> OnlineUpdates:
    """Who learns there."""
    return OnlineUpdates(home, updating(**online), champion_in(home))


def states(home: Home) -> list[tuple[int, str, str]]:
    """The states that were kept there."""
    (path,) = home.updates("churn").glob("*.sqlite")
    with journal(path) as kept:
        return kept.digests()


def test_a_state_is_that_of_one_learner_that_sees_every_label_once(uninterrupted: Home) -> None:
    """In the order in which they were told, whatever the blocks; the graph answers as the state does."""
    learns = learner(uninterrupted)
    with journal(next(uninterrupted.updates("churn").glob("*.sqlite"))) as kept:
        last = kept.last()
        assert last is not None
        labels = [label for _, label in kept.after(0, ROWS)]
        stream = arriving(uninterrupted, learns.spec, learns.champion.model_digest, kept, 0, since="2026-03-01").stream
    assert [label.request_id for label in labels] == [f"r{number:05d}" for number in range(ROWS)]
    vocabulary = stream.vocabulary(learns.base)
    base = from_record(learns.base, stream.names, vocabulary)
    taught = stream.taught(vocabulary)(slice(0, last.rows))
    whole, _ = learn(base, learning_of(learns.online), taught)
    assert whole.rows == base.rows + 1000
    kept_state = from_record(last.content["state"], stream.names, vocabulary)
    assert vars(whole).keys() == vars(kept_state).keys()
    for name, value in vars(whole).items():
        assert np.array_equal(value, getattr(kept_state, name)), name
    assert "student" in last.content["state"]["categories"]["plan"]

    record = read_json(uninterrupted.updates("churn") / CURRENT)
    assert (record["state"], record["rows"], record["labels"]) == (last.digest, 1000, last.name)
    served = promised(uninterrupted, learns.model, uninterrupted.root.parent / "package")
    updated = updated_state.updated(served, uninterrupted.updates("churn"), record)
    rows = [{"age": 40.0, "plan": plan, "visits": visits} for plan in ("free", "student") for visits in (1.0, None)]
    codes = [[sorted(vocabulary["plan"]).index(row["plan"])] for row in rows]
    numbers = np.array([[row["age"], np.nan if row["visits"] is None else row["visits"]] for row in rows])
    nothing = Taught(Inputs(numbers[:0], np.empty((0, 1), dtype=np.intp)), np.empty(0), np.empty(0))
    _, scores = learn(
        whole, learning_of(learns.online), nothing, Asked(Inputs(numbers, np.array(codes)), np.zeros(4, dtype=np.intp))
    )
    expected = (
        chances(np.column_stack([np.zeros(4), scores]))[:, 1]
        if learns.scaling is None
        else learns.scaling.apply(np.column_stack([np.zeros(4), scores]))[:, 1]
    )
    found, _ = updated.predict([updated.bodies.row(row) for row in rows])
    assert np.allclose(found, expected, rtol=0, atol=1e-12)
    before, _ = served.predict([served.bodies.row(row) for row in rows])
    assert not np.allclose(found, before, rtol=0, atol=1e-3)


def test_killed_at_any_moment_it_ends_with_the_same_states(copied: Home, uninterrupted: Home) -> None:
    """Between the labels and the state, between the state and the graph, in the middle of a file."""
    done = python("tests.assets.streaming.updates_until_killed", str(copied.root), str(KILLS), home=copied.root)
    assert done.returncode == 0, done.stderr
    found, wanted = json.loads(done.stdout), [list(state) for state in states(uninterrupted)]
    assert found["killed"] == KILLS
    assert all(between == wanted[: len(between)] for between in found["between"])
    assert len({len(between) for between in found["between"]}) > 3
    assert len(found["ended"]) >= KILLS // 4
    current = read_json(uninterrupted.updates("churn") / CURRENT)
    assert all(ended == [wanted, current] for ended in found["ended"])
    assert verify(Home(copied.root.with_name("killed"))).problems == []


def test_labels_that_come_bit_by_bit_come_to_the_same(world: Home, uninterrupted: Home, tmp_path: Path) -> None:
    """A look after each file, one of which was told before; whoever repeats or contradicts a label teaches nothing."""
    home = Home(tmp_path / "home").prepare()
    shutil.rmtree(home.root)
    shutil.copytree(world.root, home.root)
    labels = sorted((home.served / "churn" / "outcomes").glob("*.parquet"))
    assert len(labels) == 3
    away = [shutil.move(path, tmp_path / path.name) for path in labels]
    learns = learner(home)
    seen = stamp(home, "churn")
    assert learns.look().learned == 0
    assert stamp(home, "churn") == seen
    counts = []
    for path in away:
        shutil.copy(path, home.served / "churn" / "outcomes")
        assert stamp(home, "churn") != seen
        counts.append(learns.look().learned)
    assert counts == [300, 300, 400]
    assert states(home) == states(uninterrupted)

    again = [(number, "yes") for number in range(ROWS)]
    told(home, learns.spec, tmp_path / "again.csv", again, 200)
    assert learns.look().learned == 0
    asked(home, new_customers(100, seed=4), "another model", first=5000)
    asked(home, new_customers(100, seed=4), learns.champion.model_digest, hidden='{"plan":"hash"}', first=6000)
    told(home, learns.spec, tmp_path / "more.csv", [(5000 + number, "no") for number in range(1100)], 220)
    assert learns.look().waiting == ROWS % BLOCK, "of another model, or with a feature that the log does not keep"
    asked(home, new_customers(100, seed=4), learns.champion.model_digest, first=7000)
    told(home, learns.spec, tmp_path / "most.csv", [(7000 + number, "no") for number in range(100)], 240)
    assert learns.look().learned == BLOCK


def test_another_declaration_learns_all_again_in_the_same_order(copied: Home, uninterrupted: Home) -> None:
    """So does another size of blocks, which comes to the same."""
    assert learner(copied).look().rows == 1000
    first = states(copied)[-1]
    assert learner(copied, rate=0.01).look().learned == 1000
    assert states(copied)[-1] != first
    assert learner(copied, updates={"rows": BLOCK // 2}).look().rows == 1000
    assert states(copied)[-1][2] == first[2]


def test_what_does_worse_is_put_back(copied: Home, tmp_path: Path) -> None:
    """With steps that are too long each label pulls the weights away; the promoted state answers again, for good."""
    home, learns = copied, learner(copied, **TOO_FAST)
    found = learns.look()
    assert found.stopped is not None
    assert "answered worse than the promoted one, with a confidence of more than 0.8" in found.stopped
    assert states(home)[-1][0] <= 1000
    record = read_json(home.updates("churn") / CURRENT)
    assert (record["folder"], record["state"], record["rows"]) == (None, learns.model.signature["learning"]["state"], 0)
    assert record["stopped"] == {"reason": found.stopped, "rows": states(home)[-1][0]}
    asked(home, new_customers(100, seed=4), learns.champion.model_digest, first=7000)
    told(home, learns.spec, tmp_path / "most.csv", [(7000 + number, "no") for number in range(100)], 240)
    seen = learner_progress.progress(home, learns.champion)
    assert seen is not None
    assert (seen.stopped, seen.learned, seen.unseen) == (found.stopped, 0, 0), "nobody waits for a learner that is done"
    again = learner(home, **TOO_FAST).look()
    assert (again.learned, again.rows, again.stopped) == (0, 0, found.stopped)


def test_weights_beyond_double_precision_are_put_back(copied: Home) -> None:
    """They are never served."""
    found = learner(copied, rate=1.0, l2=1e150).look()
    assert found.stopped is not None
    assert "diverged beyond double precision; lower 'model.learning.online.rate'" in found.stopped
    assert read_json(copied.updates("churn") / CURRENT)["folder"] is None


def test_lost_answers_are_not_waited_for(copied: Home) -> None:
    """A label whose answer left the log before it was learned is forgotten; one that was learned stays learned."""
    assert learner(copied, updates={"rows": 1000}).look().waiting == 30
    with closing(sqlite3.connect(next((copied.served / "churn").glob("*.sqlite")))) as log, log:
        log.execute("delete from predictions where request_id >= 'r01010'")
    assert learner(copied, updates={"rows": 1000}).look().waiting == 10


@pytest.mark.parametrize(
    ("change", "error", "wanted"),
    [
        ("undeclared", SpecificationError, "churn: 'model.learning.online.updates' is not declared"),
        ("before", DataError, "version 1 was trained before 'updates' was declared"),
        ("features", DataError, "its champion has other features than are declared"),
        ("state", DataError, "state.json is not the state .* that was promoted"),
    ],
)
def test_what_cannot_go_on_is_told(copied: Home, change: str, error: type[Exception], wanted: str, tmp_path: Path) -> None:
    """Before anything is learned."""
    spec = updating()
    if change == "undeclared":
        spec = updating(updates=None)
    if change == "features":
        groups = {"all": {"age": {}, "plan": {}}}
        features = {"entity": "customer_id", "event_time": "signed_up_at", "groups": groups}
        spec = updating(parts={"features": features})
    champion = champion_in(copied)
    folder = copied.models / "churn" / champion.model_digest
    if change == "before":
        signature = json.loads((folder / "model.json").read_text())
        del signature["learning"]["updates"]
        (folder / "model.json").write_text(json.dumps(signature))
        digest = model_digest(folder)
        folder.rename(folder.with_name(digest))
        champion = replace(champion, model_digest=digest)
    if change == "state":
        write_json(folder / "state.json", {**read_json(folder / "state.json"), "rows": 7})
    with pytest.raises(error, match=wanted):
        OnlineUpdates(copied, spec, champion)


def test_hidden_features_are_told_at_check(home: Home) -> None:
    """What the log does not keep as it was asked cannot be learned."""
    (problem,) = learning.problems(home, updating(parts={"privacy": {"plan": "hash"}}), {})
    assert "'model.learning.online.updates' learns from the prediction log, which does not keep plan as asked" in problem
    assert list(learning.problems(home, updating(), {})) == []


def test_a_tampered_graph_is_not_served(copied: Home, tmp_path: Path) -> None:
    """Nor is one that its record does not name."""
    learns = learner(copied)
    learns.look()
    record = read_json(copied.updates("churn") / CURRENT)
    graph = copied.updates("churn") / record["folder"] / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    served: Served = promised(copied, learns.model, tmp_path / "package")
    with pytest.raises(TamperedModelError, match=f"It is not loaded: delete .*/{record['folder']} and run `loopline learn-onl"):
        updated_state.updated(served, copied.updates("churn"), record)


@pytest.mark.parametrize("damage", ["cut off", "taken away"])
def test_a_damaged_graph_is_written_again(copied: Home, tmp_path: Path, damage: str) -> None:
    """The next look does not take its bytes for the state's: record and graph are as they were, and the journal is kept."""
    learns = learner(copied)
    learns.look()
    record, kept = read_json(copied.updates("churn") / CURRENT), states(copied)
    graph = copied.updates("churn") / record["folder"] / "model.onnx"
    if damage == "cut off":
        graph.write_bytes(graph.read_bytes()[:-1])
    else:
        shutil.rmtree(graph.parent)
    learns.look()
    assert (read_json(copied.updates("churn") / CURRENT), states(copied)) == (record, kept)
    served: Served = promised(copied, learns.model, tmp_path / "package")
    assert updated_state.updated(served, copied.updates("churn"), record).state == record["state"]
    assert verify(copied, deep=True).problems == []


def test_a_service_follows_its_pointer_where_what_is_said_of_updates_cannot_be_read(copied: Home, tmp_path: Path) -> None:
    """A promotion or a rollback is not held up by it: the model answers as it was promoted, and what is wrong is told."""
    promised(copied, learner(copied).model, tmp_path / "package")
    (tmp_path / CURRENT).mkdir()  # as one that another user may not read
    write_json(tmp_path / "champion.json", {"folder": "package", "updates": CURRENT})
    taken, problems = list[Followed | None](), list[Exception]()
    asyncio.run(Follower(tmp_path / "champion.json", taken.append, problems.append).look())
    (followed,) = taken
    assert followed is not None
    assert followed.champion.state == learner(copied).model.signature["learning"]["state"]
    (problem,) = problems
    assert isinstance(problem, IsADirectoryError)
