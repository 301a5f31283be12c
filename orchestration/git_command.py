"""One command of the user's git, and how it ended; what that means, each caller says in its own words."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from orchestration import resources


def run_git(
    folder: Path,
    *arguments: str,
    given: str | None = None,
    variables: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run git in a folder to its end.

    Parameters
    ----------
    folder : Path
        Where.
    *arguments : str
        The command, and what it is given.
    given : str, optional
        What it reads.
    variables : mapping of str to str, optional
        Further variables of its environment.
    timeout_seconds : float, optional
        How long it may take.

    Raises
    ------
    FileNotFoundError
        If git is not installed.
    TimeoutExpired
        If it takes longer than it may.
    """
    return subprocess.run(
        ["git", *arguments],  # noqa: S607 - the user's
        cwd=folder,
        env=resources.git_environment(variables or {}),
        input=given,
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # a name of a file may be any bytes
        check=False,
        timeout=timeout_seconds,
    )
