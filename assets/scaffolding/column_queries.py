"""Column queries: what is counted of a file's columns, many columns in one scan.

The cells of many columns stand below each other in one relation and are grouped by column: a query over thousands of columns
side by side takes DuckDB longer to plan than to run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assets.ingestion import row_validation, value_parsing
from assets.ingestion.number_formats import POINTED_GROUPS
from assets.ingestion.value_parsing import NumberStyle
from assets.ingestion.value_words import NULLS, SIGNS
from assets.storage.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

MOST_CELLS, MOST_COUNTED = 10_000_000, 60
SAMPLED_ROWS, SAMPLED_CELLS, FEWEST_SAMPLED = 1000, 200_000, 50
PLAIN = NumberStyle()


@dataclass(frozen=True)
class Tally:
    """What was counted of a column: values, different ones, those that are plain numbers, and the range of these.

    `decimals` counts the plain numbers whose point can only stand before decimals; `grouped` is a value whose points may all
    stand between thousands, as three digits follow each.
    """

    filled: int
    distinct: int
    numbers: int
    whole: int
    low: float | None
    high: float | None
    decimals: int = 0
    grouped: str | None = None

    @property
    def may_group_by_points(self) -> bool:
        """Whether some point may stand between thousands, and none can only stand before decimals."""
        return self.grouped is not None and self.decimals == 0


@dataclass
class Ask:
    """Asks of the relation `raw`, whose columns and types are `found`; `nulls` are the texts that mean 'no value' in each."""

    connection: duckdb.DuckDBPyConnection
    found: dict[str, str]
    rows: int
    nulls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    loaded: tuple[str, ...] = ()

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection) -> Ask:
        """Over what is loaded."""
        return cls(connection, row_validation.columns(connection), row_validation.count(connection, "select count(*) from raw"))

    def columns(self, wanted: Iterable[str], aggregates: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        """Aggregates over the values of each column, which they call ``v``."""
        listed = ", ".join(aggregates)
        empty = self.connection.execute(f"select {listed} from (select null::varchar as v) where false").fetchall()[0]
        names = list(wanted)
        found = dict.fromkeys(names, tuple(empty))
        for cells, own in self._cells(names):
            for number, *answers in self.connection.execute(f"select n, {listed} from {cells} group by n").fetchall():
                found[own[number]] = tuple(answers)
        return found

    def tallies(self) -> dict[str, Tally]:
        """What is counted of every column."""
        number, whole = value_parsing.number("v", PLAIN), value_parsing.integer("v", PLAIN)
        counted = [f"count({found})" for found in ("v", "distinct v", number, whole)]
        grouped = f"(contains(v, '.') and regexp_matches(v, {literal(POINTED_GROUPS)}))"
        points = f"count(*) filter (contains(v, '.') and not {grouped} and {number} is not null)"
        asked = [*counted, f"min({number})", f"max({number})", points, f"min(v) filter ({grouped})"]
        return {raw: Tally(*answers) for raw, answers in self.columns(self.found, asked).items()}

    def counts(self, wanted: Iterable[str], parse: Callable[[str], str] = lambda value: value) -> dict[str, dict[str, int]]:
        """The commonest values of each column, the commonest first; as text, or as text of what `parse` makes of them."""
        names = list(wanted)
        found: dict[str, dict[str, int]] = {name: {} for name in names}
        for cells, own in self._cells(names):
            rows = self.connection.execute(
                f"select n, ({parse('v')})::varchar as t, count(*) as times from {cells} where t is not null group by n, t "
                f"qualify row_number() over (partition by n order by times desc, t) <= {MOST_COUNTED} order by n, times desc, t"
            ).fetchall()
            for number, text, times in rows:
                found[own[number]][text] = times
        return found

    def samples(self, wanted: Sequence[str]) -> dict[str, list[str]]:
        """Different values of each column, from rows at even distances."""
        rows = max(FEWEST_SAMPLED, min(SAMPLED_ROWS, SAMPLED_CELLS // max(1, len(wanted))))
        step = max(1, self.rows // rows)
        found: dict[str, list[str]] = {name: [] for name in wanted}
        for cells, own in self._cells(wanted):
            query = (
                f"select n, list(v order by source_row) from {cells} where source_row % {step} = 0 and v is not null group by n"
            )
            for number, values in self.connection.execute(query).fetchall():
                found[own[number]] = list(dict.fromkeys(values))
        return found

    def commonest_text(self, raw: str) -> str:
        """The commonest value of a column that is no number."""
        for cells, _ in self._cells([raw]):
            row: Any = self.connection.execute(
                f"select v from {cells} where v is not null and {value_parsing.number('v', PLAIN)} is null group by v "
                "order by count(*) desc, v limit 1"
            ).fetchone()
        return str(row[0])

    def find_nulls(self, own: Sequence[str]) -> tuple[str, ...]:
        """Find the texts that mean 'no value': the usual words, the user's own, and signs where no other sign is a value.

        A column of plus and minus signs keeps them: there, a minus is a value. Returns those of all columns.
        """
        texts = [raw for raw, kind in self.found.items() if kind == "VARCHAR"]
        known = tuple(dict.fromkeys((*NULLS, *SIGNS, *own)))
        listed = ", ".join(map(literal, known))
        word = value_parsing.trimmed("v")
        asked = [
            f"list(distinct {word}) filter ({word} in ({listed}))",
            f"count(*) filter ({word} not in ('', {listed}) and not regexp_matches(v, '[\\pL\\pN]'))",
        ]
        used: set[str] = set()
        values: dict[str, set[str]] = {}
        for raw, (tokens, signs) in self.columns(texts, asked).items():
            present = set(tokens or ())
            values[raw] = {token for token in present if signs and token in SIGNS and token not in own}
            used |= present - values[raw]
        whole = ("", *(token for token in known if token in used))
        for raw in texts:
            self.nulls[raw] = tuple(token for token in whole if token not in values[raw])
        return whole[1:]

    def _cells(self, wanted: Iterable[str]) -> Iterator[tuple[str, dict[int, str]]]:
        """Relations of a column's number ``n``, the row's and its value ``v``, and the columns by number."""
        asked = set(wanted)
        names = list(self.found)
        size = max(1, MOST_CELLS // max(1, self.rows))
        for begin in range(0, len(names), size):
            chunk = tuple(names[begin : begin + size])
            groups: dict[tuple[str, ...], dict[int, str]] = {}
            for number, raw in enumerate(chunk):
                if raw in asked:
                    groups.setdefault(self.nulls.get(raw, ("",) if self.found[raw] == "VARCHAR" else ()), {})[number] = raw
            if groups and self.loaded != chunk:
                self._load(chunk)
            for nulls, own in groups.items():
                among = "" if len(own) == len(chunk) else f" where n in ({', '.join(map(str, own))})"
                yield f"(select n, source_row, {value_parsing.present('v', nulls)} as v from cells{among})", own

    def _load(self, chunk: tuple[str, ...]) -> None:
        listed = ", ".join(f"{identifier(raw)}::varchar as n{number}" for number, raw in enumerate(chunk))
        self.connection.execute(
            "create or replace temp table cells as select substr(n, 2)::integer as n, source_row, v from "
            f"(unpivot (select source_row, {listed} from raw) on columns(* exclude source_row) into name n value v)"
        )
        self.loaded = chunk
