"""Mitigation: what may be done about an incident before it is understood, first told and then done; all of it in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from assets.errors import IncidentError
from assets.incidents import incident_log, incident_page
from assets.incidents.incident_log import Incident
from assets.promotion import held_sources, ledger
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.home import Home
from orchestration.operations.promotion import decisions

ROLLBACK, HOLD, RELEASE = "rollback", "hold", "release"
WAYS = (ROLLBACK, HOLD, RELEASE)
OF_DATA = ("rows", "version", "features")
"""The kinds of root cause that came with files."""


@dataclass(frozen=True)
class Mitigation:
    """One thing that may be done.

    Parameters
    ----------
    how : str
        One of `WAYS`.
    of : str
        The version, or the source.
    told : str
        What will be, for people.
    because : str
        What speaks for it.
    """

    how: str
    of: str
    told: str
    because: str

    def command(self, target: str) -> str:
        """What does it."""
        source = f" --source {self.of}" if self.how in (HOLD, RELEASE) else ""
        return f"loopline mitigate {target} --how {self.how}{source} --do"


def possible(home: Home, spec: ProductSpec | None, sources: Sequence[str], found: Incident | None = None) -> list[Mitigation]:
    """What may be done, the likeliest first.

    Parameters
    ----------
    home : Home
        Whose ledger says what is held, and to which version one can go back.
    spec : ProductSpec or None
        The product, where the incident is about one.
    sources : sequence of str
        The sources that it rests on.
    found : Incident, optional
        Whose root cause, and whose changes, say what comes first.
    """
    guilty = [item["kind"] for item in (found.root_cause or {}).get("guilty", [])] if found is not None else []
    changes = found.events[0].get("changes", []) if found is not None else []
    held = held_sources.held(home)
    made = []
    if spec is not None:
        standing = ledger.standing(home, spec.name)
        if standing.champion is not None and standing.fallback is not None:
            because = "the root cause is the model" if "model" in guilty else "another version served before"
            told = f"version {standing.fallback.version} of {spec.name} serves again, instead of {standing.champion.version}"
            made.append((0 if "model" in guilty else 3, Mitigation(ROLLBACK, str(standing.fallback.version), told, because)))
    for source in sources:
        if source in held:
            told = f"what comes of {source} is landed again"
            made.append((4, Mitigation(RELEASE, source, told, f"it is held {held[source].told}")))
            continue
        came = [
            item for item in changes if item["kind"].startswith(("data", "quality")) and item["what"].startswith(f"{source}.")
        ]
        because = came[0]["told"] if came else f"the product rests on {source}"
        rank = 1 if came and set(guilty) & set(OF_DATA) else 2
        told = f"what comes of {source} is not landed until it is released; what is landed stays"
        made.append((rank if came else 5, Mitigation(HOLD, source, told, because)))
    return [item for _, item in sorted(made, key=lambda pair: pair[0])]


def chosen(known: Sequence[Mitigation], target: str, how: str | None, source: str | None) -> Mitigation:
    """The one that is meant.

    Raises
    ------
    IncidentError
        If there is none, or several.
    """
    found = [item for item in known if how in (None, item.how) and source in (None, item.of)]
    if how is None and found:
        found = found[:1]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(item.command(target) for item in known) or "nothing"
    many = f"{len(found)} things could be meant" if found else "nothing like that can be done"
    raise IncidentError(f"{target}: {many}. Possible: {listed}.")


def do(
    home: Home, spec: ProductSpec | None, one: Mitigation, *, actor: str, reason: str, found: Incident | None = None
) -> list[Entry]:
    """Do it: the ledger says so with the reason, and the incident has an event.

    Returns
    -------
    list of Entry
        What was recorded.

    Raises
    ------
    LedgerError
        If the ledger cannot take it, as somebody was faster.
    """
    why = reason if found is None else f"incident {found.name}: {reason}"
    if one.how == ROLLBACK:
        assert spec is not None  # noqa: S101 - it is possible for products only
        made = decisions.rollback(home, spec, int(one.of), actor=actor, reason=why)
    elif one.how == HOLD:
        made = held_sources.hold(home, one.of, actor, why)
    else:
        made = held_sources.release(home, one.of, actor, why)
    if found is not None and found.is_open:
        told = f"{one.told}: {reason}"
        with suppress(IncidentError):  # somebody closed it meanwhile; the ledger names it, and services are still to follow
            incident_page.write(
                home, incident_log.add(home, found.name, incident_log.MITIGATED, by=actor, told=told, how=one.how)
            )
    return [made]
