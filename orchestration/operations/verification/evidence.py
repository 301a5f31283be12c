"""The records on which a product's champion stands, by name and field: examinations, verdict, parity, monitoring.

Nothing is computed here: what the stages recorded is read.
"""

from __future__ import annotations

from typing import Any

from assets.errors import DigestError, SpecificationError
from assets.monitoring import champion_monitor
from assets.promotion import ledger, verdict_records
from assets.serving import parity
from assets.storage.home import Home
from assets.storage.publishing import read_json

LEFT_OUT = ("plots",)
"""Records that are pictures."""


def records(home: Home, product: str) -> dict[str, Any]:
    """The records of a product's champion by name, in alphabetical order.

    Raises
    ------
    DigestError
        If nobody serves, or the champion's records are gone.
    """
    standing = ledger.standing(home, product)
    champion = standing.champion
    if champion is None:
        raise DigestError(f"{product}: {standing.vacancy}")
    folder = home.report_folder(product, champion.model_digest, champion.snapshot_digest)
    found = {path.stem: read_json(path) for path in folder.glob("*.json") if "." not in path.stem and "-" not in path.stem}
    if champion.verdict is not None and (judged := verdict_records.place_of(home, champion)).exists():
        found["verdict"] = verdict_records.read(judged, champion.verdict)
    later = {"parity": parity.recorded(home, product), "monitoring": champion_monitor.recorded(home, product)}
    found |= {name: item for name, item in later.items() if item is not None and item["model_digest"] == champion.model_digest}
    if not found:
        raise DigestError(f"{product}: version {champion.version} has no records in this home. Run `loopline run {product}`.")
    return {name: found[name] for name in sorted(found) if name not in LEFT_OUT}


def field(found: Any, path: str) -> Any:
    """What lies at a dotted path, such as ``evaluation.metrics.model.roc_auc``; a list's items are numbered from 0.

    Raises
    ------
    SpecificationError
        If there is no such field: it names those that there are.
    """
    passed: list[str] = []
    for word in path.split("."):
        allowed = [str(number) for number in range(len(found))] if isinstance(found, list) else []
        if isinstance(found, dict):
            allowed = list(found)
        if word not in allowed:
            where = f"'{'.'.join(passed)}' has" if passed else "there is"
            raise SpecificationError(f"{where} no '{word}'. Allowed: {', '.join(allowed) or 'nothing, it is a value'}.")
        found = found[word] if isinstance(found, dict) else found[int(word)]
        passed.append(word)
    return found
