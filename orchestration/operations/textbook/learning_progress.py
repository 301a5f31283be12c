"""What a reader of the textbook has done, as the home shows it: an entry of the ledger, a file, the answer to a question.

Each page says in its front matter what shows that its task was done (`evidence`); nothing is done because somebody says so.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from assets.errors import DigestError, SpecificationError
from assets.promotion import ledger
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from orchestration.operations.textbook.textbook import Page
from orchestration.operations.verification.evidence import field, records

TOLERANCE = 0.01
"""How far the answer to a question may lie from the number, relative to it."""
SHORTEST = 8
"""The fewest characters of the beginning of a name that stand for it."""


def done(home: Home) -> dict[str, str]:
    """When each topic was done (UTC), by number."""
    path = home.textbook / "progress.json"
    return dict(read_json(path)) if path.exists() else {}


def note(home: Home, number: str) -> None:
    """Keep that a topic was done now; the first time stands."""
    noted = done(home)
    if number not in noted:
        noted[number] = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(home.textbook / "progress.json", noted)


def question(page: Page) -> str | None:
    """What is asked about the home, where only an answer shows that the task was done."""
    asked = page.settings.get("evidence", {}).get("ask")
    return None if asked is None else str(asked)


def missing(home: Home, page: Page, answer: str | None = None) -> str | None:
    """What is missing for the topic to be done; None if nothing is.

    Raises
    ------
    SpecificationError
        If the page asks for nothing that a home could show, or its question was not answered.
    """
    evidence: dict[str, Any] = page.settings.get("evidence", {})
    if "ledger" in evidence:
        event = evidence["ledger"]
        return None if any(entry.event == event for entry in ledger.entries(home)) else f"the ledger holds no {event}"
    if "files" in evidence:
        patterns = evidence["files"]
        found = any(path.is_file() for pattern in patterns for path in home.root.glob(pattern))
        return None if found else f"there is no {' or '.join(patterns)} in {home.root}"
    if "ask" not in evidence:
        raise SpecificationError(f"topic {page.topic.number} is to be read: no home shows that it was done.")
    if answer is None:
        raise SpecificationError(f"{evidence['ask']} Answer with --answer.")
    try:
        right = _right(home, evidence)
    except (DigestError, SpecificationError) as error:
        return str(error)
    return None if _agrees(answer, right) else f"{answer} is not what this home holds"


def _right(home: Home, evidence: dict[str, Any]) -> Any:
    if "field" in evidence:
        product, path = evidence["field"].split()
        return field(records(home, product), path)
    from orchestration.declarations import declared
    from orchestration.operations.monitoring.status import status

    found = status(home, declared()).as_json()
    found["products"] = {item["product"]: item for item in found["products"]}
    found["sources"] = {item["table"]: item for item in found["sources"]}
    for name in evidence["status"].split("/"):
        if found is None or name not in found or found[name] is None:
            raise DigestError("there is no such figure in this home yet. Run `loopline run`.")
        found = found[name]
    return found


def _agrees(answer: str, right: Any) -> bool:
    """Whether an answer is right.

    Examples
    --------
    >>> [_agrees(answer, 1_234_567) for answer in ("1,234,567", "1234567", "1,234", "about a million")]
    [True, True, False, False]
    >>> [_agrees(answer, 0.5) for answer in ("0,5", "0.5", "05", "nan")]
    [True, True, False, False]
    """
    if isinstance(right, bool) or not isinstance(right, int | float):
        given, known = answer.strip().lower(), str(right).lower()
        return given == known or (len(given) >= SHORTEST and known.startswith(given))
    # a comma may be decimal, or stand between thousands, as the commands print them
    readings = [answer.replace(",", "."), answer.replace(",", "")]
    return any(math.isclose(value, right, rel_tol=TOLERANCE, abs_tol=1e-12) for value in map(_number, readings))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
