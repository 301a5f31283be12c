"""Where a home is published: the address of its store, kept in the home so that no process publishes elsewhere by chance."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from assets.errors import StoreError
from assets.storage.home import Home
from assets.storage.publishing import write_json

ALLOWED = "Give s3://BUCKET/PREFIX or file:///FOLDER"
TIMEOUT_SECONDS = 30.0
"""How long a request may take, unless `LOOPLINE_STORE_TIMEOUT` says otherwise."""


@dataclass(frozen=True)
class Address:
    """Where a home is published.

    Parameters
    ----------
    url : str
        ``s3://BUCKET/PREFIX`` or ``file:///FOLDER``, without a slash at its end.
    timeout_seconds : float
        How long a request may take.
    """

    url: str
    timeout_seconds: float = TIMEOUT_SECONDS


def address_of(url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Address:
    """Read an address.

    Raises
    ------
    StoreError
        If it is of another kind, or holds credentials or options.

    Examples
    --------
    >>> address_of("s3://team/loop/").url
    's3://team/loop'
    """
    parts = urlsplit(url)
    if "@" in url or parts.query or parts.fragment:
        raise StoreError(  # the address itself is not repeated: it may hold a secret
            "the address of a store holds neither credentials nor options. Give s3://BUCKET/PREFIX, and the credentials as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment."
        )
    is_bucket = parts.scheme == "s3" and re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc)
    is_folder = parts.scheme == "file" and not parts.netloc and len(parts.path.strip("/")) > 0
    if not (is_bucket or is_folder) or ".." in parts.path.split("/"):
        raise StoreError(f"'{url}' is no address of a store. {ALLOWED}.")
    if not 0 < timeout_seconds <= 3600:
        raise StoreError(f"a request to a store may take more than 0 and up to 3600 seconds, not {timeout_seconds:g}.")
    return Address(url.rstrip("/"), timeout_seconds)


def declared(home: Home) -> Address | None:
    """Where this home is published; None if nowhere.

    Raises
    ------
    StoreError
        If the home's record of it cannot be read.
    """
    path = home.store_record
    try:
        record = json.loads(path.read_bytes())
        return address_of(str(record["url"]), float(record["timeout_seconds"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} does not name a store. Delete it and declare the store again with LOOPLINE_STORE.") from error


def declare(home: Home, address: Address) -> None:
    """Publish this home there from now on.

    Raises
    ------
    StoreError
        If it is published elsewhere.
    """
    require_agreement(home, address)
    if declared(home) != address:
        write_json(home.store_record, asdict(address))


def require_agreement(home: Home, address: Address) -> None:
    """Refuse a store that is not the one that a home is published to; nothing is written.

    Raises
    ------
    StoreError
        If it is published elsewhere.
    """
    known = declared(home)
    if known is not None and known.url != address.url:
        raise StoreError(
            f"LOOPLINE_STORE is {address.url}, but the home {home.root} is published to {known.url}. Set "
            "LOOPLINE_STORE to that or leave it out; `loopline store move` publishes the home elsewhere."
        )
