"""Odd shapes: real tables as people's exports have them, made by rule and seed. Runs in ``.venv-tables``.

Each shape takes a table of rows that can be learnt, spoils how it is written, and leaves what can be learnt as it is.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.tables import sources

Shape = tuple[str, str, str, Callable[[Path, pd.DataFrame, np.random.Generator], pd.DataFrame]]
"""The file's name, the target, its kind, and what writes the file and gives the rows as they are."""


def written(files: Path) -> Iterator[dict[str, Any]]:
    """Write all shapes, with their lines of the manifest."""
    tables = {"cancer": _cancer(), "diabetes": _diabetes(), "cars": _cars()}
    for number, (table, (name, target, kind, write)) in enumerate(_shapes()):
        path = files / f"odd_{name}"
        frame = write(path, tables[table].copy(), np.random.default_rng(number))
        yield {
            "name": f"odd/{name}", "variant": "odd", "group": "odd",
            "file": path.name, "rows": len(frame), "rows_before_cap": len(frame), "columns": frame.shape[1],
            "target": target, "kind": kind, "time": None,
        }  # fmt: skip


def _cancer() -> pd.DataFrame:
    frame = dict(sources.sklearn())["sklearn/breast_cancer"].round(4)
    return frame.assign(target=frame["target"].map({0: "malignant", 1: "benign"}))


def _diabetes() -> pd.DataFrame:
    return dict(sources.sklearn())["sklearn/diabetes"].round(4)


def _cars() -> pd.DataFrame:
    return dict(sources.bokeh())["bokeh/auto-mpg"]


def _csv(**written: Any) -> Callable[[Path, pd.DataFrame], None]:
    return lambda path, frame: frame.to_csv(path, index=False, **written)


def _shapes() -> Iterator[tuple[str, Shape]]:
    yield "cancer", ("cp1251.csv", "диагноз", "binary", _cp1251)
    yield "cancer", ("utf16.tsv", "target", "binary", _utf16)
    yield "cancer", ("lines.jsonl", "target", "binary", _lines)
    yield "diabetes", ("book.xlsx", "target", "regression", _book)
    yield "cancer", ("packed.csv.gz", "target", "binary", _packed)
    yield "diabetes", ("decimal_commas.csv", "target", "regression", _commas)
    yield "cars", ("prices.csv", "price", "regression", _prices)
    yield "cancer", ("booleans_ru.csv", "болен", "binary", _booleans)
    yield "cars", ("rare_class.csv", "origin", "multiclass", _rare)
    yield "cancer", ("wide_200.csv", "target", "binary", lambda path, frame, random: _wide(path, frame, random, 200))
    yield "cancer", ("wide_3000.csv", "target", "binary", lambda path, frame, random: _wide(path, frame, random, 3000))
    yield "cancer", ("rows_200.csv", "target", "binary", _few)
    yield "diabetes", ("constant_and_empty.csv", "target", "regression", _constant)
    yield "diabetes", ("target_gaps.csv", "target", "regression", _gaps)
    yield "cancer", ("duplicates.csv", "target", "binary", _duplicates)
    yield "cars", ("ranges.csv", "mpg", "regression", _ranges)
    yield "cars", ("free_text.csv", "mpg", "regression", _text)
    yield "cancer", ("hostile_names.csv", "target", "binary", _hostile)


