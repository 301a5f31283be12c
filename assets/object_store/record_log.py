"""Record log: what happened to a published home, in one sequence of numbered records that only grows.

A record is a commit, which says how the files changed, or entries of the ledger. Its number is taken by a conditional write, so
that of several machines one gets it and the others are told; it names the digest of the record before, so that none can be
changed or taken out unseen. What a record names was written before it: whoever sees it sees all of it.
"""

from __future__ import annotations

import hashlib
import json
import socket
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from assets.errors import StoreError
from assets.object_store.bucket import Bucket
from assets.storage.digests import canonical

FORMAT = 1
"""The version of a store's records."""
FIRST = "0" * 64
"""What the first record names as the digest of the one before it."""
FOLDER = "log"
THREADS = 8
"""How many requests are made at once."""


@dataclass(frozen=True)
class Record:
    """A record of the log.

    Parameters
    ----------
    number : int
        Its place, from 1.
    digest : str
        SHA-256 of its bytes.
    kind : {"commit", "ledger"}
        Whether it tells of files or of the ledger.
    content : dict
        All that it holds.
    """

    number: int
    digest: str
    kind: Literal["commit", "ledger"]
    content: dict[str, Any]


def key_of(number: int) -> str:
    """Where a record lies.

    Examples
    --------
    >>> key_of(7)
    'log/0000000007.json'
    """
    return f"{FOLDER}/{_name(number)}"


def made(
    home_id: str, number: int, parent: str, kind: Literal["commit", "ledger"], content: dict[str, Any]
) -> tuple[Record, bytes]:
    """A record, and its bytes."""
    held = {"format": FORMAT, "home": home_id, "number": number, "parent": parent, "kind": kind, **content}
    written = canonical(held)
    return Record(number, digest_of(written), kind, held), written


def numbers_after(bucket: Bucket, known: int) -> list[int]:
    """The numbers of the records after a known one, by one list request.

    Raises
    ------
    StoreError
        If the known record is not there any more, or one between is missing.
    """
    found = bucket.after(FOLDER, None if known < 2 else _name(known - 1))
    numbers = [int(item.key.rpartition("/")[2].partition(".")[0]) for item in found]
    first = 1 if known < 2 else known
    if numbers != list(range(first, first + len(numbers))) or (known and known not in numbers):
        raise StoreError(
            f"the store {bucket.address.url} does not hold record {known} of its log any more, or lacks one after it: it was "
            "emptied, replaced or restored to an earlier state. Restore it; or name another place: `loopline store move URL` "
            "publishes this home there."
        )
    return [number for number in numbers if number > known]


def read(bucket: Bucket, home_id: str | None, numbers: Iterable[int]) -> list[Record]:
    """Read records, several at once, and see that each is of this home.

    Raises
    ------
    StoreError
        If one is missing, damaged, of another version or of another home.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda number: _read(bucket, home_id, number), numbers))


def require_chain(bucket: Bucket, records: Iterable[Record], parent: str) -> None:
    """See that each record names the one before it.

    Raises
    ------
    StoreError
        If one does not: the log was rewritten, or this home belongs to another history of it.
    """
    for record in records:
        if record.content["parent"] != parent:
            raise StoreError(
                f"the store {bucket.address.url}: record {record.number} of its log does not follow the one that this home "
                "knows. The log was rewritten, or the home comes from an earlier state of it. Restore the store; or move this "
                "home away, and take the published one into an empty folder: `loopline store pull`."
            )
        parent = record.digest


def _read(bucket: Bucket, home_id: str | None, number: int) -> Record:
    written = bucket.get(key_of(number))
    where = f"the store {bucket.address.url}: {key_of(number)}"
    if written is None:
        raise StoreError(f"{where} is missing. Restore the store, or publish the home elsewhere: `loopline store move URL`.")
    try:
        held = json.loads(written)
        record = Record(int(held["number"]), digest_of(written), held["kind"], held)
        is_known = held["format"] == FORMAT
        owner = str(held["home"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{where} is no record of a store's log. Restore the store.") from error
    if not is_known:
        raise StoreError(f"{where} has format {held['format']}, this version of Loopline reads {FORMAT}. Use that version.")
    if record.number != number:
        raise StoreError(f"{where} holds record {record.number}: it was moved. Restore the store.")
    if home_id is not None and owner != home_id:
        raise other_home(bucket, owner, home_id)
    return record


def other_home(bucket: Bucket, owner: str, home_id: str) -> StoreError:
    """The error of a store that belongs to another home."""
    return StoreError(
        f"the store {bucket.address.url} belongs to another home (id {owner[:12]}, this one has {home_id[:12]}). Name a prefix "
        "of its own; or, to go on with that home here, point LOOPLINE_HOME at an empty folder."
    )


def digest_of(written: bytes) -> str:
    """The digest by which a record is named."""
    return hashlib.sha256(written).hexdigest()


def nonce() -> str:
    """What tells a record from an equal one of another process."""
    return uuid.uuid4().hex


def machine() -> str:
    """The name by which this machine is told from others."""
    return socket.gethostname()


def _name(number: int) -> str:
    return f"{number:010}.json"
