"""Reading: files as people have them are profiled and landed alike; each test writes a file, profiles it, lands it, and compares."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import sqlite3
import zipfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from assets.errors import SourceError, SpecificationError
from assets.ingestion import data_quality, landing, value_parsing
from assets.scaffolding import draft
from assets.scaffolding.column_roles import Roles
from assets.scaffolding.file_profile import FileProfile, as_moments
from assets.scaffolding.profiling import profile
from assets.scaffolding.question import column_named
from assets.scaffolding.target_kinds import Target
from assets.spec import SourceSpec
from assets.spec.csv_dialect import CsvSpec
from assets.storage.home import Home

FRAME = pd.DataFrame(
    {
        "id": range(60),
        "amount": [index + 0.25 for index in range(60)],
        "city": ["Ulm", 'the "Hague"', "Oslo;Bergen,\nTromsø"] * 20,
        "empty": [None] * 60,
        "seen": pd.date_range("2013-01-01", periods=60, freq="h"),
    }
)


def declared(found: FileProfile) -> SourceSpec:
    """The source that `loopline new` would write."""
    roles = Roles(Target(found.columns[-1], "regression", "", {}))
    table = draft._source(found, found.path.parent, roles)
    given = {
        "name": "shop",
        "description": "",
        "folder": str(found.path.parent),
        "tables": {"data": {"description": "", **table}},
    }
    return SourceSpec.model_validate_json(json.dumps(given))


def landed(home: Home, found: FileProfile, *, bad: int = 0) -> list[dict[str, Any]]:
    """The rows that are landed by what was profiled; `bad` go to quarantine."""
    (record,) = landing.land(home, declared(found), "data", found.path.parent)
    assert (record.rows_good, record.rows_quarantined) == (record.rows_in - bad, bad), record.reasons
    with duckdb.connect() as connection:
        return (
            connection.execute(f"from read_parquet('{home.root / record.file}') order by source_row")
            .fetchdf()
            .to_dict("records")
        )


def read(home: Home, folder: Path, lines: list[str], *, name: str = "x.csv", header: str = "x") -> tuple[Any, list[Any]]:
    """The profile of a column of these cells, and what is landed of it."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    found = profile(home, folder / name)
    rows = landed(home, found)
    column = found.columns[0]
    return column, [None if pd.isna(row[column.name]) else row[column.name] for row in rows]


def excel(frame: pd.DataFrame, path: Path) -> None:
    """A workbook whose second sheet is something else."""
    with pd.ExcelWriter(path) as writer:
        frame.to_excel(writer, sheet_name="rows", index=False)
        pd.DataFrame({"note": ["x"]}).to_excel(writer, sheet_name="notes", index=False)


