"""The page server: pages of a home and nothing else of it, for this machine's browser and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from assets.errors import HomeError
from assets.storage.home import Home
from orchestration import resources
from orchestration.ui.page_addresses import HOST
from orchestration.ui.page_server import served
from tests.ports import free_port

PAGE = "/monitoring/churn/monitor.html"
RECORD = "nobody is shown this"


@pytest.fixture
def port(home: Home) -> Iterator[int]:
    """The port on which the pages of a home are served that also holds what must not be served."""
    for place in (PAGE[1:], "reports/churn/evidence.json", "registry/churn.html", "top.html", "reports/a.html/b.html"):
        path = home.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<h1>It works</h1>" if place in PAGE else RECORD)
    (home.root.parent / "outside.html").write_text(RECORD)
    (home.reports / "link.html").symlink_to(home.root.parent / "outside.html")
    port = free_port()
    with served(home, port):
        yield port


def asked(port: int, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, str]:
    """The answer to a request whose path is sent as it stands."""
    connection = HTTPConnection(HOST, port, timeout=150)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def test_a_page_is_served_as_html_and_asked_for_again_each_time(port: int, home: Home) -> None:
    """A monitoring page is overwritten: a browser must not show the one before."""
    answer, text = asked(port, PAGE)
    assert (answer.status, text) == (200, "<h1>It works</h1>")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-cache"
    again, _ = asked(port, PAGE, **{"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304
    (home.root / PAGE[1:]).write_text("<h1>It is another</h1>")
    assert asked(port, PAGE, **{"If-None-Match": answer.headers["ETag"]})[1] == "<h1>It is another</h1>"
    head, nothing = asked(port, PAGE, "HEAD")
    assert (head.status, nothing) == (200, "")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/reports", "/reports/", "/reports/churn", "/reports/churn/evidence.json", "/registry/churn.html", "/top.html", "/home.json",
        "/reports/../registry/churn.html", "/reports/../../outside.html", "/reports/%2e%2e/%2e%2e/outside.html", "//reports/../top.html",
        "/reports/..%2f..%2foutside.html", "/reports/link.html", "/reports/a.html", "/reports/%00.html", f"/reports/{'x' * 300}.html",
        "/mlflow/", "/mlflow/..", "/mlflow/0123", "/mlflow/0123/4567", "/mlflow/0123456789abcdef0123456789abcdef",
    ],
)  # fmt: skip
def test_nothing_else_of_the_home_is_served(port: int, home: Home, path: str) -> None:
    """No record, no list of a folder, nothing outside, no run that is not there: one sentence says what to do."""
    answer, text = asked(port, path)
    assert answer.status == 404
    assert RECORD not in text
    assert str(home.root) in text
    assert "start `loopline ui` with that LOOPLINE_HOME" in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", [PAGE, "/mlflow/0123"])
def test_only_reading_is_allowed(port: int, method: str, path: str) -> None:
    """Whatever the method, the page stays."""
    answer, _ = asked(port, path, method)
    assert answer.status == 405
    assert asked(port, PAGE)[0].status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:2980", "127.0.0.1.evil.example", ""])
def test_a_site_that_has_itself_resolved_to_the_loopback_is_refused(port: int, host: str) -> None:
    """Its pages would read ours otherwise."""
    answer, text = asked(port, PAGE, Host=host)
    assert (answer.status, text) == (400, "Invalid host header")
    assert asked(port, PAGE, Host=f"localhost:{port}")[0].status == 200


def test_the_port_is_free_again_afterwards(home: Home) -> None:
    """Also at once."""
    port = free_port()
    for _ in range(2):
        with served(home, port):
            assert asked(port, "/")[0].status == 404
        with pytest.raises(ConnectionRefusedError):
            asked(port, "/")


def test_an_mlflow_that_does_not_start_is_one_clear_error(port: int, home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    """What it says itself is seen in the terminal."""
    (home.registry / "mlflow.db").write_text("this is no database")
    answer, text = asked(port, "/mlflow/0123456789abcdef0123456789abcdef")
    assert answer.status == 503
    assert re.fullmatch(r"MLflow did not start on port \d+ of 127.0.0.1. What it said stands .* once more\.", text)
    assert "file is not a database" in capfd.readouterr().err


@pytest.mark.parametrize("given", ["pages", "0", "65536", "-1", "²"])
def test_a_port_that_is_none_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """With the values that are allowed."""
    monkeypatch.setenv(resources.PAGES_VARIABLE, given)
    with pytest.raises(
        HomeError, match=rf"LOOPLINE_PAGES_PORT={given} must be a port from 1 to 65535. .*leave it out for 2980"
    ):
        resources.pages_port()


def test_the_folders_that_are_served_are_folders_of_a_home(tmp_path: Path) -> None:
    """By the names that a home gives them."""
    from orchestration.ui.page_addresses import FOLDERS

    home = Home(tmp_path)
    pages = {home.reports, home.monitoring, home.quality, home.experiments, home.incidents}
    assert {home.root / name for name in FOLDERS} == pages
