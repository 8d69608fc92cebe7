"""Dagster's storage over connections that are kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import dagster as dg
import psycopg
import pytest
from dagster_postgres import PostgresRunStorage

from contact_pipeline_tests.running import eventually

_OURS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def url(fresh_database) -> str:
    answer: str = fresh_database()
    return answer


@pytest.fixture
def instance(url: str) -> Iterator[dg.DagsterInstance]:
    """An instance as `dagster.yaml` makes it."""
    storage = {
        "custom": {
            "module": "contact_pipeline.orchestration.storage",
            "class": "KeptConnectionsStorage",
            "config": {"postgres_url": url.replace("postgresql://", "postgresql+psycopg2://")},
        }
    }
    with dg.instance_for_test(overrides={"storage": storage}) as made:
        yield made


def sessions(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(_OURS).fetchall()]


def test_instances_of_a_process_share_connections_and_keep_them(instance, url):
    assert isinstance(instance.run_storage, PostgresRunStorage)
    for number in range(20):
        instance.add_dynamic_partitions("uploads", [f"one{number}"])
    # Those that Dagster opened as it looked for its tables take a moment to be gone.
    eventually(lambda: len(sessions(url)) == 1)
    kept = sessions(url)
    with dg.DagsterInstance.from_ref(instance.get_ref()) as other:
        assert len(other.get_dynamic_partitions("uploads")) == 20
    eventually(lambda: sessions(url) == kept)


def test_a_server_that_closed_them_is_reached_again(instance, url):
    instance.add_dynamic_partitions("uploads", ["before"])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({_OURS}) kept".encode())
    instance.add_dynamic_partitions("uploads", ["after"])
    assert set(instance.get_dynamic_partitions("uploads")) == {"before", "after"}


def test_more_threads_than_kept_connections_do_not_wait(instance, url):
    gate = threading.Barrier(8)
    held: list[int] = []

    def hold() -> None:
        with instance.run_storage.connect():
            gate.wait(30)
            held.append(1)

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(held) == 8
    eventually(lambda: len(sessions(url)) == 4)


def test_a_forked_process_makes_its_own(instance, url):
    instance.add_dynamic_partitions("uploads", ["parent"])
    mine = sessions(url)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with dg.DagsterInstance.from_ref(instance.get_ref()) as other:
                other.add_dynamic_partitions("uploads", ["child"])
                os.write(writing, b"yes" if set(mine) < set(sessions(url)) else b"no")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"yes"
    assert set(instance.get_dynamic_partitions("uploads")) == {"parent", "child"}


def test_tables_that_are_there_are_looked_for_over_kept_connections(instance, url):
    with psycopg.connect(url, autocommit=True) as connection:

        def opened() -> int:
            row = connection.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
            return int(row.fetchone()[0])

        instance.get_dynamic_partitions("uploads")
        before = opened()
        for _ in range(5):
            with dg.DagsterInstance.from_ref(instance.get_ref()) as other:
                other.get_dynamic_partitions("uploads")
        assert opened() == before


def test_a_table_that_is_missing_is_made(instance, url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE instance_info")
        with dg.DagsterInstance.from_ref(instance.get_ref()):
            assert connection.execute("SELECT count(*) FROM instance_info").fetchone() == (0,)
