"""A revision is told by git, and its files are written without a trace in the repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from assets.errors import ReviewError
from orchestration.review.revisions import Repository, effective


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as somebody."""
    who = ("-c", "user.name=ann", "-c", "user.email=ann@here")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Two commits on `main`, one on `change`, which is checked out; all in a folder of a larger repository."""
    folder = tmp_path / "whole" / "part"
    folder.mkdir(parents=True)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main", "whole")
    for number, branch in enumerate(("main", "main", "change")):
        if branch == "change":
            git(folder, "checkout", "--quiet", "-b", branch)
        (folder / f"file {number}.txt").write_text(branch)
        (folder.parent / "other.txt").write_text(str(number))
        git(folder, "add", "--all", "..")
        git(folder, "commit", "--quiet", "--message", f"change {number}")
    git(folder, "checkout", "--quiet", "main")
    (folder / "later.txt").write_text("on main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "later")
    git(folder, "checkout", "--quiet", "change")
    return Repository(folder)


def test_a_change_is_compared_with_where_it_left_main(repository: Repository) -> None:
    """What came to main later is no part of it, nor are files outside of the part that holds Loopline."""
    head = repository.revision("HEAD")
    base = repository.merge_base(head)
    assert (base.subject, head.subject) == ("change 1", "change 2")
    assert repository.changed(base, head) == ["file 2.txt"]
    assert repository.changed(head, head) == []


def test_a_revisions_files_are_written_and_nothing_else_changes(repository: Repository, tmp_path: Path) -> None:
    """Neither the index nor the working tree nor the list of worktrees."""
    before = sorted((path, path.read_bytes()) for path in (repository.top / ".git").rglob("*") if path.is_file())
    tree = repository.check_out(repository.revision("main"), tmp_path / "tree")
    assert sorted(path.name for path in tree.iterdir()) == ["file 0.txt", "file 1.txt", "later.txt"]
    assert (tree.parent / "other.txt").read_text() == "1"
    assert before == sorted((path, path.read_bytes()) for path in (repository.top / ".git").rglob("*") if path.is_file())


def test_what_is_in_no_commit_is_named(repository: Repository) -> None:
    """Changed, added or deleted."""
    assert repository.uncommitted() == []
    (repository.folder / "file 1.txt").write_text("other")
    (repository.folder / "new.txt").write_text("new")
    assert sorted(name.rsplit("/", 1)[-1] for name in repository.uncommitted()) == ["file 1.txt", "new.txt"]


def test_names_of_files_that_are_no_utf_8_are_read(repository: Repository) -> None:
    """Git keeps any bytes as a name."""
    (repository.folder / os.fsdecode(b"caf\xe9.txt")).write_text("1")
    assert [name.rsplit("/", 1)[-1] for name in repository.uncommitted()] == ["caf\ufffd.txt"]
    git(repository.folder, "add", ".")
    git(repository.folder, "commit", "--quiet", "--message", "coffee")
    assert len(repository.changed(repository.revision("HEAD~1"), repository.revision("HEAD"))) == 1


def test_an_unknown_revision_or_no_repository_is_one_clear_error(repository: Repository, tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(ReviewError, match=r"there is no revision 'elsewhere'.*Name a branch, a tag or a commit"):
        repository.revision("elsewhere")
    with pytest.raises(ReviewError, match="there is no revision '--help'"):
        repository.revision("--help")
    (tmp_path / "bare").mkdir()
    with pytest.raises(ReviewError, match="A review needs a git repository"):
        Repository(tmp_path / "bare")
    git(repository.folder, "branch", "--quiet", "--move", "main", "trunk")
    with pytest.raises(ReviewError, match="no commit in common with any of main"):
        repository.merge_base(repository.revision("HEAD"))


def test_documents_and_tests_change_no_asset() -> None:
    """Code, declarations, models and pins may."""
    without = ["docs/a/b.md", "tests/x.py", "README.md", ".github/workflows/ci.yml", "Makefile", ".gitlab-ci.yml"]
    assert effective(without) == []
    within = ["assets/a.py", "dbt_project/models/a.md", "requirements/core.txt", "pyproject.toml", "loopline_extensions/a.py"]
    assert effective([*within, *without]) == within
