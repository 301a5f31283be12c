"""Incidents: opened by what the monitoring said and by what failed, with what changed before, and ranked suspects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets.errors import IncidentError, LooplineError
from assets.features import snapshots
from assets.incidents import incident_log, incident_page
from assets.incidents.incident_log import Incident
from assets.incidents.landed_changes import landed_changes
from assets.monitoring import champion_monitor
from assets.promotion import ledger
from assets.spec import ProductSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json
from orchestration import event_history
from orchestration.operations.incidents import root_cause

LOW_QUALITY = 0.95
"""As in the alert `DataQualityLow`."""
RANKS = ("code", "data replaced", "quality", "feature", "decision", "data")
"""Suspects before any search, the likeliest kind first: what was replaced may be wrong; what is merely new seldom is."""


def watch(
    home: Home,
    products: Iterable[str],
    failures: Sequence[str] = (),
    now: datetime | None = None,
    run: str | None = None,
) -> list[Incident]:
    """Open incidents for the alarms that stand and for steps that failed, or add to those that are open.

    Parameters
    ----------
    home : Home
        Holds what the monitoring said.
    products : iterable of str
        The products to look at, by name.
    failures : sequence of str
        What failed in a run, as ``step: why``.
    now : datetime, optional
        When (aware).
    run : str, optional
        The id of that run, for who may come upon it more than once: what failed in it is raised once.

    Returns
    -------
    list of Incident
        Those that were opened, or added to.

    Raises
    ------
    LooplineError
        If a product cannot be looked at, once all else is recorded.
    """
    changed, problems = [], list[LooplineError]()
    for product in products:
        try:
            found = _watch_product(home, product, now)
        except LooplineError as error:
            problems.append(error)
            continue
        changed += [] if found is None else [found]
    for failure in failures:
        found = _raised_by_failure(home, failure, now, run)
        changed += [] if found is None else [found]
    for item in changed:
        incident_page.write(home, item)
    if problems:
        raise problems[0]
    return changed


def search(home: Home, spec: ProductSpec, name: str, by: str, **given: Any) -> Incident:
    """Search for the root cause, and keep what was found.

    Raises
    ------
    IncidentError
        If there is no such incident, or it is closed: nothing is searched then.
    """
    incident_log.require_open(home, name)
    found = root_cause.find(home, spec, **given)
    told = "; ".join(root_cause.told(found)[1:])
    made = incident_log.add(home, name, incident_log.ROOT_CAUSE, by=by, told=told, found=found)
    incident_page.write(home, made)
    return made


def close(home: Home, name: str, by: str, word: str) -> Incident:
    """Close an incident with a word; the same alarm does not open it again.

    Raises
    ------
    IncidentError
        If it is closed, or there is none, or the word is empty.
    """
    require_word(name, word)
    made = incident_log.add(home, name, incident_log.CLOSED, by=by, told=word.strip())
    incident_page.write(home, made)
    return made


def require_word(name: str, word: str) -> None:
    """Refuse to close an incident without a word.

    Raises
    ------
    IncidentError
        If the word is empty.
    """
    if not word.strip():
        raise IncidentError(f"incident '{name}' is not closed without a word. Say what it was: --close WORD.")


def page_of(home: Home, found: Incident) -> Path:
    """The page, written anew."""
    return incident_page.write(home, found)


def _watch_product(home: Home, product: str, now: datetime | None) -> Incident | None:
    record = champion_monitor.recorded(home, product)
    if record is None:
        return None
    alarms = record["alarms"]
    if not alarms:
        periods = record["periods"]
        return incident_log.calm(home, product, f"No alarm stands in {periods[-1]['name']}.", now) if periods else None
    identity = value_digest([record["model_digest"], record["snapshot_digest"], alarms])
    if any(item.knows(identity) for item in incident_log.incidents(home, product)):
        return None
    period = f" in {record['periods'][-1]['name']}" if record["periods"] else ""
    told = f"{len(alarms)} alarm{'s' if len(alarms) > 1 else ''} of {product}{period}."
    changes = changes_before(home, product)
    more = {"alarms": alarms, "changes": changes, "suspects": suspects(alarms, changes)}
    return incident_log.raise_about(home, product, identity, told, now, **more)


def _raised_by_failure(home: Home, failure: str, now: datetime | None, run: str | None) -> Incident | None:
    step, _, why = failure.partition(": ")
    parts = step.split("__")
    subject = parts[1] if parts[0] in ("landing", "quality") and len(parts) > 1 else parts[0]
    subject = "".join(letter if letter.isalnum() or letter == "_" else "_" for letter in subject.lower()) or "run"
    moment = now or datetime.now(UTC)
    told = f"{step} failed: {why.strip().splitlines()[0] if why.strip() else 'without a word'}"
    identity = value_digest([step, why, moment.isoformat()] if run is None else [step, run])
    return incident_log.raise_about(home, subject, identity, told, now, failed=step)


def changes_before(home: Home, product: str) -> list[dict[str, str]]:
    """What changed since the champion came to serve: decisions, landed files, code, and tables of low quality; latest first."""
    champion = ledger.standing(home, product).champion
    if champion is None:
        return []
    since = datetime.fromisoformat(champion.recorded_at)
    found = [
        {
            "at": entry.recorded_at,
            "kind": "decision",
            "what": f"version {entry.version}",
            "told": f"{entry.event}: {entry.reason}",
        }
        for entry in ledger.entries(home, product)
        if entry.number >= champion.number
    ]
    found += _files(home, product, champion.snapshot_digest)
    for key, at, version in event_history.code_changes(home, since):
        found.append(
            {"at": at, "kind": "code", "what": key, "told": f"{key} was made by other code than before ({version[:12]})"}
        )
    found += _low_quality(home)
    return sorted(found, key=lambda item: item["at"], reverse=True)


def suspects(alarms: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """What may be to blame, ranked by kind; features by how far they moved, in parts of what is worth an alarm."""
    found = [{"kind": item["kind"], "what": item["what"], "because": item["told"]} for item in changes]
    moved = sorted(
        (item for item in alarms if item["kind"] in ("data", "concept")),
        key=lambda item: -item["effect"] / (item["floor"] or 1),
    )
    found += [{"kind": "feature", "what": item["what"], "because": item["told"]} for item in moved]
    return sorted(found, key=lambda item: RANKS.index(item["kind"]))


def _files(home: Home, product: str, judged_on: str) -> list[dict[str, str]]:
    """Which landed files the current snapshot rests on, and that on which the champion was judged did not."""
    current = snapshots.current(home, product)
    at = datetime.fromtimestamp(current.path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    found = []
    for change in landed_changes(home, product, judged_on, current.digest) or []:
        kind, told = "data", f"{change.table}: {change.new} landed files are new"
        if change.gone:
            kind, told = "data replaced", f"{change.table}: {change.gone} landed files were replaced or taken away"
        found.append({"at": at, "kind": kind, "what": change.table, "told": told})
    return found


def _low_quality(home: Home) -> list[dict[str, str]]:
    found = []
    for path in sorted(home.quality.glob("*.json")):
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
        for table, told in read_json(path)["tables"].items():
            for partition, figures in told["partitions"].items():
                for dimension, score in figures["scores"].items():
                    if score["value"] < LOW_QUALITY:
                        what = f"{path.stem}.{table}"
                        said = f"{what}, {partition}: {dimension} is {score['value']:.1%}"
                        found.append({"at": at, "kind": "quality", "what": what, "told": said})
    return found