def packed(frame: pd.DataFrame, path: Path) -> None:
    """A text table, packed as the name says."""
    text = frame.to_csv(index=False).encode()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rows.csv", text)
    elif path.suffix == ".zst":
        with pa.output_stream(str(path), compression="zstd") as stream:
            stream.write(text)
    else:
        path.write_bytes({".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[path.suffix](text))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.csv", lambda frame, path: frame.to_csv(path, index=False)),
        ("rows.csv", lambda frame, path: frame.to_csv(path, index=False, encoding="utf-8-sig")),
        ("rows.csv", lambda frame, path: frame.to_csv(path, index=False, encoding="utf-16")),
        ("rows.csv", lambda frame, path: frame.to_csv(path, index=False, encoding="utf-16-le")),
        ("rows.csv", lambda frame, path: frame.to_csv(path, index=False, encoding="utf-16-be")),
        ("rows.csv", lambda frame, path: frame.to_csv(path, index=False, encoding="cp1252")),
        ("rows.csv", lambda frame, path: frame.to_csv(path, index=False, lineterminator="\r\n")),
        ("rows.tsv", lambda frame, path: frame.to_csv(path, index=False, sep="\t")),
        ("rows.txt", lambda frame, path: frame.to_csv(path, index=False, sep="|")),
        ("rows.csv", lambda frame, path: frame.to_csv(path, index=False, sep=";", decimal=",")),
        ("rows.csv", lambda frame, path: path.write_text("sep=;\n" + frame.to_csv(index=False, sep=";"))),
        ("rows.csv", lambda frame, path: path.write_text("# exported\n\n" + frame.to_csv(index=False) + "\n\n")),
        ("rows.jsonl", lambda frame, path: frame.to_json(path, orient="records", lines=True, date_format="iso")),
        ("rows.ndjson", lambda frame, path: frame.to_json(path, orient="records", lines=True, date_format="iso")),
        ("rows.json", lambda frame, path: frame.to_json(path, orient="records", date_format="iso")),
        ("rows.parquet", lambda frame, path: frame.to_parquet(path)),
        ("rows.xlsx", excel),
        ("rows.csv.gz", packed),
        ("rows.csv.bz2", packed),
        ("rows.csv.xz", packed),
        ("rows.csv.zst", packed),
        ("rows.zip", packed),
    ],
    ids=[
        "CSV", "byte order mark", "UTF-16", "UTF-16 LE without mark", "UTF-16 BE without mark", "cp1252", "CRLF", "TSV", "bars",
        "semicolons and decimal commas", "sep=", "comments before and blank lines behind", "JSON lines", "ndjson", "JSON array", "Parquet", "Excel",
        "gz", "bz2", "xz", "zst", "zip",
    ],
)  # fmt: skip
def test_the_same_rows_come_from_every_format(home: Home, tmp_path: Path, name: str, write: Any) -> None:
    """Types, values, texts with delimiters, quotes and line breaks, and gaps."""
    write(FRAME, tmp_path / name)
    found = profile(home, tmp_path / name)
    assert [(column.name, column.type) for column in found.columns] == [
        ("id", "integer"), ("amount", "number"), ("city", "text"), ("empty", "text"), ("seen", "timestamp"),
    ]  # fmt: skip
    rows = landed(home, found)
    for row, (_, expected) in zip(rows, FRAME.iterrows(), strict=True):
        assert (row["id"], row["amount"], row["city"].replace("\r", "")) == (
            expected["id"],
            expected["amount"],
            expected["city"],
        )
        assert pd.isna(row["empty"])
        assert row["seen"] == expected["seen"]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1251", ["Москва", "Тверь", "Самара"]),
        ("cp1251", ["да", "нет", "может быть"]),
        ("koi8_r", ["Москва", "Тверь", "Самара"]),
        ("cp1252", ["Zürich", "Besançon", "Málaga"]),
        ("cp1252", ["10 €", "naïve", "Straße"]),
        ("cp1254", ["İstanbul", "Ağrı", "Muğla"]),
        ("cp1253", ["Αθήνα", "Πάτρα", "ναι"]),
        ("cp1250", ["Łódź", "Kraków", "Poznań"]),
        ("shift_jis", ["東京都", "大阪府", "はい"]),
        ("gb18030", ["北京市", "上海市", "广州市"]),
    ],
)
def test_an_encoding_is_told_from_the_words(home: Home, tmp_path: Path, encoding: str, words: list[str]) -> None:
    """It is declared, so the landing reads the same words."""
    lines = [f"{index};{words[index % 3]}" for index in range(60)]
    (tmp_path / "x.csv").write_bytes(("n;city\n" + "\n".join(lines)).encode(encoding))
    found = profile(home, tmp_path / "x.csv")
    assert found.csv["encoding"] == encoding
    assert f"read as {encoding}" in " ".join(found.notes)
    assert [row["city"] for row in landed(home, found)] == [words[index % 3] for index in range(60)]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1,234.5", "12", "1,000,000"], "number", [1234.5, 12, 1e6]),
        (["1.234,5", "12", "1.000.000"], "number", [1234.5, 12, 1e6]),
        (["1 234,5", "12", "2\u00a0000"], "number", [1234.5, 12, 2000]),
        (["1'234.5", "12", "2\u2019000"], "number", [1234.5, 12, 2000]),
        (["1,5", "2,25", "-3"], "number", [1.5, 2.25, -3]),
        (["1,234", "12", "2,000"], "integer", [1234, 12, 2000]),
        (["0,123", "0,5", "2,000"], "number", [0.123, 0.5, 2]),
        (["$1,200", "-$5", "7"], "integer", [1200, -5, 7]),
        (["€ 3", "4,50 €", "5"], "number", [3, 4.5, 5]),
        (["12 руб.", "1 200 руб", "5 руб."], "integer", [12, 1200, 5]),
        (["EUR 5", "EUR 7.25", "EUR 1"], "number", [5, 7.25, 1]),
        (["12 %", "7.5%", "100 %"], "number", [12, 7.5, 100]),
        (["12 kg", "7.5 kg", "1 kg"], "number", [12, 7.5, 1]),
        (["(12)", "7", "(1,200)"], "integer", [-12, 7, -1200]),
        (["\u22125", " 7 ", "\u00a01.5"], "number", [-5, 7, 1.5]),
        (["1e5", "2.5E-3", "+7"], "number", [1e5, 2.5e-3, 7]),
        (["5.0", "7", "1.00"], "integer", [5, 7, 1]),
        (["$5", "€7", "$1"], "text", ["$5", "€7", "$1"]),
        (["12%", "0.5", "7%"], "text", ["12%", "0.5", "7%"]),
        (["A12", "A13", "B1"], "text", ["A12", "A13", "B1"]),
        (["192.168.0.1", "10.0.0.1", "10.0.0.2"], "text", ["192.168.0.1", "10.0.0.1", "10.0.0.2"]),
        (["1_000", "2_000", "3_000"], "text", ["1_000", "2_000", "3_000"]),
    ],
)
def test_numbers_are_read_however_they_are_written(
    home: Home, tmp_path: Path, cells: list[str], kind: str, values: list[Any]
) -> None:
    """What stands between and beside the digits is declared by column; what is no one number stays text."""
    quoted = ['"' + cell + '"' for cell in cells] * 20
    column, found = read(home, tmp_path / "folder", quoted)
    assert (column.type, found) == (kind, values * 20)
    if kind != "text":
        assert (column.low, column.high) == (min(values), max(values))


