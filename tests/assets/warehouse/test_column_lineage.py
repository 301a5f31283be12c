"""Column lineage: through aliases, joins, CTEs, aggregates and stars, to the columns of relations."""

from __future__ import annotations

from assets.warehouse.column_lineage import lineage

KNOWN = [
    (("landing_shop", "orders", "id"), "BIGINT"),
    (("landing_shop", "orders", "paid"), "DOUBLE"),
    (("landing_shop", "orders", "by"), "VARCHAR"),
    (("staging", "customers", "name"), "VARCHAR"),
    (("staging", "customers", "city"), "VARCHAR"),
]


def test_columns_are_followed_to_the_relations_that_they_come_from() -> None:
    """Each to all that it is computed of, and a count to nothing."""
    query = """
        with orders as (select * from "w"."landing_shop"."orders"), paid as (select by, sum(paid) as total from orders group by by)
        select customers.name, paid.total / length(customers.city) as share, count(*) over () as rows
        from paid join staging.customers on customers.name = paid.by
    """
    assert lineage(query, KNOWN) == {
        "name": [("staging", "customers", "name")],
        "share": [("landing_shop", "orders", "paid"), ("staging", "customers", "city")],
        "rows": [],
    }


def test_what_cannot_be_read_has_no_lineage() -> None:
    """It is shown to people, and nothing rests on it: a build does not fail for it."""
    assert lineage("select from from", KNOWN) == {}
