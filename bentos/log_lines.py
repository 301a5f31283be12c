"""Log lines: the table of the prediction log, and the lines that entries become in it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic_core import to_json

from bentos.by_key import LookedUp
from bentos.decisions import said
from bentos.fallback import FALLING_BACK
from bentos.log_encryption import Sealer
from bentos.log_entries import Entry
from bentos.log_privacy import inputs_digest, lookup_json
from bentos.served import Served

TABLE = """
create table if not exists predictions (
    request_id text not null, row_number integer not null, answered_at_utc text not null, model_version integer not null,
    model_digest text not null, features text not null, prediction text not null, caller text, hidden text, data_key integer,
    entity text, inputs_digest text, experiment text, arm text, propensity real, output real, decision text, looked_up text,
    state_digest text, fallback text,
    primary key (request_id, row_number)
) strict
"""
LATER = {
    "caller": "text",
    "hidden": "text",
    "data_key": "integer",
    "entity": "text",
    "inputs_digest": "text",
    "experiment": "text",
    "arm": "text",
    "propensity": "real",
    "output": "real",
    "decision": "text",
    "looked_up": "text",
    "state_digest": "text",
    "fallback": "text",
}
"""Columns that the file of a day lacks which an earlier version of the service began."""


class Line(NamedTuple):
    """A row of an answered request, as the table holds it."""

    request_id: str
    row_number: int
    answered_at_utc: str
    model_version: int
    model_digest: str
    features: str
    prediction: str
    caller: str | None
    hidden: str | None
    data_key: int | None
    entity: str | None
    inputs_digest: str | None
    experiment: str | None
    arm: str | None
    propensity: float | None
    output: float | None = None
    decision: str | None = None
    looked_up: str | None = None
    state_digest: str | None = None
    fallback: str | None = None


INSERT = f"insert or ignore into predictions ({', '.join(Line._fields)}) values ({', '.join('?' * len(Line._fields))})"
"""A client may repeat its request's id; its first answer stands."""


class Answering(NamedTuple):
    """What lines say of who answered, and how it calls the values of a row."""

    model_version: int
    model_digest: str
    features: tuple[str, ...]
    state: str | None = None
    fallback: str | None = None

    @classmethod
    def of(cls, served: Served) -> Answering:
        """What is said of a served model."""
        features = tuple(served.model.signature["features"])
        told = served.state, served.promise.get(FALLING_BACK)
        return cls(served.promise["model_version"], served.model.digest, features, *told)

    @classmethod
    def read(cls, text: str) -> Answering:
        """What `text` holds."""
        version, digest, features, *more = json.loads(text)
        return cls(version, digest, tuple(features), *more)

    @property
    def text(self) -> str:
        """As JSON."""
        return to_json(self).decode()


def begin(connection: sqlite3.Connection) -> None:
    """Make the table, or what it lacks."""
    connection.execute(TABLE)
    present = {column[1] for column in connection.execute("pragma table_info(predictions)")}
    for name, kind in LATER.items():
        if name not in present:
            connection.execute(f"alter table predictions add column {name} {kind}")


def lines_of(answering: Answering, hidden: str | None, entries: Iterable[Entry]) -> list[Line]:
    """The lines of entries of which nothing is private any more; `hidden` says what was done to some columns, as JSON."""
    version, digest, features, state, fallback = answering
    found = []
    for entry in entries:
        moment = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds")
        experiment, arm, propensity = entry.assignment or (None, None, None)
        looked_up = entry.looked_up
        if looked_up is not None and not isinstance(looked_up, str):
            looked_up = lookup_json(LookedUp(*looked_up))
        for place, (row, answer) in enumerate(zip(entry.rows, entry.answers, strict=True)):
            named = {name: value for name, value in zip(features, row, strict=True) if value is not None}
            output, decision = said(answer)
            found.append(
                Line(
                    entry.request_id, entry.first + place, moment, version, digest, to_json(named).decode(),
                    to_json(answer).decode(), entry.caller, hidden, None, entry.entity,
                    inputs_digest(named) if entry.digests is None else entry.digests[place],
                    experiment, arm, propensity, output, decision, looked_up, state, fallback,
                )
            )  # fmt: skip
    return found


def encrypted(sealer: Sealer, lines: Sequence[Line], data_key: int) -> list[Line]:
    """Lines whose features, answer, caller, entity, inputs' digest and look-up are one ciphertext; copies go."""
    found = []
    for line in lines:
        place = line.request_id, line.row_number, line.answered_at_utc, line.model_digest
        secret = line.features, line.prediction, line.caller, line.entity, line.inputs_digest, line.looked_up
        content = sealer.encrypt(place, list(secret))
        found.append(
            line._replace(
                features=content,
                data_key=data_key,
                prediction="",
                caller=None,
                entity=None,
                inputs_digest=None,
                output=None,
                decision=None,
                looked_up=None,
            )
        )
    return found
