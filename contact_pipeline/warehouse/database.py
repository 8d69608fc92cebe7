"""Connections, migrations, and what may be said of a database error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from psycopg.rows import DictRow, dict_row

_CONNECT_SECONDS: Final = 10

Connection = psycopg.Connection[DictRow]


class DatabaseFailed(Exception):
    """A database error, with what can be told without telling a value.

    Attributes:
        sqlstate: its five-character code, or "" where the connection was lost.
        constraint: the constraint or index concerned, if any.
        column: the column concerned, if any.
    """

    def __init__(self, error: psycopg.Error) -> None:
        self.sqlstate = error.sqlstate or ""
        self.constraint = error.diag.constraint_name
        self.column = error.diag.column_name
        parts = [f"SQLSTATE {self.sqlstate}" if self.sqlstate else "the connection to the database was lost"]
        if self.constraint:
            parts.append(f"constraint {self.constraint}")
        if self.column:
            parts.append(f"column {self.column}")
        super().__init__("the database refused or failed: " + ", ".join(parts))

    @property
    def transient(self) -> bool:
        """Whether trying the same again can succeed.

        Lost connections, serialization failures and deadlocks, too few resources,
        lock timeouts, cancelled or shut down by an administrator
        (https://www.postgresql.org/docs/18/errcodes-appendix.html).
        """
        state = self.sqlstate
        return (
            state == ""
            or state[:2] in {"08", "53"}
            or state
            in {
                "40001",
                "40P01",
                "55P03",
                "57P01",
                "57P02",
                "57P03",
                "57014",
                "25P03",
            }
        )

    @property
    def about_values(self) -> bool:
        """Whether some row's values are to blame: data exceptions, constraints, an index row too long."""
        return self.sqlstate[:2] in {"22", "23"} or self.sqlstate == "54000"


@contextmanager
def scrubbed() -> Iterator[None]:
    """Turn psycopg's errors, whose texts quote values, into `DatabaseFailed`."""
    try:
        yield
    except psycopg.Error as error:
        raise DatabaseFailed(error) from None


def connect(database_url: str, *, autocommit: bool = True, application: str = "contact-pipeline") -> Connection:
    """Open a psycopg connection whose rows are dictionaries.

    Raises:
        DatabaseFailed: no server answers, or it refuses.
    """
    with scrubbed():
        return psycopg.connect(
            database_url,
            autocommit=autocommit,
            row_factory=dict_row,
            connect_timeout=_CONNECT_SECONDS,
            application_name=application,
        )


def migrate(database_url: str) -> None:
    """Bring the tables to what this version of the code expects. Safe to call at any time, by several at once."""
    engine = sqlalchemy.create_engine(sqlalchemy_url(database_url), poolclass=sqlalchemy.NullPool)
    config = Config()
    config.set_main_option("script_location", str(files("contact_pipeline.warehouse") / "migrations"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(hashtext('contact_pipeline migrations'))"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def sqlalchemy_url(database_url: str) -> sqlalchemy.URL:
    """The URL with its driver named: a bare `postgresql://` means different drivers in SQLAlchemy 2.0 and 2.1."""
    return sqlalchemy.make_url(database_url).set(drivername="postgresql+psycopg")


def fetch_one(connection: Connection, query: str, *parameters: Any) -> DictRow | None:
    """Run a query and return its first row."""
    with scrubbed():
        return connection.execute(query, parameters).fetchone()
