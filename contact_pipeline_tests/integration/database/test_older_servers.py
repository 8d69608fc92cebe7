"""The oldest PostgreSQL that is supported, with a role that may do nothing special."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from contact_pipeline.database import migration, postgres
from contact_pipeline.database.undo import undoing
from contact_pipeline.samples import files as sample_files
from contact_pipeline.stack import storage_servers
from contact_pipeline.stack.home import free_ports
from contact_pipeline_tests.running import Importer, accounted, answers, cancel_kill_and_resume, content, eventually

PROGRAMS = Path("/usr/lib/postgresql/15/bin")

pytestmark = pytest.mark.skipif(not PROGRAMS.exists(), reason="PostgreSQL 15 is not installed: Debian 12 has it")


@pytest.fixture
def oldest(tmp_path: Path) -> Iterator[str]:
    """A database of PostgreSQL 15, owned by a role that is no superuser; returns its URL."""
    data, (port,) = tmp_path / "data", free_ports(1)
    as_ordinary = storage_servers._as_ordinary_user()
    subprocess.run(
        [*as_ordinary, PROGRAMS / "initdb", "-D", data, "-U", "boss", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = subprocess.Popen(
        [*as_ordinary, PROGRAMS / "postgres", "-D", data, "-p", str(port), "-k", tmp_path, "-h", "127.0.0.1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    boss = f"postgresql://boss@127.0.0.1:{port}/postgres"

    try:
        eventually(lambda: answers(boss))
        with psycopg.connect(boss, autocommit=True) as connection:
            connection.execute("CREATE ROLE loader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
            connection.execute("CREATE DATABASE contacts OWNER loader")
        yield f"postgresql://loader@127.0.0.1:{port}/contacts"
    finally:
        server.terminate()
        server.wait(30)


def test_an_import_and_its_undo_are_what_they_are_on_the_newest(oldest, importer, settings, store, tmp_path):
    path = tmp_path / "people.csv"
    sample_files.write(path, 12_000, "A9", seed=15, dirty=0.01)
    migration.migrate(oldest)
    with closing(postgres.connect(oldest)) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        assert re.match(r"15\.", version["server_version"])
        there = Importer(settings.model_copy(update={"database_url": oldest}), store, connection)
        ours, theirs = importer.run(path), there.run(path)
        assert accounted(theirs) == 12_000
        counted = ("rows", "inserted", "updated", "unchanged", "duplicate_in_file", "rejected", "warnings")
        assert {name: theirs[name] for name in counted} == {name: ours[name] for name in counted}
        assert content(connection) == content(importer.connection)
        again = there.run(path)
        assert again["unchanged"] == theirs["inserted"]
        undoing.undo(connection, again["upload_id"], "tester")
        undoing.undo(connection, theirs["upload_id"], "tester")
        assert there.contacts() == []
        others = tmp_path / "others.csv"
        others.write_text("Email,First Name\n" + "".join(f"other{n}@x.example,Ann\n" for n in range(25_000)))
        assert cancel_kill_and_resume(there, others)["inserted"] == 25_000
        assert len(there.contacts()) == 25_000
