"""Packed files: gzip, bzip2, xz, Zstandard and zip, unpacked beside; the packed file itself is never written to."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from assets.errors import SourceError


def _zstandard(path: Path) -> Any:
    import pyarrow as pa

    return pa.input_stream(str(path), compression="zstd")


STREAMS: Mapping[str, Callable[[Path], Any]] = MappingProxyType(
    {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _zstandard}
)
"""How a packed file is opened, by its suffix."""
SUFFIXES = (*STREAMS, ".zip")


def inner_name(path: Path) -> str:
    """The name of what a packed file holds, by the packed file's own name.

    Examples
    --------
    >>> inner_name(Path("customers.csv.gz"))
    'customers.csv'
    """
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def unpacked(path: Path, folder: Path) -> Path:
    """The file itself, or what it holds, written to `folder`.

    Raises
    ------
    SourceError
        If it is corrupt, cut off, or a zip that holds more than one file.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if suffix == ".zip":
            return _from_zip(path, folder)
        target = folder / path.stem
        with STREAMS[suffix](path) as packed, target.open("wb") as plain:
            _copy(packed, plain)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise SourceError(f"{path}: cannot be unpacked ({error}). The file is corrupt or cut off: fetch it again.") from error
    return target


def _from_zip(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
        if len(names) != 1:
            told = f": {', '.join(names[:5])}{', …' if len(names) > 5 else ''}" if names else ""
            raise SourceError(f"{path}: holds {len(names)} files, one is needed{told}. Repack it with the one table.")
        target = folder / Path(names[0]).name
        with archive.open(names[0]) as packed, target.open("wb") as plain:
            _copy(packed, plain)
    return target


def _copy(packed: Any, plain: IO[bytes]) -> None:
    shutil.copyfileobj(packed, plain)