def test_a_group_of_three_digits_is_a_decimal_where_the_file_says_so(home: Home, tmp_path: Path) -> None:
    """Between semicolons, or beside a column that shows decimal commas; otherwise it is a thousand, and a note says so."""
    lines = ['"1,234";"1,5"', '"2,000";"2,5"'] * 30
    column, found = read(home, tmp_path / "a", lines, header="x;y")
    assert (column.type, found[:2]) == ("number", [1.234, 2.0])
    column, found = read(home, tmp_path / "b", ['"1,234"', '"2,000"'] * 30)
    assert (column.type, found[:2]) == ("integer", [1234, 2000])
    assert "decimal: ','" in column.notes[0]


def test_a_comma_is_a_thousand_beside_decimal_points_and_else_told(home: Home, tmp_path: Path) -> None:
    """Whatever a third column has; where the file only shows decimal commas, the column is read so, with a note."""
    lines = [f'"{value:,}","${value:,}.00","{value % 50},5"' for value in range(918427, 918487)]
    column, found = read(home, tmp_path / "a", lines, header="x,y,z")
    assert (column.type, found[0]) == ("integer", 918427)
    column, found = read(
        home, tmp_path / "b", [f'"{value:,}","{value % 50},5"' for value in range(918427, 918487)], header="x,z"
    )
    assert (column.type, found[0]) == ("number", 918.427)
    assert "give the column thousands: ','" in column.notes[0]


def test_points_group_thousands_only_beside_decimal_commas(home: Home, tmp_path: Path) -> None:
    """And only while no other column has a point before decimals."""
    column, found = read(home, tmp_path / "a", ["1.234;1,5", "2.000;2,5"] * 30, header="x;y")
    assert (column.type, found[:2]) == ("integer", [1234, 2000])
    column, found = read(home, tmp_path / "b", ["1.234;1,5;0.5", "2.000;2,5;0.25"] * 30, header="x;y;z")
    assert (column.type, found[:2]) == ("number", [1.234, 2.0])
    column, found = read(home, tmp_path / "c", ["1.234;1", "2.000;2"] * 30, header="x;y")
    assert (column.type, found[:2]) == ("number", [1.234, 2.0])
    assert "give the column thousands: '.'" in column.notes[0]


@pytest.mark.parametrize("rare", [100, 1], ids=["one in three", "one in three hundred"])
@pytest.mark.parametrize("unit", ["", " €"], ids=["plain", "with a currency"])
def test_points_group_thousands_however_few_values_have_one(home: Home, tmp_path: Path, rare: int, unit: str) -> None:
    """All rows decide, not the commonest values, which are below a thousand here."""
    values = [*(1040 + 15 * index for index in range(rare)), *(100 + index % 77 for index in range(300 - rare))]
    lines = [f"{value:,}".replace(",", ".") + f"{unit};{value % 7},5" for value in values]
    column, found = read(home, tmp_path / "folder", lines, header="visits;y")
    assert (column.type, column.reading["thousands"], column.high) == ("integer", ".", max(values))
    assert found == values


def test_a_point_that_stands_before_decimals_in_one_row_does_so_in_all(home: Home, tmp_path: Path) -> None:
    """Beside decimal commas, too: the column has values such as 12.5."""
    lines = [f"{100 + index % 77};{index % 7},5" for index in range(200)] + ["2.540;1,5", "12.5;1,5"] * 20
    column, found = read(home, tmp_path / "folder", lines, header="visits;y")
    assert (column.type, found[-2:], column.notes) == ("number", [2.54, 12.5], ())


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("true", "false"), ("Yes", "No"), ("y", "n"), ("да", "нет"), ("ДА", "Нет"), ("oui", "non"), ("ja", "nein"), ("sí", "no"), ("si", "no"),
        ("sim", "não"), ("tak", "nie"), ("是", "否"), ("wahr", "falsch"), ("vrai", "faux"), ("ИСТИНА", "ЛОЖЬ"), ("ja", "nee"), ("evet", "hayır"),
    ],
)  # fmt: skip
def test_truth_values_are_read_in_any_language(home: Home, tmp_path: Path, true: str, false: str) -> None:
    """Where the words are not English, the declaration says which is which."""
    column, found = read(home, tmp_path / "folder", [true, false, ""] * 20)
    assert column.type == "boolean"
    assert found == [True, False, None] * 20
    is_english = true.lower() in ("true", "yes", "y")
    assert dict(column.reading) == ({} if is_english else {"true_values": [true.lower()], "false_values": [false.lower()]})


