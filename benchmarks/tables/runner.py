"""Runner: one table through `loopline new` and `loopline run`, as a stranger would, and what came of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.promotion import current_artifacts
from benchmarks.tables import records
from benchmarks.tables.checkout import LONGEST_SECONDS, Checkout, Ended

PRODUCT = "stranger"
SERVED, REFUSED, FAILED = "served", "refused", "failed"
REFUSAL_CODE = 3


def run(checkout: Checkout, file: Path, entry: dict[str, Any], kept: Path | None = None) -> dict[str, Any]:
    """Run the two commands for one table and read what the home says.

    Parameters
    ----------
    checkout : Checkout
        Where to run; it is cleared before and after.
    file : Path
        The table's file.
    entry : dict
        The table's line of the manifest.
    kept : Path, optional
        Where a served model's predictions of its test rows are copied to, for `rivals`.
    """
    checkout.clear(PRODUCT)
    try:
        found = _declared(checkout, PRODUCT, file, entry)
        if "outcome" not in found:
            found |= _ended(checkout, PRODUCT, checkout.loopline("run", PRODUCT))
        predictions = current_artifacts.found(checkout.home / "predictions" / PRODUCT)
        if kept is not None and found["outcome"] == SERVED and predictions is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(predictions, kept)
        return found
    finally:
        checkout.clear(PRODUCT)


def run_together(checkout: Checkout, tables: Mapping[str, tuple[Path, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Declare several tables and make all of them in one run: as `run`, in less time, but it does not tell how long each takes.

    Parameters
    ----------
    checkout : Checkout
        Where to run; the repository's own products are removed from it.
    tables : mapping of str to (Path, dict)
        By the name of its product, a table's file and its line of the manifest.
    """
    checkout.remove_examples()
    found = {product: _declared(checkout, product, *table) for product, table in tables.items()}
    waiting = [product for product, item in found.items() if "outcome" not in item]
    done = checkout.loopline("run", longest=LONGEST_SECONDS * len(tables))
    for product in waiting:
        found[product] |= _ended(checkout, product, _of(product, done))
    return found


def _of(product: str, done: Ended) -> Ended:
    """What a run of many products says of one: each failure is told by the name of its step."""
    failures = re.split(r"(?m)^(?:error |refused )?(?=\w+__\w+: )", done.told)[1:]
    own = [told.strip() for told in failures if re.match(rf"{product}__|landing__{product}__", told)]
    if not failures:
        return done
    refused = all(told.startswith(f"{product}__champion: ") for told in own)
    return Ended((REFUSAL_CODE if refused else 1) if own else 0, "\n".join(f"error {told}" for told in own), done.seconds)


def _declared(checkout: Checkout, product: str, file: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """What `loopline new` declares; with an outcome if that is already the end."""
    asked = [f"--data={file}", f"--target={entry['target']}", *([f"--time={entry['time']}"] if entry["time"] else [])]
    new = checkout.loopline("new", product, *asked)
    found: dict[str, Any] = {"new_seconds": round(new.seconds, 2)}
    if new.code == REFUSAL_CODE:
        told = failure("new", new, product)["error"]
        return {**found, "outcome": REFUSED, "at": "new", "refused_by": ["new"], "reasons": [told]}
    if new.code != 0:
        return {**found, **failure("new", new, product)}
    return {**found, "declared": records.declared(checkout.tree / "orchestration" / "defs" / product)}


def _ended(checkout: Checkout, product: str, done: Ended) -> dict[str, Any]:
    """What came of a run, and what the home says of it."""
    found = {"run_seconds": round(done.seconds, 2), **records.read(checkout.home, product)}
    if done.code == REFUSAL_CODE:
        return {**found, "outcome": REFUSED, "at": "verdict"}
    if done.code != 0:
        return {**found, **failure("run", done, product)}
    if not found.get("promoted") or current_artifacts.found(checkout.home / "predictions" / product) is None:
        return {**found, "outcome": FAILED, "at": "run", "error": "exit code 0, but no champion with predictions"}
    return {**found, "outcome": SERVED}


def failure(command: str, ended: Ended, product: str = PRODUCT) -> dict[str, Any]:
    """The stage that failed and the line that says why."""
    is_crash = "Traceback (most recent call last)" in ended.told or ended.code not in (1, 2, 124)
    lines = [line.strip() for line in ended.told.splitlines() if line.strip()]
    start = next((place for place, line in enumerate(lines) if re.match(r"(error|refused)\b", line)), None)
    error = " ".join(lines[start : start + 12]) if start is not None else " ".join(lines[-4:])
    if ended.code == 124:
        error = f"took longer than {LONGEST_SECONDS} s"
    stage = re.search(rf"{product}__(\w+)|landing__{product}", error)
    at = command if stage is None else (stage[1] or "landing")
    return {"outcome": FAILED, "at": at, "exit_code": ended.code, "is_crash": is_crash, "error": error[:1500]}
