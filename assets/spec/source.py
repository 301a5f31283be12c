"""What a source of raw files declares: where they are, their columns, and the rules each row must keep."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, Month, Name

ColumnType = Literal["integer", "number", "text", "timestamp"]


class ColumnSpec(Declaration):
    """One column of a raw table."""

    type: ColumnType
    """Give what the text is read as: integer, number, text or timestamp (UTC)."""
    nullable: bool = False
    """Say true if a row may lack it."""
    min: float | None = None
    """Give the smallest value allowed."""
    max: float | None = None
    """Give the largest value allowed."""
    values: tuple[str, ...] | None = Field(default=None, strict=False)
    """List the vocabulary: the only values allowed."""
    pattern: str | None = None
    """Give a regular expression that the whole text must match."""

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> ColumnSpec:
        if self.type in ("text", "timestamp") and (self.min is not None or self.max is not None):
            raise ValueError(f"has min or max, which a {self.type} cannot have. Use 'values' or 'pattern', or remove it")
        if self.type != "text" and (self.values is not None or self.pattern is not None):
            raise ValueError(f"has values or pattern, which only text can have, not {self.type}. Use min and max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"allows nothing: min {self.min} is above max {self.max}. Swap them")
        return self


class PartitionSpec(Declaration):
    """How a table is cut into months."""

    month: str
    """Give an SQL expression over the table's columns that yields a date in the row's month."""
    start: Month
    """Give the first month, as 2013-01."""
    end: Month
    """Give the last month, as 2013-12."""

    @model_validator(mode="after")
    def _in_order(self) -> PartitionSpec:
        if self.start > self.end:
            raise ValueError(f"starts in {self.start}, after its end {self.end}. Swap them")
        return self


class TableSpec(Declaration):
    """One raw table: a file, its columns, its key and its rules."""

    description: str
    """Say what a row is."""
    file: str
    """Give the file's path, relative to the source's distribution or folder (.csv, .csv.gz, .csv.zip or .parquet)."""
    key: tuple[str, ...] = Field(strict=False, min_length=1)
    """List the columns that identify a row in the business; a second row with the same key is a duplicate."""
    columns: dict[str, ColumnSpec]
    """Declare every column of the file, in the file's spelling."""
    rules: dict[Name, str] = Field(default_factory=dict)
    """Give cross-field logic, by name: SQL conditions over the typed columns; a row for which one is false is bad."""
    null_values: tuple[str, ...] = Field(default=("",), strict=False)
    """List the texts that mean 'no value'."""
    partition: PartitionSpec | None = None
    """Declare how the table is cut into months; leave out for a static table."""

    @model_validator(mode="after")
    def _key_is_declared(self) -> TableSpec:
        unknown = [name for name in self.key if name not in self.columns]
        if unknown:
            raise ValueError(f"has a key of undeclared columns {unknown}. Declared: {', '.join(self.columns)}")
        return self


class SourceSpec(Declaration):
    """A source: raw files that come together."""

    name: Name
    """Give the source's name: lower case, digits and underscores."""
    description: str
    """Say where the data come from and under which licence."""
    owner: str = "team:data"
    """Give an e-mail address or team:NAME."""
    distribution: str | None = None
    """Name the installed Python distribution that carries the files."""
    folder: str | None = None
    """Give the folder that holds the files, relative to this YAML file."""
    tables: dict[Name, TableSpec]
    """Declare the tables by name."""

    @model_validator(mode="after")
    def _one_place(self) -> SourceSpec:
        if (self.distribution is None) == (self.folder is None):
            raise ValueError("needs exactly one of 'distribution' and 'folder'. Give one of them")
        return self
