"""Column queries: what is counted of a file's columns, many columns in one scan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assets import raw_rows, value_parsing
from assets.sql import identifier, literal
from assets.value_parsing import NumberStyle
from assets.value_words import NULLS, SIGNS

if TYPE_CHECKING:
    import duckdb

MOST_COLUMNS, MOST_CELLS = 100, 10_000_000
MOST_COUNTED, MOST_GROUPED = 60, 10_000
SAMPLED_ROWS, SAMPLED_CELLS, FEWEST_SAMPLED = 1000, 200_000, 50
PLAIN = NumberStyle()
Aggregates = Callable[[str], Sequence[str]]
"""What is asked of a column: aggregates over its values, given their name in the query."""


@dataclass(frozen=True)
class Tally:
    """What was counted of a column: values, different ones, those that are plain numbers, and the range of these."""

    filled: int
    distinct: int
    numbers: int
    whole: int
    low: float | None
    high: float | None


@dataclass
class Ask:
    """Asks of the relation `raw`, whose columns and types are `found`; `nulls` are the texts that mean 'no value' in each."""

    connection: duckdb.DuckDBPyConnection
    found: Mapping[str, str]
    rows: int
    nulls: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection) -> Ask:
        """Over what is loaded."""
        return cls(connection, raw_rows.columns(connection), raw_rows.count(connection, "select count(*) from raw"))

    def value(self, raw: str) -> str:
        """A column's text, null where it means 'no value'."""
        text = f"{identifier(raw)}::varchar"
        return value_parsing.present(text, self.nulls.get(raw, ("",))) if self.found[raw] == "VARCHAR" else text

    def columns(self, asked: Mapping[str, Aggregates]) -> dict[str, tuple[Any, ...]]:
        """Aggregates over each column's values."""
        found = {}
        for chunk in self._chunks(asked):
            inner = ", ".join(f"{self.value(raw)} as v{number}" for number, raw in enumerate(chunk))
            wanted = [asked[raw](f"v{number}") for number, raw in enumerate(chunk)]
            outer = ", ".join(aggregate for aggregates in wanted for aggregate in aggregates)
            answers = iter(self.connection.execute(f"select {outer} from (select {inner} from raw)").fetchall()[0])
            for raw, aggregates in zip(chunk, wanted, strict=True):
                found[raw] = tuple(next(answers) for _ in aggregates)
        return found

    def tallies(self) -> dict[str, Tally]:
        """What is counted of every column."""

        def aggregates(value: str) -> list[str]:
            number, whole = value_parsing.number(value, PLAIN), value_parsing.integer(value, PLAIN)
            counted = [f"count({found})" for found in (value, f"distinct {value}", number, whole)]
            return [*counted, f"min({number})", f"max({number})"]

        return {raw: Tally(*counted) for raw, counted in self.columns(dict.fromkeys(self.found, aggregates)).items()}

    def counts(
        self, wanted: Iterable[str], distinct: Mapping[str, int], parsed: Mapping[str, Callable[[str], str]] | None = None
    ) -> dict[str, dict[str, int]]:
        """The commonest values of each column, the commonest first; as text, or as text of what `parsed` makes of them."""

        def text(raw: str, value: str) -> str:
            return f"({parsed[raw](value)})::varchar" if parsed is not None else value

        def commonest(raw: str) -> Aggregates:
            ordered = "lambda entry: {'n': -entry.value::bigint, 't': entry.key}"
            return lambda value: [
                f"list_sort(list_transform(map_entries(histogram({text(raw, value)})), {ordered}))[:{MOST_COUNTED}]"
            ]

        names = list(wanted)
        few = {raw: commonest(raw) for raw in names if distinct[raw] <= MOST_GROUPED}
        found = {raw: {item["t"]: -item["n"] for item in items or ()} for raw, (items,) in self.columns(few).items()}
        for raw in (raw for raw in names if raw not in few):
            counted = self.connection.execute(
                f"select {text(raw, 'v')} as t, count(*) from (select {self.value(raw)} as v from raw) where t is not null "
                f"group by 1 order by 2 desc, 1 limit {MOST_COUNTED}"
            ).fetchall()
            found[raw] = {str(text): int(count) for text, count in counted}
        return found

    def samples(self, wanted: Sequence[str]) -> dict[str, list[str]]:
        """Different values of each column, from rows at even distances."""
        rows = max(FEWEST_SAMPLED, min(SAMPLED_ROWS, SAMPLED_CELLS // max(1, len(wanted))))
        step = max(1, self.rows // rows)
        found: dict[str, list[str]] = {}
        for chunk in self._chunks(wanted):
            listed = ", ".join(f"list({self.value(raw)} order by source_row)" for raw in chunk)
            lists = self.connection.execute(f"select {listed} from raw where source_row % {step} = 0").fetchall()[0]
            for raw, values in zip(chunk, lists, strict=True):
                found[raw] = list(dict.fromkeys(text for text in values or () if text is not None))
        return found

    def find_nulls(self, own: Sequence[str]) -> tuple[str, ...]:
        """Find the texts that mean 'no value': the usual words, the user's own, and signs where no other sign is a value.

        A column of plus and minus signs keeps them: there, a minus is a value. Returns those of all columns.
        """
        texts = [raw for raw, kind in self.found.items() if kind == "VARCHAR"]
        known = tuple(dict.fromkeys((*NULLS, *SIGNS, *own)))
        listed = ", ".join(map(literal, known))

        def asked(value: str) -> list[str]:
            word = value_parsing.trimmed(value)
            return [
                f"list(distinct {word}) filter ({word} in ({listed}))",
                f"count(*) filter ({word} not in ({listed}) and not regexp_matches({value}, '[\\pL\\pN]'))",
            ]

        used: set[str] = set()
        values: dict[str, set[str]] = {}
        for raw, (tokens, signs) in self.columns(dict.fromkeys(texts, asked)).items():
            present = set(tokens or ())
            values[raw] = {token for token in present if signs and token in SIGNS and token not in own}
            used |= present - values[raw]
        whole = ("", *(token for token in known if token in used))
        for raw in texts:
            self.nulls[raw] = tuple(token for token in whole if token not in values[raw])
        return whole[1:]

    def _chunks(self, wanted: Sequence[str] | Mapping[str, Any]) -> Iterator[list[str]]:
        names = list(wanted)
        size = max(1, min(MOST_COLUMNS, MOST_CELLS // max(1, self.rows)))
        for begin in range(0, len(names), size):
            yield names[begin : begin + size]