@pytest.mark.parametrize(
    ("cells", "first", "written"),
    [
        (["2013-02-01", "2013-02-28T10:00:00Z"], datetime(2013, 2, 1), None),
        (["1.2.2013", "28.02.2013"], datetime(2013, 2, 1), "%d.%m.%Y"),
        (["01.02.2013 10:30", "28.02.2013 9:05"], datetime(2013, 2, 1, 10, 30), "%d.%m.%Y %H:%M"),
        (["2/1/2013", "2/28/2013"], datetime(2013, 2, 1), "%m/%d/%Y"),
        (["1/2/2013", "28/2/2013"], datetime(2013, 2, 1), "%d/%m/%Y"),
        (["1/2/2013", "2/2/2013"], datetime(2013, 2, 1), "%d/%m/%Y"),
        (["2/1/2013 3:04 PM", "2/28/2013 11:00 AM"], datetime(2013, 2, 1, 15, 4), "%m/%d/%Y %I:%M %p"),
        (["2/1/13", "2/28/13"], datetime(2013, 2, 1), "%m/%d/%y"),
        (["2013/02/01", "2013/02/28"], datetime(2013, 2, 1), "%Y/%m/%d"),
        (["Feb 2013", "May 2013"], datetime(2013, 2, 1), "%b %Y"),
        (["01-Feb-2013", "28-Feb-2013"], datetime(2013, 2, 1), "%d-%b-%Y"),
        (["1 February 2013", "3 May 2013"], datetime(2013, 2, 1), "%d %B %Y"),
        (["Feb 1, 2013", "Feb 28, 2013"], datetime(2013, 2, 1), "%b %d, %Y"),
        (["2013Q2", "2013Q4"], datetime(2013, 4, 1), "quarter"),
        (["2013-Q2", "2013-Q4"], datetime(2013, 4, 1), "quarter"),
        (["2013-02", "2013-11"], datetime(2013, 2, 1), "month"),
        (["2013m2", "2013m11"], datetime(2013, 2, 1), "month"),
    ],
)
def test_moments_are_read_however_they_are_written(
    home: Home, tmp_path: Path, cells: list[str], first: datetime, written: str | None
) -> None:
    """The format is declared; what all rows allow decides which of day and month stands first."""
    column, found = read(home, tmp_path / "folder", ['"' + cell + '"' for cell in cells] * 30)
    assert (column.type, column.format) == ("timestamp", written)
    assert found[0] == first
    ambiguous = "cannot be told apart" in " ".join(column.notes)
    assert ambiguous is (cells == ["1/2/2013", "2/2/2013"])


@pytest.mark.parametrize(
    ("cells", "written", "first"),
    [
        (["1999", "2000"], "year", datetime(1999, 1, 1)),
        (["1871", "2007"], "year", datetime(1871, 1, 1)),
        (["201302", "201311"], "month", datetime(2013, 2, 1)),
        (["20130201", "20130228"], "%Y%m%d", datetime(2013, 2, 1)),
        (["1356998400", "1356998460"], "epoch_seconds", datetime(2013, 1, 1)),
        (["1356998400000", "1356998460000"], "epoch_milliseconds", datetime(2013, 1, 1)),
        (["1949.083", "1949.167"], "decimal_month", datetime(1949, 2, 1)),
        (["2000.5", "2000.1234"], "decimal_year", datetime(2000, 7, 2)),
    ],
)
def test_numbers_are_moments_only_when_someone_says_so(
    home: Home, tmp_path: Path, cells: list[str], written: str, first: datetime
) -> None:
    """They stay numbers; `as_moments` gives the column that the landing reads as moments."""
    (tmp_path / "x.csv").write_text("x\n" + "\n".join(cells * 30) + "\n")
    found = profile(home, tmp_path / "x.csv")
    assert found.columns[0].type in ("integer", "number")
    moments = as_moments(found.columns[0])
    assert moments is not None
    assert (moments.type, moments.format) == ("timestamp", written)
    assert landed(home, replace(found, columns=(moments,)))[0]["x"] == first


def test_numbers_that_date_nothing_are_no_moments(home: Home, tmp_path: Path) -> None:
    """No year, day or second can be made of them."""
    (tmp_path / "x.csv").write_text("x,y\n" + "\n".join(f"{index},{index}.5" for index in range(60)) + "\n")
    assert [as_moments(column) for column in profile(home, tmp_path / "x.csv").columns] == [None, None]


def test_lists_and_structures_become_json_text(home: Home, tmp_path: Path) -> None:
    """From Parquet and from JSON; they crash nothing."""
    records = [{"x": [1, 2], "y": {"a": index}, "z": None if index % 2 else "text"} for index in range(60)]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "x.parquet")
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    for name in ("x.parquet", "x.jsonl"):
        found = profile(home, tmp_path / name)
        assert [column.type for column in found.columns] == ["text"] * 3
        row = landed(home, found)[3]
        assert (json.loads(row["x"]), json.loads(row["y"])) == ([1, 2], {"a": 3})


def test_numbers_among_texts_stay_text(home: Home, tmp_path: Path) -> None:
    """Ranges and the like are categories."""
    column, found = read(home, tmp_path / "folder", ["1", "5", "7", "2-10"] * 20)
    assert (column.type, column.mixed) == ("text", (0.75, "2-10"))
    assert found[:4] == ["1", "5", "7", "2-10"]


