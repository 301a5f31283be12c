"""Page: docs/measured/tables.md, the summary and one line a table, between markers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import machine
from benchmarks.tables.runner import FAILED, REFUSED, SERVED

Record = dict[str, Any]
START, END = "<!-- written by `make bench-tables`: start -->", "<!-- written by `make bench-tables`: end -->"
METRICS = {"roc_auc": "AUC", "log_loss": "log loss", "mae": "MAE"}


def write(path: Path, records: Sequence[Record]) -> None:
    """Put summary and tables between the markers; the words around them stay."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    path.write_text(f"{before}{START}\n{_body(records)}\n{END}{after}", encoding="utf-8")


def summary(records: Sequence[Record]) -> list[tuple[str, str, str]]:
    """Figure, measured, asked; what nothing was measured of is said to be so."""
    plain = [item for item in records if item["variant"] == "plain"]
    odd = [item for item in records if item["variant"] == "odd"]
    shuffled = [item for item in records if item["variant"] == "shuffled"]
    learnable = [item for item in plain if item.get("learnable")]
    unlearnable = [item for item in plain if item.get("learnable") is False]
    compared = [item["rivals"] for item in plain if item.get("rivals", {}).get("compared")]
    # a difference that made a run fail is among them: parity leaves its record
    differences = [max(item["differences"].values()) for item in records if item.get("differences")]
    largest = f"{max(differences):.1g}" if differences else "none measured"
    return [
        ("errors, drawn tables", _count(plain, lambda item: item["outcome"] == FAILED), "0"),
        ("errors, odd shapes", _count(odd, lambda item: item["outcome"] == FAILED), "0"),
        ("learnable tables served", _share(learnable, _is_served), "at least 95 %"),
        ("odd shapes served (all can be learnt)", _share(odd, _is_served), "at least 95 %"),
        ("targets that were judged unlearnable, served", _share(unlearnable, _is_served), "at most 5 %"),
        ("shuffled targets served", _share(shuffled, _is_served), "at most 5 %"),
        *_speed(plain),
        (
            "metric not surely worse than the better of plain LightGBM and linear, same test rows",
            _share(compared, lambda item: not item["surely_worse"]), "at least 95 %",
        ),
        ("largest difference of pipeline, ONNX, SQL, wheel, service", largest, "at most 1e-9"),
    ]  # fmt: skip


def _speed(records: Sequence[Record]) -> list[tuple[str, str, str]]:
    def seconds(item: Record) -> float:
        return float(item["new_seconds"] + item["run_seconds"])

    served = [item for item in records if _is_served(item)]
    thousand = [item for item in served if 700 <= item["rows"] <= 1500]
    ten_thousand = [item for item in served if 7000 <= item["rows"] <= 14_000 and item["columns"] <= 20]
    return [
        ("`new` + `run`, served tables of 700 to 1,500 rows, median", _middle(thousand, seconds), "at most 10 s"),
        ("`run` alone, the same", _middle(thousand, lambda item: item["run_seconds"]), "at most 8 s"),
        (
            "`new` + `run`, served tables of 7,000 to 14,000 rows and at most 20 columns",
            _middle(ten_thousand, seconds),
            "at most 14 s",
        ),
    ]


def _body(records: Sequence[Record]) -> str:
    codes = Counter(item["code"] for item in records)
    jobs = sorted({item["jobs"] for item in records})
    told = ", ".join(f"`{code}` ({count})" for code, count in codes.most_common())
    parts = [
        f"Machine: {machine()}; {' or '.join(map(str, jobs))} table(s) at a time. {len(records)} runs, of code {told}.",
        _table(("figure", "measured", "asked"), summary(records)),
        "## Why tables were refused or failed",
        _table(("outcome", "why", "learnable", "unlearnable", "cannot be said"), _causes(records)),
    ]
    for variant, title in (("plain", "Drawn tables"), ("odd", "Odd shapes"), ("shuffled", "Shuffled targets")):
        rows = [_line(item) for item in sorted(records, key=lambda item: item["name"]) if item["variant"] == variant]
        if rows:
            parts += [f"## {title}", _table(HEADER, rows)]
    return "\n\n".join(parts)


HEADER = (
    "table", "rows x columns", "target", "kind", "learnable", "outcome", "`new` + `run` s", "metric", "Loopline", "LightGBM",
    "linear", "FLAML", "difference",
)  # fmt: skip


def _line(item: Record) -> tuple[str, ...]:
    rivals = item.get("rivals", {})
    figures = rivals.get("figures", {})
    judged = {True: "yes", False: "no", None: "cannot be said"}[item["learnable"]] if "learnable" in item else ""
    return (
        item["name"],
        f"{item['rows']:,} x {item['columns']}",
        _code(item["target"]),
        item["kind"] + (", time" if item["time"] else ""),
        judged,
        _why(item),
        f"{item['new_seconds']:.1f} + {item.get('run_seconds', 0):.1f}",
        METRICS.get(rivals.get("metric"), ""),
        _figure(figures.get("product")) + (" (surely worse)" if rivals.get("surely_worse") else ""),
        *(_figure(figures.get(name)) for name in ("booster", "linear", "automl")),
        f"{max(item['differences'].values()):.0e}" if item.get("differences") else "",
    )


def _why(item: Record) -> str:
    if item["outcome"] == REFUSED:
        return f"refused: {', '.join(dict.fromkeys(item['refused_by']))}"
    return f"failed at {item['at']}: {_code(item['error'][:120])}" if item["outcome"] == FAILED else SERVED


def _causes(records: Sequence[Record]) -> list[tuple[str, ...]]:
    counted: dict[tuple[str, str], Counter[Any]] = {}
    for item in records:
        if item["variant"] != "shuffled" and item["outcome"] != SERVED:
            why = ", ".join(dict.fromkeys(item["refused_by"])) if item["outcome"] == REFUSED else f"at {item['at']}"
            counted.setdefault((item["outcome"], why), Counter())[item.get("learnable")] += 1
    ordered = sorted(counted.items(), key=lambda pair: -pair[1].total())
    return [(*key, *(str(found[judged]) for judged in (True, False, None))) for key, found in ordered]


def _is_served(item: Record) -> bool:
    return bool(item["outcome"] == SERVED)


def _count(items: Sequence[Record], holds: Callable[[Record], bool]) -> str:
    return f"{sum(map(holds, items))} of {len(items)}"


def _share(items: Sequence[Record], holds: Callable[[Record], bool]) -> str:
    return f"{sum(map(holds, items)) / len(items):.1%} ({_count(items, holds)})" if items else "none measured"


def _middle(items: Sequence[Record], of: Callable[[Record], float]) -> str:
    return f"{median(map(of, items)):.1f} s ({len(items)} tables)" if items else "none measured"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _code(text: str) -> str:
    """Text of a table as code that breaks no table."""
    return "`" + " ".join(text.replace("`", "'").replace("|", "/").split()) + "`"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))
