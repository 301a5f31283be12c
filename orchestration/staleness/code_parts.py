"""What in a code version changed: the parts of each version are kept in the home, and compared when another takes its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assets.storage.code_version import parts_of
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import read_json, write_json

MOST, LONGEST = 3, 40
"""How many differences are told one by one, and how long a value may be to be shown."""
UNKNOWN = "its code or declaration changed"


def keep(home: Home, version: str | None) -> None:
    """Keep what a version was made of, if that is not there yet."""
    path = home.code_versions / f"{version}.json"
    if version is not None and not path.exists() and (parts := parts_of(version)) is not None:
        write_json(path, parts)


def told(home: Home, before: str, now: str) -> str:
    """Why an asset made by the code version `before` is made anew: which files, fields and libraries changed."""
    path, parts = home.code_versions / f"{before}.json", parts_of(now)
    if parts is None or not path.exists():
        return UNKNOWN
    found = list(_differences(read_json(path), parts))
    if not found:
        return UNKNOWN
    more = f" and {len(found) - MOST} more" if len(found) > MOST else ""
    return f"{', '.join(found[:MOST])}{more}"


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name, old, new in _changed(before["declaration"], now["declaration"]):
        yield f"{name}: {_short(old)} → {_short(new)}"
    for name, old, new in _changed(before["libraries"], now["libraries"]):
        yield f"{name} {old or 'not used'} → {new or 'not used'}"
    for name, old, new in _changed(before["code"], now["code"]):
        word = "new" if old is None else "no part any more" if new is None else "changed"
        path = name.replace(".", "/")
        yield f"{path}{'/__init__' if (REPOSITORY / path).is_dir() else ''}.py {word}"


def _changed(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The leaves of two JSON values that differ, each with its path; a list is a leaf."""
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            # the names of modules hold points themselves, and stand alone
            yield from _changed(before.get(name), now.get(name), f"{path}.{name}" if path else name)
    else:
        yield path, before, now


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
