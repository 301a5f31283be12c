"""Contents: the bytes of files in a store. Many small files share an object, so that publishing takes few requests.

The name of an object is never given twice, so that one that is deleted cannot be one that another machine is about to name.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assets.errors import StoreError
from assets.object_store.bucket import Bucket
from assets.object_store.listing import Item, Listing
from assets.object_store.local_changes import LocalFile
from assets.object_store.record_log import THREADS
from assets.storage.digests import file_digest

ALONE = 1 << 20
"""A larger file, in bytes, is an object of its own."""
PACK = 32 << 20
"""How many bytes share an object at most."""


class ChangedMeanwhileError(Exception):
    """A file was replaced between the look at it and its upload."""


def upload(bucket: Bucket, files: Mapping[str, LocalFile]) -> Listing:
    """Write the bytes of files to the store, equal ones once.

    What an earlier commit stored is not named again: another machine may be deleting it, as nothing needs it any more.

    Parameters
    ----------
    bucket : Bucket
        The store.
    files : mapping of str to LocalFile
        The files by their path.

    Raises
    ------
    ChangedMeanwhileError
        If a file is not as it was looked at.
    """
    places: dict[str, tuple[str, int]] = {}
    new = {file.digest: file for file in files.values()}
    tasks: list[tuple[str, list[LocalFile]]] = [
        (f"objects/sha256/{file.digest[:2]}/{file.digest}.{_nonce()}", [file]) for file in new.values() if file.size > ALONE
    ]
    pack: list[LocalFile] = []
    for file in (file for file in new.values() if file.size <= ALONE):
        if sum(item.size for item in pack) + file.size > PACK:
            tasks.append((_pack_name(pack), pack))
            pack = []
        pack.append(file)
    if pack:
        tasks.append((_pack_name(pack), pack))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda task: _write(bucket, *task), tasks))
    for name, members in tasks:
        offset = 0
        for file in members:
            places[file.digest] = name, offset
            offset += file.size
    return {path: Item(file.digest, file.size, file.mode, *places[file.digest]) for path, file in files.items()}


def download(bucket: Bucket, wanted: Mapping[str, Item], scratch: Path) -> dict[str, Path]:
    """Read the bytes of files from the store, each held against its digest.

    Parameters
    ----------
    bucket, wanted
        The store, and the files by their path.
    scratch : Path
        The folder that they are written to.

    Returns
    -------
    dict of str to Path
        Where each lies.

    Raises
    ------
    FileNotFoundError
        If an object is gone: another machine has published since, and what nothing names any more was deleted.
    StoreError
        If bytes are not those that were published.
    """
    by_object: dict[str, dict[str, Item]] = defaultdict(dict)
    for path, item in wanted.items():
        by_object[item.object][path] = item
    folder = scratch / f"taken-{_nonce()}"
    folder.mkdir()
    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(lambda task: _read(bucket, task[0], task[1], folder), by_object.items()))
    return {path: file for part in parts for path, file in part.items()}


def content(bucket: Bucket, item: Item, path: str) -> bytes:
    """The bytes of one file that the store holds."""
    (found,) = bucket.ranges(item.object, [(item.offset, item.size)])
    _require(bucket, path, item, hashlib.sha256(found).hexdigest())
    return found


def _write(bucket: Bucket, name: str, files: list[LocalFile]) -> None:
    if len(files) == 1 and files[0].size > ALONE:
        if file_digest(files[0].source) != files[0].digest:
            raise ChangedMeanwhileError(files[0].source)
        bucket.put(name, files[0].source)
        return
    parts = []
    for file in files:
        try:
            parts.append(file.source.read_bytes())
        except FileNotFoundError as error:
            raise ChangedMeanwhileError(file.source) from error
        if hashlib.sha256(parts[-1]).hexdigest() != file.digest:
            raise ChangedMeanwhileError(file.source)
    bucket.put(name, b"".join(parts))


def _read(bucket: Bucket, name: str, items: dict[str, Item], folder: Path) -> dict[str, Path]:
    files = {path: folder / hashlib.sha256(path.encode()).hexdigest() for path in items}
    if any(item.size > ALONE for item in items.values()):  # alone in its object, for all its paths
        for path, item in items.items():
            bucket.download(name, item.size, files[path])
            _require(bucket, path, item, file_digest(files[path]))
        return files
    places = sorted({(item.offset, item.size) for item in items.values()})
    found = dict(zip(places, bucket.ranges(name, places), strict=True))
    for path, item in items.items():
        part = found[item.offset, item.size]
        _require(bucket, path, item, hashlib.sha256(part).hexdigest())
        files[path].write_bytes(part)
    return files


def _require(bucket: Bucket, path: str, item: Item, digest: str) -> None:
    if digest != item.digest:
        raise StoreError(
            f"the store {bucket.address.url}: {item.object} does not hold {path} as it was published (digest {digest[:12]}, "
            f"published was {item.digest[:12]}). Restore the store; or, on a machine whose home is whole, run "
            "`loopline store push --whole`."
        )


def _pack_name(files: Iterable[LocalFile]) -> str:
    return f"packs/{hashlib.sha256(''.join(file.digest for file in files).encode()).hexdigest()[:16]}.{_nonce()}"


def _nonce() -> str:
    return uuid.uuid4().hex[:12]
