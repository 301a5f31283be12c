"""Mitigation: what may be done about an incident before it is understood, first told and then done; all of it in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from assets.errors import IncidentError
from assets.incidents import incident_log, incident_page
from assets.incidents.incident_log import Incident
from assets.promotion import fallback_entries, held_sources, ledger
from assets.promotion.ledger_state import Entry
from assets.serving import fallback_pointer
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.locks import exclusive
from orchestration.operations.promotion import decisions

ROLLBACK, HOLD, FALLBACK, RELEASE = "rollback", "hold", "fallback", "release"
WAYS = (ROLLBACK, HOLD, FALLBACK, RELEASE)
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
        The version, the source, or the product.
    told : str
        What will be, for people.
    because : str
        What speaks for it.
    is_of_source : bool
        Whether it is about a source.
    """

    how: str
    of: str
    told: str
    because: str
    is_of_source: bool = False

    def command(self, target: str) -> str:
        """What does it."""
        source = f" --source {self.of}" if self.is_of_source else ""
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
    made: list[tuple[float, Mitigation]] = []
    if spec is not None:
        standing = ledger.standing(home, spec.name)
        if standing.champion is not None and standing.fallback is not None:
            because = "the root cause is the model" if "model" in guilty else "another version served before"
            told = f"version {standing.fallback.version} of {spec.name} serves again, instead of {standing.champion.version}"
            made.append((0 if "model" in guilty else 3, Mitigation(ROLLBACK, str(standing.fallback.version), told, because)))
        made += [(_rank(one, guilty), one) for one in _of_fallback(home, spec)]
    for source in sources:
        if source in held:
            told = f"what comes of {source} is landed again"
            made.append((4, Mitigation(RELEASE, source, told, f"it is held {held[source].told}", is_of_source=True)))
            continue
        came = [
            item for item in changes if item["kind"].startswith(("data", "quality")) and item["what"].startswith(f"{source}.")
        ]
        because = came[0]["told"] if came else f"the product rests on {source}"
        rank = 1 if came and set(guilty) & set(OF_DATA) else 2
        told = f"what comes of {source} is not landed until it is released; what is landed stays"
        made.append((rank if came else 5, Mitigation(HOLD, source, told, because, is_of_source=True)))
    return [item for _, item in sorted(made, key=lambda pair: pair[0])]


def _of_fallback(home: Home, spec: ProductSpec) -> list[Mitigation]:
    """Let the fallback answer, where what services follow has one; or the champion again.

    Where services were not told what the ledger says, as whoever wrote it was killed, they are told by the same command.
    """
    entry, is_told = fallback_entries.in_force(home, spec.name), fallback_pointer.answers(home, spec.name)
    found = list[Mitigation]()
    if fallback_pointer.is_packaged(home, spec.name) and not is_told:
        what = f"services of {spec.name} answer with its fallback ({spec.serving.fallback}), and say so, until it is released"
        because = "neither its inputs nor its model need be trusted for that"
        if entry is not None:
            because = f"the ledger says so {entry.told}, but services were not told"
        found.append(Mitigation(FALLBACK, spec.name, what, because))
    if entry is not None or is_told:
        because = "services answer with it although it was released" if entry is None else f"its fallback answers {entry.told}"
        what = f"the champion of {spec.name} answers again, instead of its fallback"
        found.append(Mitigation(RELEASE, spec.name, what, because))
    return found


def _rank(one: Mitigation, guilty: Sequence[str]) -> float:
    """After going back to another version if it is the model, after holding the source if it is the data."""
    if one.how == RELEASE:
        return 4
    return 0.5 if "model" in guilty else 1.5 if set(guilty) & set(OF_DATA) else 3.5


def chosen(known: Sequence[Mitigation], target: str, how: str | None, source: str | None) -> Mitigation:
    """The one that is meant.

    Raises
    ------
    IncidentError
        If there is none, or several.
    """
    found = [
        item for item in known if how in (None, item.how) and (source is None or (item.is_of_source and item.of == source))
    ]
    if how is None and found:
        found = found[:1]
    if len(found) > 1 and len(own := [item for item in found if not item.is_of_source]) == 1:
        found = own  # a source is named by --source
    if len(found) == 1:
        return found[0]
    if how == FALLBACK:
        if (back := next((item for item in known if item.how == RELEASE and not item.is_of_source), None)) is not None:
            raise IncidentError(f"{target}: {back.because}. To let the champion answer again: `{back.command(target)}`.")
        raise _not_packaged(target)
    listed = "; ".join(item.command(target) for item in known) or "nothing"
    many = f"{len(found)} things could be meant" if found else "nothing like that can be done"
    raise IncidentError(f"{target}: {many}. Possible: {listed}.")


def _not_packaged(target: str) -> IncidentError:
    return IncidentError(
        f"{target}: its service was packaged without a fallback. Declare serving.fallback, then `loopline run`."
    )


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
    IncidentError
        If what services follow has no fallback any more.
    """
    why = reason if found is None else f"incident {found.name}: {reason}"
    if one.how == ROLLBACK:
        assert spec is not None  # noqa: S101 - it is possible for products only
        made = [decisions.rollback(home, spec, int(one.of), actor=actor, reason=why)]
    elif one.how == HOLD:
        made = [held_sources.hold(home, one.of, actor, why)]
    elif one.is_of_source:
        made = [held_sources.release(home, one.of, actor, why)]
    else:
        made = _changed_fallback(home, one, actor, why)
    if found is not None and found.is_open:
        told = f"{one.told}: {reason}"
        with suppress(IncidentError):  # somebody closed it meanwhile; the ledger names it, and services are still to follow
            incident_page.write(
                home, incident_log.add(home, found.name, incident_log.MITIGATED, by=actor, told=told, how=one.how)
            )
    return made


def _changed_fallback(home: Home, one: Mitigation, actor: str, why: str) -> list[Entry]:
    """Let the fallback, or the champion, answer; nothing is recorded where the ledger says so, and only services do not."""
    change, is_begun = (fallback_entries.begin, True) if one.how == FALLBACK else (fallback_entries.release, False)
    with exclusive(home.decision_lock):
        is_recorded = (fallback_entries.in_force(home, one.of) is not None) == is_begun
        is_told = fallback_pointer.answers(home, one.of) == is_begun
        if is_begun and not fallback_pointer.is_packaged(home, one.of):
            raise _not_packaged(one.of)  # another champion was packaged meanwhile
        made = [] if is_recorded and not is_told else [change(home, one.of, actor, why)]
        fallback_pointer.follow(home, one.of)
    return made
