"""The textbook is whole: each topic of its outline has a page in order, and what a page names is there."""

from __future__ import annotations

import ast
import re
from importlib import util
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.cli.main import loopline
from orchestration.definitions import defs
from orchestration.operations.textbook import textbook, textbook_pages
from orchestration.operations.textbook.textbook import Page, Shown
from tests.world import REPOSITORY

PAGES = textbook.pages()
EXECUTED = [page for page in PAGES if not page.topic.is_text]
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
TARGETS = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


SHOWN = [(page, shown) for page in PAGES for shown in page.shown]


@pytest.fixture(scope="module")
def assets() -> set[str]:
    """All keys of the repository's graph."""
    return {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}


def of(page: Page) -> str:
    """The name of a page in the tests' names."""
    return page.topic.number


def test_each_topic_of_the_outline_has_a_page_of_its_own() -> None:
    """55 of 55, and no page that is of none."""
    assert [page.topic for page in PAGES] == list(textbook.topics())
    assert len(PAGES) == len(list(textbook.FOLDER.glob("*/*.md"))) == 55
    assert [page.topic.number for page in PAGES if page.topic.is_text] == ["1.2.1", "1.2.4"]


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_a_page_is_short_and_says_all_that_it_should(page: Page) -> None:
    """One title, the sections in order, an idea of about five sentences, books, a summary in English."""
    prose = re.sub(r"```.*?```", "", page.body, flags=re.DOTALL)
    assert len(re.findall(r"^# (.+)$", prose, re.MULTILINE)) == 1
    sections = page.sections
    asked = textbook.TEXT_SECTIONS if page.topic.is_text else textbook.SECTIONS
    assert [name for name in sections if name in asked] == list(asked)
    assert all(sections.values())
    idea = sections["Идея"].partition("\n\n")[0]
    assert 4 <= len(re.findall(r"[.!?](?:\s|$)", idea)) <= 8
    assert len(sections["In English"].split()) >= 20
    assert re.search("[а-я]", sections["In English"]) is None
    assert "- " in sections["Дальнейшее чтение"]
    assert len(prose.split()) <= 600


def test_each_topic_that_runs_is_shown_by_something() -> None:
    """A text has its page; all others an asset, a command and a test."""
    assert {page.topic.number for page, _ in SHOWN} == {page.topic.number for page in PAGES if not page.topic.is_text}
    assert all(shown.asset and shown.command and shown.test for _, shown in SHOWN)


@pytest.mark.parametrize(("page", "shown"), SHOWN, ids=[f"{page.topic.number} {shown.what or ''}" for page, shown in SHOWN])
def test_what_shows_a_topic_exists(page: Page, shown: Shown, assets: set[str]) -> None:
    """What does not exist cannot show it: the asset, the command, the test."""
    assert shown.asset in assets
    program, name = shown.command.split()
    assert name in (TARGETS if program == "make" else set(loopline.commands))
    path, _, function = shown.test.partition("::")
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_each_link_of_a_page_leads_somewhere(page: Page) -> None:
    """To a file of the repository and to a heading in it; pictures have a text."""
    for picture, text, address in LINK.findall(page.body):
        assert "://" not in address
        path, _, anchor = address.partition("#")
        target = (page.path.parent / path).resolve()
        assert target.is_file(), address
        assert not picture or text
        if anchor:
            assert anchor in anchors(target), address


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", EXECUTED, ids=of)
def test_each_topic_that_runs_shows_a_recorded_command(page: Page) -> None:
    """With its output; that it is still so is tested on the home of all flights (tests/e2e)."""
    steps = textbook_pages.steps(page.body)
    assert steps
    assert all(step.output for step in steps), "record it: make textbook"


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_what_shows_that_a_task_was_done_can_be_looked_for(page: Page) -> None:
    """An entry of the ledger, files, or a question; nothing else."""
    evidence: dict[str, Any] = page.settings.get("evidence", {})
    assert set(evidence) in ({"ledger"}, {"files"}, {"ask", "field"}, {"ask", "status"}, set())
    assert evidence.get("ledger", "promotion") in ("promotion", "rollback", "invalidation", "experiment")
    assert page.topic.is_text <= (not evidence)


def test_the_map_is_that_of_the_pages() -> None:
    """`make textbook-map` writes it."""
    assert textbook.MAP.read_text(encoding="utf-8") == textbook.map_page()


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_the_commands_that_a_page_gives_exist(page: Page) -> None:
    """Those of `loopline` in code, and targets of make; what is awaited apart."""
    lines = [step.line for step in textbook_pages.steps(page.body)]
    code = " ".join([*lines, *re.findall(r"`([^`]+)`", textbook_pages.BLOCK.sub("", page.body))])
    awaited = {"notebook", "adopt", "phases", "maturity"}
    for name in re.findall(r"\bloopline ([a-z][a-z-]*)", code):
        assert name in loopline.commands or name in awaited, name
    for name in re.findall(r"\bmake ([a-z][a-z-]*)", code):
        assert name in TARGETS, name


def test_the_site_follows_the_outline() -> None:
    """Its navigation, which MkDocs is told by a hook, names every page of the textbook once, in order."""
    spec = util.spec_from_file_location("navigation", REPOSITORY / "docs" / "theme" / "navigation.py")
    assert spec is not None
    assert spec.loader is not None
    navigation = util.module_from_spec(spec)
    spec.loader.exec_module(navigation)
    docs = REPOSITORY / "docs"
    assert leaves(navigation.textbook()) == ["textbook.md", *(page.path.relative_to(docs).as_posix() for page in PAGES)]
    others = leaves(navigation.reference())
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    assert set(others) | {"textbook.md", "index.md"} == {name for name in pages if not name.startswith("textbook/")}


def leaves(found: Any) -> list[str]:
    """The files of a navigation, in order."""
    if isinstance(found, str):
        return [found]
    return [name for item in (found.values() if isinstance(found, dict) else found) for name in leaves(item)]


def test_the_site_asks_nothing_of_other_servers() -> None:
    """No fonts, analytics or scripts from elsewhere are configured, and dead links fail the build."""
    text = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    assert "://" not in text
    config = yaml.safe_load(re.sub(r"!!python/\S+", "", text))
    assert config["strict"] is True
    assert config["theme"]["font"] is False
    assert config["theme"]["language"] == "ru"
    assert set(config["validation"].values()) == {"warn"}
