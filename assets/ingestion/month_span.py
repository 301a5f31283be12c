"""Month span: the declared months of a table as a condition that a lake or a database applies while it reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from assets.errors import SourceError
from assets.spec import TableSpec

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class MonthSpan:
    """Whole months of one column.

    Parameters
    ----------
    column : str
        A date, a timestamp, or text that begins as 2013-01.
    start, after : str
        The first month, and the first after the last, as ``2013-01``.
    """

    column: str
    start: str
    after: str

    @classmethod
    def of(cls, table: TableSpec) -> MonthSpan | None:
        """The months of a table that declares a column for them; None for others.

        Examples
        --------
        >>> from assets.spec import TableSpec
        >>> table = TableSpec.model_validate({
        ...     "description": "An order.", "columns": {"day": {"type": "timestamp"}},
        ...     "delta": {"path": "orders", "month_column": "day"},
        ...     "partition": {"month": "day", "start": "2013-11", "end": "2013-12"},
        ... })
        >>> MonthSpan.of(table)
        MonthSpan(column='day', start='2013-11', after='2014-01')
        """
        stored, months = table.stored, table.partition
        if stored is None or stored.month_column is None or months is None:
            return None
        following = int(months.end[:4]) * 12 + int(months.end[5:])
        return cls(stored.month_column, months.start, f"{following // 12:04d}-{following % 12 + 1:02d}")

    def bounds(self, *, is_text: bool) -> tuple[str, str]:
        """The first value of the months, and the first after them, as text."""
        return (self.start, self.after) if is_text else (f"{self.start}-01", f"{self.after}-01")

    def sql(self, is_text: bool) -> str:  # noqa: FBT001 - one question
        """The condition in SQL; rows without a value are read, and told by the landing."""
        first, after = self.bounds(is_text=is_text)
        own = '"' + self.column.replace('"', '""') + '"'
        return f"(({own} >= '{first}' and {own} < '{after}') or {own} is null)"

    def arrow(self, schema: pa.Schema) -> Any:
        """The condition as an Arrow expression.

        Raises
        ------
        SourceError
            If the column is no date, timestamp or text.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = schema.field(self.column).type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            values: list[Any] = [pa.scalar(value, kind) for value in self.bounds(is_text=True)]
        elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            days = [date.fromisoformat(value) for value in self.bounds(is_text=False)]
            zone = UTC if pa.types.is_timestamp(kind) and kind.tz else None
            moments = [datetime(day.year, day.month, day.day, tzinfo=zone) for day in days]
            values = [pa.scalar(value, kind) for value in (days if pa.types.is_date(kind) else moments)]
        else:
            raise no_months(self.column, str(kind))
        own = pc.field(self.column)
        return ((own >= values[0]) & (own < values[1])) | own.is_null()


def no_months(column: str, kind: str) -> SourceError:
    """That a column cannot tell months."""
    return SourceError(
        f"month_column '{column}' is a {kind}. Name a column that is a date, a timestamp or text such as 2013-01-31, or leave "
        "'month_column' out: then all rows are read."
    )