def test_signs_mean_no_value_unless_another_sign_is_one(home: Home, tmp_path: Path) -> None:
    """A minus among plus signs is a value, in the same file in which it is none among numbers."""
    (tmp_path / "x.csv").write_text("n,sign,t\n" + "1,+,a\n-,-,.\n#N/A,+,  \nNULL,-,--\n" * 20)
    found = profile(home, tmp_path / "x.csv")
    rows = landed(home, found)
    assert [row["sign"] for row in rows[:4]] == ["+", "-", "+", "-"]
    assert [row["n"] for row in rows[:1]] == [1]
    assert all(pd.isna(row["n"]) for row in rows[1:4])
    assert rows[0]["t"] == "a"
    assert all(pd.isna(row["t"]) for row in rows[1:4])
    assert "is a value here" in found.columns[1].notes[0]


def test_names_that_lack_or_repeat_are_made_up(home: Home, tmp_path: Path) -> None:
    """Alike by profile and landing, capitals aside; R's row names and a delimiter at each row's end are known."""
    (tmp_path / "x.csv").write_text("a,A,,a_2\n" + "1,2,3,4\n" * 60)
    found = profile(home, tmp_path / "x.csv")
    assert [column.raw for column in found.columns] == ["a", "A_3", "column_3", "a_2"]
    assert "'A_3', 'column_3'" in found.notes[0]
    assert list(landed(home, found)[0].values())[1:] == [1, 2, 3, 4]
    (tmp_path / "r.csv").write_text("a,b\n" + "r,1,2\n" * 60)
    assert [column.raw for column in profile(home, tmp_path / "r.csv").columns] == ["rownames", "a", "b"]
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2,\n" * 60)
    assert [column.raw for column in profile(home, tmp_path / "t.csv").columns] == ["a", "b", "column_3"]


