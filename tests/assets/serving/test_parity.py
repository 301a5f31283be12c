"""Parity: the four ways agree on the real model; each that is made to disagree is found, named, and not followed."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable

import duckdb
import pytest

from assets.errors import ParityError
from assets.features import snapshots
from assets.promotion import current_artifacts, ledger
from assets.serving import bento_package, parity
from assets.storage.home import Home
from bentos.runtime import Model
from tests.world import World

PRODUCT = "flight_delay"


def compared(home: Home, world: World) -> None:
    """Compare as the asset does."""
    champion = ledger.standing(home, PRODUCT).champion
    assert champion is not None
    parity.compare(home, world.product, snapshots.current(home, PRODUCT), champion)


def test_all_ways_were_asked_real_and_hard_rows_and_agree(ran: Home) -> None:
    """The record of the run: differences within the tolerance, decisions equal."""
    found = parity.recorded(ran, PRODUCT)
    assert found is not None
    assert (found["real_rows"], found["hard_rows"] > 60) == (500, True)
    assert set(found["ways"]) == {"precomputed", "embedded", "sql", "service"}
    for name, way in found["ways"].items():
        assert way["largest_difference"] <= 1e-12, name
        assert way["different_decisions"] == 0, name
        assert way["rows"] >= 500, name


def another_probability(home: Home) -> None:
    """One of the precomputed answers is off by a thousandth."""
    file = current_artifacts.found(home.predictions / PRODUCT)
    duckdb.execute(f"create or replace table altered as from '{file}'")
    duckdb.execute("update altered set probability = probability + 0.001")
    duckdb.execute(f"copy altered to '{file}' (format parquet)")


def another_threshold(home: Home) -> None:
    """The query decides at another threshold."""
    query = current_artifacts.found(home.sql / PRODUCT)
    assert query is not None
    file = query / "duckdb.sql"
    file.write_text(re.sub(r">= [0-9.e-]+ as \"is_positive\"", '>= 0.5e0 as "is_positive"', file.read_text()))


def another_rule(home: Home) -> None:
    """The bento's code decides the other way round."""
    champion = ledger.standing(home, PRODUCT).champion
    assert champion is not None
    source = bento_package.bento_folder(home, bento_package.tag_of(champion)) / "src"
    file = source / "bentos" / "decisions.py"
    file.write_text(file.read_text().replace('outputs >= decision["threshold"]', 'outputs < decision["threshold"]'))


def another_model(home: Home) -> None:
    """The wheel holds other bytes than the promoted ones."""
    wheel = current_artifacts.found(home.wheels / PRODUCT)
    assert wheel is not None
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data[:-1] if name.endswith(".onnx") else data)


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        (another_probability, "precomputed differs by up to 0.001"),
        (another_threshold, r"sql differs by up to \S+ and in \d+ decisions"),
        (another_rule, r"service differs by up to 0 and in \d+ decisions"),
        (another_model, "the embedded way cannot answer; it says: .*TamperedModelError"),
    ],
)
def test_a_way_that_disagrees_is_named_and_services_stay_where_they_are(
    ran_copy: Home, world: World, planted: Callable[[Home], None], told: str
) -> None:
    """As a function, and as a blocking check of the asset: what services follow is not touched."""
    before = bento_package.pointer(ran_copy, PRODUCT).read_bytes()
    planted(ran_copy)
    with pytest.raises(ParityError, match=told):
        compared(ran_copy, world)
    bento_package.pointer(ran_copy, PRODUCT).write_text("untouched")
    result = world.materialize(ran_copy, [PRODUCT, "parity"])
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert bento_package.pointer(ran_copy, PRODUCT).read_text() == "untouched"
    bento_package.pointer(ran_copy, PRODUCT).write_bytes(before)


def test_hard_rows_of_a_wide_table_are_bounded_and_hold_every_odd_value() -> None:
    """Without the bound their values grow with the square of the features."""
    number = {"type": "number", "min": -2.0, "max": 3.0, "required": False}
    features = {f"f{place}": number for place in range(700)} | {
        "word": {"type": "category", "min": None, "max": None, "required": True}
    }
    usual = [dict.fromkeys(features, 0.5) | {"word": "a"}]
    rows = parity._hard(Model({"features": features, "background": usual}, "", None))
    assert len(rows) == 1 + parity.HARD + 4
    for name in features:
        expected = {"a", parity.UNKNOWN} if name == "word" else {0.5, -2.0, 3.0, 0.1, None}
        assert {row[name] for row in rows} == expected
    for row in rows[1:-4]:
        assert 1 <= sum(row[name] != usual[0][name] for name in features) <= 3
