"""Postgres behind PgBouncer in transaction mode: each transaction may get another session, used by others before."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from contact_pipeline.database import migration, postgres, queries
from contact_pipeline.database.dry_run import SharedSession
from contact_pipeline.database.undo import undoing
from contact_pipeline.samples import files as sample_files
from contact_pipeline.settings import Settings
from contact_pipeline.stack import storage_servers
from contact_pipeline.stack.home import free_ports
from contact_pipeline_tests.running import Importer, accounted, answers, cancel_kill_and_resume, content, eventually

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = pytest.mark.skipif(
    PGBOUNCER is None and not os.environ.get("CI"), reason="PgBouncer is not installed: Debian has it"
)

_SESSIONS = 4


@dataclass
class Pooler:
    """PgBouncer in transaction mode."""

    url: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: answers(self.url))

    def kill(self) -> None:
        assert self.process is not None
        # `unshare` may stand before it.
        for process in psutil.Process(self.process.pid).children(recursive=True):
            process.kill()
        self.process.kill()
        self.process.wait(30)


@pytest.fixture
def pooler(settings: Settings, tmp_path: Path) -> Iterator[Pooler]:
    """A pooler before the test's own database."""
    url, (port,) = postgres.sqlalchemy_url(settings.database_url), free_ports(1)
    config = tmp_path / "pgbouncer.ini"
    (tmp_path / "users.txt").write_text(f'"{url.username}" "{url.password}"\n')
    config.write_text(
        f"[databases]\n{url.database} = host={url.host} port={url.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\npool_mode = transaction\n"
        f"default_pool_size = {_SESSIONS}\nauth_type = plain\nauth_file = {tmp_path}/users.txt\n"
        f"logfile = {tmp_path}/log\n"
    )
    for path in (config, tmp_path / "users.txt"):
        path.chmod(0o644)
    tmp_path.chmod(0o777)
    assert PGBOUNCER is not None
    there = url.set(drivername="postgresql", port=port).render_as_string(hide_password=False)
    made = Pooler(there, [*storage_servers._as_ordinary_user(), PGBOUNCER, "-q", str(config)])
    made.start()
    yield made
    made.kill()


@pytest.fixture
def pooled(settings: Settings, pooler: Pooler) -> Settings:
    """The test's own database, reached through PgBouncer; checks reach it without."""
    return settings.model_copy(update={"database_url": pooler.url, "session_database_url": settings.database_url})


def people(path: Path, name: str, rows: int, title: str = "Title") -> Path:
    path.write_text(
        f"Email,First Name,Last Name,{title}\n"
        + "".join(f"{name}{n}@x.example,Ann,Lee,{name} {n % 7}\n" for n in range(rows))
    )
    return path


def test_imports_checks_and_undo_are_what_they_are_without(pooled, store, importer, fresh_database, tmp_path):
    migration.migrate(pooled.database_url)
    other = importer.settings.model_copy(update={"database_url": fresh_database()})
    path, changed = tmp_path / "people.csv", tmp_path / "changed.csv"
    sample_files.write(path, 15_000, "A9", seed=15, dirty=0.01)
    sample_files.write(changed, 12_000, "A9", seed=15, dirty=0.2)
    with (
        closing(postgres.connect(pooled.database_url)) as connection,
        closing(postgres.connect(other.database_url)) as direct,
    ):
        assert postgres.has_pooler(connection)
        assert not postgres.has_pooler(direct)
        there, here = Importer(pooled, store, connection), Importer(other, store, direct)
        for file in (path, path, changed):
            theirs, ours = there.run(file), here.run(file)
            counted = ("rows", "inserted", "updated", "unchanged", "duplicate_in_file", "rejected", "warnings")
            assert {name: theirs[name] for name in counted} == {name: ours[name] for name in counted}
        assert accounted(theirs) == 12_000
        assert content(connection) == content(direct)
        undoing.undo(connection, theirs["upload_id"], "tester")
        undoing.undo(direct, ours["upload_id"], "tester")
        assert content(connection) == content(direct)
        others = people(tmp_path / "others.csv", "others", 25_000)
        assert cancel_kill_and_resume(there, others)["inserted"] == here.run(others)["inserted"]
        assert content(connection) == content(direct)


def test_imports_of_other_columns_share_sessions(pooled, store, tmp_path):
    titles = ("Title", "City", "State", "Industry", "Website", "Departments")
    files = [people(tmp_path / f"{n}.csv", "shared", 12_000, title) for n, title in enumerate(titles)]

    def one(path: Path) -> dict[str, object]:
        with closing(postgres.connect(pooled.database_url)) as connection:
            importer = Importer(pooled, store, connection)
            done: dict[str, object] = importer.load(importer.register(path))
            return done

    with ThreadPoolExecutor(3) as threads:
        for done in threads.map(one, files):
            assert (done["state"], done["rows"]) == ("succeeded", 12_000)
    with closing(postgres.connect(pooled.database_url)) as connection:
        row = connection.execute("SELECT count(*) AS n, count(city) AS city, count(state) AS state FROM contacts")
        assert row.fetchone() == {"n": 12_000, "city": 12_000, "state": 12_000}
        sessions = connection.execute(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchone()
        assert sessions is not None
        assert sessions["n"] <= _SESSIONS


def test_a_pooler_that_is_killed_costs_no_run(pooled, pooler, settings, store, tmp_path):
    path = people(tmp_path / "people.csv", "killed", 50_000)

    def kill(_progress: object, chunks: int) -> None:
        if chunks == 2:
            pooler.kill()
            pooler.start()

    # What the test itself needs of the database, it has without the pooler: its connection would be lost too.
    with closing(postgres.connect(settings.database_url)) as connection:
        importer = Importer(pooled, store, connection)
        upload_id = importer.register(path)
        done = importer.load(upload_id, kill)
        assert (done["state"], done["inserted"]) == ("succeeded", 50_000)
        record = queries.find(connection, upload_id)
        assert record is not None
        assert record.attempt == 1


def test_a_check_refuses_a_session_that_others_may_get(pooled, store, tmp_path):
    path = people(tmp_path / "people.csv", "checked", 50)
    with closing(postgres.connect(pooled.database_url)) as connection:
        importer = Importer(pooled.model_copy(update={"session_database_url": ""}), store, connection)
        with pytest.raises(SharedSession, match="CONTACT_PIPELINE_SESSION_DATABASE_URL"):
            importer.load(importer.register(path), mode="check")
        assert importer.load(importer.register(path))["inserted"] == 50
