"""What the Dagster UI shows of a run: numbers with sensible digits, findings as a table, plots as pictures."""

from __future__ import annotations

import base64
import re

import dagster as dg
import pytest

from assets.promotion.gate_rules import GATE_RULES
from assets.storage.asset_result import Link, Markdown, MlflowRun
from assets.storage.home import Home
from orchestration import resources
from orchestration.components.step import shown
from tests.world import World


@pytest.mark.parametrize(
    ("value", "seen"),
    [(0.7581234, 0.758), (3141.59, 3142.0), (-24.1259, -24.13), (1.23456e-12, 1.2e-12), (0.0, 0.0), (7, 7), (True, True), ("0.12345", "0.12345")],
)  # fmt: skip
def test_a_number_is_shown_with_the_digits_of_the_reports(value: object, seen: object) -> None:
    """It stays a number, so that the UI plots it; whole numbers and texts stay as they are."""
    found = shown({"figure": value})["figure"]
    assert found == seen
    assert type(found) is type(seen)


def test_a_table_is_shown_as_markdown() -> None:
    """With cells that hold what would end them."""
    found = shown({"findings": Markdown.table(["gate", "found"], [["a|b", "two\nlines"]])})["findings"]
    assert found == dg.MetadataValue.md("| gate | found |\n|---|---|\n| a\\|b | two lines |")


def test_a_page_and_a_run_of_mlflow_are_links_to_the_server_of_loopline_ui(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the fixed port, or on the one that is set."""
    given = {"page": Link("reports/churn/a b.html"), "run": MlflowRun("0123")}
    monkeypatch.delenv(resources.PAGES_VARIABLE)
    assert shown(given) == {
        "page": dg.MetadataValue.url("http://127.0.0.1:2980/reports/churn/a%20b.html"),
        "run": dg.MetadataValue.url("http://127.0.0.1:2980/mlflow/0123"),
    }
    monkeypatch.setenv(resources.PAGES_VARIABLE, "2981")
    assert shown(given)["run"] == dg.MetadataValue.url("http://127.0.0.1:2981/mlflow/0123")


def test_an_address_is_no_part_of_the_content(ran_copy: Home, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same page behind another port: the link changes, the data version does not."""
    key, found = dg.AssetKey(["quality", "flights"]), []
    for port in ("2981", "2982"):
        monkeypatch.setenv(resources.PAGES_VARIABLE, port)
        assert world.materialize(ran_copy, list(key.path)).success
        with resources.instance(ran_copy) as instance:
            event = instance.get_latest_materialization_event(key)
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.metadata["page"] == dg.MetadataValue.url(
            f"http://127.0.0.1:{port}/quality/flights.html"
        )
        found.append((event.asset_materialization.tags or {})["dagster/data_version"])
    assert found[0] == found[1]


def test_a_run_shows_plots_and_findings(ran: Home) -> None:
    """Each plot is an image in Markdown, as the UI renders it; each gate's check has a row for each of its findings."""
    with resources.instance(ran) as instance:

        def recorded(name: str) -> dict[str, dg.MetadataValue]:
            event = instance.get_latest_materialization_event(dg.AssetKey(["flight_delay", name]))
            assert event is not None
            assert event.asset_materialization is not None
            return dict(event.asset_materialization.metadata)

        plots = re.findall(r"!\[(.+?)\]\(data:image/svg\+xml;base64,(\S+?)\)", str(recorded("evaluation")["plots"].value))
        findings = recorded("verdict")["findings"]
    assert "Calibration" in dict(plots)
    assert all(base64.b64decode(coded).startswith(b"<svg ") for _, coded in plots)
    assert isinstance(findings, dg.MarkdownMetadataValue)
    rows = [line.split(" | ") for line in str(findings.value).splitlines()[2:]]
    assert {row[0].removeprefix("| ") for row in rows} <= set(GATE_RULES)
    assert {row[1] for row in rows} <= {"✓", "warns"}  # it was promoted
    assert rows
