"""The commands of the textbook's pages: record what they print into the pages, and compare it with what they print now.

``python -m orchestration.operations.textbook.textbook_pages`` takes ``record [NUMBER]…``, ``check [NUMBER]…`` or ``map``;
commands run in the home that `LOOPLINE_HOME` names. A block ``console`` of a page holds lines ``$ loopline …``, each
followed by its output. A command may have variables before it and end in ``| grep WORD`` or ``| head -N``; ``build/``
stands for a scratch folder. A comment ``# exit N`` tells another exit code than 0.
"""

from __future__ import annotations

import math
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assets.errors import SpecificationError
from assets.storage.home import REPOSITORY
from orchestration.operations.textbook import textbook

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOLERANCE = 0.02
"""How far numbers may lie from the recorded ones, relative to them, where a page says nothing else (`tolerance`)."""
MASKED = (
    # moments of the clock; those of the data are earlier
    re.compile(r"20[2-9]\d-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:[+-]\d\d:\d\d|Z)?)?"),
    re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),  # runs
    re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8,}(?![0-9A-Za-z])"),  # digests
    re.compile(r"[A-Za-z0-9+/]{43}="),  # digests in base64
    re.compile(r"\d[\d.,]* ?(?:ms|s|min|minutes|seconds)\b"),
)
"""What differs from run to run."""
NUMBER = re.compile(r"(?<![\w-])(?<!\d\.)[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w-])")
Run = Callable[[list[str], Mapping[str, str]], tuple[int, str]]
"""Runs `loopline` with arguments and further variables; gives the exit code and all that it printed."""


@dataclass(frozen=True)
class Step:
    """A command of a page, as it is written there, with its recorded output."""

    line: str
    output: str

    @property
    def exit_code(self) -> int:
        """The code that it is said to end with."""
        found = re.search(r"# exit (\d+)", self.line)
        return int(found[1]) if found else 0


def steps(body: str) -> list[Step]:
    """The commands of a page."""
    found = []
    for block in BLOCK.findall(body):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            found.append(Step(line, output.rstrip()))
    return found


def ran(step: Step, run: Run, home: Path, scratch: Path) -> str:
    """What a command prints now, with paths as a reader has them.

    Raises
    ------
    SpecificationError
        If it is no command of `loopline`, or ends with another exit code than is said.
    """
    command, *filters = (shlex.split(part, comments=True) for part in step.line.split(" | "))
    words = [word.replace("build/", f"{scratch}/") for word in command]
    place = next((number for number, word in enumerate(words) if "=" not in word), len(words))
    if words[place : place + 1] != ["loopline"]:
        raise SpecificationError(
            f"'{step.line}' is no command of loopline. Allowed: [NAME=VALUE]… loopline … [| grep WORD] [| head -N]."
        )
    code, printed = run(words[place + 1 :], dict(word.split("=", 1) for word in words[:place]))
    if code != step.exit_code:
        raise SpecificationError(f"'{step.line}' ended with {code}, and {step.exit_code} is said:\n{printed}")
    for path, name in ((scratch, "build"), (home, "data"), (REPOSITORY, ".")):
        printed = printed.replace(str(path), name)
    lines = [line.rstrip() for line in printed.replace("./docs/", "docs/").splitlines()]
    for words in filters:
        lines = _filtered(lines, words)
    return "\n".join(lines).strip("\n")


def _filtered(lines: list[str], words: list[str]) -> list[str]:
    if words[0] == "grep":
        return [line for line in lines if re.search(words[1], line)]
    if words[0] == "head" and re.fullmatch(r"-\d+", words[1]):
        return lines[: int(words[1][1:])]
    raise SpecificationError(f"'{' '.join(words)}' is not allowed behind a command. Allowed: grep WORD, head -N.")


