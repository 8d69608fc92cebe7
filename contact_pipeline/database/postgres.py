"""Connections, and what may be said of a database error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final, TypeVar

import psycopg
import sqlalchemy
from psycopg.abc import PQGen
from psycopg.rows import DictRow, dict_row
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from contact_pipeline.errors import ContactPipelineError

_CONNECT_SECONDS: Final = 10

ANSWER_SECONDS: Final = 55.0
"""A server that has not answered for so long is gone, whatever its half of the connection says.

The server ends a statement earlier than that by itself (`STATEMENT_SECONDS`).
"""

STATEMENT_SECONDS: Final = 45
LOCK_SECONDS: Final = 20
IDLE_SECONDS: Final = 50
"""Within a transaction. All three together: no session holds for longer than a minute what others need."""

LIMITS: Final = (
    f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'; "
)
"""The three, as SQL for the beginning of a transaction."""

PREPARE_THRESHOLD: Final = None
"""No statement is prepared: a pooler in transaction mode gives the next one another session (PgBouncer before 1.21)."""

PATIENCE_SECONDS: Final = 150.0
"""How long a step tries again, by itself, to reach a database that is away: a restart costs no run."""

_T = TypeVar("_T")

Connection = psycopg.Connection[DictRow]


class _Bounded(psycopg.Connection[DictRow]):
    """A connection on which no answer is awaited for ever.

    Nothing else notices a peer that swallows everything: TCP is acknowledged, and the server's own time limits
    are of no use to who does not hear of them.
    """

    def wait(self, gen: PQGen[_T], interval: float = 0.1, timeout: float | None = None) -> _T:
        """Run what awaits the server; as psycopg's own, within bounds.

        Raises:
            psycopg.OperationalError: no answer came. The connection is closed.
        """
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        begun = monotonic()
        try:
            return super().wait(gen, interval, ANSWER_SECONDS)
        except psycopg.OperationalError as error:
            if error.sqlstate is None and monotonic() - begun >= ANSWER_SECONDS:
                self.pgconn.finish()
            raise


_RETRYABLE_STATES: Final = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "57P05", "57014", "25P03"})


class DatabaseFailed(ContactPipelineError):
    """A database error, with what can be said of it without a value.

    Attributes:
        sqlstate: its five-character code, or "" where the connection was lost.
        constraint: the constraint or index concerned, if any.
        column: the column concerned, if any.
        retryable: lost connections, serialization failures and deadlocks, too few resources, lock timeouts, statements
            cancelled or servers shut down by an administrator
            (https://www.postgresql.org/docs/18/errcodes-appendix.html).
    """

    code = "database"

    def __init__(self, error: psycopg.Error, *, is_connecting: bool = False) -> None:
        self.sqlstate = error.sqlstate or ""
        # psycopg refuses some values by itself, such as text with a NUL in it: no connection is lost by that.
        self._refused_here = error.sqlstate is None and isinstance(
            error, psycopg.DataError | psycopg.ProgrammingError | psycopg.NotSupportedError
        )
        self.constraint = error.diag.constraint_name
        self.column = error.diag.column_name
        if is_connecting and not self.sqlstate:
            reason, passes = _why_not_connected(error)
            ContactPipelineError.__init__(self, f"there is no connection to the database: {reason}")
            self.retryable = passes
            return
        if self.sqlstate:
            parts = [f"SQLSTATE {self.sqlstate}"]
        elif self._refused_here:
            parts = ["a value cannot be sent to it"]
        else:
            parts = ["the connection to the database was lost"]
        if self.is_of_another_version:
            parts.append("its tables are those of another version: run `contact-pipeline migrate`")
        if self.constraint:
            parts.append(f"constraint {self.constraint}")
        if self.column:
            parts.append(f"column {self.column}")
        super().__init__("the database refused or failed: " + ", ".join(parts))
        lost = not self.sqlstate and not self._refused_here
        self.retryable = lost or self.sqlstate[:2] in {"08", "53"} or self.sqlstate in _RETRYABLE_STATES

    @property
    def is_of_another_version(self) -> bool:
        """Whether a table, or a column of one, is not there."""
        return self.sqlstate in {"42P01", "42703"}

    @property
    def about_values(self) -> bool:
        """Whether some row's values are to blame: data exceptions, constraints, an index row too long."""
        return self.sqlstate[:2] in {"22", "23"} or self.sqlstate == "54000" or self._refused_here


_REASONS: Final = (
    ("password authentication failed", "it refuses the user or the password", False),
    ("pg_hba.conf", "its pg_hba.conf lets neither this user nor this machine in", False),
    ("does not exist", "there is no such database, or no such user", False),
    ("Connection refused", "nothing listens at its address", True),
    ("resolve host", "its host is not known", True),
    ("too many", "it has no connection left", True),
    ("starting up", "it is starting", True),
    ("shutting down", "it is shutting down", True),
    ("timeout", "it does not answer", True),
)
"""Texts of libpq and psycopg, what they mean, and whether it may pass. The texts themselves may have a piece of a
password in them that was not encoded for a URL."""


def _why_not_connected(error: psycopg.Error) -> tuple[str, bool]:
    setting = "check CONTACT_PIPELINE_DATABASE_URL"
    if isinstance(error, psycopg.ProgrammingError):
        return "CONTACT_PIPELINE_DATABASE_URL is not of the form postgresql://user:password@host:5432/database", False
    text = str(error)
    found = next(((reason, passes) for words, reason, passes in _REASONS if words in text), None)
    if found is None:
        return f"it was lost at once; {setting}", True
    return f"{found[0]}; {setting}", found[1]


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
    try:
        return _Bounded.connect(
            database_url,
            autocommit=autocommit,
            row_factory=dict_row,
            prepare_threshold=PREPARE_THRESHOLD,
            connect_timeout=_CONNECT_SECONDS,
            application_name=application,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=4,
            tcp_user_timeout=30_000,
        )
    except psycopg.Error as error:
        raise DatabaseFailed(error, is_connecting=True) from None


class KeptConnection:
    """A connection that is opened when there is work for it, and kept for what comes next. For one thread.

    A process of Postgres's own is started for each connection: they were a fifth of the CPU of a file of 1,000 rows.
    """

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self._connection: Connection | None = None

    def patiently(self, work: Callable[[Connection], _T], on_retry: Callable[[], None] = lambda: None) -> _T:
        """Do some work; what may pass is tried again, over a new connection, for minutes.

        Args:
            work: is done again from its beginning, so it is one transaction, or such that twice does no harm.
            on_retry: called before each further try.

        Raises:
            DatabaseFailed: the fault did not pass, or is none that passes.
        """
        for attempt in retrying(on_retry):
            with attempt, scrubbed():
                if self._connection is None:
                    self._connection = connect(self.url)
                try:
                    return work(self._connection)
                except BaseException:
                    self.close()
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close it, if it is open: it is opened again when it is needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def retrying(
    on_retry: Callable[[], None] = lambda: None, also: Callable[[BaseException], bool] = lambda _: True
) -> Retrying:
    """Tries for minutes, with growing pauses, where what went wrong in the database may pass.

    Args:
        on_retry: called before each further try.
        also: a further condition for trying again.
    """

    def passes(error: BaseException) -> bool:
        return isinstance(error, DatabaseFailed) and error.retryable and also(error)

    def retried(_: RetryCallState) -> None:
        on_retry()

    return Retrying(
        retry=retry_if_exception(passes),
        stop=stop_after_delay(PATIENCE_SECONDS),
        wait=wait_exponential_jitter(initial=0.5, max=10),
        before_sleep=retried,
        reraise=True,
    )


@contextmanager
def impatient(connection: Connection, seconds: int = 5) -> Iterator[None]:
    """A transaction that waits for locks so long and no longer.

    Raises:
        DatabaseFailed: 55P03 where somebody held one for longer.
    """
    with scrubbed(), connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{seconds}s'".encode())
        yield


def sqlalchemy_url(database_url: str) -> sqlalchemy.URL:
    """The URL with its driver named: a bare `postgresql://` means different drivers in SQLAlchemy 2.0 and 2.1."""
    return sqlalchemy.make_url(database_url).set(drivername="postgresql+psycopg")


def has_pooler(connection: Connection) -> bool:
    """Whether a pooler stands before Postgres: the session is then another one than the connection was told of."""
    row = fetch_one(connection, "SELECT pg_backend_pid() AS pid")
    assert row is not None
    return bool(row["pid"] != connection.info.backend_pid)


def fetch_one(connection: Connection, query: str, *parameters: Any) -> DictRow | None:
    """Run a query and return its first row."""
    with scrubbed():
        return connection.execute(query, parameters).fetchone()
