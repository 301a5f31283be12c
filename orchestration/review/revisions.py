"""Revisions: what git knows of two states of this repository, and the files of one of them in a folder.

Nothing is written into the repository: a revision's files are checked out through an index of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from assets.errors import ReviewError
from orchestration.git_command import run_git

MAIN = ("main", "origin/main", "master", "origin/master")
"""What a change is compared with unless it is said otherwise: where it left the first of these that there is."""
WITHOUT_EFFECT = ("docs", "tests", "benchmarks", "notebooks", ".github", ".ci")
"""Folders of which no asset is made and that no process of a home reads; nor does it read these files:"""
FILES_WITHOUT_EFFECT = (".gitignore", ".gitlab-ci.yml", "*.md", "LICENSE", "Makefile")


@dataclass(frozen=True)
class Revision:
    """A commit.

    Parameters
    ----------
    name : str
        As it was asked for.
    commit : str
        Its id.
    subject : str
        The first line of its message.
    """

    name: str
    commit: str
    subject: str

    @property
    def told(self) -> str:
        """It in a few words."""
        return f"{self.commit[:10]} ({self.subject})"


class Repository:
    """A git repository, or the part of one that holds Loopline."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.top = Path(self._git("rev-parse", "--show-toplevel").strip())
        self.prefix = self._git("rev-parse", "--show-prefix").strip()

    def revision(self, name: str) -> Revision:
        """A revision by any name that git knows.

        Raises
        ------
        ReviewError
            If there is none.
        """
        try:
            commit = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
        except ReviewError:
            raise ReviewError(
                f"there is no revision '{name}' in {self.folder}. Name a branch, a tag or a commit; in a shallow clone, run "
                "`git fetch --unshallow` first."
            ) from None
        return Revision(name, commit, self._git("log", "-1", "--format=%s", commit).strip())

    def merge_base(self, head: Revision) -> Revision:
        """Where a revision left the main branch.

        Raises
        ------
        ReviewError
            If there is no main branch, or the two have nothing in common.
        """
        for name in MAIN:
            try:
                found = self._git("merge-base", name, head.commit).strip()
            except ReviewError:
                continue
            return self.revision(found)
        raise ReviewError(
            f"{head.told} has no commit in common with any of {', '.join(MAIN)}. Name the revision to compare it with: "
            "`loopline review BASE HEAD`."
        )

    def changed(self, base: Revision, head: Revision) -> list[str]:
        """The files that differ, those that were renamed by both names, relative to the part that holds Loopline."""
        listed = self._git("diff", "--name-only", "--no-renames", "-z", "--relative", base.commit, head.commit)
        return [name for name in listed.split("\0") if name]

    def uncommitted(self) -> list[str]:
        """The files that were changed or added and are in no commit."""
        listed = self._git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal", "--", ".")
        return [line[3:] for line in listed.split("\0") if line]

    def check_out(self, revision: Revision, folder: Path) -> Path:
        """Write a revision's files into a new folder; the part of it that holds Loopline."""
        folder.mkdir()
        index = {"GIT_INDEX_FILE": str(folder.with_suffix(".index"))}
        self._git("read-tree", revision.commit, more=index)
        self._git("checkout-index", "--all", "--quiet", f"--prefix={folder}/", at=self.top, more=index)
        return folder / self.prefix

    def _git(self, *arguments: str, at: Path | None = None, more: dict[str, str] | None = None) -> str:
        try:
            done = run_git(at or self.folder, *arguments, variables=more)
        except FileNotFoundError:
            raise ReviewError("`git` is not installed, and a review compares two of its revisions.") from None
        if done.returncode:
            told = done.stderr.strip() or f"exit code {done.returncode}"
            raise ReviewError(f"`git {arguments[0]}` failed in {self.folder}: {told}. A review needs a git repository.")
        return done.stdout


def effective(files: Sequence[str]) -> list[str]:
    """Those of some files that may change what a home holds.

    Examples
    --------
    >>> effective(["docs/guide.md", "orchestration/defs/churn/defs.yaml", "README.md"])
    ['orchestration/defs/churn/defs.yaml']
    """

    def is_without(name: str) -> bool:
        folder, _, below = name.partition("/")
        return folder in WITHOUT_EFFECT if below else any(fnmatch(name, pattern) for pattern in FILES_WITHOUT_EFFECT)

    return [name for name in files if not is_without(name)]
