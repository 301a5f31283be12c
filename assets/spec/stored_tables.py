"""What a source declares of a table that lies elsewhere: a Delta or Iceberg table, or one of a PostgreSQL database."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from assets.spec.base import Declaration

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
"""The name of an environment variable."""
_CREDENTIALS = re.compile(r"://[^/@\s]*@")


class StoredTableSpec(Declaration):
    """What all tables that lie elsewhere have in common."""

    month_column: str | None = Field(default=None, examples=["event_date"])
    """Name the column (date, timestamp, or text such as 2013-01-31) by which only rows of the declared months are read;
    those of other months are then not read at all, and counted nowhere; those without a value are."""
    accept_schema: str | None = Field(default=None, pattern=r"^[0-9a-f]{12}$", examples=["3fa9c1d20b7e"])
    """Give the digest of a changed schema that is accepted; the error that refuses the change tells it."""


class LakeTableSpec(StoredTableSpec):
    """What Delta and Iceberg tables have in common."""

    as_of: str | None = Field(default=None, examples=["2013-06-30T00:00:00Z"])
    """Give a moment (ISO 8601, UTC unless it says otherwise): the table is read as it was then."""

    @model_validator(mode="after")
    def _has_a_moment(self) -> LakeTableSpec:
        if self.as_of is not None:
            try:
                datetime.fromisoformat(self.as_of)
            except ValueError as error:
                raise ValueError(f"has as_of '{self.as_of}', which is no moment. Write it as 2013-06-30T00:00:00Z") from error
        return self


class DeltaSpec(LakeTableSpec):
    """A Delta table. Credentials of a bucket are read from the environment (AWS_ACCESS_KEY_ID and so on)."""

    path: str | None = Field(default=None, examples=["lake/orders"])
    """Give the table's folder, relative to the source's folder."""
    uri: str | None = Field(default=None, examples=["s3://lake/orders"])
    """Give the table's address, where it is not in a folder."""
    version: int | None = Field(default=None, ge=0, examples=[12])
    """Give the version to read; left out, it is the latest one."""

    @model_validator(mode="after")
    def _is_one_table(self) -> DeltaSpec:
        if (self.path is None) == (self.uri is None):
            raise ValueError("needs exactly one of 'path' and 'uri'. Give one of them")
        if self.version is not None and self.as_of is not None:
            raise ValueError("has both 'version' and 'as_of'. Keep one of them")
        _require_no_credentials("uri", self.uri)
        return self

    @property
    def told(self) -> str:
        """What it is, in words."""
        return f"the Delta table {self.path or self.uri}"


class IcebergSpec(LakeTableSpec):
    """An Iceberg table. Credentials of a catalogue or bucket are read from the environment (PYICEBERG_CATALOG__NAME__TOKEN)."""

    catalog: str = Field(examples=["sqlite:///lake/catalog.db"])
    """Give a SQLite file (sqlite:///FILE, relative to the source's folder; sqlite:////FILE is absolute), the address of a REST
    catalogue (https://…), or the name of one that pyiceberg's own configuration describes."""
    table: str = Field(pattern=r"^[^.\s]+(\.[^.\s]+)+$", examples=["shop.orders"])
    """Name the table as NAMESPACE.TABLE."""
    snapshot: int | None = Field(default=None, examples=[5298351133496645208])
    """Give the id of the snapshot to read; left out, it is the current one."""

    @model_validator(mode="after")
    def _is_one_snapshot(self) -> IcebergSpec:
        if self.snapshot is not None and self.as_of is not None:
            raise ValueError("has both 'snapshot' and 'as_of'. Keep one of them")
        scheme = self.catalog.partition("://")[0] if "://" in self.catalog else None
        if scheme not in (None, "sqlite", "http", "https"):
            raise ValueError(f"has a catalogue at {scheme}://. Give sqlite:///FILE, http(s)://… or the name of a catalogue")
        _require_no_credentials("catalog", self.catalog)
        return self

    @property
    def told(self) -> str:
        """What it is, in words."""
        return f"the Iceberg table {self.table}"


class PostgresSpec(StoredTableSpec):
    """A table or query of a PostgreSQL database, read incrementally by a cursor."""

    connection: Variable = Field(examples=["SHOP_DATABASE"])
    """Name the environment variable that holds the connection (postgresql://… or key=value pairs); it is never written."""
    table: str | None = Field(default=None, pattern=r"^[^.\s]+(\.[^.\s]+)?$", examples=["public.orders"])
    """Name the table or view, with its schema where that is not on the search path."""
    query: str | None = Field(default=None, examples=["select o.*, c.plan from orders o join customers c using (customer_id)"])
    """Give a query in place of a table."""
    cursor: str = Field(examples=["updated_at"])
    """Name the column (number, date or timestamp; never null) that grows with each new or changed row: only rows above the last
    one read are read again."""

    @model_validator(mode="after")
    def _is_one_relation(self) -> PostgresSpec:
        if (self.table is None) == (self.query is None):
            raise ValueError("needs exactly one of 'table' and 'query'. Give one of them")
        return self

    @property
    def told(self) -> str:
        """What it is, in words."""
        return "the PostgreSQL " + ("query" if self.table is None else f"table {self.table}")


StoredTable = DeltaSpec | IcebergSpec | PostgresSpec
"""A table that lies elsewhere."""


def _require_no_credentials(field: str, value: str | None) -> None:
    if value is not None and _CREDENTIALS.search(value):
        raise ValueError(f"holds credentials in '{field}'. Remove them: they are read from the environment")
