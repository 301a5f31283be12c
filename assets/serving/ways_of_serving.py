"""Where each way of serving a champion finds its answers; None where it has none."""

from __future__ import annotations

from pathlib import Path

from assets.promotion import current_artifacts
from assets.promotion.ledger_state import Entry
from assets.serving import bento_package
from assets.storage.home import Home


def ways(home: Home, champion: Entry) -> dict[str, Path | None]:
    """The file or folder of each way.

    Parameters
    ----------
    home : Home
        Holds what the stages made.
    champion : Entry
        The ledger's entry of the version in production.

    Returns
    -------
    dict of str to Path or None
        By the way's name; None for a way that this champion does not have.
    """
    product = champion.product
    query = current_artifacts.found(home.sql / product)
    return {
        "precomputed": current_artifacts.found(home.predictions / product),
        "embedded": current_artifacts.found(home.wheels / product),
        "sql": None if query is None else query / "duckdb.sql",
        "service": bento_package.bento_folder(home, bento_package.tag_of(champion)) / "src",
    }
