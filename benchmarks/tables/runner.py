"""Runner: one table through `loopline new` and `loopline run`, as a stranger would, and what came of it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from assets.promotion import current_artifacts
from benchmarks.tables import records
from benchmarks.tables.checkout import LONGEST_SECONDS, Checkout, Ended

PRODUCT = "stranger"
SERVED, REFUSED, FAILED = "served", "refused", "failed"
REFUSAL_CODE = 3


def run(checkout: Checkout, file: Path, entry: dict[str, Any], kept: Path | None = None) -> dict[str, Any]:
    """Run the two commands and read what the home says.

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
        asked = [f"--data={file}", f"--target={entry['target']}", *([f"--time={entry['time']}"] if entry["time"] else [])]
        new = checkout.loopline("new", PRODUCT, *asked)
        found: dict[str, Any] = {"new_seconds": round(new.seconds, 2)}
        if new.code == REFUSAL_CODE:
            return {**found, "outcome": REFUSED, "at": "new", "refused_by": ["new"], "reasons": [failure("new", new)["error"]]}
        if new.code != 0:
            return {**found, **failure("new", new)}
        found["declared"] = records.declared(checkout.tree / "orchestration" / "defs" / PRODUCT)
        done = checkout.loopline("run", PRODUCT)
        found |= {"run_seconds": round(done.seconds, 2), **records.read(checkout.home, PRODUCT)}
        if done.code == REFUSAL_CODE:
            return {**found, "outcome": REFUSED, "at": "verdict"}
        if done.code != 0:
            return {**found, **failure("run", done)}
        predictions = current_artifacts.found(checkout.home / "predictions" / PRODUCT)
        if not found.get("promoted") or predictions is None:
            return {**found, "outcome": FAILED, "at": "run", "error": "exit code 0, but no champion with predictions"}
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(predictions, kept)
        return {**found, "outcome": SERVED}
    finally:
        checkout.clear(PRODUCT)


def failure(command: str, ended: Ended) -> dict[str, Any]:
    """The stage that failed and the line that says why."""
    is_crash = "Traceback (most recent call last)" in ended.told or ended.code not in (1, 2, 124)
    lines = [line.strip() for line in ended.told.splitlines() if line.strip()]
    start = next((place for place, line in enumerate(lines) if re.match(r"(error|refused)\b", line)), None)
    error = " ".join(lines[start : start + 12]) if start is not None else " ".join(lines[-4:])
    if ended.code == 124:
        error = f"took longer than {LONGEST_SECONDS} s"
    stage = re.search(rf"{PRODUCT}__(\w+)|landing__{PRODUCT}", error)
    at = command if stage is None else (stage[1] or "landing")
    return {"outcome": FAILED, "at": at, "exit_code": ended.code, "is_crash": is_crash, "error": error[:1500]}
