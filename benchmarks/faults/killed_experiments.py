"""Experiments that are killed: each kind starts, is looked at, grows or is taken back, is stopped or decided."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from assets.promotion import experiment_records, ledger
from assets.serving import bento_package
from assets.storage.home import Home
from benchmarks.faults import checks
from benchmarks.faults.commands import asked, done
from benchmarks.faults.killed import Killed
from benchmarks.faults.small_product import PRODUCT
from bentos.arm_log import INSERT, TABLE

DECIDE = ["experiment", "decide", PRODUCT]
VERBS = {
    "trial": (
        ["experiment", "look", PRODUCT],
        [*DECIDE, "control"],
        [*DECIDE, "treatment", "--override"],
        ["experiment", "stop", PRODUCT],
    ),
    "canary": (["experiment", "look", PRODUCT], ["experiment", "look", PRODUCT], ["experiment", "stop", PRODUCT]),
    "dark": (["experiment", "report", PRODUCT], ["experiment", "stop", PRODUCT], [*DECIDE, "control"]),
}
"""What follows once it runs, by its name."""
UNITS = 6000


def _next(home: Path, number: int) -> list[str]:
    """What may come now: from a start to an end, and back to the champion of before."""
    champion, followed, running = asked(_state, home)
    reason = ["--reason", f"kill {number}"]
    if champion != followed:
        return ["run", PRODUCT]
    if not running and champion != "2":
        return ["promote", PRODUCT, "2", "--override", *reason]
    if not running:
        return ["experiment", "start", PRODUCT, tuple(VERBS)[number % len(VERBS)]]
    verb = VERBS[running][number % len(VERBS[running])]
    if verb[1] == "look":
        asked(lambda root: _log_traffic(root, harm=1.0 if number % 2 else 12.0), home)
    return [*verb, *(reason if verb[1] in ("stop", "decide") else [])]


def _state(root: Path) -> list[str]:
    """The champion, the version that services follow, and the experiment that runs, or nothing."""
    home = Home(root)
    standing = ledger.standing(home, PRODUCT)
    versions = {entry.model_digest: entry.version for entry in ledger.entries(home, PRODUCT) if entry.version}
    followed = versions.get(bento_package.followed(home, PRODUCT) or "", "")
    return [*checks.champion(root), str(followed), standing.running.stage[0] if standing.running else ""]


def _log_traffic(root: Path, *, harm: float) -> list[str]:
    """Log what services would of requests of this stage; the treatment has errors so many times as often."""
    home, random = Home(root), np.random.default_rng(0)
    stage = experiment_records.running(home, ledger.standing(home, PRODUCT))
    if stage is None:
        return []
    began, (treatment,), control = datetime.fromisoformat(stage.began_at), stage.treatments, stage.control
    folder = home.served / PRODUCT / "arms"
    folder.mkdir(parents=True, exist_ok=True)
    is_treated = random.random(UNITS) < treatment.share
    status = np.where(random.random(UNITS) < 0.02 * np.where(is_treated, harm, 1.0), 500, 200)
    lines = []
    for unit in range(UNITS):
        arm = treatment if is_treated[unit] else control
        moment = (began + timedelta(microseconds=unit)).isoformat(timespec="milliseconds")
        name = f"{stage.began_at}-{unit}"
        lines.append((name, moment, stage.experiment, arm.name, arm.share, name, arm.model_digest, int(status[unit]), 2.0))
    with closing(sqlite3.connect(folder / f"{datetime.now(UTC).date()}.sqlite")) as connection, connection:
        connection.execute(TABLE)
        connection.executemany(INSERT, lines)
    return []


def _told(home: Path, _number: int) -> list[str]:
    """The next command works, and then services deal as the ledger says."""
    said = done("experiment", "status", PRODUCT, "--json", home=home)
    found = [] if said.is_clear else [f"`experiment status`: {said.code} {said.printed[-600:]}"]
    champion, followed, running = asked(_state, home)
    pointed = json.loads((home / "bentos" / "champions" / f"{PRODUCT}.json").read_bytes())
    dealt = pointed.get("split", {}).get("experiment", "") or ("dark" if "shadow" in pointed else "")
    # an experiment goes on while the next champion is not packaged, and nobody is dealt to it
    if dealt != (running if champion == followed else ""):
        found.append(f"services deal to '{dealt}', and the ledger says '{running}'")
    if running and not said.code:
        stage = json.loads(said.printed)
        shares = {arm["name"]: arm["share"] for arm in pointed.get("split", {}).get("arms", [])}
        wanted = {arm["name"]: arm["share"] for arm in stage["arms"] if arm["share"] > 0}
        if shares and shares != wanted:
            found.append(f"services deal by {shares}, and the ledger says {wanted}")
    return found


COMMANDS = (Killed("`experiment` start, look, stop and decide", 120, 0.9, _next, after=_told),)
