"""Upgrades: the data of a release before, and a migration while imports run.

`revision_0006.sql.xz` is what `pg_dump` made of a database that the code of revision 0006 had filled, with the files
that are made here: one imported, one that changes some of it, one imported and undone, one whose run died after its
first chunk, one that waits.
"""

from __future__ import annotations

import lzma
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from contact_pipeline.database import launch_queue, migration, postgres, queries
from contact_pipeline.database.undo import undoing
from contact_pipeline.stack import storage_servers
from contact_pipeline_tests.integration.database.test_migrations import downgrade
from contact_pipeline_tests.running import Importer, accounted, eventually

DUMP = Path(__file__).with_name("revision_0006.sql.xz")


def files() -> dict[str, str]:
    """The files that the dump knows, by name."""
    return {
        "first.csv": "Apollo Contact Id,Email,First Name,Last Name,Title,Company,# Employees\n"
        + "".join(
            f"60{n:022d},old{n}@release.example,Ann,Lee{n},Buyer,Firm {n % 50},{n % 90 + 1}\n" for n in range(600)
        )
        + "".join(f"60{n:022d},wrong{n},Ann,Lee,Buyer,Firm,{n}\n" for n in range(9000, 9010))
        + ",,Nobody,,,,\n" * 5,
        "second.csv": "Apollo Contact Id,Email,First Name,Last Name,Title\n"
        + "".join(f"60{n:022d},old{n}@release.example,Ann,Lee{n},Head of Buying\n" for n in range(200)),
        "fourth.csv": "Email,First Name,City\n"
        + "".join(f"resumed{n}@release.example,Cy,Ulm\n" for n in range(12_000)),
        "fifth.csv": "Email\nqueued@release.example\n",
    }


@pytest.fixture
def upgraded(settings, store, maintenance_url, tmp_path):
    """An importer on the release's database, upgraded; and its imports by the names of their files."""
    name = settings.database_url.rsplit("/", 1)[1]
    with psycopg.connect(maintenance_url, autocommit=True) as boss:
        boss.execute(f"DROP DATABASE {name}")
        boss.execute(f"CREATE DATABASE {name}")
    subprocess.run(
        [storage_servers.postgres_binary("psql"), "-q", "-v", "ON_ERROR_STOP=1", settings.database_url],
        input=lzma.decompress(DUMP.read_bytes()), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    migration.migrate(settings.database_url)
    with closing(postgres.connect(settings.database_url)) as connection:
        found = connection.execute("SELECT upload_id, file_name, object_key, etag FROM imports").fetchall()
        for row in found:
            text = files().get(row["file_name"])
            if text is not None:
                path = tmp_path / row["file_name"]
                path.write_text(text)
                store.s3.upload_file(str(path), store.bucket, row["object_key"])
                assert store.find(row["object_key"])[0].etag == row["etag"]
        yield Importer(settings, store, connection), {row["file_name"]: row["upload_id"] for row in found}


def test_the_data_of_a_release_before_is_what_it_was(upgraded, tmp_path):
    importer, imports = upgraded
    states = {name: importer.summary(upload_id)["state"] for name, upload_id in imports.items()}
    assert states == {
        "first.csv": "succeeded", "second.csv": "succeeded", "third.csv": "undone", "fourth.csv": "loading",
        "fifth.csv": "queued",
    }  # fmt: skip
    assert len(importer.contacts()) == 610 + 10_000
    assert importer.load(imports["fifth.csv"])["inserted"] == 1
    resumed = importer.load(imports["fourth.csv"])
    assert (resumed["state"], resumed["rows"], resumed["inserted"]) == ("succeeded", 12_000, 12_000)
    again = importer.run(tmp_path / "fourth.csv")
    assert (again["unchanged"], accounted(again)) == (12_000, 12_000)
    undoing.undo(importer.connection, imports["second.csv"], "tester")
    titles = {row["title"] for row in importer.contacts() if row["contact_id"]}
    assert titles == {"Buyer"}
    undoing.undo(importer.connection, imports["first.csv"], "tester")
    assert not [row for row in importer.contacts() if row["contact_id"]]
    assert len(importer.rejects(imports["first.csv"])) == 5


def test_what_waited_has_its_launch(upgraded):
    importer, imports = upgraded
    without = set(launch_queue.without_launch(importer.connection))
    open_ones = importer.connection.execute("SELECT upload_id FROM launches WHERE ended_at IS NULL").fetchall()
    assert {imports["fifth.csv"], imports["fourth.csv"]} <= without | {row["upload_id"] for row in open_ones}


def test_a_migration_runs_while_an_import_does(importer, settings, write_csv):
    downgrade(settings.database_url, "0009")
    # The import runs by the code of this release: what it writes to is there.
    importer.connection.execute("ALTER TABLE contributions ADD COLUMN places bytea")
    upload_id = importer.register(
        write_csv("Email,City\n" + "".join(f"beside{n}@x.example,Ulm\n" for n in range(60_000)))
    )
    migrating: list[threading.Thread] = []

    def migrate_beside(_progress: object, chunks: int) -> None:
        if chunks == 2:
            migrating.append(threading.Thread(target=migration.migrate, args=(settings.database_url,)))
            migrating[0].start()

    done = importer.load(upload_id, migrate_beside)
    migrating[0].join(60)
    assert not migrating[0].is_alive()
    assert (done["state"], done["inserted"]) == ("succeeded", 60_000)
    record = queries.find(importer.connection, upload_id)
    assert record is not None
    assert record.attempt == 1


def test_a_migration_that_waits_holds_nobody_up_for_long(settings, connection):
    downgrade(settings.database_url, "0009")
    with psycopg.connect(settings.database_url) as reader:
        # As a backup does: for as long as it takes.
        reader.execute("SELECT FROM outbox LIMIT 1")
        migrating = threading.Thread(target=migration.migrate, args=(settings.database_url,))
        migrating.start()
        waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'outbox'::regclass"
        eventually(lambda: connection.execute(waits).fetchone() is not None)
        began = time.monotonic()
        with psycopg.connect(settings.database_url) as other:
            other.execute("SELECT count(*) FROM outbox")
        assert time.monotonic() - began < 2 * migration._LOCK_SECONDS
        assert migrating.is_alive()
    migrating.join(60)
    assert not migrating.is_alive()
    migration.migrate(settings.database_url)


def test_a_table_that_is_held_all_the_time_is_told(settings, monkeypatch):
    monkeypatch.setattr(migration, "_SECONDS", 0)
    downgrade(settings.database_url, "0009")
    with psycopg.connect(settings.database_url) as reader:
        reader.execute("SELECT FROM outbox LIMIT 1")
        with pytest.raises(migration.MigrationBlocked, match="contact-pipeline migrate"):
            migration.migrate(settings.database_url)
