"""Log treatment: entries lose what the prediction log must not keep, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from pydantic_core import to_json

from bentos import pseudonyms
from bentos.bodies import Row
from bentos.by_key import LookedUp
from bentos.log_entries import Batch, Entry, array, decoded, encoded
from bentos.log_lines import Answering
from bentos.log_privacy import inputs_digest, kept_entity, kept_lookup
from bentos.served import Served


class Kept(NamedTuple):
    """A batch of which nothing is private any more, who answered, and what was done to some columns, as JSON."""

    answering: Answering
    hidden: str | None
    rows: int
    size: int
    entries: bytes


class Treatment:
    """What is done to the entries of a model.

    Parameters
    ----------
    served : Served
        The model, with what is declared to be private.
    secret : bytes or None
        The key of pseudonyms. Without it, what should be hashed is dropped.
    """

    def __init__(self, served: Served, secret: bytes | None) -> None:
        self.served, self.secret = served, secret
        self.answering, self.privacy = Answering.of(served), served.privacy
        features, entity = self.answering.features, served.entity
        _, hidden = pseudonyms.treated({}, features, self.privacy, secret)
        self.hidden = to_json(hidden).decode() if hidden else None
        # with a secret, the inputs' digest is keyed
        self.is_needed = bool(
            secret is not None
            or self.privacy
            or (entity is not None and entity["keep"] != "plain")
            or (served.promise.get("online") or {"private": {}})["private"]
        )
        self.entity = lru_cache(10_000)(self._entity)

    def kept(self, batch: Batch) -> Kept:
        """What is kept of a batch."""
        entries = batch.entries
        if self.is_needed:
            entries = encoded([self._treated(entry) for entry in decoded(array(batch.size, [entries]))])
        return Kept(self.answering, self.hidden, batch.rows, batch.size, entries)

    def _treated(self, entry: Entry) -> Entry:
        entry.entity = None if entry.entity is None else self.entity(entry.entity)
        if entry.looked_up is not None:
            entry.looked_up = kept_lookup(self.served, LookedUp(*entry.looked_up), self.secret)
        found = [self._row(row) for row in entry.rows]
        entry.rows, entry.digests = [row for row, _ in found], [digest for _, digest in found]
        return entry

    def _row(self, row: Sequence[object]) -> tuple[Row | Sequence[object], str | None]:
        features = self.answering.features
        named = {name: value for name, value in zip(features, row, strict=True) if value is not None}
        digest = inputs_digest(named, self.secret or b"") if self.secret is not None or not self.privacy else None
        if not self.privacy:
            return row, digest
        found, _ = pseudonyms.treated(named, features, self.privacy, self.secret)
        return tuple(map(found.get, features)), digest

    def _entity(self, key: str) -> str | None:
        return kept_entity(self.served, key, self.secret)
