"""What the Dagster UI shows of a run: numbers with sensible digits, findings as a table, plots as pictures."""

from __future__ import annotations

import base64
import re

import dagster as dg
import pytest

from assets.promotion.gate_rules import GATE_RULES
from assets.storage.asset_result import Markdown
from assets.storage.home import Home
from orchestration import resources
from orchestration.components.step import shown


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
