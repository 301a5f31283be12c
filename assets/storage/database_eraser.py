"""Database eraser: a person's key taken out of the texts that Dagster and MLflow recorded in PostgreSQL.

Of SQLite files `row_eraser` does it. The index of the ledger stays, as the ledger does: its entries are chained.
"""

from __future__ import annotations

from assets.storage import postgresql
from assets.storage.database_copy import quoted
from assets.storage.home import Home
from assets.storage.row_eraser import ERASED, Person

TEXT_COLUMNS = """
select table_schema, table_name, column_name from information_schema.columns
join information_schema.tables using (table_schema, table_name)
where table_schema = any(%s) and table_type = 'BASE TABLE' and data_type in ('text', 'character varying', 'json')
order by 1, 2, 3
"""


def erase(home: Home, person: Person) -> int:
    """Replace the key in every text that names it, and let the server free what held it before.

    Parameters
    ----------
    home : Home
        A home; one whose metadata is in files has nothing here.
    person : Person
        Whose key; one that is too short to be told from others is not searched for.

    Returns
    -------
    int
        How many times it was replaced. A second call finds nothing.

    Raises
    ------
    DatabaseError
        If the database cannot be used; call it again then.
    """
    if home.database is None or not person.is_distinctive:
        return 0
    found, tables = 0, set()
    forms = sorted(person.forms)
    with postgresql.connected(home.database, postgresql.HOME) as server:
        columns = server.execute(TEXT_COLUMNS, ([postgresql.DAGSTER, postgresql.MLFLOW],)).fetchall()
        for schema, table, column in columns:
            name, cell = f"{quoted(schema)}.{quoted(table)}", quoted(column)
            named = " or ".join([f"position(%s in {cell}::text) > 0"] * len(forms))
            for place, text in server.execute(
                f"select ctid, {cell}::text from {name} where {named}".encode(), forms
            ).fetchall():
                new, count = person.pattern.subn(ERASED, text)
                if count:
                    found += count
                    tables.add(name)
                    server.execute(f"update {name} set {cell} = %s where ctid = %s::tid".encode(), (new, place))
    if tables:
        with postgresql.connected(home.database, postgresql.HOME) as server:
            server.commit()
            server.autocommit = True
            for name in sorted(tables):
                server.execute(f"vacuum full {name}".encode())
    return found