def differences(recorded: str, now: str, tolerance: float = TOLERANCE) -> list[str]:
    """Where two outputs differ by more than digests, moments, seconds, blanks, and numbers within the tolerance."""
    words, numbers = zip(*(_parts(text) for text in (recorded, now)), strict=True)
    if words[0] != words[1]:
        number = next((i for i, (a, b) in enumerate(zip(*words, strict=False)) if a != b), min(map(len, words)))
        return [f"recorded: {' '.join(words[0][number : number + 12])!r}, now: {' '.join(words[1][number : number + 12])!r}"]
    pairs = zip(*numbers, strict=True)
    return [f"recorded: {a:g}, now: {b:g}" for a, b in pairs if not math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-9)]


def _parts(text: str) -> tuple[list[str], list[float]]:
    for pattern in MASKED:
        text = pattern.sub("…", text)
    numbers = [float(found.replace(",", "")) for found in NUMBER.findall(text)]
    return re.sub(r"[-─━]{3,}", "---", NUMBER.sub(" # ", text)).split(), numbers


def in_process(home: Path) -> Run:
    """Run commands one after another in this process, in a home: its libraries are imported once."""
    from click.testing import CliRunner

    from orchestration.cli.main import loopline

    def run(arguments: list[str], more: Mapping[str, str]) -> tuple[int, str]:
        variables = {"LOOPLINE_HOME": str(home), "COLUMNS": "120", **more}
        done = CliRunner(env=variables, catch_exceptions=False).invoke(loopline, arguments)
        return done.exit_code, done.stdout + done.stderr

    return run


def record(page: textbook.Page, run: Run, home: Path) -> bool:
    """Write what the commands of a page print into it; whether anything changed."""
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [ran(step, run, home, Path(scratch)) for step in steps(page.body)]
    remaining = iter(outputs)

    def block(found: re.Match[str]) -> str:
        lines = [line for line in found[1].splitlines() if line.startswith("$ ")]
        shown = [f"{line}\n{output}\n" if (output := next(remaining)) else f"{line}\n" for line in lines]
        return f"```console\n{''.join(shown)}```"

    text = page.path.read_text(encoding="utf-8")
    page.path.write_text(written := BLOCK.sub(block, text), encoding="utf-8")
    return written != text


def check(page: textbook.Page, run: Run, home: Path) -> list[str]:
    """What the commands of a page print otherwise than is recorded in it."""
    tolerance = float(page.settings.get("tolerance", TOLERANCE))
    told = []
    with tempfile.TemporaryDirectory() as scratch:
        for step in steps(page.body):
            now = ran(step, run, home, Path(scratch))
            told += [f"{page.topic.number} $ {step.line}: {item}" for item in differences(step.output, now, tolerance)]
    return told


def main(arguments: list[str]) -> int:
    """Record, check or write the map; the exit code."""
    from orchestration.cli.main import loopline
    from orchestration.resources import home_from_environment

    task, *numbers = arguments or [""]
    if task == "map":
        textbook.MAP.write_text(textbook.map_page(), encoding="utf-8")
        return 0
    if task not in ("record", "check"):
        print("record [NUMBER]…, check [NUMBER]… or map")  # noqa: T201 - a command of its own
        return 2
    home, failed = home_from_environment().root.resolve(), 0
    run = in_process(home)
    for page in map(textbook.page, numbers) if numbers else textbook.pages():
        told = []
        if unknown := _unknown(steps(page.body), loopline.commands):
            told = [f"{page.topic.number}: left out, there is no `loopline {unknown}` yet"]
        else:
            try:
                found = check(page, run, home) if task == "check" else []
                told = found or (
                    [f"{page.topic.number}: recorded anew"] if task == "record" and record(page, run, home) else []
                )
                failed += bool(found)
            except SpecificationError as error:
                told = [f"{page.topic.number}: {error}"]
                failed += 1
        for line in told:
            print(line, flush=True)  # noqa: T201 - a command of its own
    return int(failed > 0)


def _unknown(found: Iterable[Step], commands: Mapping[str, object]) -> str | None:
    named = (re.search(r"\bloopline (\w[\w-]*)", step.line) for step in found)
    return next((name[1] for name in named if name and name[1] not in commands), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
