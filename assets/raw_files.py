"""Raw files: where a source's files are, and how a packed one is opened. Reading their rows belongs to the landing."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from assets.errors import SourceError
from assets.spec import SourceSpec, TableSpec
from assets.storage import Home


def locate(source: SourceSpec, table: TableSpec, declared_in: Path) -> Path:
    """Find a table's raw file without importing the distribution that carries it.

    Raises
    ------
    SourceError
        If the distribution is not installed or the file is not there.
    """
    if source.distribution is not None:
        try:
            path = Path(str(distribution(source.distribution).locate_file(table.file)))
        except PackageNotFoundError as error:
            raise SourceError(
                f"{source.name}: distribution '{source.distribution}' is not installed. Run `make setup`, or add it to "
                "requirements/core.in."
            ) from error
    else:
        path = (declared_in / str(source.folder) / table.file).resolve()
    if not path.is_file():
        raise SourceError(f"{source.name}: raw file {path} is missing. Put it there, or correct 'file' in its defs.yaml.")
    return path


@contextmanager
def unpacked(path: Path, home: Home) -> Iterator[Path]:
    """Yield a path that DuckDB can read: a zip's single member, or the file itself."""
    if path.suffix != ".zip":
        yield path
        return
    with tempfile.TemporaryDirectory(dir=home.temporary) as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
                if len(names) != 1:
                    raise SourceError(f"{path}: holds {len(names)} files, one is needed. Repack it with the one table.")
                target = Path(folder) / Path(names[0]).name
                with archive.open(names[0]) as packed, target.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise SourceError(f"{path}: cannot be unpacked ({error}). The file is corrupt: fetch it again.") from error
        yield target
