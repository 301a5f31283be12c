"""Landing: each bad row is quarantined with every reason, no row is lost, and a file that is no table is refused."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.errors import SourceError
from assets.ingestion import data_quality, landed_tables, landing
from assets.spec import SourceSpec
from assets.storage.home import Home
from tests.world import real_file

HEADER = "id,month,amount,kind,paid,due"
GOOD = "1,1,2.5,a,5,7"


def source(folder: Path, file: str = "sales.csv") -> SourceSpec:
    """A source of one partitioned table."""
    return SourceSpec.model_validate(
        {
            "name": "shop",
            "description": "Sales.",
            "folder": str(folder),
            "tables": {
                "sales": {
                    "description": "A sale.",
                    "file": file,
                    "key": ["id"],
                    "null_values": ["", "NA"],
                    "partition": {"month": "make_date(2020, month, 1)", "start": "2020-01", "end": "2020-02"},
                    "columns": {
                        "id": {"type": "integer"},
                        "month": {"type": "integer", "min": 1, "max": 12},
                        "amount": {"type": "number", "min": 0, "max": 100},
                        "kind": {"type": "text", "values": ["a", "b"]},
                        "paid": {"type": "integer", "nullable": True},
                        "due": {"type": "integer"},
                    },
                    "rules": {"paid_by_due": "paid <= due"},
                }
            },
        }
    )


def land(home: Home, folder: Path, *lines: str, months: list[str] | None = None) -> dict[str, landed_tables.Landed]:
    """Land a file of these lines under the header."""
    folder.mkdir(exist_ok=True)
    (folder / "sales.csv").write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return {record.partition: record for record in landing.land(home, source(folder), "sales", Path("/"), months)}


def rows(home: Home, file: str) -> list[tuple[object, ...]]:
    """The rows of a landed or quarantined file."""
    with duckdb.connect() as connection:
        return connection.execute(f"select * from read_parquet('{home.root / file}')").fetchall()


@pytest.mark.parametrize(
    ("line", "reasons"),
    [
        ("x,1,2.5,a,5,7", {"id: not an integer"}),
        ("1.5,1,2.5,a,5,7", {"id: not an integer"}),
        (",1,2.5,a,5,7", {"id: missing"}),
        ("1,1,nan,a,5,7", {"amount: not a number"}),
        ("1,1,inf,a,5,7", {"amount: not a number"}),
        ("1,1,-1,a,5,7", {"amount: below 0"}),
        ("1,1,101,a,5,7", {"amount: above 100"}),
        ("1,1,2.5,c,5,7", {"kind: not in the vocabulary"}),
        ("1,1,2.5,a,9,7", {"rule paid_by_due is false"}),
        ("1,1,-1,c,9,7", {"amount: below 0", "kind: not in the vocabulary", "rule paid_by_due is false"}),
    ],
)
def test_a_bad_row_is_quarantined_with_every_reason(home: Home, tmp_path: Path, line: str, reasons: set[str]) -> None:
    """The good row beside it lands, and the counts add up."""
    record = land(home, tmp_path / "raw", "7,1,1,b,,7", line)["2020-01"]
    assert (record.rows_in, record.rows_good, record.rows_quarantined) == (2, 1, 1)
    assert record.reasons == dict.fromkeys(reasons, 1)
    (bad,) = rows(home, record.quarantine_file)
    assert set(bad[1]) == reasons  # type: ignore[call-overload]
    assert bad[0] == 2, "the row is named by its place in the file"


def test_a_missing_value_breaks_no_rule(home: Home, tmp_path: Path) -> None:
    """`paid` may be missing, and then nothing is known of it."""
    record = land(home, tmp_path / "raw", "1,1,2.5,a,NA,7")["2020-01"]
    assert record.rows_quarantined == 0
    assert rows(home, record.file) == [(1, 1, 2.5, "a", None, 7)]


def test_the_first_of_two_rows_with_a_key_is_kept(home: Home, tmp_path: Path) -> None:
    """The later one is a duplicate, also when it differs."""
    record = land(home, tmp_path / "raw", GOOD, "1,1,9.9,b,5,7")["2020-01"]
    assert record.reasons == {"duplicate of an earlier row": 1}
    assert rows(home, record.file) == [(1, 1, 2.5, "a", 5, 7)]


def test_rows_of_no_declared_month_are_quarantined_apart(home: Home, tmp_path: Path) -> None:
    """Neither an impossible month nor one outside the declaration disappears."""
    records = land(home, tmp_path / "raw", GOOD, "2,13,2.5,a,5,7", "3,6,2.5,a,5,7", "4,x,2.5,a,5,7")
    assert records["2020-01"].rows_in == 1
    assert records["unassigned"].rows_quarantined == 3
    assert records["unassigned"].reasons == {
        "month unknown": 2,
        "month: above 12": 1,
        "month not declared": 1,
        "month: not an integer": 1,
    }


def test_a_corrected_file_leaves_no_row_unassigned(home: Home, tmp_path: Path) -> None:
    """The record of rows without a month follows the file."""
    land(home, tmp_path / "raw", "2,13,2.5,a,5,7")
    assert land(home, tmp_path / "raw", GOOD)["unassigned"].rows_in == 0


def test_a_line_that_cannot_be_split_is_quarantined_whole(home: Home, tmp_path: Path) -> None:
    """Its text is kept."""
    records = land(home, tmp_path / "raw", GOOD, "2,1,2.5,a,5,7,surplus,fields")
    assert records["2020-01"].rows_good == 1
    (bad,) = rows(home, records["unassigned"].quarantine_file)
    assert bad[-1] == "2,1,2.5,a,5,7,surplus,fields"


def test_landing_a_month_twice_changes_nothing(home: Home, tmp_path: Path) -> None:
    """The same rows give the same files."""
    first = land(home, tmp_path / "raw", GOOD)
    files = sorted(home.landing.rglob("*.parquet"))
    assert land(home, tmp_path / "raw", GOOD) == first
    assert sorted(home.landing.rglob("*.parquet")) == files


def test_a_corrected_month_is_landed_beside_the_old_one(home: Home, tmp_path: Path) -> None:
    """The record points at the new rows; the old ones stay what they were."""
    old = land(home, tmp_path / "raw", GOOD)["2020-01"]
    new = land(home, tmp_path / "raw", "1,1,3.5,a,5,7")["2020-01"]
    assert new.digest != old.digest
    assert rows(home, old.file) == [(1, 1, 2.5, "a", 5, 7)]
    assert landed_tables.files(home, "shop", "sales") == [
        home.root / new.file,
        *landed_tables.files(home, "shop", "sales")[1:],
    ]


def test_landing_one_month_lands_one_month(home: Home, tmp_path: Path) -> None:
    """The other one is not touched."""
    records = land(home, tmp_path / "raw", GOOD, "2,2,2.5,a,5,7", months=["2020-02"])
    assert list(records) == ["2020-02"]
    assert [record.partition for record in landed_tables.records(home, "shop", "sales")] == ["2020-02"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,month,amount,kind,paid,due,colour", r"has undeclared \['colour'\].*Declared are id, month"),
        ("id,month,amount,kind,paid", r"lacks \['due'\].*declare the columns as the file has them"),
    ],
)
def test_other_columns_than_declared_are_refused(home: Home, tmp_path: Path, header: str, message: str) -> None:
    """Neither a new column nor a lost one passes unseen."""
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "sales.csv").write_text(header + "\n")
    with pytest.raises(SourceError, match=message):
        landing.land(home, source(folder), "sales", Path("/"))
    assert not list(home.landing.rglob("*.json")), "nothing is half-published"


def test_a_missing_file_is_named(home: Home, tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(SourceError, match=r"raw file .*sales\.csv is missing. Put it there"):
        landing.land(home, source(tmp_path), "sales", Path("/"))


def test_a_missing_distribution_is_named(home: Home, tmp_path: Path) -> None:
    """With what to do."""
    spec = source(tmp_path).model_copy(update={"folder": None, "distribution": "no-such-thing"})
    with pytest.raises(SourceError, match=r"distribution 'no-such-thing' is not installed. Run `make setup`"):
        landing.land(home, spec, "sales", Path("/"))


@pytest.mark.parametrize("content", [b"no zip at all", real_file("flights.csv.zip").read_bytes()[:50_000]])
def test_a_corrupt_archive_is_refused(home: Home, tmp_path: Path, content: bytes) -> None:
    """Also one that was cut off."""
    (tmp_path / "sales.csv.zip").write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot be unpacked .* fetch it again"):
        landing.land(home, source(tmp_path, "sales.csv.zip"), "sales", Path("/"))


def test_an_archive_of_two_tables_is_refused(home: Home, tmp_path: Path) -> None:
    """Which one is meant cannot be known."""
    with zipfile.ZipFile(tmp_path / "sales.csv.zip", "w") as archive:
        archive.writestr("a.csv", HEADER)
        archive.writestr("b.csv", HEADER)
    with pytest.raises(SourceError, match="holds 2 files, one is needed"):
        landing.land(home, source(tmp_path, "sales.csv.zip"), "sales", Path("/"))


def test_a_corrupt_parquet_is_refused(home: Home, tmp_path: Path) -> None:
    """With the reader's own first line."""
    (tmp_path / "sales.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(SourceError, match=r"sales\.parquet: cannot be read as a table .* fetch it again"):
        landing.land(home, source(tmp_path, "sales.parquet"), "sales", Path("/"))


@pytest.mark.parametrize("suffix", ["parquet", "csv.gz", "csv.zip"])
def test_every_format_lands_the_same_rows(home: Home, tmp_path: Path, suffix: str) -> None:
    """Parquet, gzip and zip hold the same table."""
    text = f"{HEADER}\n{GOOD}\n2,1,-1,a,5,7\n"
    file = tmp_path / f"sales.{suffix}"
    if suffix == "parquet":
        (tmp_path / "sales.csv").write_text(text)
        with duckdb.connect() as connection:
            connection.execute(f"copy (select * from read_csv('{tmp_path / 'sales.csv'}')) to '{file}'")
    elif suffix == "csv.gz":
        file.write_bytes(gzip.compress(text.encode()))
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("sales.csv", text)
    (record, *_) = landing.land(home, source(tmp_path, file.name), "sales", Path("/"))
    assert (record.rows_good, record.reasons) == (1, {"amount: below 0": 1})


def test_too_many_bad_rows_are_told_with_the_first_of_them(home: Home, tmp_path: Path) -> None:
    """Its number in the file and the value that is wrong; nothing is landed."""
    spec = source(tmp_path)
    table = spec.tables["sales"].model_copy(update={"max_quarantined": 0.05})
    lines = ["1,1,2.5,a,5,7", "2,1,2.5,a,five,7", "3,1,2.5,a,six,7", "4,1,2.5,a,9,7", "4,1,,a,5,7"]
    (tmp_path / "sales.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    with pytest.raises(SourceError, match="4 of 5 rows are bad, at most 5% may be") as told:
        landing.land(home, spec.model_copy(update={"tables": {"sales": table}}), "sales", Path("/"))
    for part in (
        "paid: not an integer (2 rows, first row 2: 'five')", "rule paid_by_due is false (1 rows, first row 4)",
        "amount: missing (1 rows, first row 5)",
    ):  # fmt: skip
        assert part in str(told.value)


INTERNAL = (
    *(
        "partition",
        "partition_month",
        "first_row",
        "reasons",
        "reason",
        "raw_line",
        "source_row_1",
        "place",
        "file",
        "line",
        "text",
    ),
    *("opened", "raw", "typed", "judged", "bad", "dated", "findings", "repeated", "malformed", "static", "unassigned", "key"),
)
"""What the landing calls, or could call, its own tables and columns."""


@pytest.mark.parametrize("as_key", [False, True], ids=["rows are numbered", "it is the key"])
@pytest.mark.parametrize("name", INTERNAL)
def test_a_column_may_be_named_like_what_the_landing_adds(home: Home, tmp_path: Path, name: str, *, as_key: bool) -> None:
    """Good rows hold its values; bad rows are in quarantine with them, their months and their reasons."""
    columns = {name: {"type": "integer", "min": 0}, "month": {"type": "integer"}, "Why": {"type": "text", "name": "why"}}
    table = {
        "description": "",
        "file": "x.csv",
        "columns": columns,
        "key": [name] if as_key else [],
        "rules": {"small": f'"{name}" < 100'},
        "partition": {"month": "make_date(2020, month, 1)", "start": "2020-01", "end": "2020-02"},
    }
    shop = {"name": "shop", "description": "", "folder": str(tmp_path), "tables": {"data": table}}
    spec = SourceSpec.model_validate(shop)
    (tmp_path / "x.csv").write_text(f"{name},month,Why\n1,1,a\n-2,1,b\n1,2,c\n300,2,d\n5,9,e\nx\n")
    found = {record.partition: record for record in landing.land(home, spec, "data", Path("/"))}
    assert [record.rows_in for record in found.values()] == [2, 2, 2]
    assert [row[-3:] for row in rows(home, found["2020-01"].file)] == [(1, 1, "a")]
    assert found["2020-02"].rows_good == (0 if as_key else 1)
    reasons, kept = data_quality.quarantined(home, "shop", "data")
    assert dict(reasons)[f"{name}: below 0"] == dict(reasons)["rule small is false"] == dict(reasons)["month not declared"] == 1
    assert dict(reasons).get("duplicate of an earlier row") == (1 if as_key else None)
    below = next(row for row in kept if row["reasons"] == [f"{name}: below 0"])
    assert (below["partition"], below["source_row"], below["raw_line"]) == ("2020-01", 2, None)
    assert "-2" in below.values()


FIELD = st.one_of(st.text(alphabet="abcxyz019.-+ '\"é,\n", max_size=6), st.integers(-3, 14).map(str))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(FIELD, min_size=6, max_size=6), max_size=8))
def test_whatever_a_file_holds_no_row_is_lost(home: Home, tmp_path: Path, table: list[list[str]]) -> None:
    """Quoted as CSV wants it, every row is good or quarantined."""
    quoted = [",".join('"' + field.replace('"', '""') + '"' for field in row) for row in table]
    records = land(home, tmp_path / "raw", *quoted)
    assert sum(record.rows_in for record in records.values()) == len(table)
    assert sum(record.rows_good + record.rows_quarantined for record in records.values()) == len(table)
