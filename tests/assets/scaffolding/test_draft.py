"""`loopline new`: a table of files, each of which is either declared and landed whole or refused with one clear error."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.errors import LooplineError
from assets.ingestion import landed_tables, landing
from assets.ingestion.column_names import names_for
from assets.scaffolding.question import Question
from assets.spec import ProductSpec
from assets.storage.home import Home
from orchestration.operations.declaration.new_product import Written, new_product
from tests.shop import customers, drafted

ROWS = 200


@pytest.fixture
def shop(tmp_path: Path) -> pd.DataFrame:
    """Two hundred customers."""
    return customers(ROWS)


def new(home: Home, data: Path | str, **asked: Any) -> tuple[ProductSpec, Written]:
    """Declare a product over a file; what it predicts is `churned` unless said otherwise."""
    read = {name: asked.pop(name) for name in ("encoding", "nulls", "staged") if name in asked}
    question = Question(**{"name": "churn", "target": "churned", **asked})
    defs = home.root / "defs"
    written = new_product(home, question, str(data), defs=defs, staging=home.root / "staging", **read)
    return drafted(written.files[0]), written


def parts(written: Written) -> dict[str, tuple[str, str]]:
    """What each column is used as, and why."""
    return {role.column: (role.used_as, role.why) for role in written.table}


def landed(home: Home, spec: ProductSpec) -> landed_tables.Landed:
    """Land the product's own file."""
    source = spec.as_source()
    assert source is not None
    (record,) = landing.land(home, source, "data", home.root / "defs" / spec.name)
    return record


@pytest.mark.parametrize("line", ['1,"te"xt,3', "1,2,3,4,5,6,7,8,9,10"], ids=["a quote", "too many fields"])
def test_what_is_wrong_with_the_file_is_told(home: Home, tmp_path: Path, shop: pd.DataFrame, line: str) -> None:
    """Beside what is told of its columns: lines that cannot be split, and made-up names."""
    text = shop.to_csv(index=False).replace("visits", "tier")
    (tmp_path / "customers.csv").write_text(f"{text}{line}\n")
    _, written = new(home, tmp_path / "customers.csv")
    told = "\n".join(written.notes)
    assert f"1 line(s) cannot be split into the fields of the header, first line {ROWS + 2}: '{line}" in told
    assert "names that are blank or come again in the header were made up" in told


def test_a_plain_file_is_declared_whole(home: Home, tmp_path: Path, shop: pd.DataFrame) -> None:
    """Types, ranges, vocabularies, roles, kind and split; every row is good by what was inferred from it."""
    shop.to_csv(tmp_path / "customers.csv", index=False)
    spec, written = new(home, tmp_path / "customers.csv", time="signed_up_at", without=("spend",))
    assert spec.source is not None
    kinds = {name: column.type for name, column in spec.source.columns.items()}
    assert kinds == {
        "customer_id": "text", "signed_up_at": "timestamp", "household": "integer", "age": "integer", "plan": "text",
        "visits": "integer", "churned": "boolean", "tier": "text", "spend": "number",
    }  # fmt: skip
    assert spec.features.entity == "customer_id"
    assert spec.kind == "binary"
    assert spec.split.by == "time"
    assert set(spec.columns) == {"household", "age", "plan", "visits", "tier"}
    assert spec.source.columns["plan"].model_dump()["values"] == ("basic", "free", "pro")
    assert spec.columns["age"].min == 0
    assert spec.columns["age"].max is not None
    assert spec.columns["age"].max > shop["age"].max()
    assert spec.columns["visits"].max_missing > shop["visits"].isna().mean()
    assert parts(written)["spend"] == ("left out", "you said so")
    assert landed(home, spec).rows_good == ROWS


