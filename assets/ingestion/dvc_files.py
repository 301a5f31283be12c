"""DVC files: a raw file that a `*.dvc` file beside it names by its MD5; the real DVC fetches it, in an environment of its own.

DVC is not imported: its libraries clash with Dagster's. `make dvc` sets it up.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from assets.errors import SourceError
from assets.storage.home import REPOSITORY

SUFFIX = ".dvc"
PROGRAM = REPOSITORY / ".venv-dvc" / "bin" / "dvc"
MISSING = "DVC is not set up. Run `make dvc`."


def is_pointer(path: Path) -> bool:
    """Whether a path is that of a file by which DVC tracks another."""
    return path.suffix == SUFFIX and path.is_file()


def tracked(pointer: Path) -> Path:
    """The file or folder that a `*.dvc` file tracks; it need not be there.

    Raises
    ------
    SourceError
        If the file is not one that `dvc add` wrote, or tracks several outputs.
    """
    return pointer.parent / str(_output(pointer)["path"])


def require_tracked(pointer: Path) -> Path:
    """The file or folder that a `*.dvc` file tracks, if its bytes are those that it names.

    Parameters
    ----------
    pointer : Path
        The `*.dvc` file.

    Raises
    ------
    SourceError
        If the bytes differ: a file that was changed and not added, or a revision that was not checked out.
    """
    path, expected = tracked(pointer), str(_output(pointer)["md5"])
    if path.exists() and (found := md5_of(path)) != expected:
        raise SourceError(
            f"{path} has MD5 {found[:12]}, and {pointer.name} names {expected[:12]}. Take the tracked bytes with `dvc checkout "
            f"{pointer.name}`, or track these: `dvc add {path.name}`."
        )
    return path


def fetch(pointer: Path) -> Path:
    """Let DVC bring what a `*.dvc` file tracks, from its cache or its remote, if it is not there.

    Raises
    ------
    SourceError
        If DVC is not set up, has no such bytes, or brings others.
    """
    if not tracked(pointer).exists():
        run_dvc(pointer.parent, "pull", pointer.name)
    return require_tracked(pointer)


def run_dvc(folder: Path, *arguments: str) -> str:
    """Run the real DVC in a folder of a data repository; what it printed.

    Raises
    ------
    SourceError
        If it is not set up, or fails: with the last line that it said.
    """
    if not PROGRAM.exists():
        raise SourceError(MISSING)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    settings = {"DVC_NO_ANALYTICS": "true", "PATH": f"{PROGRAM.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"}
    done = subprocess.run(
        [str(PROGRAM), *arguments], cwd=folder, env={**environment, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        said = next((line for line in told if line.startswith("ERROR")), told[-1] if told else f"exit code {done.returncode}")
        raise SourceError(
            f"dvc {' '.join(arguments)} in {folder}: {said.removeprefix('ERROR: ')[:400]}. Mend it there, then run again."
        )
    return done.stdout


def md5_of(path: Path) -> str:
    """The MD5 by which DVC names a file, or a folder: that of the list of its files, with `.dir` after it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.csv").write_text("x")
    ...     md5_of(Path(folder) / "a.csv"), md5_of(Path(folder))
    ('9dd4e461268c8034f5c8564e155c67a6', '824b92a40b5c29ff4762111283dc15f9.dir')
    """
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file())
        listed = sorted(
            ({"md5": md5_of(file), "relpath": file.relative_to(path).as_posix()} for file in found),
            key=lambda item: item["relpath"],
        )
        return f"{hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest()}.dir"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _output(pointer: Path) -> dict[str, Any]:
    try:
        (found,) = yaml.safe_load(pointer.read_text(encoding="utf-8"))["outs"]
        return {"path": str(found["path"]), "md5": str(found["md5"])}
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{pointer}: is no file that `dvc add` wrote for one output with an MD5. Write it again: `dvc add {pointer.stem}`."
        ) from error
