"""A champion of churn that labels may update: trained once, asked about customers, and told what became of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic_core import to_json

from assets.monitoring import outcome_intake
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from bentos import log_lines
from bentos.log_lines import Line
from bentos.runtime import Model
from tests.assets.training.test_online_learning import ESTIMATORS, MODELS, delayed, online_product
from tests.models import champion_of, snapshot_of
from tests.shop import customers

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
ENTITIES = [f"e{number}" for number in range(12)]
ROWS, BLOCK = 1030, 100
"""The answers that have labels, and the labels after which a state is kept."""


def updating(parts: dict[str, Any] | None = None, **online: Any) -> ProductSpec:
    """Its declaration, with other parts or another way of learning online."""
    told = {**MODELS["churn"], "rate": 0.05, "checkpoint_rows": 500, "updates": {"rows": BLOCK}, **online}
    model = {"estimator": ESTIMATORS["churn"], "seed": 3, "refit": True, "learning": {"online": told}}
    evaluation = {"bootstrap_replicates": 100, "cross_fitted_below": 0}
    return online_product("churn", **{"evaluation": evaluation, "model": model, **(parts or {})})


def trained_in(home: Home, spec: ProductSpec) -> Model:
    """Its model."""
    made = training.train(home, spec, snapshot_of(home, spec, delayed(1000)))
    return Model.load(made.folder, made.digest)


def champion_in(home: Home) -> Entry:
    """The one model of a home as a champion, from a day before it was asked."""
    (folder,) = (path for path in (home.models / "churn").iterdir() if path.is_dir())
    entry = champion_of(Model.load(folder, folder.name))
    return Entry(**{**vars(entry), "recorded_at": "2026-03-01T00:00:00+00:00"})


def new_customers(rows: int = ROWS, seed: int = 8) -> pd.DataFrame:
    """Customers whom it was not trained on; one has a plan of its own, one an age that no square holds."""
    frame = customers(rows, seed)
    frame["plan"] = frame["plan"].astype(object)
    frame["age"] = frame["age"].astype(float)
    frame.loc[3, ["plan", "age"]] = "student", 1e200
    return frame


def asked(
    home: Home, frame: pd.DataFrame, digest: str, *, hidden: str | None = None, first: int = 0, entities: Sequence[str] = ()
) -> None:
    """Log an answer to each, a second apart, as a service does; perhaps about entities."""
    folder = home.served / "churn"
    folder.mkdir(parents=True, exist_ok=True)
    rows = frame[["age", "plan", "visits"]].astype(object).where(frame[["age", "plan", "visits"]].notna(), None)
    with closing(sqlite3.connect(folder / f"{START.date()}.sqlite")) as connection, connection:
        log_lines.begin(connection)
        for number, row in enumerate(rows.to_dict("records"), start=first):
            moment = (START + timedelta(seconds=number)).isoformat(timespec="milliseconds")
            features = to_json({name: value for name, value in row.items() if value is not None}).decode()
            answer = '{"probability":0.75,"is_positive":true,"unknown_categories":[]}'
            entity = entities[number - first] if entities else None
            line = Line(f"r{number:05d}", 0, moment, 1, digest, features, answer, None, hidden, None, entity, *[None] * 4)
            connection.execute(log_lines.INSERT, line)


def told(
    home: Home,
    spec: ProductSpec,
    path: Path,
    outcomes: Sequence[tuple[int | str, str]],
    hours: float,
    *,
    observed: float | None = None,
) -> None:
    """Tell what became of some requests, by their numbers, or of entities, so many hours after the first was asked."""
    moment = (START + timedelta(hours=hours if observed is None else observed)).isoformat()
    column = "entity" if isinstance(outcomes[0][0], str) else "request_id"
    named = [(what if isinstance(what, str) else f"r{what:05d}", outcome) for what, outcome in outcomes]
    lines = [f"{what},{1 if outcome == 'yes' else 0},{moment}" for what, outcome in named]
    path.write_text("\n".join([f"{column},outcome,observed_at", *lines]) + "\n", encoding="utf-8")
    outcome_intake.take(home, spec, path, "person:tester", START + timedelta(hours=hours))


def answered_world(folder: Path, spec: ProductSpec, *, goes: int = 3) -> Home:
    """A home with all of it; labels come in several goes."""
    home = Home(folder / "home").prepare()
    model, frame = trained_in(home, spec), new_customers()
    asked(home, frame, model.digest)
    outcomes = list(enumerate(frame["churned"].tolist()))
    size = -(-len(outcomes) // goes)
    for go in range(goes):
        told(home, spec, folder / f"labels{go}.csv", outcomes[go * size : (go + 1) * size], 30 + 24 * go)
    return home


def about(home: Home, entities: Sequence[str], first: int) -> None:
    """Log answers about entities, a second apart, from some second on."""
    frame = new_customers(ROWS, seed=first)[: len(entities)]
    asked(home, frame, champion_in(home).model_digest, first=first, entities=entities)