@pytest.mark.parametrize(
    ("target", "kind"), [("churned", "binary"), ("tier", "multiclass"), ("spend", "regression"), ("age", "regression")]
)
def test_the_kind_follows_from_the_target(home: Home, tmp_path: Path, shop: pd.DataFrame, target: str, kind: str) -> None:
    """Two values, a few texts, or many numbers; without a time the split is random, and the file says what that means."""
    shop.to_csv(tmp_path / "customers.csv", index=False)
    spec, written = new(home, tmp_path / "customers.csv", target=target)
    assert spec.kind == kind
    assert spec.split.by == "random"
    assert "leaks through time are not controlled" in " ".join(written.files[0].read_text().replace("#", "").split())


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (lambda frame, path: frame.to_csv(path, index=False, sep=";", decimal=","), {}),
        (lambda frame, path: frame.to_csv(path, index=False, sep="\t"), {}),
        (lambda frame, path: frame.to_csv(path, index=False, encoding="utf-8-sig"), {}),
        (lambda frame, path: frame.to_csv(path, index=False, encoding="utf-16"), {"encoding": "utf-16"}),
        (lambda frame, path: frame.to_csv(path, index=False, sep=";", encoding="cp1251"), {"encoding": "cp1251"}),
        (lambda frame, path: frame.to_csv(path, index=False, na_rep="NA"), {}),
        (lambda frame, path: frame.to_csv(path, index=False, na_rep="keine"), {"nulls": ("keine",)}),
        (lambda frame, path: frame.to_csv(path, index=False, date_format="%d.%m.%Y %H:%M"), {}),
    ],
    ids=["semicolons and decimal commas", "tabs", "byte order mark", "utf-16", "cp1251", "NA", "own null", "day first"],
)
def test_a_file_written_otherwise_is_read_the_same(
    home: Home, tmp_path: Path, shop: pd.DataFrame, write: Any, read: dict[str, Any]
) -> None:
    """Each gives the same features as plain CSV, and lands every row with the same numbers."""
    shop["plan"] = shop["plan"].replace({"pro": "про"})
    shop["visits"] += 0.5
    path = tmp_path / "customers.csv"
    write(shop, path)
    spec, _ = new(home, path, time="signed_up_at", **read)
    record = landed(home, spec)
    assert (record.rows_in, record.rows_quarantined) == (ROWS, 0)
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select sum(visits), count(visits), sum(spend), min(signed_up_at), max(plan) from read_parquet('{home.root / record.file}')"
        ).fetchone()
    expected = (shop["visits"].sum(), shop["visits"].count(), shop["spend"].sum())
    assert found is not None
    assert found[:3] == pytest.approx(expected)
    assert pd.Timestamp(found[3]) == shop["signed_up_at"].min()
    assert found[4] == "про"


def test_parquet_and_databases_are_read_the_same(home: Home, tmp_path: Path, shop: pd.DataFrame) -> None:
    """With the table of a database named after the file."""
    shop.to_parquet(tmp_path / "customers.parquet")
    with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
        shop.to_sql("customers", connection, index=False)
    connection.close()
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as database:
        database.register("frame", shop)
        database.execute("create table customers as select * from frame; create schema raw")
        database.execute('create table raw."our people" as select * from frame')
    given = ("customers.parquet", "shop.sqlite::customers", "shop.duckdb::customers", "shop.duckdb::raw.our people")
    for number, data in enumerate(given):
        spec, _ = new(home, f"{tmp_path}/{data}", name=f"churn_{number}", time="signed_up_at")
        assert set(spec.columns) == {"household", "age", "plan", "visits", "tier", "spend"}
        assert landed(home, spec).rows_good == ROWS


def awkward(shop: pd.DataFrame) -> pd.DataFrame:
    """The same customers under names that no one should give."""
    return shop.rename(
        columns={
            "customer_id": "Customer ID",
            "age": "select",
            "plan": 'the "plan"',
            "visits": "Посещения",
            "tier": "2nd, tier",
        }
    )


def test_awkward_names_are_given_plain_ones(home: Home, tmp_path: Path, shop: pd.DataFrame) -> None:
    """Spaces, quotes, commas, SQL's words and Cyrillic letters; the declaration keeps the file's spelling."""
    awkward(shop).to_csv(tmp_path / "customers.csv", index=False)
    spec, _ = new(home, tmp_path / "customers.csv", entity="Customer ID")
    assert spec.source is not None
    assert set(spec.source.columns) >= {"Customer ID", "select", 'the "plan"', "Посещения", "2nd, tier"}
    assert set(spec.columns) == {"household", "select", "the_plan", "poseshcheniya", "n_2nd_tier", "spend"}
    assert landed(home, spec).rows_good == ROWS


