"""The page `docs/extending.md` is run: one file adds a format, an examination and a gate rule, and everything else follows."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml

from assets.storage.home import REPOSITORY
from tests.clones import copied, loopline, python
from tests.shop import customers

PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
MODULE = "loopline_extensions.review_queue"


def blocks(language: str) -> list[str]:
    """The page's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def line(row: dict[str, object]) -> str:
    """A row as logfmt, without what is missing."""
    return " ".join(f"{name}={shlex.quote(str(value))}" for name, value in row.items() if not pd.isna(value))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the page's module, and a table in its format."""
    clone = copied(tmp_path_factory.mktemp("extended") / "clone")
    (clone / "loopline_extensions").mkdir()
    (named,) = set(re.findall(r"`(loopline_extensions/\w+\.py)`", PAGE))
    (clone / named).write_text("\n\n".join(blocks("python")))
    (clone / "customers.logfmt").write_text("\n".join(map(line, customers(1500).to_dict("records"))) + "\n")
    return clone


@pytest.fixture(scope="module")
def ran(clone: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """What the page's commands printed, by their first word; the limit is declared once the product is."""
    home, done = clone.parent / "home", {}
    for command in re.findall(r"^\$ (.*)$", "".join(blocks("console")), re.MULTILINE):
        program, name, *arguments = command.split()
        if program == "make":
            done[name] = python("orchestration.operations.declaration.reference_docs", home=home, cwd=clone)
            continue
        done[name] = loopline(name, *arguments, home=home, cwd=clone)
        if name == "new":
            path = clone / "orchestration" / "defs" / "churn" / "defs.yaml"
            document = yaml.safe_load(path.read_text())
            document["attributes"].setdefault("gates", {}).update(yaml.safe_load(blocks("yaml")[0])["gates"])
            path.write_text(yaml.safe_dump(document, sort_keys=False))
    return done


def test_the_command_line_lists_what_is_added(ran: dict[str, subprocess.CompletedProcess[str]]) -> None:
    """With the module that adds it, and where its limit is declared."""
    told = " ".join(ran["registries"].stdout.split())
    assert f"logfmt Files that end in .logfmt. (added by {MODULE})" in told, ran["registries"].stderr
    assert f"flags for a person. (added by {MODULE})" in told
    assert f"that are flagged. (declared in gates.rules.flagged_share, added by {MODULE})" in told


def test_a_table_in_the_format_becomes_a_product(ran: dict[str, subprocess.CompletedProcess[str]]) -> None:
    """Its columns are profiled as those of any other file."""
    assert ran["new"].returncode == 0, ran["new"].stderr
    assert re.search(r"^churned +target, binary", ran["new"].stdout, re.MULTILINE)


def test_the_check_says_what_is_added_and_which_limit_it_has(ran: dict[str, subprocess.CompletedProcess[str]]) -> None:
    """Before anything is run."""
    told = ran["check"].stdout
    assert ran["check"].returncode == 0, told
    assert (
        f"{MODULE} adds the gate rule 'flagged_share': the share of flagged test rows must be at most 0.05 (gates.rules" in told
    )
    assert f"{MODULE} adds the examination 'flagged'" in told


def test_the_run_makes_the_examination_and_the_rule_refuses(ran: dict[str, subprocess.CompletedProcess[str]]) -> None:
    """The refusal names figure, limit, remedy, and how to accept it."""
    assert ran["run"].returncode == 3, ran["run"].stderr
    assert "churn/flagged" in ran["run"].stdout
    told = ran["run"].stdout + ran["run"].stderr
    assert re.search(r"the share of test rows that are flagged is at most 0\.05: not met, 0\.\d+ \[", told)
    assert "gates.rules.flagged_share" in told
    assert "loopline accept churn --finding flagged_share" in told


def test_the_report_shows_the_figures_and_the_finding(ran: dict[str, subprocess.CompletedProcess[str]]) -> None:
    """A section of its own, and a line of the verdict."""
    page = Path(ran["report"].stdout.strip()).read_text(encoding="utf-8")
    assert "<h2>Flagged</h2>" in page
    assert re.search(r"<th>share value</th><td>0\.\d+</td>", page)
    assert page.count("the share of test rows that are flagged is at most 0.05") >= 1


def test_the_reference_lists_what_is_added(ran: dict[str, subprocess.CompletedProcess[str]], clone: Path) -> None:
    """And nothing else of the clone was changed."""
    assert ran["reference"].returncode == 0, ran["reference"].stderr
    page = (clone / "docs" / "registries.md").read_text(encoding="utf-8")
    assert page.count(f"`{MODULE}`") == 3
    for folder in ("assets", "bentos", "orchestration"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            assert (clone / path.relative_to(REPOSITORY)).read_bytes() == path.read_bytes()


def test_a_rule_that_is_not_there_is_one_clear_error(
    ran: dict[str, subprocess.CompletedProcess[str]], clone: Path, tmp_path: Path
) -> None:
    """With the file, the line, and what was probably meant."""
    path = clone / "orchestration" / "defs" / "churn" / "defs.yaml"
    text = path.read_text()
    path.write_text(text.replace("flagged_share:", "flaged_share:"))
    told = loopline("check", "churn", home=tmp_path, cwd=clone)
    path.write_text(text)
    assert told.returncode == 1
    assert re.search(
        r"'gates\.rules' has 'flaged_share', which is no gate rule that takes a limit\. There are: uncertainty, flagged_share\. "
        r"Did you mean 'flagged_share'\? \(orchestration/defs/churn/defs\.yaml:\d+\)",
        told.stderr,
    )