@pytest.mark.parametrize("data", ["parts", "parts/*.csv"])
def test_a_folder_and_a_pattern_are_one_table(home: Home, tmp_path: Path, data: str) -> None:
    """In the order of the files' names; hidden files are left out; a changed file changes the digest."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, rows in (("b.csv", "x,y\n3,c\n"), ("a.csv", "y,x\na,1\nb,2\n"), (".hidden.csv", "z\n1\n"), ("_x.csv", "z\n1\n")):
        (folder / name).write_text(rows)
    found = profile(home, tmp_path / data)
    assert [(row["source_row"], row["x"], row["y"]) for row in landed(home, found)] == [(1, 1, "a"), (2, 2, "b"), (3, 3, "c")]
    (before,) = landing.land(home, declared(found), "data", found.path.parent)
    (folder / "b.csv").write_text("x,y\n3,b\n")
    (after,) = landing.land(home, declared(found), "data", found.path.parent)
    assert before.source_digest != after.source_digest
    (folder / "c.csv").write_text("x,z\n3,c\n")
    with pytest.raises(SourceError, match=r"c\.csv: lacks \['y'\] and has \['z'\] beside, unlike a\.csv.* mend the file"):
        profile(home, tmp_path / data)


def test_a_sheet_is_named_after_the_file(home: Home, tmp_path: Path) -> None:
    """The first one unless another is named; one that is not there is told with those that are."""
    excel(FRAME, tmp_path / "x.xlsx")
    assert [column.raw for column in profile(home, tmp_path / "x.xlsx", "notes").columns] == ["note"]
    with pytest.raises(
        SourceError, match=r"x\.xlsx: has no sheet 'prices'\. It has: rows, notes\. Correct what follows '::' in --data"
    ):
        profile(home, tmp_path / "x.xlsx", "prices")


def test_a_cover_sheet_is_told_with_the_other_sheets(home: Home, tmp_path: Path) -> None:
    """The first sheet is read, and it has one line only."""
    with pd.ExcelWriter(tmp_path / "x.xlsx") as writer:
        pd.DataFrame({"Report of 2024": []}).to_excel(writer, sheet_name="Cover", index=False)
        FRAME.to_excel(writer, sheet_name="rows", index=False)
    told = r"'Cover' has a header and no rows\. Name another one as --data FILE::NAME \(there are: rows\)"
    with pytest.raises(SourceError, match=told):
        profile(home, tmp_path / "x.xlsx")


def test_a_title_above_the_header_is_told(home: Home, tmp_path: Path) -> None:
    """Where a named column is not found, as the title stands for the header."""
    cells = pd.DataFrame([["Sales 2024 (confidential)", None], ["Gekündigt", "n"], *([["ja", 1], ["nein", 2]] * 30)])
    cells.to_excel(tmp_path / "x.xlsx", header=False, index=False)
    told = r"no column 'Gekündigt' .* The first line seems to be a title and no header: delete the lines above"
    with pytest.raises(SpecificationError, match=told):
        column_named(profile(home, tmp_path / "x.xlsx"), "Gekündigt", "target")


def test_lines_that_do_not_fit_are_set_aside(home: Home, tmp_path: Path) -> None:
    """A few go to quarantine, with a note; many end it. JSON lines likewise."""
    (tmp_path / "x.csv").write_text("a,b\n" + "1,2\n" * 60 + "Total: 60 rows\n")
    (tmp_path / "x.jsonl").write_text('{"a": 1, "b": 2}\n' * 60 + "cut off {\n")
    for name in ("x.csv", "x.jsonl"):
        found = profile(home, tmp_path / name)
        assert "1 line(s) cannot be split" in found.notes[0]
        assert len(landed(home, found, bad=1)) == 60
    (tmp_path / "y.csv").write_text("a,b\n" + "1,2\n" * 60 + "1,2,3\n" * 10)
    with pytest.raises(SourceError, match=r"y\.csv: 10 of 70 lines cannot be split .* first line 62: '1,2,3'\. Mend the file"):
        profile(home, tmp_path / "y.csv")


QUOTED = [
    f'0.{index:03d},"text {index},\nbelow",yes' if index == 50 else f"0.{index:03d},text {index},yes" for index in range(300)
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("begin", ["", "# exported\n"], ids=["plain", "below a comment"])
def test_a_quote_that_does_not_close_loses_lines_and_not_one_row(home: Home, tmp_path: Path, begin: str, end: str) -> None:
    """All lines that it takes in count, so the file is refused with the line; the landing refuses it alike."""
    lines = [*QUOTED[:100], '0.496,"text 2,yes', *QUOTED[101:]]
    written = (begin + "\n".join(["a,b,y", *lines]) + "\n").replace("\n", end).encode()
    (tmp_path / "x.csv").write_bytes((begin + "\n".join(["a,b,y", *QUOTED]) + "\n").encode())
    sound = profile(home, tmp_path / "x.csv")
    (tmp_path / "x.csv").write_bytes(written)
    line = 104 if begin else 103
    told = rf"first line {line}: '0\.496,\"text 2,yes': the quote that opens in line {line} does not close\. Close the quote"
    with pytest.raises(SourceError, match=rf"x\.csv: 200 of 300 lines cannot be split into the fields of the header, {told}"):
        profile(home, tmp_path / "x.csv")
    with pytest.raises(SourceError, match=rf"200 of 300 rows are bad, at most 5% may be\. 200 lines cannot be split .* {told}"):
        landing.land(home, declared(sound), "data", tmp_path)


def test_each_line_that_a_quote_takes_in_is_kept(home: Home, tmp_path: Path) -> None:
    """Up to the next quote, with the number of its line; what is below is read."""
    lines = [
        *QUOTED[:100],
        '0.496,"text 2,yes',
        *QUOTED[101:104],
        '0.3,"ok",no',
        *QUOTED[105:200],
        '0.5,"te"xt 2,yes',
        *QUOTED[201:],
    ]
    (tmp_path / "x.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    found = profile(home, tmp_path / "x.csv")
    assert "6 line(s) cannot be split into the fields of the header, first line 103" in found.notes[0]
    assert "Close the quote in line 103, or remove it" in found.notes[0]
    assert len(landed(home, found, bad=6)) == 294
    _, kept = data_quality.quarantined(home, "shop", "data")
    assert [row["raw_line"] for row in kept] == [*sorted(lines[100:105]), lines[200]]
    why = "cannot be split into fields: the quote that opens in line {} does not close"
    assert {row["reasons"][0] for row in kept} == {why.format(103), why.format(203)}


def test_a_few_lines_in_another_encoding_are_set_aside(home: Home, tmp_path: Path) -> None:
    """The file stays UTF-8: the rest of it makes sense in nothing else."""
    (tmp_path / "x.csv").write_bytes(b"n,city\n" + "1,Málaga\n".encode() * 60 + b"2,M\xe1laga\n")
    found = profile(home, tmp_path / "x.csv")
    assert found.csv["encoding"] == "utf-8"
    assert "1 line(s) cannot be split" in found.notes[0]
    assert len(landed(home, found, bad=1)) == 60


def test_a_column_may_have_a_name_that_readers_use(home: Home, tmp_path: Path) -> None:
    """Such as the row numbers of DuckDB's Parquet reader and of the landing."""
    names = ["file_row_number", "filename", "source_row", "x", "raw_x", "own_x", "line", "v", "n"]
    (tmp_path / "x.csv").write_text(",".join(names) + "\n" + "1,2,3,4,5,6,7,8,9\n" * 60)
    rows = landed(home, profile(home, tmp_path / "x.csv"))
    assert list(rows[59].values()) == [60, *range(1, 10)]


def test_one_column_of_texts_with_commas_stays_one(home: Home, tmp_path: Path) -> None:
    """No delimiter is seen where the header has none."""
    column, found = read(home, tmp_path / "folder", ["Smith, John", "Doe, Jane"] * 30)
    assert (column.raw, found[:2]) == ("x", ["Smith, John", "Doe, Jane"])


def test_numbers_that_are_none_are_no_value(home: Home, tmp_path: Path) -> None:
    """NaN and infinity in Parquet."""
    pq.write_table(pa.table({"x": [1.5, float("nan"), float("inf")] * 20}), tmp_path / "x.parquet")
    found = profile(home, tmp_path / "x.parquet")
    assert (found.columns[0].type, found.columns[0].nulls, found.columns[0].high) == ("number", 40, 1.5)
    assert sum(pd.isna(row["x"]) for row in landed(home, found)) == 40


