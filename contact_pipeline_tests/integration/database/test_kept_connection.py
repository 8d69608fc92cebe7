"""A connection that is kept from one piece of work to the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from contact_pipeline.database import postgres
from contact_pipeline.database.postgres import Connection, DatabaseFailed, KeptConnection, fetch_one
from contact_pipeline_tests.running import eventually


@pytest.fixture
def database(settings) -> Iterator[KeptConnection]:
    with closing(KeptConnection(settings.database_url)) as kept:
        yield kept


def pid(connection: Connection) -> int:
    row = fetch_one(connection, "SELECT pg_backend_pid() AS pid")
    assert row is not None
    return int(row["pid"])


def test_it_is_opened_for_the_first_work_and_kept(database, settings):
    first = database.patiently(pid)
    assert database.patiently(pid) == first
    database.close()
    assert database.patiently(pid) != first


def test_work_is_done_over_a_new_one_where_the_server_has_closed_it(database, settings, monkeypatch):
    monkeypatch.setattr(postgres, "wait_exponential_jitter", lambda **_: lambda _: 0)
    first = database.patiently(pid)
    with psycopg.connect(settings.database_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (first,))
    retries = []
    assert database.patiently(pid, lambda: retries.append(1)) != first
    assert retries == [1]


def test_one_that_work_has_failed_on_is_closed(database, settings):
    """It may be in a transaction, or have settings of its own."""

    def fail(connection: Connection) -> None:
        raise ValueError(pid(connection))

    with pytest.raises(ValueError, match=r"^\d+$") as failed:
        database.patiently(fail)
    assert database.patiently(pid) != int(str(failed.value))


def test_what_does_not_pass_is_not_tried_again(database):
    tries = []

    def ask(connection: Connection) -> None:
        tries.append(1)
        connection.execute("SELECT no_such_column FROM imports")

    with pytest.raises(DatabaseFailed, match="another version"):
        database.patiently(ask)
    assert tries == [1]


def test_one_that_the_server_ends_for_doing_nothing_is_opened_again(database, settings, monkeypatch):
    monkeypatch.setattr(postgres, "wait_exponential_jitter", lambda **_: lambda _: 0)
    name = settings.database_url.rsplit("/", 1)[1]
    with psycopg.connect(settings.database_url, autocommit=True) as other:
        other.execute(f'ALTER DATABASE "{name}" SET idle_session_timeout = 1'.encode())
        first = database.patiently(pid)
        other.execute(f'ALTER DATABASE "{name}" RESET idle_session_timeout'.encode())
        eventually(
            lambda: other.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", (first,)).fetchone() == (0,)
        )
    assert database.patiently(pid) != first
