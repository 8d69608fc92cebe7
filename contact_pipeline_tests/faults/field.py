"""A whole stack that faults are made in: its processes, its calls, its database."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import psutil
import redis

from contact_pipeline.client import UploadClient
from contact_pipeline.database import postgres, queries
from contact_pipeline.database.postgres import Connection, DatabaseFailed
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.stack import processes
from contact_pipeline.stack.home import Home
from contact_pipeline_tests.running import Dagster, eventually, run_processes

LIVE = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")


class Field:
    """The stack of a home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.settings = home.settings()
        self.store = ObjectStore.from_settings(self.settings)
        self.client = UploadClient(self.settings.api_url, self.settings.api_token.get_secret_value())
        self.dagster = Dagster(self.settings.dagster_url)
        self._connection: Connection | None = None

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        if self._connection is not None:
            self._connection.close()

    @property
    def connection(self) -> Connection:
        """A connection that lives, as soon as the database does."""

        def alive() -> bool:
            try:
                if self._connection is None or self._connection.closed or self._connection.broken:
                    self._connection = postgres.connect(self.settings.database_url)
                with postgres.scrubbed():
                    self._connection.execute("SELECT 1")
            except DatabaseFailed:
                self._connection = None
                return False
            return True

        eventually(alive, 120)
        assert self._connection is not None
        return self._connection

    def upload(self, path: Path, **options: Any) -> str:
        """Upload a file; returns its id."""
        return self.client.upload(path, lambda _: None, options)

    def call(self, method: str, path: str) -> httpx.Response:
        """Call the API."""
        token = self.settings.api_token.get_secret_value()
        return httpx.request(
            method, self.settings.api_url + path, headers={"Authorization": f"Bearer {token}"}, timeout=120
        )

    def state(self, upload_id: str) -> str | None:
        """The state of an import."""
        record = queries.find(self.connection, upload_id)
        return record.state if record else None

    def wait(self, upload_id: str, state: str = "succeeded", seconds: float = 240) -> ImportRecord:
        """Wait for a state; returns the import."""
        eventually(lambda: self.state(upload_id) == state, seconds, step=0.3)
        record = queries.find(self.connection, upload_id)
        assert record is not None
        return record

    def chunks(self, upload_id: str) -> int:
        """Committed chunks of an import."""
        return queries.totals(self.connection, upload_id).chunks

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a server."""
        note = processes._read(self.home, name)
        if note is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(note["pid"]), number)

    def workers(self) -> list[psutil.Process]:
        """The processes of runs."""
        return run_processes(self.home)

    def kill_workers(self) -> int:
        """Kill every run; returns how many."""
        workers = self.workers()
        for process in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return len(workers)

    def live_runs(self) -> int:
        """Runs of any job that Dagster takes for unfinished."""
        data = self.dagster.ask(
            """query ($s: [RunStatus!]) { runsOrError(filter: {statuses: $s}, limit: 500) {
                   ... on Runs { results { runId } } } }""",
            s=list(LIVE),
        )
        return len(data["runsOrError"]["results"])

    def quiet(self, seconds: float = 240) -> None:
        """Wait until no run is left: none holds a place."""
        eventually(lambda: self.live_runs() == 0, seconds, step=1)

    def flush_redis(self) -> None:
        """Lose what Redis has."""
        client = redis.Redis.from_url(self.settings.redis_url)
        with contextlib.suppress(redis.RedisError):
            client.flushall()
        client.close()
