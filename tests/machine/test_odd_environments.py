"""The loop on machines that are not as ours: where it lies, who may write, what the locale is, how much there is of it."""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from assets.storage.home import REPOSITORY
from orchestration.resources import actor
from tests.shop import customers

PARTS = ("assets", "bentos", "dbt_project", "deploy", "docs/schema", "orchestration", "requirements")
MEMORY = 4 * 2**30
"""Bytes of RLIMIT_DATA: what a process may write to and share with nobody. Mapped files and reserved addresses do not count, so it is
close to what a machine of this size could give; a limit of addresses (`ulimit -v`) is not."""


@dataclass(frozen=True)
class Machine:
    """Folders of one machine, and how programs are started on it.

    Parameters
    ----------
    checkout, files, home, temporary, user : Path
        The repository, the user's files, LOOPLINE_HOME, TMPDIR and HOME.
    """

    checkout: Path
    files: Path
    home: Path
    temporary: Path
    user: Path

    def loopline(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command under umask 077, LANG=C, one CPU and 4 GB."""
        odd = {"HOME": str(self.user), "TMPDIR": str(self.temporary), "LANG": "C", "LC_ALL": "C"}
        # root may write to what is read-only; without this capability it may not
        without = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []

        def confine() -> None:
            os.umask(0o077)
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))

        return subprocess.run(
            [*without, sys.executable, "-m", "orchestration", *arguments],
            env={"PATH": os.environ["PATH"], "COLUMNS": "160", **odd, **variables},
            cwd=self.checkout,
            capture_output=True,
            encoding="utf-8",
            check=False,
            preexec_fn=confine,
        )

    def write_protect(self) -> None:
        """Make the checkout read-only."""
        for path in (self.checkout, *self.checkout.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)


def other_file_system(than: Path) -> Path:
    """A new folder on another file system than a path's, where the machine has one to write to."""
    for place in (Path("/dev/shm"), Path("/run/user") / str(os.getuid()), Path.home()):  # noqa: S108
        if place.is_dir() and os.access(place, os.W_OK) and place.stat().st_dev != than.stat().st_dev:
            return Path(tempfile.mkdtemp(prefix="loopline дом ", dir=place))
    pytest.skip("all folders of this machine lie on one file system")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A checkout with a newcomer's product, read-only since; blanks and Cyrillic letters everywhere; a home on another file system."""
    folder = tmp_path_factory.mktemp("мои проекты")
    outside = other_file_system(folder)
    found = Machine(folder / "петля один", folder / "мои файлы", outside, folder / "не здесь", folder / "я")
    try:
        for part in PARTS:
            shutil.copytree(
                REPOSITORY / part, found.checkout / part, ignore=shutil.ignore_patterns("__pycache__", "logs", "target")
            )
        shutil.copy(REPOSITORY / "pyproject.toml", found.checkout)
        found.files.mkdir()
        found.temporary.mkdir()
        found.user.mkdir()
        rows = customers(1500)
        rows["plan"] = rows["plan"].map({"basic": "основной", "free": "даром", "pro": "профи"})
        rows.to_csv(found.files / "покупатели за год.csv", index=False, encoding="utf-8")
        asked = ("--data", str(found.files / "покупатели за год.csv"), "--target", "churned", "--without", "spend")
        told = found.loopline("new", "churn", *asked, "--time", "signed_up_at", LOOPLINE_HOME=str(found.home))
        assert (told.returncode, told.stderr) == (0, "")
        # as after a fresh clone: nothing was parsed yet
        shutil.rmtree(found.checkout / "dbt_project" / "target", ignore_errors=True)
        found.write_protect()
        yield found
    finally:
        for path in (found.checkout, *found.checkout.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)
        shutil.rmtree(outside)


def test_the_loop_runs_where_everything_is_odd(machine: Machine) -> None:
    """It promotes a model, says nothing on the error stream, keeps what it wrote to itself, and has nothing to do a second time."""
    home = {"LOOPLINE_HOME": str(machine.home)}
    before = {path: path.stat().st_mtime_ns for path in machine.checkout.rglob("*")}
    ran = machine.loopline("run", "churn", **home)
    assert ran.stderr == "", ran.stdout
    assert ran.returncode == 0
    assert "churn  champion v1" in ran.stdout
    for stage in ("parity", "predictions", "wheel", "bento", "sql"):
        assert f"✓ churn/{stage} " in ran.stdout
    assert {path: path.stat().st_mtime_ns for path in machine.checkout.rglob("*")} == before, "the checkout is read-only"
    entered = [path for path in machine.home.rglob("*") if path.is_dir() and path.stat().st_mode & 0o077]
    assert entered == [], "umask 077: nobody else may enter a folder"
    again = machine.loopline("run", "churn", **home)
    assert (again.returncode, again.stderr) == (0, "")
    assert "nothing" in again.stdout
    assert list(machine.temporary.iterdir()) == [], "temporary files go"
    left = {path.relative_to(machine.user).parts[:2] for path in machine.user.rglob("*") if path.is_file()}
    assert left <= {(".cache", "matplotlib")}, "no library leaves files in the user's folder, but a list of fonts"
    report = machine.loopline("report", "churn", "--path", **home)
    assert "основной" in Path(report.stdout.strip()).read_text(encoding="utf-8")


def test_a_read_only_checkout_without_a_home_elsewhere_is_one_clear_error(machine: Machine) -> None:
    """It names the variable to set."""
    told = machine.loopline("run", "churn")
    assert told.returncode == 1
    assert told.stderr.strip() == (
        f"error LOOPLINE_HOME={machine.checkout}/data cannot be written (Permission denied). "
        "Everything a run produces is kept there: point LOOPLINE_HOME at a folder you may write to."
    )


def test_a_product_is_not_declared_in_a_read_only_checkout(machine: Machine) -> None:
    """One error names the file and what to do."""
    asked = ("--data", str(machine.files / "покупатели за год.csv"), "--target", "tier")
    told = machine.loopline("new", "tier", *asked, LOOPLINE_HOME=str(machine.home))
    assert told.returncode == 1
    assert told.stderr.strip() == (
        f"error {machine.checkout}/orchestration/defs/tier/defs.yaml cannot be written (Permission denied). A product is declared "
        "inside the checkout: run `loopline new` in one that you may write to, and commit what it writes."
    )


def test_a_user_without_a_name_decides_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as a number that no password file knows."""

    def unknown(number: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("LOOPLINE_ACTOR", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert actor() == f"uid {os.getuid()}"
