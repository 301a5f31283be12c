"""The page of an incident: what was raised, what changed before it, the suspects, the root cause, and what was done."""

from __future__ import annotations

from pathlib import Path

from assets.incidents.incident_log import PAGE, Incident, folder
from assets.rendering import html_page
from assets.storage.home import Home


def write(home: Home, found: Incident) -> Path:
    """Render the page from the record alone."""
    return html_page.write(path(home, found), Path(__file__).with_name("incident.html.j2"), incident=found)


def path(home: Home, found: Incident) -> Path:
    """Where the page of an incident lies; it is written with each event."""
    return folder(home, found.name) / PAGE