def test_lines_that_end_in_two_ways_are_read(home: Home, tmp_path: Path) -> None:
    """As files edited on two systems have them; and headers with line breaks behind a byte order mark."""
    (tmp_path / "x.csv").write_bytes(b"a,b\n" + b"1,x\r\n2,y\n" * 30)
    rows = landed(home, profile(home, tmp_path / "x.csv"))
    assert [(row["a"], row["b"]) for row in rows[:2]] == [(1, "x"), (2, "y")]
    (tmp_path / "y.csv").write_bytes(b'\xef\xbb\xbf"a\nb",c\n' + b"1,x\n" * 60)
    found = profile(home, tmp_path / "y.csv")
    assert [column.raw for column in found.columns] == ["a\nb", "c"]
    assert len(landed(home, found)) == 60


BROKEN: list[tuple[str, bytes, str]] = [
    ("empty.csv", b"", r"empty\.csv: is empty"),
    ("blank.csv", b"\n\n\n", r"blank\.csv: has no header"),
    ("header.csv", b"a,b\n", r"header\.csv: has a header and no rows"),
    ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(200)), r"is a picture, not a text table"),
    ("noise.csv", bytes(range(256)) * 10, r"byte 1 is zero, so it is no text table"),
    ("table.csv", b"PAR1\x15\x04\x15PAR1", r"is a Parquet file, not a text table\. Rename it to end in \.parquet"),
    ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 1000)[:-20], r"cut\.csv\.gz: cannot be unpacked .* cut off"),
    ("no.csv.gz", b"hello", r"no\.csv\.gz: cannot be unpacked"),
    ("no.zip", b"PK\x03\x04broken", r"no\.zip: cannot be unpacked"),
    ("no.csv.zst", b"hello", r"no\.csv\.zst: cannot be unpacked"),
    ("no.xlsx", b"PK\x03\x04broken", r"no\.xlsx: cannot be opened"),
    ("no.parquet", b"PAR1" + b"\0" * 99, r"no\.parquet: cannot be read as a table .* fetch it again"),
    ("no.json", b"[1, 2, 3]", r"no\.json: holds no records"),
    ("cut.json", b'[{"a": 1}, {"a": ', r"cut\.json: cannot be read as a table"),
    ("columns.json", b'{"x": {"0": 1}, "y": {"0": 2}}', r"columns\.json: holds one JSON object\. Save the records as an array"),
    ("page.csv", b"\n<!DOCTYPE html>\n<html></html>\n", r"page\.csv: is a web page, not a text table"),
    ("no.jsonl", b"hello\nworld\n", r"no\.jsonl: holds no records"),
    ("no.sqlite", b"hello", r"no\.sqlite: is a database; say which table"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN, ids=[case[0] for case in BROKEN])
def test_what_is_no_table_is_one_error(home: Home, tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """With the file and what to do; nothing is left behind."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        profile(home, tmp_path / name)
    assert not home.temporary.exists() or list(home.temporary.iterdir()) == []


def test_a_folder_without_files_is_told(home: Home, tmp_path: Path) -> None:
    """With the formats that are known."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.docx").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"folder: holds no file that ends in one of \.csv, .*\.duckdb\. Correct --data"):
        profile(home, tmp_path / "folder")


def test_hundreds_of_columns_are_profiled_and_landed(home: Home, tmp_path: Path) -> None:
    """Each with its own type."""
    kinds = ["1", "1.5", "t", "да", '"$1,200"']
    names = ",".join(f"c{index}" for index in range(400))
    other = ["2", "2.5", "u", "нет", "$3"]
    lines = [",".join(cells[index % 5] for index in range(400)) for cells in (kinds, other)] * 30
    (tmp_path / "x.csv").write_text("\n".join([names, *lines]) + "\n", encoding="utf-8")
    found = profile(home, tmp_path / "x.csv")
    assert [column.type for column in found.columns[:5]] == ["integer", "number", "text", "boolean", "integer"]
    row = landed(home, found)[0]
    assert [row[f"c{index}"] for index in range(395, 400)] == [1, 1.5, "t", True, 1200]


def test_a_header_may_begin_with_a_number_sign(home: Home, tmp_path: Path) -> None:
    """It has as many fields as the rows; a comment has not."""
    (tmp_path / "x.csv").write_text("#,name,power\n" + "".join(f"{index},n{index},{index * 7}\n" for index in range(60)))
    found = profile(home, tmp_path / "x.csv")
    assert ([column.raw for column in found.columns], found.rows) == (["#", "name", "power"], 60)
    (tmp_path / "y.csv").write_text("# made by hand\n#\na,b\n" + "1,x\n" * 60)
    assert [column.raw for column in profile(home, tmp_path / "y.csv").columns] == ["a", "b"]


def test_blanks_around_numbers_and_truth_values_make_no_other_values(home: Home, tmp_path: Path) -> None:
    """A number is counted as it is landed."""
    (tmp_path / "x.csv").write_text("n,yes\n" + " 1, Yes\n1,yes\n 2 ,No\n2, no\n" * 20)
    number, truth = profile(home, tmp_path / "x.csv").columns
    assert (number.type, number.distinct, number.counts) == ("integer", 2, {"1": 40, "2": 40})
    assert (truth.type, truth.distinct, truth.counts) == ("boolean", 2, {"yes": 40, "no": 40})


