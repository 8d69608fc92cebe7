"""Trying an import: temporary tables of one connection stand for the real ones, under the same names.

The chunk transaction then runs as it is, statement by statement, and what it
would do is what it does here. Real contacts are copied in when a row meets them,
so that nothing real is written, or locked beyond a read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from contact_pipeline.database import contact_tables, tables
from contact_pipeline.database.postgres import Connection, has_pooler
from contact_pipeline.errors import ContactPipelineError

REAL_CONTACTS: Final = "pg_temp.real_contacts"
"""A view of the real contacts, where `contacts` is the temporary table."""

# New contacts get keys beyond all real ones: a contact's age is the order of its key.
_FIRST_KEY: Final = 10**15
_SHADOWED: Final = (
    contact_tables.contacts,
    contact_tables.contact_versions,
    tables.import_chunks,
    tables.rejected_rows,
    tables.outbox,
)


class SharedSession(ContactPipelineError):
    """The connection's session is not its own."""

    code = "settings"


def create_dry_run_tables(connection: Connection) -> None:
    """Put an empty temporary table before each table that the chunk transaction writes to.

    Raises:
        SharedSession: others may be given the session, whose imports would then write to these tables.
    """
    if has_pooler(connection):
        raise SharedSession(
            "a check needs a database session of its own, and a pooler stands before Postgres: set "
            "CONTACT_PIPELINE_SESSION_DATABASE_URL to an address that leads to Postgres itself"
        )
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    with connection.transaction():
        connection.execute(f"CREATE TEMPORARY VIEW real_contacts AS SELECT * FROM {contact_tables.contacts.name}")
        for table in _SHADOWED:
            connection.execute(
                f"CREATE TEMPORARY TABLE {table.name} "
                f"(LIKE {table.name} INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING CONSTRAINTS)".encode()
            )
            keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
            connection.execute(f"ALTER TABLE {table.name} ADD PRIMARY KEY ({keys})".encode())
            for index in table.indexes:
                connection.execute(str(CreateIndex(index).compile(dialect=dialect)).encode())
        connection.execute(f"ALTER TABLE {contact_tables.contacts.name} ALTER key RESTART WITH {_FIRST_KEY}".encode())


def copy_in(connection: Connection, condition: str, parameters: Mapping[str, Any]) -> None:
    """Copy the real contacts that fulfil a condition, and are not there yet, into the temporary table."""
    connection.execute(
        f"""INSERT INTO contacts SELECT * FROM {REAL_CONTACTS} real_one
            WHERE {condition} AND NOT EXISTS (SELECT FROM contacts WHERE contacts.key = real_one.key)""".encode(),
        dict(parameters),
    )
