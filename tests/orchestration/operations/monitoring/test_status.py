"""What `loopline status` says of what a person switched: sources that are held."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO

from assets.promotion import held_sources
from assets.storage.home import Home
from orchestration.cli.display import show_status
from orchestration.declarations import Declared
from orchestration.operations.monitoring.status import status

DECLARED = Declared(["shop.items", "shop.orders", "weather.days"], {"churn": ["shop.items", "shop.orders"]})


def test_a_held_source_is_told_once_since_when_by_whom_and_why(home: Home) -> None:
    """Of the products that rest on it alone; once it is released, nothing is said."""
    for source in ("shop", "weather"):
        entry = held_sources.hold(home, source, "ann", "minutes [hhmm]")
    held = [item["held"] for item in status(home, DECLARED).as_json()["sources"]]
    assert [(item["by"], item["because"]) for item in held] == [("ann", "minutes [hhmm]")] * 3
    assert held[2]["since"] == entry.recorded_at
    with redirect_stdout(StringIO()) as out:
        show_status(status(home, DECLARED), "churn")
    assert out.getvalue().count("by ann (minutes [hhmm]). To land it again: `loopline mitigate shop --how release") == 1
    assert "mitigate weather" not in out.getvalue()
    for source in ("shop", "weather"):
        held_sources.release(home, source, "ann", "mended")
    assert [item.held for item in status(home, DECLARED).sources] == [None] * 3
