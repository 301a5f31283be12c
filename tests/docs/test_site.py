"""The site: it builds without a warning, asks nobody else, and every page can be read, by a phone too."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from orchestration.operations.textbook import textbook
from tests.docs import browser
from tests.docs.browser import Site
from tests.world import REPOSITORY

MKDOCS = REPOSITORY / ".venv-docs" / "bin" / "mkdocs"
KEPT = REPOSITORY / "build" / "docs"
"""Where the pictures of a phone are left, to be looked at."""
pytestmark = [
    pytest.mark.skipif(not MKDOCS.exists(), reason="no .venv-docs: `make test-docs` sets it up"),
    pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium: `make test-docs` installs it where root may"),
]


def build(clone: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Let MkDocs build the site of a clone. Not with `--quiet`: it then counts no warnings."""
    return subprocess.run(
        [MKDOCS, "build", "--clean", "--site-dir", target],
        cwd=clone, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, built by MkDocs from this clone, and served."""
    folder = tmp_path_factory.mktemp("site")
    built = build(REPOSITORY, folder)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    with browser.served(folder) as found:
        yield found


def test_a_dead_link_and_a_dead_anchor_fail_the_build(tmp_path: Path) -> None:
    """Each is named with its page."""
    shutil.copy(REPOSITORY / "mkdocs.yml", tmp_path)
    shutil.copytree(REPOSITORY / "docs", tmp_path / "docs")
    with (tmp_path / "docs" / "index.md").open("a", encoding="utf-8") as stream:
        stream.write("\n[x](nowhere.md) [y](guide.md#no-such-anchor)\n")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode == 1
    assert "'index.md' contains a link 'nowhere.md'" in built.stderr
    assert "does not contain an anchor '#no-such-anchor'" in built.stderr


@pytest.fixture(scope="module")
def pages(site: Site) -> list[str]:
    """The address of every page."""
    return [
        "/",
        *sorted(f"/{path.parent.relative_to(site.folder).as_posix()}/" for path in site.folder.glob("*/**/index.html")),
    ]


@pytest.fixture(scope="module")
def seen(site: Site, pages: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Chromium found on every page."""
    found = site.look(pages, tmp_path_factory.mktemp("chromium"), 60 + 2 * len(pages))
    assert "error" not in found, found["error"]
    assert list(found["pages"]) == pages
    return found


def told(seen: dict[str, Any], what: str, *, fine: Any) -> dict[str, Any]:
    """The pages that are not fine in something."""
    return {name: page[what] for name, page in seen["pages"].items() if not fine(page[what])}


def test_every_topic_has_its_page_on_the_site(pages: list[str]) -> None:
    """55 of 55."""
    assert {f"/textbook/{page.path.parent.name}/{page.path.stem}/" for page in textbook.pages()} <= set(pages)


def test_nobody_else_is_asked(site: Site, seen: dict[str, Any]) -> None:
    """Not for a font, a script or a picture; what Chromium asks for itself is left out."""
    assert {host.partition(":")[0] for host in site.outside} <= browser.OWN
    asked = {urlsplit(name).hostname for page in seen["pages"].values() for name in page["asked"]}
    assert asked == {browser.NAME}


def test_no_link_is_dead(site: Site, seen: dict[str, Any]) -> None:
    """Within the site each leads to a page, and to an anchor on it."""
    dead = set()
    for name, page in seen["pages"].items():
        for link in page["links"]:
            address = urlsplit(link)
            if address.hostname != browser.NAME:
                continue
            there = seen["pages"].get(address.path)
            is_file = (site.folder / unquote(address.path).lstrip("/")).is_file()
            if not is_file and (there is None or (address.fragment and unquote(address.fragment) not in there["ids"])):
                dead.add((name, link))
    assert dead == set()


def test_search_finds_russian_words_by_their_beginning(seen: dict[str, Any]) -> None:
    """In all their forms, and without another server."""
    assert any("dreyf" in link for link in seen["search"])


def test_each_page_has_a_title_a_language_one_heading_and_named_pictures(seen: dict[str, Any]) -> None:
    """And no picture is missing."""
    assert not told(seen, "title", fine=bool)
    assert not told(seen, "lang", fine=lambda found: found == "ru")
    assert not told(seen, "headings", fine=lambda found: found == 1)
    assert not told(seen, "unnamed", fine=lambda found: found == [])
    assert not told(seen, "broken", fine=lambda found: found == [])


def test_each_page_fits_a_phone(seen: dict[str, Any]) -> None:
    """Nothing is wider than it, and what is touched is large enough (WCAG 2.2, 2.5.8)."""
    assert not told(seen, "width", fine=lambda found: found <= browser.WIDTH)
    assert not told(seen, "small", fine=lambda found: found == [])


@pytest.mark.parametrize("scheme", ["default", "slate"])
def test_text_is_dark_enough(seen: dict[str, Any], scheme: str) -> None:
    """4.5 to 1 against its ground, large letters 3 to 1 (WCAG 2.2, 1.4.3), in light and dark."""
    found = {name: page["pale"][scheme] for name, page in seen["pages"].items() if page["pale"][scheme]}
    assert found == {}


def test_a_phone_is_drawn(site: Site, tmp_path: Path) -> None:
    """For people to look at: build/docs."""
    page = textbook.page("4.5.1").path
    target = tmp_path / "phone.png"
    site.picture(f"/textbook/{page.parent.name}/{page.stem}/", target, tmp_path / "chromium")
    assert target.stat().st_size > 20_000
    KEPT.mkdir(parents=True, exist_ok=True)
    shutil.copy(target, KEPT / "phone.png")
