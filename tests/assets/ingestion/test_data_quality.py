"""Data quality: each planted fault lowers the score of its dimension, in its month, by the rows it touches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assets.ingestion import data_quality, landing, quality_page
from assets.ingestion.data_quality import dimension_of
from assets.spec import SourceSpec, TableSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json
from tests.shop import COLUMNS, customers

TABLES: dict[str, Any] = {
    "sales": {
        "description": "One sale.",
        "file": "sales.csv",
        "key": ["id"],
        "partition": {"month": "date_trunc('month', sold_at)", "day": "sold_at", "start": "2024-01", "end": "2024-02"},
        "columns": {
            "id": {"type": "integer"},
            "sold_at": {"type": "timestamp"},
            "ended_at": {"type": "timestamp", "nullable": True},
            "shop": {"type": "text"},
            "price": {"type": "number", "min": 0, "nullable": True},
        },
        "rules": {"ends_after_start": "ended_at is null or ended_at > sold_at"},
        "accuracy": {
            "is_sold_by_a_shop": {"reference": "shops", "match": {"shop": "name"}},
            "costs_what_the_shop_says": {
                "reference": "shops", "match": {"shop": "name"}, "agrees": "this.price is null or this.price <= reference.dearest",
            },
        },
    },
    "shops": {
        "description": "One shop.",
        "file": "shops.csv",
        "key": ["name"],
        "columns": {"name": {"type": "text"}, "dearest": {"type": "number"}},
    },
}  # fmt: skip


def spec_of(**tables: Any) -> SourceSpec:
    """The source over a folder."""
    return SourceSpec.model_validate({"name": "trade", "description": "Sales.", "folder": ".", "tables": {**TABLES, **tables}})


def measured(home: Home, folder: Path, sales: list[str]) -> dict[str, Any]:
    """The record of these sales."""
    folder.mkdir()
    (folder / "sales.csv").write_text("\n".join(["id,sold_at,ended_at,shop,price", *sales]) + "\n")
    (folder / "shops.csv").write_text("name,dearest\nnorth,10\nsouth,20\n")
    for table in TABLES:
        landing.land(home, spec_of(), table, folder)
    return dict(read_json(data_quality.measure(home, spec_of())))


def sound(month: int, days: int) -> list[str]:
    """A sale a day."""
    return [f"{month}{day:02d},2024-{month:02d}-{day:02d} 10:00:00,,north,5" for day in range(1, days + 1)]


def test_sound_rows_score_one_in_every_dimension(home: Home, tmp_path: Path) -> None:
    """But for cells that may be empty and are."""
    table = measured(home, tmp_path / "raw", sound(1, 31) + sound(2, 29))["tables"]["sales"]
    for month in ("2024-01", "2024-02"):
        scores = table["partitions"][month]["scores"]
        assert {name: item["value"] for name, item in scores.items() if name != "completeness"} == dict.fromkeys(
            ("validity", "consistency", "uniqueness", "timeliness", "accuracy"), 1.0
        )
        assert scores["completeness"]["value"] == pytest.approx(4 / 5)
    assert table["reasons"] == {}


@pytest.mark.parametrize(
    ("row", "dimension", "failed"),
    [
        ("301,2024-01-05 10:00:00,,,5", "completeness", 31 + 1),
        ("301,2024-01-05 10:00:00,,north,-1", "validity", 1),
        ("301,2024-01-05 10:00:00,,north,dear", "validity", 1),
        ("301,2024-01-05 10:00:00,2024-01-04 10:00:00,north,5", "consistency", 1),
        ("105,2024-01-05 11:00:00,,north,5", "uniqueness", 1),
        ("301,2024-01-05 10:00:00,2024-01-06 10:00:00,nowhere,5", "accuracy", 2),
        ("301,2024-01-05 10:00:00,2024-01-06 10:00:00,north,15", "accuracy", 1),
    ],
)
def test_a_fault_lowers_its_own_dimension_in_its_month(
    home: Home, tmp_path: Path, row: str, dimension: str, failed: int
) -> None:
    """By as many rows or cells as it touches; the other dimensions and the other month stay."""
    table = measured(home, tmp_path / "raw", [*sound(1, 31), row, *sound(2, 29)])["tables"]["sales"]
    january, february = (table["partitions"][month]["scores"] for month in ("2024-01", "2024-02"))
    assert january[dimension]["failed"] == failed
    others = {name: item["failed"] for name, item in january.items() if name not in (dimension, "completeness")}
    assert others == dict.fromkeys(others, 0)
    assert february[dimension]["failed"] == (29 if dimension == "completeness" else 0)
    assert table["scores"][dimension]["failed"] == january[dimension]["failed"] + february[dimension]["failed"]


def test_days_without_rows_and_rows_without_month_are_untimely(home: Home, tmp_path: Path) -> None:
    """Nine days of February are missing; a sale of March is of no declared month."""
    table = measured(home, tmp_path / "raw", [*sound(1, 31), *sound(2, 20), "9,2024-03-01 10:00:00,,north,5"])["tables"][
        "sales"
    ]
    assert table["partitions"]["2024-02"]["scores"]["timeliness"]["failed"] == 9
    assert table["partitions"]["unassigned"]["scores"]["timeliness"]["failed"] == 1


def test_the_quarantine_is_browsed_by_month_and_reason(home: Home, tmp_path: Path) -> None:
    """Reasons ranked, rows as they came."""
    bad = ["301,2024-01-05 10:00:00,,,5", "302,2024-01-06 10:00:00,,,6", "303,2024-02-06 10:00:00,,north,dear"]
    measured(home, tmp_path / "raw", [*sound(1, 31), *sound(2, 29), *bad])
    reasons, rows = data_quality.quarantined(home, "trade", "sales")
    assert reasons == [("shop: missing", 2), ("price: not a number", 1)]
    assert [(row["partition"], row["id"], row["price"]) for row in rows][-1] == ("2024-02", "303", "dear")
    assert data_quality.quarantined(home, "trade", "sales", month="2024-02")[0] == [("price: not a number", 1)]
    assert [row["id"] for row in data_quality.quarantined(home, "trade", "sales", reason="missing", most=1)[1]] == ["301"]
    assert data_quality.quarantined(home, "trade", "shops") == ([], [])


def test_every_reason_has_a_dimension() -> None:
    """Those of the landing's own rules."""
    assert {dimension_of(reason) for reason in ("a: missing",)} == {"completeness"}
    assert dimension_of("rule x is false") == "consistency"
    assert dimension_of("duplicate of an earlier row") == "uniqueness"
    assert dimension_of("month unknown") == dimension_of("month not declared") == "timeliness"
    assert dimension_of("line 3 cannot be split into fields") == dimension_of("a: above 3") == "validity"


