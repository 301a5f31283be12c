"""The Makefile's recipes for programs that tests need: each is installed where that is allowed, else one line says how; none fails."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from assets.storage.home import REPOSITORY

PROGRAMS = {
    ".postgresql": ("initdb",),
    ".prometheus": ("prometheus", "prometheus-alertmanager", "prometheus-pushgateway"),
    ".redis": ("redis-server",),
    ".engine": ("buildah", "podman", "mmdebstrap"),
    ".java": ("java",),
    ".chromium": ("chromium",),
}
"""What each recipe looks for."""
OF_MAKE_TEST = (".postgresql", ".redis", ".prometheus", ".engine")
LINE = r"(No|Not all of) [^.]*skipped\. On Debian 12: sudo apt-get install --no-install-recommends ([a-z0-9. -]+)\n"
FAILING = "exit 1"
POINTLESS = "exit 0"
CASES = ("ordinary user", "no apt-get", "failing apt-get", "apt-get that installs nothing")


@dataclass(frozen=True)
class Machine:
    """A machine that has what make needs, and what a test adds.

    Parameters
    ----------
    folder : Path
        Where its programs lie: the whole of PATH.
    """

    folder: Path

    @property
    def programs(self) -> Path:
        """PATH."""
        return self.folder / "bin"

    @property
    def postgresql(self) -> Path:
        """Where Debian puts PostgreSQL's programs, by version."""
        return self.folder / "postgresql"

    @property
    def asked(self) -> list[str]:
        """What its apt-get was asked for."""
        log = self.folder / "asked"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def has(self, name: str, body: str) -> None:
        """Add a program, written in sh."""
        program = self.postgresql / "15" / "bin" / name if name == "initdb" else self.programs / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        program.chmod(0o755)

    def has_apt(self, body: str) -> None:
        """Add an apt-get that notes what it is asked for, and then does as told."""
        self.has("apt-get", f'echo "$*" >> {self.folder}/asked\n{body}')

    def is_root(self, *, whether: bool) -> None:
        """Set what `id -u` answers."""
        self.has("id", f"echo {0 if whether else 1000}")

    def make(self, *targets: str) -> subprocess.CompletedProcess[str]:
        """Run targets of the repository's Makefile."""
        make = shutil.which("make")
        assert make is not None
        command = [make, "--no-print-directory", "-C", str(REPOSITORY), f"POSTGRESQL={self.postgresql}", *targets]
        environment = {"PATH": str(self.programs), "LC_ALL": "C"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine of an ordinary user, who has none of the programs; its Docker client finds no daemon."""
    built = Machine(tmp_path)
    built.is_root(whether=False)
    built.has("docker", "echo Cannot connect to the Docker daemon >&2; exit 1")
    ls = shutil.which("ls")
    assert ls is not None
    (built.programs / "ls").symlink_to(ls)
    return built


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("recipe", PROGRAMS)
def test_what_is_missing_and_cannot_be_installed_takes_one_line(machine: Machine, recipe: str, case: str) -> None:
    """The line names the command; make goes on, whether nobody may install, the installer fails or it brings nothing."""
    machine.is_root(whether=case != "ordinary user")
    if case != "no apt-get":
        machine.has_apt(FAILING if case == "failing apt-get" else POINTLESS)
    done = machine.make(recipe)
    assert (done.returncode, done.stderr) == (0, "")
    told = re.fullmatch(LINE, done.stdout)
    assert told, done.stdout
    asked = [line.partition("--no-install-recommends ")[2] for line in machine.asked if " install " in line]
    assert asked == ([told[2]] if case == "apt-get that installs nothing" else [])
    assert bool(machine.asked) == (case in {"failing apt-get", "apt-get that installs nothing"})


@pytest.mark.parametrize("recipe", PROGRAMS)
def test_what_is_missing_is_installed_where_that_is_allowed(machine: Machine, recipe: str) -> None:
    """Root's apt-get brings it, without a question; nothing is left to say, and a second time nothing is left to do."""
    machine.is_root(whether=True)
    copies = [
        f"cp {machine.programs}/docker {machine.postgresql / '15' / 'bin' if name == 'initdb' else machine.programs}/{name}"
        for name in PROGRAMS[recipe]
    ]
    brings = "\n".join([f"mkdir -p {machine.postgresql}/15/bin", *copies])
    machine.has_apt(f'case "$*" in *" install "*) export PATH=/usr/bin:/bin; {brings};; esac')
    first, asked = machine.make(recipe), machine.asked
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    assert ["-y" in line.split() for line in asked] == [False, True]
    second = machine.make(recipe)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert machine.asked == asked


@pytest.mark.parametrize(("recipe", "lacking"), [(recipe, name) for recipe, names in PROGRAMS.items() for name in names])
def test_a_part_is_not_the_whole(machine: Machine, recipe: str, lacking: str) -> None:
    """Whichever program is missing, the line is printed; with all of them it is not."""
    for name in PROGRAMS[recipe]:
        if name != lacking:
            machine.has(name, POINTLESS)
    assert re.fullmatch(LINE, machine.make(recipe).stdout)
    machine.has(lacking, POINTLESS)
    done = machine.make(recipe)
    assert (done.returncode, done.stdout) == (0, "")


def test_docker_with_a_daemon_is_an_engine(machine: Machine) -> None:
    """Nothing else is looked for then."""
    machine.has("docker", POINTLESS)
    done = machine.make(".engine")
    assert (done.returncode, done.stdout) == (0, "")


def test_make_test_asks_for_these_and_runs_on_without_them(machine: Machine) -> None:
    """The target rests on four of the recipes; all of them together take a line each."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    rests_on = re.search(r"^test: (.*) ##", makefile, re.MULTILINE)
    assert rests_on
    assert tuple(name for name in rests_on[1].split() if not name.startswith(".venv")) == OF_MAKE_TEST
    done = machine.make(*PROGRAMS)
    assert done.returncode == 0
    assert re.fullmatch(rf"(?:{LINE}){{{len(PROGRAMS)}}}", done.stdout), done.stdout