def test_files_of_two_encodings_are_refused_together(home: Home, tmp_path: Path) -> None:
    """None of them is read as the other; plain ASCII goes with any."""
    for name, encoding in (("a", "utf-8"), ("b", "cp1251")):
        (tmp_path / f"{name}.csv").write_bytes(b"city\n" + "Москва\n".encode(encoding) * 60)
    with pytest.raises(SourceError, match=r"a\.csv: is utf-8, and other files are cp1251\. .*save them all as UTF-8"):
        profile(home, tmp_path)
    (tmp_path / "a.csv").write_text("city\n" + "Moscow\n" * 60)
    assert profile(home, tmp_path).csv["encoding"] == "cp1251"


def test_folders_named_like_columns_add_none(home: Home, tmp_path: Path) -> None:
    """Of Parquet files, and of what is written meanwhile."""
    folder = tmp_path / "year=2013"
    folder.mkdir()
    pq.write_table(pa.table({"x": list(range(60))}), folder / "x.parquet")
    (folder / "x.csv").write_text("x\n" + "1\n" * 60)
    for name in ("x.parquet", "x.csv"):
        found = profile(Home(tmp_path / "run=7").prepare(), folder / name)
        assert [column.raw for column in found.columns] == ["x"]
        assert len(landed(Home(tmp_path / "run=7"), found)) == 60


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["N", "S"], "text"),
        (["A", "N"], "text"),
        (["N", "Sí"], "boolean"),
        (["2005-06", "2006-07"], "text"),
        (["5-1234", "7-1300"], "text"),
        (["2005-06", "2006-08"], "timestamp"),
    ],
)
def test_what_only_looks_like_words_or_months_stays_text(home: Home, tmp_path: Path, cells: list[str], kind: str) -> None:
    """Hemispheres, seasons and codes."""
    assert read(home, tmp_path / "folder", cells * 30)[0].type == kind


def test_whole_numbers_with_points_beside_decimal_commas_are_landed(home: Home, tmp_path: Path) -> None:
    """Also where one is rarer than what is shown of a column; a point beside decimal commas stands between thousands."""
    lines = [f"{index},5;{index}" for index in range(200)] + ["7,5;90.0"]
    (tmp_path / "x.csv").write_text("a;b\n" + "\n".join(lines) + "\n")
    rows = landed(home, profile(home, tmp_path / "x.csv"))
    assert (rows[-1]["a"], rows[-1]["b"]) == (7.5, 90)
    (tmp_path / "y.csv").write_text("a;b\n" + "\n".join([*lines[:200], "1.234;5"]) + "\n")
    assert landed(home, profile(home, tmp_path / "y.csv"))[-1]["a"] == 1234
    plain = value_parsing.number("v", value_parsing.NumberStyle(","))
    assert duckdb.connect().sql(f"select {plain} from (values ('1.234'), ('1,234')) as t(v)").fetchall() == [(None,), (1.234,)]


def test_a_folder_holds_packed_tables_too(home: Home, tmp_path: Path) -> None:
    """A zip's name does not tell what it holds; lines of JSON may end in two ways; a path may hold signs of URLs."""
    folder = tmp_path / "50%20 #1"
    folder.mkdir()
    with zipfile.ZipFile(folder / "jan.zip", "w") as archive:
        archive.writestr("jan.csv", "x\n" + "1\n" * 60)
    (folder / "feb.csv").write_text("x\n" + "2\n" * 60)
    assert profile(home, folder).rows == 120
    (folder / "y.jsonl").write_bytes(b'{"x": 1}\n{"x": 2}\r\n' * 30)
    assert profile(home, folder / "y.jsonl").rows == 60
    with contextlib.closing(sqlite3.connect(folder / "z.sqlite")) as connection, connection:
        connection.execute(
            "create table t as with recursive n(x) as (select 1 union all select x + 1 from n where x < 60) select x from n"
        )
    assert profile(home, folder / "z.sqlite", "t").rows == 60


def test_a_packed_file_with_flipped_bytes_is_one_error(home: Home, tmp_path: Path) -> None:
    """Whichever kind."""
    packed = bytearray(gzip.compress(b"x,y\n" + bytes(range(48, 58)) * 5000))
    packed[20:60] = bytes(40)
    (tmp_path / "x.csv.gz").write_bytes(packed)
    with pytest.raises(SourceError, match=r"x\.csv\.gz: cannot be unpacked"):
        profile(home, tmp_path / "x.csv.gz")


@pytest.mark.parametrize("encoding", ["rot13", "hex", "klingon"])
def test_an_encoding_that_is_none_of_text_is_refused(home: Home, tmp_path: Path, encoding: str) -> None:
    """On the command line; the declaration refuses it, too."""
    (tmp_path / "x.csv").write_text("x\n" + "1\n" * 60)
    with pytest.raises(SpecificationError, match="none that Python knows"):
        profile(home, tmp_path / "x.csv", encoding=encoding)
    with pytest.raises(ValidationError, match="has no encoding"):
        CsvSpec(encoding=encoding)
