"""Warehouse: dbt builds and tests relations in DuckDB."""