def test_columns_may_be_called_as_blocks_of_the_declaration_are(home: Home, tmp_path: Path, shop: pd.DataFrame) -> None:
    """Each stays one line of its own."""
    names = {"visits": "model", "spend": "features", "age": "source", "plan": "columns", "tier": "target"}
    shop.rename(columns=names).to_csv(tmp_path / "customers.csv", index=False)
    spec, _ = new(home, tmp_path / "customers.csv")
    assert spec.source is not None
    assert set(names.values()) <= set(spec.source.columns) & set(spec.columns)
    assert landed(home, spec).rows_good == ROWS


BAD: list[tuple[str, Any, dict[str, Any], str]] = [
    ("an empty file", lambda s, p: p.write_bytes(b""), {}, r"customers\.csv: is empty\. Fetch it again"),
    ("a header alone", lambda s, p: s.head(0).to_csv(p, index=False), {}, r"has a header and no rows"),
    ("too few rows", lambda s, p: s.head(20).to_csv(p, index=False), {}, r"has 20 rows, at least 50 are needed"),
    ("no such file", lambda s, p: None, {}, r"there is no such file\. Correct --data"),
    ("no such target", lambda s, p: s.to_csv(p, index=False), {"target": "churn"}, r"no column 'churn' for --target.*Did you mean --target 'churned'\?"),
    ("no such time", lambda s, p: s.to_csv(p, index=False), {"time": "date"}, r"has no column 'date' for --time\. It has: customer_id"),
    ("a target of one class", lambda s, p: s.assign(churned="no").to_csv(p, index=False), {}, r"one value only, 'no': there is nothing to tell apart"),
    ("an all-null target", lambda s, p: s.assign(churned=None).to_csv(p, index=False), {}, r"has no value in any row\. Name another"),
    ("a rare class of two", lambda s, p: s.assign(churned=["a"] * 3 + ["b"] * 197).to_csv(p, index=False), {}, r"two values, and too few rows of one: 'a' \(3\)\. Each needs at least 10"),
    ("classes that are all rare", lambda s, p: s.assign(churned=["a"] * 195 + list("bcdef")).to_csv(p, index=False), {}, r"6 classes, and fewer than two of them have 10 rows: 'a' \(195\)"),
    ("a target with few values", lambda s, p: s.assign(churned=["yes", "no"] * 20 + [None] * 160).to_csv(p, index=False), {}, r"has a value in 40 rows only, at least 50"),
    ("a target that is free text", lambda s, p: s.assign(churned=s["customer_id"]).to_csv(p, index=False), {}, r"200 different texts in 200 rows, at most 50 can be classes"),
    ("a target of moments", lambda s, p: s.to_csv(p, index=False), {"target": "signed_up_at"}, r"holds moments, which cannot be predicted"),
    ("a mixed target", lambda s, p: s.assign(churned=["many"] * 40 + list(range(160))).to_csv(p, index=False), {}, r"161 different texts in 200 rows, at most 50 can be classes\. 80% of them are numbers: say --null 'many'"),
    ("a time that is none", lambda s, p: s.to_csv(p, index=False), {"time": "plan"}, r"--time 'plan' holds no moments but .*leave --time out"),
    ("an all-null time", lambda s, p: s.assign(signed_up_at=None).to_csv(p, index=False), {"time": "signed_up_at"}, r"holds no moments but nothing at all"),
    ("one moment", lambda s, p: s.assign(signed_up_at="2024-01-01").to_csv(p, index=False), {"time": "signed_up_at"}, r"has 1 different moment\(s\)"),
    ("an entity that repeats", lambda s, p: s.to_csv(p, index=False), {"entity": "household"}, r"does not identify a row: .*give --group 'household'"),
    ("an entity with gaps", lambda s, p: s.to_csv(p, index=False), {"entity": "visits"}, r"--entity 'visits' is missing in \d+ rows"),
    ("an entity called as predictions are", lambda s, p: s.rename(columns={"customer_id": "probability"}).to_csv(p, index=False), {"entity": "probability"}, r"by \['probability'\], which is also the name of a column of its predictions\. Rename it .* \(drafted for \S+customers\.csv\)\.$"),
    ("only names and constants", lambda s, p: s[["customer_id", "churned"]].assign(x=1, y=None).to_csv(p, index=False), {}, r"no column is left to learn from \('customer_id': entity, .*; 'x': left out, it has one value only, '1'; 'y': left out, it has no value in any row\)\. Bring more columns"),
    ("a time with gaps", lambda s, p: s.assign(signed_up_at=s["signed_up_at"].where(s.index % 5 > 0)).to_csv(p, index=False), {"time": "signed_up_at"}, r"--time 'signed_up_at' is missing in 40 of 200 rows, at most 5% may lack it"),
    ("a group with a time", lambda s, p: s.to_csv(p, index=False), {"time": "signed_up_at", "group": "household"}, r"--group 'household' keeps rows together in a random split, .* Leave one of them out"),
    ("a column both kept and left out", lambda s, p: s.to_csv(p, index=False), {"keep": ["age"], "without": ["age"]}, r"'age' is given by --keep and by --without\. Leave one of them out"),
    ("a target that is kept", lambda s, p: s.to_csv(p, index=False), {"keep": ["churned"]}, r"'churned' is given by --target and by --keep"),
    ("a moment that is kept", lambda s, p: s.to_csv(p, index=False), {"keep": ["signed_up_at"]}, r"--keep 'signed_up_at' cannot be a feature: it is a moment"),
    ("no such column to keep", lambda s, p: s.to_csv(p, index=False), {"keep": ["agee"]}, r"has no column 'agee' for --keep\..*Did you mean --keep 'age'\?"),
    ("binary of three", lambda s, p: s.to_csv(p, index=False), {"target": "tier", "kind": "binary"}, r"--target tier cannot be binary: it has 3 different values, .*Leave out --kind binary"),
    ("multiclass of two", lambda s, p: s.to_csv(p, index=False), {"kind": "multiclass"}, r"cannot be multiclass: it has two values"),
    ("a regression of texts", lambda s, p: s.to_csv(p, index=False), {"target": "tier", "kind": "regression"}, r"cannot be a regression's target: it holds text such as"),
    ("classes of many numbers", lambda s, p: s.to_csv(p, index=False), {"target": "spend", "kind": "multiclass"}, r"different values in 200 rows, at most 50 can be classes\. Leave out --kind multiclass"),
    ("not the encoding given", lambda s, p: s.assign(plan="тариф").to_csv(p, index=False, encoding="cp1251"), {"encoding": "utf-8"}, r"line 2 holds the byte 0x\w\w, which is not utf-8\. .*--encoding cp1252"),
    ("an unknown encoding", lambda s, p: s.to_csv(p, index=False), {"encoding": "klingon"}, r"--encoding klingon: is none that Python knows"),
    ("no table but a picture", lambda s, p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(200))), {}, r"is a picture, not a text table"),
    ("a name with a capital", lambda s, p: s.to_csv(p, index=False), {"name": "Churn"}, r"'Churn' cannot name a product\. Use lower case"),
    ("a name of a layer", lambda s, p: s.to_csv(p, index=False), {"name": "landing"}, r"'landing' is the name of a layer"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "asked", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_file_is_one_clear_error(
    home: Home, tmp_path: Path, shop: pd.DataFrame, write: Any, asked: dict[str, Any], message: str
) -> None:
    """What, where, what is allowed and what to do; nothing is written."""
    path = tmp_path / "customers.csv"
    write(shop, path)
    with pytest.raises(LooplineError, match=message):
        new(home, path, **asked)
    assert not (home.root / "defs").exists()
    assert list(home.temporary.iterdir()) == []


def test_a_broken_parquet_file_and_a_missing_table_are_named(home: Home, tmp_path: Path, shop: pd.DataFrame) -> None:
    """With what is there instead."""
    (tmp_path / "customers.parquet").write_bytes(b"PAR1" + b"\0" * 100)
    with pytest.raises(LooplineError, match=r"cannot be read as a table .* fetch it again"):
        new(home, tmp_path / "customers.parquet")
    with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
        shop.to_sql("customers", connection, index=False)
    connection.close()
    with pytest.raises(LooplineError, match=r"say which table as --data .*shop\.sqlite::TABLE"):
        new(home, tmp_path / "shop.sqlite")
    with pytest.raises(LooplineError, match=r"has no table 'people'\. It has: customers"):
        new(home, f"{tmp_path}/shop.sqlite::people")


def test_a_name_that_is_taken_is_refused_and_what_is_there_stays(home: Home, tmp_path: Path, shop: pd.DataFrame) -> None:
    """By another product or by a source."""
    shop.to_csv(tmp_path / "customers.csv", index=False)
    _, written = new(home, tmp_path / "customers.csv")
    before = written.files[0].read_text()
    with pytest.raises(LooplineError, match=r"'churn' is declared already in .*Choose another name"):
        new(home, tmp_path / "customers.csv", target="tier")
    assert written.files[0].read_text() == before


def test_repeated_rows_of_a_household_can_be_kept_together(home: Home, tmp_path: Path, shop: pd.DataFrame) -> None:
    """The split is grouped, and rows are numbered where nothing identifies them."""
    shop.drop(columns="customer_id").to_csv(tmp_path / "customers.csv", index=False)
    spec, written = new(home, tmp_path / "customers.csv", group="household")
    assert spec.split.group == "household"
    assert spec.features.entity == "source_row"
    assert "household" not in spec.columns
    assert parts(written)["source_row"] == ("entity", "no column identifies a row, so rows are numbered")


def test_a_staging_model_is_written_only_if_asked(home: Home, tmp_path: Path, shop: pd.DataFrame) -> None:
    """Then the rows go through a source of their own and a dbt model, and the features say their types themselves."""
    shop.to_csv(tmp_path / "customers.csv", index=False)
    spec, written = new(home, tmp_path / "customers.csv", staged=True, time="signed_up_at")
    assert [path.relative_to(home.root).as_posix() for path in written.files] == [
        "defs/churn/defs.yaml",
        "defs/sources/churn/defs.yaml",
        "staging/stg_churn.sql",
        "staging/stg_churn.yml",
    ]
    assert spec.features.relation == "staging.stg_churn"
    assert spec.columns["age"].type == "number"
    assert "source('churn', 'data')" in written.files[2].read_text()


def test_a_wide_table_is_given_few_bins_and_told_so(home: Home, tmp_path: Path, shop: pd.DataFrame) -> None:
    """A narrow one keeps the estimator's own."""
    narrow = shop.assign(churned=shop.index % 3 == 0)
    noise = np.random.default_rng(0).normal(size=(len(shop), 600)).round(3)
    wide = pd.concat([narrow, pd.DataFrame(noise, columns=[f"n{place}" for place in range(600)])], axis=1)
    for name, table, bins in (("narrow", narrow, None), ("wide", wide, 63)):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        spec, written = new(home, tmp_path / f"{name}.csv", name=name, target="churned")
        assert spec.model.parameters.get("max_bins") == bins
        assert ("63 bins" in written.files[0].read_text(encoding="utf-8")) == bool(bins)


def test_names_are_safe_and_differ() -> None:
    """Whatever the spelling."""
    assert names_for(["a b", "a-b", "A B", "source_row", "1", "__", "naïve"]) == [
        "a_b", "a_b_2", "a_b_3", "source_row_2", "n_1", "column_6", "naive",
    ]  # fmt: skip


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    names=st.lists(TEXTS, min_size=2, max_size=5, unique_by=lambda name: name.casefold()),
    values=st.lists(
        st.one_of(TEXTS, st.integers().map(str), st.floats().map(str), st.just(""), st.dates().map(str)), min_size=4, max_size=8
    ),
    rows=st.integers(50, 70),
    seed=st.integers(0, 9),
)
def test_any_table_is_declared_and_landed_whole_or_refused(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], values: list[str], rows: int, seed: int
) -> None:
    """No row is lost, and nothing but our own errors is raised."""
    folder = tmp_path_factory.mktemp("any")
    home = Home(folder / "home").prepare()
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({name: random.choice(values, rows) for name in names}, dtype=object)
    frame.to_csv(folder / "any.csv", index=False)
    try:
        spec, _ = new(home, folder / "any.csv", name="anything", target=names[0])
        record = landed(home, spec)
    except LooplineError as error:
        told = str(error)
    else:
        told = ""
        assert record.rows_in == record.rows_good + record.rows_quarantined
    assert "Report this" not in told
