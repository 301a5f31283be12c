"""Home identity: the id by which a home is told from another, wherever it lies."""

from __future__ import annotations

import uuid
from typing import Any

from assets.storage.home import LAYOUT, Home
from assets.storage.publishing import read_json, write_json


def identity_of(home: Home, *, is_recorded: bool = True) -> str:
    """The id by which a home's backups are told from another's.

    Parameters
    ----------
    home : Home
        The home.
    is_recorded : bool
        Make it and write it down, if it is asked for the first time. Otherwise it then follows from where the home lies.
    """
    record: dict[str, Any] = read_json(home.record) if home.record.exists() else {"layout": home.layout or LAYOUT}
    if "id" in record:
        return str(record["id"])
    if not is_recorded:
        return uuid.uuid5(uuid.NAMESPACE_URL, home.root.resolve().as_uri()).hex
    record["id"] = uuid.uuid4().hex
    write_json(home.record, record)
    return str(record["id"])
