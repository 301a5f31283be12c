"""What reviews of flights take, in a clone of the commit that is measured, on a copy of a home that it made.

`loopline review main HEAD --product flight_delay --from 2013-11 --to 2013-12`; each change is one commit. Memory is the
largest sum over all processes at one moment, looked at twice a second, of what is their own.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from assets.storage.home import REPOSITORY
from assets.storage.home_copy import copied
from benchmarks.engines.processes import Ended, loopline
from benchmarks.measuring import measure
from orchestration.cli.review import COMMENT
from orchestration.resources import home_from_environment

PRODUCT = "flight_delay"
MONTHS = ("--from", "2013-11", "--to", "2013-12")
DECLARATION = Path("orchestration") / "defs" / PRODUCT / "defs.yaml"
LAST = Path("build") / "bench-review.md"
"""Where the comment of the parameter change is left, for docs/review.md."""


@dataclass(frozen=True)
class Reviewed:
    """What a review took, and its comment."""

    took: Ended
    comment: str


def rows() -> list[tuple[str, str, str]]:
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="bench-review-") as scratch:
        clone, home = Path(scratch) / "clone", copied(home_from_environment(), Path(scratch) / "home")
        _git(REPOSITORY, "clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(clone))
        _git(clone, "checkout", "--quiet", "-B", "main")
        commit = _git(clone, "rev-parse", "--short", "HEAD").strip()
        measure(["-m", "orchestration", "run", PRODUCT], home.root, clone)
        nothing = _reviewed(clone, home.root)
        _commit(clone, Path("docs") / "notes.md", "words\n")
        documents = _reviewed(clone, home.root)
        module = Path("assets") / "training" / "training.py"
        _commit(clone, module, (clone / module).read_text(encoding="utf-8") + "\n# words\n")
        words = _reviewed(clone, home.root)
        declared = (clone / DECLARATION).read_text(encoding="utf-8")
        _commit(clone, DECLARATION, re.sub(r"learning_rate: 0\.1\b", "learning_rate: 0.06", declared))
        parameter = _reviewed(clone, home.root)
    (REPOSITORY / LAST).parent.mkdir(exist_ok=True)
    (REPOSITORY / LAST).write_text(parameter.comment, encoding="utf-8")
    told = [
        (f"nothing (commit {commit})", nothing, 30),
        ("a file of docs", documents, 30),
        ("a comment in the code", words, 30),
    ]
    told.append(("learning_rate 0.1 → 0.06", parameter, 300))
    return [
        *(
            (f"{name}: wall / processor", f"{item.took.seconds:.0f} s / {item.took.processor:.0f} s", f"{most} s")
            for name, item, most in told
        ),
        ("memory of the last, all processes together", f"{parameter.took.peak_mb:,.0f} MB", "2,000 MB"),
    ]


def _reviewed(clone: Path, home: Path) -> Reviewed:
    done = loopline(clone, home, "review", "main", "HEAD", "--product", PRODUCT, *MONTHS)
    return Reviewed(done, (clone / COMMENT).read_text(encoding="utf-8"))


def _commit(clone: Path, file: Path, text: str) -> None:
    """A commit with one file changed, on a branch that leaves main."""
    _git(clone, "checkout", "--quiet", "-B", "change", "main")
    (clone / file).write_text(text, encoding="utf-8")
    _git(clone, "add", "--all")
    _git(
        clone, "-c", "user.name=bench", "-c", "user.email=bench@here", "commit", "--quiet", "--message", f"{file.name} changed"
    )


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout
