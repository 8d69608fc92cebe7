"""Where benchmarks run: the embedded servers in a folder of their own, a database and a bucket beside the stack's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg

from contact_pipeline.database import migration, postgres, registration
from contact_pipeline.database.contact_tables import contacts
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings
from contact_pipeline.stack import control, servers, storage_servers
from contact_pipeline.stack.home import Home

COLUMNS = ", ".join(column.name for column in contacts.columns if column.name != "key")
_NAME = "bench"


@dataclass(frozen=True)
class Imported:
    """One import, as its process told of it: seconds, MiB at its peak, what became of its rows, seconds by part."""

    seconds: float
    peak: int
    counts: dict[str, int]
    parts: dict[str, float]


class Environment:
    """A stack, with a database and a bucket for measuring."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home = home
        self.folder = folder
        stack = home.settings()
        self._server = stack.database_url.rsplit("/", 1)[0]
        self.settings: Settings = stack.model_copy(
            update={"database_url": f"{self._server}/{_NAME}", "s3_bucket": _NAME}
        )
        self.store = ObjectStore.from_settings(self.settings)
        self.store.ensure_bucket()
        self._maintain(f"CREATE DATABASE {_NAME}")
        migration.migrate(self.settings.database_url)

    def _maintain(self, statement: str) -> None:
        with psycopg.connect(f"{self._server}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def keep_as(self, template: str) -> None:
        """Keep the database as it is now, to begin from again."""
        self._maintain(f"CREATE DATABASE {template} TEMPLATE {_NAME} STRATEGY file_copy")

    def begin_from(self, template: str) -> None:
        """Put back the database that was kept."""
        self._maintain(f"DROP DATABASE {_NAME} WITH (FORCE)")
        self._maintain(f"CREATE DATABASE {_NAME} TEMPLATE {template} STRATEGY file_copy")
        self.execute("CHECKPOINT")

    def execute(self, *statements: str) -> None:
        """Run statements, each by itself."""
        with psycopg.connect(self.settings.database_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def empty(self) -> None:
        """Begin from an empty table."""
        self.execute("TRUNCATE contacts, contact_versions, contributions RESTART IDENTITY", "CHECKPOINT")

    def put(self, path: Path) -> str:
        """Put a file into the bucket and the ledger, ready to be imported; returns its upload's id."""
        upload_id = uuid.uuid4().hex
        key = f"uploads/{upload_id}.csv"
        self.store.s3.upload_file(str(path), self.store.bucket, key)
        found = self.store.find(key)
        assert found is not None
        stored = found[0]
        entry = registration.Registration(
            upload_id, self.store.bucket, key, stored.etag, stored.size, stored.uploaded_at, path.name, "bench"
        )
        with closing(postgres.connect(self.settings.database_url)) as connection:
            registration.register(connection, entry)
        self.execute("CHECKPOINT")
        return upload_id

    def run_import(self, path: Path, **options: str) -> Imported:
        """Import a file, with options, in a process of its own, as a run does, without Dagster around it."""
        upload_id = self.put(path)
        done = self.run_put(upload_id, **options)
        self.store.s3.delete_object(Bucket=self.store.bucket, Key=f"uploads/{upload_id}.csv")
        return done

    def run_put(self, upload_id: str, **options: str) -> Imported:
        """Import what was put."""
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.one_import", upload_id, json.dumps(options)],
            env={**os.environ, **servers.application_environment(self.home, self.settings)},
            check=True,
            capture_output=True,
            text=True,
        )
        told: dict[str, Any] = json.loads(done.stdout)
        return Imported(told["seconds"], told["peak"], told["counts"], told["parts"])

    def psql(self, *commands: str) -> float:
        """Seconds that psql takes for commands, in one session."""
        arguments = [argument for command in commands for argument in ("-c", command)]
        started = perf_counter()
        subprocess.run(
            [
                storage_servers.postgres_binary("psql"),
                self.settings.database_url,
                "-qX",
                "-v",
                "ON_ERROR_STOP=1",
                *arguments,
            ],
            check=True,
        )
        return perf_counter() - started

    def export(self, path: Path, which: str = "true") -> Path:
        """Write contacts to a file, as psql reads them back."""
        self.psql(f"\\copy (SELECT {COLUMNS} FROM contacts WHERE {which} ORDER BY key) TO '{path}' CSV")
        return path


@contextmanager
def environment() -> Iterator[Environment]:
    """A stand that leaves nothing behind."""
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place) / "home")
        control.up(home, lambda _: None)
        try:
            yield Environment(home, Path(place))
        finally:
            control.down(home, lambda _: None)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
