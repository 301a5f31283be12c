"""Forked processes: each is as if Python had been started for the module."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.clones import copied, loopline
from tests.forks import Forked, server

MODULE = """
import json, os, sys, tempfile, time
ours = [name for name in sys.modules if name.split(".")[0] in ("assets", "bentos", "orchestration", "tests")]
told = {"arguments": sys.argv[1:], "name": __name__, "folder": os.getcwd(), "environment": dict(os.environ),
        "temporary": tempfile.gettempdir(), "path": sys.path[0], "ours": ours, "process": os.getpid()}
print(json.dumps(told), flush=True)
print("a complaint", file=sys.stderr, flush=True)
if sys.argv[1] == "fail":
    raise ValueError("of no use")
if sys.argv[1] == "stay":
    time.sleep(600)
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a module."""
    (tmp_path / "shown.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """The module's exit code, what it found, and what it complained of."""
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(folder / "temporary")}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        code = Forked("shown", *arguments, cwd=folder, environment=environment, stdout=out.fileno(), stderr=err.fileno()).wait()
        out.seek(0)
        err.seek(0)
        return code, json.loads(out.read()), err.read()


def test_a_module_finds_what_it_was_given_and_nothing_of_this_repository(folder: Path) -> None:
    """Arguments, folder, all variables, and the place of temporary files that they name."""
    code, found, complaint = run(folder, "end", "7")
    assert (code, complaint) == (7, "a complaint\n")
    assert found.pop("process") != os.getpid()
    assert found == {
        "arguments": ["end", "7"],
        "name": "__main__",
        "folder": str(folder),
        "path": str(folder),
        "environment": {"PATH": os.environ["PATH"], "TMPDIR": str(folder / "temporary")},
        "temporary": str(folder / "temporary"),
        "ours": [],
    }


def test_an_error_is_shown_and_is_exit_code_1(folder: Path) -> None:
    """As Python does it."""
    code, _, complaint = run(folder, "fail")
    assert code == 1
    assert complaint.startswith("a complaint\nTraceback")
    assert complaint.endswith("ValueError: of no use\n")


def test_no_two_draw_the_same_numbers(folder: Path) -> None:
    """Else what forgot its seed would seem to be the same in each process."""
    (folder / "drawn.py").write_text("import numpy, random\nprint(numpy.random.random(), random.random())", encoding="utf-8")
    drawn = []
    for _ in range(2):
        with tempfile.TemporaryFile("w+") as out:
            assert Forked("drawn", cwd=folder, environment=os.environ, stdout=out.fileno(), stderr=out.fileno()).wait() == 0
            out.seek(0)
            drawn += out.read().split()
    assert len(set(drawn)) == 4


def test_who_is_killed_as_he_asks_and_a_link_to_nowhere_end_nothing(folder: Path) -> None:
    """The process that forks is that of all tests."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server(os.getpid())))
        socket.send_fds(connection, [b"."], [1, 2])
    for name in ("assets", "orchestration/cli"):
        (folder / name).mkdir(parents=True)
    (folder / "orchestration" / "cli" / "main.py").touch()
    (folder / "assets" / "link.py").symlink_to("nowhere")
    assert [run(folder, "end", "0")[0] for _ in range(2)] == [0, 0]


def test_several_run_at_once_and_one_that_is_killed_says_so(folder: Path) -> None:
    """What it printed until then is there."""
    reading, writing = os.pipe()
    staying = Forked("shown", "stay", cwd=folder, environment=os.environ, stdout=writing, stderr=writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as shown:
        assert json.loads(shown.readline())["process"] == staying.pid
        assert run(folder, "end", "0")[0] == 0
        staying.kill()
        assert staying.wait() == -signal.SIGKILL


def test_a_copy_of_the_repository_is_held_from_its_second_command_on_until_a_file_is_changed(folder: Path) -> None:
    """Its own modules, not another copy's; where they cannot be imported, the command says so itself."""
    clone = copied(folder / "clone")
    (clone / "shown.py").write_text(MODULE, encoding="utf-8")

    def held() -> list[str]:
        environment = {**os.environ, "TMPDIR": str(folder / "temporary")}
        with tempfile.TemporaryFile("w+") as out:
            module = ("shown", "end", "0")
            assert Forked(*module, cwd=clone, environment=environment, stdout=out.fileno(), stderr=out.fileno()).wait() == 0
            out.seek(0)
            found: list[str] = json.loads(out.readline())["ours"]
            return found

    assert held() == []
    assert "orchestration.cli.main" in held()
    with (clone / "requirements" / "serving.in").open("a", encoding="utf-8") as read_by_an_import:
        read_by_an_import.write("another\n")
    assert held() == []
    assert "orchestration.cli.main" in held()
    main = clone / "orchestration" / "cli" / "main.py"
    main.write_text(main.read_text(encoding="utf-8").replace("Closed-loop", "Changed"), encoding="utf-8")
    assert held() == []
    assert "Changed MLOps" in loopline("--help", home=folder, cwd=clone).stdout
    main.write_text("def", encoding="utf-8")
    for _ in range(2):
        told = loopline("--help", home=folder, cwd=clone)
        assert (told.returncode, told.stderr.splitlines()[-1]) == (1, "SyntaxError: invalid syntax")
