"""Whether a breaker opens on real flights, and on planted faults: rows in order of time, as a service would be asked them.

``python -m benchmarks.breaker_flights`` in a home with a champion of flights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assets.evaluation.evidence import Case
from assets.features import snapshots
from assets.promotion import ledger
from assets.serving.breaker_ranges import breaker_of
from assets.spec import ProductSpec, read_declaration
from assets.storage.home import REPOSITORY
from benchmarks.load import PRODUCT
from bentos.circuit_breaker import OPEN, CircuitBreaker
from bentos.runtime import read_signature
from orchestration.resources import home_from_environment

Columns = dict[str, Any]
FAULTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "carriers in lower case": ("carrier", lambda values: np.array([str(value).lower() for value in values], dtype=object)),
    "minutes of the day as hhmm": ("scheduled_departure_minute_local", lambda values: values // 60 * 100 + values % 60),
    "pressure is 0": ("pressure_millibars", lambda values: 0 * values),
    "pressure is missing": ("pressure_millibars", lambda values: np.nan * values),
    "kilometres for miles": ("distance_miles", lambda values: 1.609 * values),
    "Celsius for Fahrenheit": ("temperature_fahrenheit", lambda values: (values - 32) * 5 / 9),
}


def rows() -> list[tuple[str, str, str, str]]:
    """What is asked, rows, how often the breaker opens, and at which row and for which features it does first."""
    home = home_from_environment()
    spec = read_declaration(REPOSITORY / "orchestration" / "defs" / PRODUCT / "defs.yaml", ProductSpec)
    digest = ledger.require_champion(home, PRODUCT).model_digest
    trained_on = read_signature(home.models / PRODUCT / digest)["snapshot_digest"]
    case = Case.load(home, spec, snapshots.opened(home, PRODUCT, trained_on), digest)
    record = breaker_of(case, "validate")
    if record is None:
        raise SystemExit("so many validation rows are out of range that there is no breaker")
    found = [(f"real {part} rows", *_watched(record, dict(case.columns(part)))) for part in ("validate", "test")]
    for name, (column, broken) in FAULTS.items():
        columns = dict(case.columns("validate"))
        found.append((f"validate rows, {name}", *_watched(record, {**columns, column: broken(columns[column])})))
    return found


def _watched(record: dict[str, Any], columns: Columns) -> tuple[str, str, str]:
    opened: list[tuple[int, str]] = []
    count = 0

    def changed(state: str, features: Any) -> None:
        if state == OPEN:
            opened.append((count, ", ".join(features)))

    breaker = CircuitBreaker(record, list(columns), changed)
    for row in zip(*columns.values(), strict=True):
        count += 1
        breaker.look([row])
    first = f"row {opened[0][0]:,}: {opened[0][1]}" if opened else ""
    return f"{count:,}", str(len(opened)), first


if __name__ == "__main__":
    for line in rows():
        print(*line, sep=" | ")