def test_a_reference_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Which table, which rule, what there is."""
    strange = {**TABLES["sales"], "accuracy": {"a": {"reference": "shop", "match": {"shop": "name"}}}}
    with pytest.raises(ValueError, match=r"holds sales against 'shop' \(a\), which is no table. Tables: sales, shops"):
        spec_of(sales=strange)
    strange = {**TABLES["sales"], "accuracy": {"a": {"reference": "shops", "match": {"shop": "title"}}}}
    with pytest.raises(ValueError, match=r"matches \['title'\] in sales's accuracy a, which are no columns"):
        spec_of(sales=strange)


def test_a_table_without_rules_or_months_has_no_score_for_them(home: Home, tmp_path: Path) -> None:
    """The shop's customers; the page shows a dash."""
    customers(50).to_csv(tmp_path / "customers.csv", index=False)
    table = TableSpec.model_validate({"description": "One customer.", "file": "customers.csv", "columns": COLUMNS})
    spec = SourceSpec.model_validate({"name": "people", "description": "People.", "folder": ".", "tables": {"data": table}})
    landing.land(home, spec, "data", tmp_path)
    record = read_json(data_quality.measure(home, spec))
    assert set(record["tables"]["data"]["scores"]) == {"completeness", "validity"}
    assert "people: data quality" in quality_page.write(home, record).read_text()
