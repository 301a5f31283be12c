"""Bucket: the few requests that a store is asked, over S3 or over a folder, each with one clear error.

The library is imported only here, and only where a store is declared. Credentials and the endpoint are read from the
environment by the library; no error repeats what it says of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from assets.errors import StoreError
from assets.object_store.address import Address

Given = TypeVar("Given")
RETRIES = 4
"""How often a request is repeated after an error of the server or of the network."""
PIECE = 8 << 20
"""How many bytes of a large object one request reads."""
REASONS = {
    r"NoSuchBucket": "there is no such bucket. Make it, or mend the address",
    r"[Mm]issing.*credential|CredentialsNotLoaded|latest/meta-data|169\.254\.169": (
        "there are no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL for your own server"
    ),
    r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|ExpiredToken|InvalidToken|status code: 40[13]": (
        "the credentials are refused. Mend AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN where there is "
        "one), or ask for the right to read, write, list and delete there"
    ),
    r"status code: 507|QuotaExceeded|XMinioStorageFull|No space left|os error 28|StorageFull": "it is full. Make room there",
    r"status code: 5\d\d": "the server fails with an error of its own: it may be full, or not ready yet. Its log says why",
    r"error sending request|timed out|timeout|connection|Connection|error decoding|os error 111": (
        "it does not answer, or not in time. See whether the server runs and AWS_ENDPOINT_URL names it; LOOPLINE_STORE_TIMEOUT "
        "allows it more seconds"
    ),
    r"os error 13|os error 30|Permission denied": "it cannot be read or written. Mend the permissions of the folder",
}
"""What is told of an error of the library, by what it says."""


class Found(NamedTuple):
    """An object as a list names it: when it was written is the server's word."""

    key: str
    size: int
    tag: str
    written_at: datetime


@dataclass
class Bucket:
    """A bucket, or a folder that is used as one.

    Parameters
    ----------
    address : Address
        Where it is.
    requests : Counter of str
        How many requests were made of each kind.
    """

    address: Address
    requests: Counter[str] = field(default_factory=Counter)
    _opened: Any = None

    def get(self, key: str) -> bytes | None:
        """A whole object; None if it is not there."""
        try:
            return self._asked("get", lambda library, store: bytes(library.get(store, key).bytes()))
        except FileNotFoundError:
            return None

    def ranges(self, key: str, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """Parts of an object, each given by its offset and size; those that lie near each other are one request.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        """
        found = {place: b"" for place in places if not place[1]}
        asked = [place for place in places if place[1]]
        if asked:
            starts, lengths = zip(*asked, strict=True)
            parts = self._asked(
                "get", lambda library, store: library.get_ranges(store, key, starts=list(starts), lengths=list(lengths))
            )
            found |= dict(zip(asked, map(bytes, parts), strict=True))
        return [found[place] for place in places]

    def download(self, key: str, size: int, target: Path) -> None:
        """Write a large object to a file, a piece for a request.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        """
        with target.open("wb") as stream:
            for start in range(0, size, PIECE):
                stream.write(self.ranges(key, [(start, min(PIECE, size - start))])[0])

    def put(self, key: str, content: bytes | Path) -> None:
        """Write an object, whole or not at all."""
        self._asked("put", lambda library, store: library.put(store, key, content))

    def create(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one of this key; whether it was written by this call or an earlier try of it."""
        try:
            self._asked("put", lambda library, store: library.put(store, key, content, mode="create"))
        except _TakenError:
            return self.get(key) == content  # a request that is repeated after its answer was lost meets itself
        return True

    def after(self, folder: str, key: str | None = None) -> list[Found]:
        """The objects under a folder in the order of their keys, from the first after a key."""
        offset = None if key is None else f"{folder}/{key}"

        def listed(library: Any, store: Any) -> list[Found]:
            pages = library.list(store, folder, offset=offset)
            return [
                Found(item["path"], item["size"], item["e_tag"] or "", item["last_modified"]) for page in pages for item in page
            ]

        return sorted(self._asked("list", listed))

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are no error."""
        for key in keys:
            try:
                self._asked("delete", partial(_delete, key))
            except FileNotFoundError:
                continue

    def _asked(self, kind: str, ask: Callable[[Any, Any], Given]) -> Given:
        library = _library()
        if self._opened is None:
            self._opened = _opened(library, self.address)
        self.requests[kind] += 1
        try:
            return ask(library, self._opened)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._problem("NoSuchBucket") from None
            raise
        except library.exceptions.AlreadyExistsError:
            raise _TakenError from None
        except (library.exceptions.BaseError, OSError, ValueError) as error:
            raise self._problem(str(error)) from None  # what the library says may hold a key or a signature

    def _problem(self, told: str) -> StoreError:
        for part in urlsplit(self.address.url)[1:3]:  # a bucket may be called as an error is
            told = told.replace(part.strip("/") or "\0", "")
        reason = next((reason for pattern, reason in REASONS.items() if re.search(pattern, told)), None)
        if reason is None:
            code = re.search(r"<Code>(\w{1,60})</Code>", told)
            reason = f"it answers {code[1] if code else 'with an error that is not known'}. Ask who runs it"
        return StoreError(
            f"the store {self.address.url}: {reason}. What was made is in the home, and nothing of it is lost; run the command "
            "again."
        )


def _delete(key: str, library: Any, store: Any) -> None:
    library.delete(store, key)


class _TakenError(Exception):
    """There is an object of this key."""


def _library() -> Any:
    try:
        import obstore
        import obstore.store
    except ImportError as error:
        raise StoreError("a store is declared, and the library that reaches it is not installed. Run `make stores`.") from error
    return obstore


def _opened(library: Any, address: Address) -> Any:
    parts = urlsplit(address.url)
    try:
        if parts.scheme == "file":
            return library.store.LocalStore(Path(unquote(parts.path)), mkdir=True)
        seconds = timedelta(seconds=address.timeout_seconds)
        return library.store.from_url(
            address.url,
            client_options={"allow_http": True, "timeout": seconds, "connect_timeout": min(seconds, timedelta(seconds=5))},
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": 3 * seconds,
                "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
            },
        )
    except (library.exceptions.BaseError, OSError, ValueError):
        raise StoreError(
            f"the store {address.url} cannot be opened: a variable AWS_… in the environment is no setting of a client, or the "
            "folder cannot be made. Mend it."
        ) from None