def _cp1251(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    words = {"malignant": "злокачественная", "benign": "доброкачественная"}
    frame = frame.iloc[:, :12].assign(диагноз=frame["target"].map(words), город=random.choice(["Томск", "Пермь"], len(frame)))
    _csv(encoding="cp1251", sep=";")(path, frame)
    return frame


def _utf16(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame = frame.assign(city=random.choice(["Köln", "Zürich", "Łódź"], len(frame)))
    _csv(encoding="utf-16", sep="\t")(path, frame)
    return frame


def _lines(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame.loc[random.random(len(frame)) < 0.05, "mean radius"] = None
    frame.to_json(path, orient="records", lines=True)
    return frame


def _book(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame = frame.assign(seen=pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 300, len(frame)), "D"))
    frame.to_excel(path, index=False, sheet_name="Книга")
    return frame


def _packed(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame = frame.sample(frac=1, random_state=int(random.integers(1000)))
    path.write_bytes(gzip.compress(frame.to_csv(index=True).encode(), mtime=0))
    return frame


def _commas(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame = frame.assign(region=random.choice(["Nord", "Süd"], len(frame)))
    _csv(sep=";", decimal=",", encoding="utf-8-sig")(path, frame)
    return frame


def _prices(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Prices as `$ 1,234.50`, some of them blank, shares in percent."""
    price = 200 * frame["hp"] + 3 * frame["weight"] + random.normal(0, 800, len(frame))
    frame["price"] = [f"$ {value:,.2f}" if random.random() > 0.06 else " " for value in price]
    frame["discount"] = [f"{value:.0f} %" for value in random.integers(0, 40, len(frame))]
    _csv()(path, frame)
    return frame


def _booleans(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame["болен"] = frame.pop("target").map({"malignant": "да", "benign": "нет"})
    frame["курит"] = random.choice(["да", "нет", ""], len(frame))
    frame["a payé"] = random.choice(["oui", "non"], len(frame))
    _csv()(path, frame)
    return frame


def _rare(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame["origin"] = frame["origin"].map({1: "USA", 2: "Europe", 3: "Japan"})
    frame.loc[random.choice(len(frame), 4, replace=False), "origin"] = "USSR"
    _csv()(path, frame)
    return frame


def _wide(path: Path, frame: pd.DataFrame, random: np.random.Generator, columns: int) -> pd.DataFrame:
    frame = frame.head(300) if columns > 1000 else frame
    noise = {f"x{number}": random.normal(size=len(frame)).round(3) for number in range(columns - frame.shape[1])}
    frame = pd.concat([frame, pd.DataFrame(noise, index=frame.index)], axis=1)
    _csv()(path, frame)
    return frame


def _few(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame = frame.sample(200, random_state=int(random.integers(1000)))
    _csv()(path, frame)
    return frame


def _constant(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame = frame.assign(country="DE", note=None, version=1, visits=random.integers(0, 3, len(frame)))
    _csv()(path, frame)
    return frame


def _gaps(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame["target"] = frame["target"].where(random.random(len(frame)) > 0.15)
    _csv(na_rep="n/a")(path, frame)
    return frame


def _duplicates(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    frame = pd.concat([frame, frame.sample(120, random_state=int(random.integers(1000)))])
    _csv()(path, frame)
    return frame


def _ranges(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """A column of numbers with ranges among them, and one of numbers with a letter."""
    visits = random.integers(0, 12, len(frame))
    frame["visits"] = ["2-10" if random.random() < 0.1 else str(value) for value in visits]
    frame["seats"] = ["7p" if random.random() < 0.1 else str(value) for value in random.integers(2, 6, len(frame))]
    _csv()(path, frame)
    return frame


def _text(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Comments of several sentences, with line breaks, quotes and separators."""
    words = np.array(["good", "bad", 'said "never"', "rust, dents", "new\nbrakes", "ok; fine", "très bien", "100%"])
    frame["comment"] = [f"{name}: {'. '.join(random.choice(words, 12))}" for name in frame["name"]]
    _csv()(path, frame)
    return frame


def _hostile(path: Path, frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    names = ["<script>alert(1)</script>", "'; drop table x; --", "{{7*7}}", 'a "b" c', "  ", "select", "ряд"]
    frame = frame.rename(columns=dict(zip(frame.columns[: len(names)], names, strict=True)))
    frame["<b>"] = random.choice(["<img src=x onerror=alert(1)>", "'; drop table x; --", "{{7*7}}"], len(frame))
    _csv()(path, frame)
    return frame
