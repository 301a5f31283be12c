"""The report of a shadow: what it compares is what the logs hold, computed here by row; and its rules say what is wrong."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.errors import HomeError
from assets.experiments import shadow_report
from assets.experiments.shadow_fitness import REQUESTS
from assets.experiments.shadow_pairs import Period
from assets.methods.row_costs import row_costs
from assets.monitoring import logged_requests, outcome_store, shadow_store
from assets.promotion.experiment_records import Arm, Stage
from assets.spec import ProductSpec
from assets.storage import log_keys
from assets.storage.home import Home
from bentos import arm_log, log_lines, outcome_log
from bentos.log_encryption import Sealer
from bentos.log_lines import Line
from orchestration.operations.verification.verify import verify
from tests.shop import product

BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
PERIOD = Period(BEGIN, BEGIN + timedelta(hours=30))
STAGE = Stage(
    "trial", "shadow", "s", (Arm("new", 2, "e" * 64, 0.0), Arm("control", 1, "d" * 64, 1.0)), BEGIN.isoformat(),
    BEGIN.isoformat(), {}, {},
)  # fmt: skip
CLASSES = ("bronze", "silver", "gold")


@dataclass
class Row:
    """What a champion and its shadow answered, and what came."""

    request: str
    number: int
    champion: dict[str, Any]
    shadow: dict[str, Any] | None
    outcome: Any = None
    entity: str | None = None
    moment: datetime = field(default=BEGIN + timedelta(hours=1))


def told(moment: datetime) -> str:
    """A moment as logs have it."""
    return moment.isoformat(timespec="milliseconds")


def write(home: Home, name: str, rows: Sequence[Row], ended: Sequence[tuple[str, int, float]], key: Any = None) -> None:
    """Write the logs as a service and its shadow do, each in the file of one day."""
    folder, day = home.served / name, f"{rows[0].moment.date()}.sqlite"
    for place, who, digest, arm in (
        (folder, "champion", "d", (None, None, None)),
        (shadow_store.folder(home, name), "shadow", "e", ("trial", "shadow", 1.0)),
    ):
        place.mkdir(parents=True, exist_ok=True)
        lines = [
            Line(
                row.request, row.number, told(row.moment), 1, digest * 64, "{}", json.dumps(answer), None, None, None,
                row.entity, None, *arm,
            )
            for row in rows
            if (answer := getattr(row, who)) is not None
        ]  # fmt: skip
        with closing(sqlite3.connect(place / day)) as connection, connection:
            connection.execute(log_lines.TABLE)
            if key is not None:
                sealer = Sealer(key)
                number = sealer.begin(connection, "a day")
                lines = log_lines.encrypted(sealer, lines, number)
            connection.executemany(log_lines.INSERT, lines)
    _write(
        folder / arm_log.FOLDER / day,
        arm_log.TABLE,
        arm_log.INSERT,
        [(name, told(BEGIN + timedelta(hours=1)), "trial", "shadow", 1.0, None, "e", *item) for name, *item in ended],
    )
    known = [
        outcome_log.Line(row.request, row.number, None, str(row.outcome), told(row.moment), told(row.moment), "service")
        for row in rows
        if row.outcome is not None
    ]
    _write(outcome_store.folder(home, name) / day, outcome_log.TABLE, outcome_log.INSERT, known)


def _write(file: Path, table: str, insert: str, lines: Sequence[Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(table)
        connection.executemany(insert, lines)


def binary(probability: float, *, yes: bool) -> dict[str, Any]:
    """An answer of a binary product."""
    return {"probability": probability, "is_positive": yes}


def random_rows(kind: str, requests: int = 400) -> list[Row]:
    """Requests of one to three rows, some about the same entity, most with an outcome."""
    random = np.random.default_rng(5)

    def answer() -> dict[str, Any]:
        if kind == "binary":
            value = round(float(random.random()), 6)
            return binary(value, yes=value > 0.4)
        if kind == "regression":
            value = round(float(random.normal(10, 4)), 6)
            return {"value": value, "planned": value + 1}
        shares = random.dirichlet([1, 1, 1]).round(6).tolist()
        return {"probabilities": dict(zip(CLASSES, shares, strict=True)), "predicted_class": CLASSES[int(np.argmax(shares))]}

    outcomes = {"binary": lambda: int(random.random() < 0.3), "regression": lambda: round(float(random.normal(9, 5)), 6)}
    come = outcomes.get(kind, lambda: str(random.choice(CLASSES)))
    found = []
    for number in range(requests):
        entity = f"C{random.integers(0, 250)}" if random.random() < 0.8 else None
        for place in range(int(random.integers(1, 4))):
            champion = answer()
            shadow = champion if random.random() < 0.6 else answer()
            found.append(Row(f"r{number:04}", place, champion, shadow, come() if random.random() < 0.8 else None, entity))
    return found


def decision(spec: ProductSpec, answer: dict[str, Any]) -> Any:
    """As `row_costs` takes it."""
    if spec.kind == "multiclass":
        return CLASSES.index(answer["predicted_class"])
    return answer["is_positive" if spec.kind == "binary" else "planned"]


def output(answer: dict[str, Any]) -> float:
    """As one number."""
    if "probabilities" in answer:
        return float(max(answer["probabilities"].values()))
    return float(answer["probability"] if "probability" in answer else answer["value"])


def asked(spec: ProductSpec, rows: Sequence[Row]) -> tuple[Any, Any, Any]:
    """Decisions of both and the difference of their costs, NaN where it is not known."""
    one, other = (
        np.array([decision(spec, answer) for answer in side])
        for side in ([row.champion for row in rows], [row.shadow or {} for row in rows])
    )
    came = [CLASSES.index(row.outcome) if row.outcome in CLASSES else row.outcome for row in rows]
    labels = np.array([np.nan if value is None else value for value in came], dtype=float)
    gap = row_costs(spec.kind, labels, other, spec.prices) - row_costs(spec.kind, labels, one, spec.prices)
    return one, other, gap


@pytest.mark.parametrize("name", ["churn", "spend", "tier"])
def test_the_figures_are_those_of_the_rows(home: Home, name: str) -> None:
    """Of each kind of target: outputs, decisions, money, and the rows between which most of it lies."""
    spec = product(name)
    rows = random_rows(spec.kind)
    write(home, name, rows, [(f"r{number:04}", 200, float(number)) for number in range(400)])
    record, page = shadow_report.write(home, spec, STAGE, PERIOD)
    one, other, gap = asked(spec, rows)
    assert record["counts"]["compared_requests"] == record["counts"]["answered_requests"] == 400
    assert record["counts"]["compared_rows"] == len(rows)
    assert record["counts"]["units"] == len({row.entity or row.request for row in rows})
    answers = [row.champion for row in rows], [row.shadow or {} for row in rows]
    champion, shadow = (np.array([output(answer) for answer in side]) for side in answers)
    for item in record["outputs"]["quantiles"]:
        assert item["champion"] == pytest.approx(np.quantile(champion, item["share"]))
        assert item["shadow"] == pytest.approx(np.quantile(shadow, item["share"]))
    assert record["outputs"]["mean_apart"] == pytest.approx(np.abs(champion - shadow).mean())
    assert record["outputs"]["correlation"] == pytest.approx(np.corrcoef(champion, shadow)[0, 1])
    assert sum(record["outputs"]["histogram"]["shadow"]) == len(rows)
    if spec.kind == "regression":
        low, high = np.quantile(one, [0.25, 0.75])
        differs = np.abs(one - other) > 0.1 * (high - low)
        stakes = np.abs(one - other) * 3.0
    else:
        differs = one != other
        stakes = np.abs(champion - shadow) * 3.0 * differs
    if spec.kind == "multiclass":
        costs = np.array(spec.prices["costs"])
        ours, theirs = (np.array([list(answer["probabilities"].values()) for answer in side]) for side in answers)
        stakes = np.abs(((ours - theirs) * (costs[:, other] - costs[:, one]).T).sum(axis=1))
    decisions, money = record["decisions"], record["money"]
    assert decisions["rows"] == differs.sum()
    assert decisions["share"] == pytest.approx(differs.mean())
    assert decisions["low"] < decisions["share"] < decisions["high"]
    assert money["stake_per_1000"] == pytest.approx(1000 * stakes[differs].sum() / len(rows), rel=1e-6)
    assert money["known_rows"] == np.isfinite(gap).sum()
    assert money["cost_gap_per_1000"]["value"] == pytest.approx(1000 * np.nanmean(gap))
    assert money["cost_gap_per_1000"]["low"] < money["cost_gap_per_1000"]["value"] < money["cost_gap_per_1000"]["high"]
    many = {row.request for row in rows if row.number == 1}
    single = [float(number) for number in range(400) if f"r{number:04}" not in many]
    assert record["latency"]["all"]["p50"] == 199.5
    assert record["latency"]["single_row"]["p95"] == pytest.approx(np.quantile(single, 0.95))
    (largest, *_) = record["largest"]["stake"]
    place = int(np.argmax(np.where(differs, stakes, 0)))
    assert (largest["request_id"], largest["row_number"]) == (rows[place].request, rows[place].number)
    assert largest["stake"] == pytest.approx(stakes[place], rel=1e-6)
    (dearest, *_) = record["largest"]["cost_gap"]
    assert abs(dearest["cost_gap"]) == pytest.approx(np.nanmax(np.where(differs, np.abs(gap), 0)))
    assert record["told"] in page.read_text(encoding="utf-8").replace("&#39;", "'")
    assert largest["request_id"] in page.read_text(encoding="utf-8")
    assert verify(home, deep=True).problems == []


def test_what_the_shadow_missed_and_failed_is_told_and_makes_it_unfit(home: Home) -> None:
    """An error is not missed, another day's request of the same id is no answer, and other models' rows are not compared."""
    yes, no = binary(0.9, yes=True), binary(0.1, yes=False)
    rows = [Row(f"r{number}", 0, no, no) for number in range(96)]
    rows += [Row("failed", 0, no, None), Row("missed", 0, no, None), Row("late", 0, no, None), Row("broken", 0, no, {})]
    write(
        home, "churn", rows, [*((f"r{number}", 200, 5.0) for number in range(96)), ("failed", 500, 1.0), ("unlogged", 500, 1.0)]
    )
    later = Line(
        "late", 0, told(BEGIN + timedelta(hours=20)), 2, "e" * 64, "{}", json.dumps(yes), *[None] * 5, "trial", "shadow", 1.0
    )
    with closing(sqlite3.connect(shadow_store.folder(home, "churn") / f"{PERIOD.end.date()}.sqlite")) as connection, connection:
        connection.execute(log_lines.TABLE)
        connection.execute(log_lines.INSERT, later)
    record, _ = shadow_report.write(home, product("churn"), STAGE, PERIOD)
    counts = record["counts"]
    assert (counts["answered_requests"], counts["compared_requests"], counts["missed_requests"]) == (100, 97, 2)
    assert (counts["errors"], counts["shadow_requests"], counts["without_output"]) == (2, 98, 1)
    assert {rule["name"]: rule["passed"] for rule in record["rules"]} == {
        "requests": False, "errors": False, "missed": False, "decisions that differ": True,
    }  # fmt: skip
    assert record["told"] == (
        "churn version 2 is not fit for a canary: requests: 97, asked is at least 1,000 answered by both; errors: 2 of 98 "
        "requests, no output in 1 of 97 rows, asked is none; missed: 2, 2.00%, asked is at most 1% of the requests."
    )
    assert record["latency"]["all"] == {"requests": 96, "p50": 5.0, "p95": 5.0, "p99": 5.0}


@pytest.mark.parametrize(
    ("differing", "outcome", "limit", "broken"),
    [
        (30, None, None, set()),
        (100, None, None, {"decisions that differ"}),
        (30, 0, None, {"cost"}),
        (30, 1, None, set()),
        (30, None, 5.0, {"latency of one row"}),
    ],
)
def test_a_shadow_is_fit_when_every_rule_holds(
    home: Home, differing: int, outcome: int | None, limit: float | None, broken: set[str]
) -> None:
    """Nearly as often as is allowed is too often; dearer is not fit, cheaper is; a declared latency is kept."""
    yes, no = binary(0.9, yes=True), binary(0.1, yes=False)
    rows = [Row(f"r{number}", 0, no, yes if number < differing else no, outcome) for number in range(REQUESTS)]
    write(home, "churn", rows, [(f"r{number}", 200, 5.0 + (number % 50 == 0)) for number in range(REQUESTS)])
    gates = {"metrics": {"roc_auc": {"min": 0.55}}, "latency": {"row_p99_ms": limit}}
    record, _ = shadow_report.write(home, product("churn", gates=gates), STAGE, PERIOD)
    assert {rule["name"] for rule in record["rules"] if not rule["passed"]} == broken
    assert record["is_fit"] is not bool(broken)
    word = "is not fit" if broken else "is fit"
    assert record["told"].startswith(f"churn version 2 {word} for a canary: ")


def test_before_anybody_asked_there_is_a_report(home: Home) -> None:
    """That says so."""
    record, page = shadow_report.write(home, product("churn"), STAGE, PERIOD)
    assert record["told"] == "churn version 2 is not fit for a canary: requests: 0, asked is at least 1,000 answered by both."
    assert "nothing to compare" in page.read_text(encoding="utf-8")


def test_what_an_encrypted_log_hides_the_report_hides(home: Home, tmp_path: Path) -> None:
    """Rows are named, so that who has the key can look them up; without it there is no report."""
    key = log_keys.use(home, tmp_path / "log.pem").key
    rows = [Row(f"r{number}", 0, binary(0.123456, yes=False), binary(0.654321, yes=True)) for number in range(20)]
    write(home, "churn", rows, [], key)
    record, page = shadow_report.write(home, product("churn"), STAGE, PERIOD)
    assert set(record["largest"]["stake"][0]) == {"answered_at", "request_id", "row_number"}
    assert record["decisions"]["rows"] == 20
    assert "The log is encrypted" in page.read_text(encoding="utf-8")
    for archive in (logged_requests.archive, shadow_store.archive):
        assert len(archive(home, "churn", BEGIN + timedelta(days=4))) == 1
    again = shadow_report.compared(home, product("churn"), STAGE, PERIOD)
    assert again == record
    (tmp_path / "log.pem").unlink()
    with pytest.raises(HomeError, match=r"log\.pem"):
        shadow_report.compared(home, product("churn"), STAGE, PERIOD)
