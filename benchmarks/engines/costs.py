"""Measured costs, kept with machine and commit in the file that ships with the package: `loopline plan --engine` reads it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psutil

from assets.storage.home import REPOSITORY
from benchmarks.measuring import machine
from orchestration.operations.engines.engine_costs import FILE


@dataclass(frozen=True)
class Overhead:
    """What an engine takes for each stage beside the loop of `step`.

    Parameters
    ----------
    seconds, processor_seconds : float
        Wall and processor seconds of a stage.
    memory_mb : float
        Memory of all its processes while a stage runs.
    before_seconds : float
        Processor seconds before the run: files, compilation, a database.
    """

    seconds: float
    processor_seconds: float
    memory_mb: float
    before_seconds: float


def keep(**parts: Any) -> None:
    """Put parts into the file, with today's machine and commit; others stay."""
    told: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout.strip()
    told |= {
        "machine": machine(),
        "memory_mb": round(psutil.virtual_memory().total / 1e6),
        "commit": commit,
        "date": str(datetime.now(UTC).date()),
        **parts,
    }
    FILE.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def keep_overheads(found: Mapping[str, Overhead]) -> None:
    """Keep what engines take, those that were not measured now as they were."""
    told = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    new = {name: {key: round(value, 3) for key, value in asdict(item).items()} for name, item in found.items()}
    keep(overheads={**told.get("overheads", {}), **new})
