"""Log entries: what was asked and answered, as it is handed to the prediction log: encoded at once, and gathered in batches.

An entry is encoded while what it holds is at hand: objects that wait to be encoded cost the garbage collector as much again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import msgspec

from bentos.served import Served

DAY = 86_400
MOST_ROWS = 100
"""How many rows go into one entry, unless they are too long."""
MOST_BYTES = 48_000
"""From how many bytes on a batch is handed over."""
ARRAY = b"\xdd"
"""What a msgpack array begins with whose length has four bytes."""


class Entry(msgspec.Struct, array_like=True, gc=False):
    """A request that was answered, or its rows from the `first` on.

    Parameters
    ----------
    request_id : str
        The request's id.
    at : float
        When it was answered, in seconds since 1970.
    caller, entity : str, optional
        Who asked, and about which entity.
    assignment : (str, str, float), optional
        The fields of the `Assignment` that chose who answers.
    looked_up : sequence or str, optional
        The fields of what the online store gave, `LookedUp`; or what is kept of them, as JSON.
    first : int
        The number of the first row in the request.
    rows, answers : sequence of length n_rows
        What was asked, and answered.
    digests : sequence of length n_rows, optional
        The inputs' digests where they cannot be made of what is kept of the rows.
    """

    request_id: str
    at: float
    caller: str | None
    entity: str | None
    assignment: tuple[str, str, float] | None
    looked_up: Any
    first: int
    rows: Sequence[Any]
    answers: Sequence[Any]
    digests: Sequence[str | None] | None = None


class Batch(NamedTuple):
    """Entries of one day and one model, encoded one after the other, and how many rows they have."""

    served: Served
    day: date
    rows: int
    size: int
    entries: bytes


def _plain(value: Any) -> Any:
    """A scalar of numpy's as Python's own."""
    return value.item()


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoder = msgspec.msgpack.Decoder(list[Entry])


class Gatherer:
    """Gathers entries in batches.

    Parameters
    ----------
    hand : callable
        Takes a batch.
    most_bytes : int
        How long an entry may be; one with several rows is parted, one of a single row is handed over all the same.
    """

    def __init__(self, hand: Callable[[Batch], object], most_bytes: int = MOST_BYTES) -> None:
        self.hand, self.most_bytes = hand, most_bytes
        self.served: Served | None = None
        self.day = self.rows = self.count = 0
        self.encoded = bytearray()

    def add(self, served: Served, entry: Entry) -> None:
        """Add a request that was answered."""
        if entry.entity is not None and served.entity is None:
            entry.entity = None  # a key that nobody declared must not be kept
        day = int(entry.at // DAY)
        if served is not self.served or day != self.day:
            self.flush()
            self.served, self.day = served, day
        if len(entry.rows) > MOST_ROWS:
            for start in range(0, len(entry.rows), MOST_ROWS):
                self._add(_part(entry, start, start + MOST_ROWS))
        else:
            self._add(entry)

    def flush(self) -> None:
        """Hand over what was gathered."""
        if self.served is not None and self.count:
            batch = Batch(self.served, _date(self.day), self.rows, self.count, bytes(self.encoded))
            self.rows = self.count = 0
            self.encoded.clear()
            self.hand(batch)

    def _add(self, entry: Entry) -> None:
        encoded, before = self.encoded, len(self.encoded)
        _encoder.encode_into(entry, encoded, -1)
        size, rows = len(encoded) - before, len(entry.rows)
        if size > self.most_bytes and rows > 1:
            del encoded[before:]
            self._add(_part(entry, 0, rows // 2))
            self._add(_part(entry, rows // 2, rows))
            return
        if size > self.most_bytes:  # alone, as a batch that is too long is lost with all that it holds
            alone = encoded[before:]
            del encoded[before:]
            self.flush()
            encoded += alone
        self.rows += rows
        self.count += 1
        if len(encoded) >= self.most_bytes:
            self.flush()


def encoded(entries: Sequence[Entry]) -> bytes:
    """Entries, one after the other."""
    return _encoder.encode(entries)[_head(len(entries)) :]


def array(count: int, entries: Sequence[bytes]) -> bytes:
    """So many entries of several batches as one array."""
    return b"".join((ARRAY, count.to_bytes(4, "big"), *entries))


def decoded(entries: bytes) -> list[Entry]:
    """The entries of an array."""
    return _decoder.decode(entries)


def _part(entry: Entry, start: int, end: int) -> Entry:
    rows, answers = entry.rows[start:end], entry.answers[start:end]
    return msgspec.structs.replace(entry, first=entry.first + start, rows=rows, answers=answers)


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * DAY, UTC).date()


def _head(count: int) -> int:
    """How many bytes the head of an array takes that the encoder writes."""
    return 1 if count < 16 else 3 if count < 1 << 16 else 5
