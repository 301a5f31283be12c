"""The asset `parity`: all ways of serving asked the same rows; services follow the champion if they agree."""

from __future__ import annotations

from assets.errors import ParityError
from assets.features import snapshots
from assets.promotion.ledger import require_champion
from assets.serving import bento_package, parity
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult, CheckResult, FailedCheckError
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.locks import exclusive

PARITY = "parity"


def compare_ways(home: Home, spec: ProductSpec) -> AssetResult:
    """Ask all ways of serving the same rows; if they agree, services follow the champion.

    Raises
    ------
    FailedCheckError
        If they disagree; services go on following the champion before.
    """
    champion, failure = require_champion(home, spec.name), None
    try:
        parity.compare(home, spec, snapshots.current(home, spec.name), champion)
    except ParityError as error:
        failure = error
    found = parity.recorded(home, spec.name) or {}
    told = {name: way["largest_difference"] for name, way in found.get("ways", {}).items() if way is not None}
    result = CheckResult(PARITY, failure is None, {**told, "rows": found})
    if failure is not None:
        raise FailedCheckError(result, failure)
    with exclusive(home.decision_lock):  # a person may be about to change what services are told
        pointer = bento_package.point(home, spec.name, champion)
    return AssetResult(
        value_digest([found, champion.digest]),
        {"tag": bento_package.tag_of(champion), "version": champion.version, **told},
        pointer,
        [result],
    )
