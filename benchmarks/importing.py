r"""How long an import takes, against `psql \copy` of the same typed rows into the same table with the same indexes.

    python -m benchmarks.importing [rows]

Both on the embedded PostgreSQL at its durable settings, in turn, three rounds;
medians. The import is its steps from open to publish, in a process of its own as
a run is, reading the file from the embedded S3 server. What `\copy` loads is what
the import had loaded: it validates, matches and accounts for nothing.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

import psycopg

from contact_pipeline.importing import opening, steps
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.progress import ProgressBoard
from contact_pipeline.samples import files as sample_files
from contact_pipeline.settings import Settings
from contact_pipeline.stack import control, servers
from contact_pipeline.stack.home import Home
from contact_pipeline.warehouse import database, ledger, reports
from contact_pipeline.warehouse.tables import contacts

_ROUNDS = 3
_COLUMNS = ", ".join(column.name for column in contacts.columns if column.name != "key")


def run(settings: Settings, upload_id: str) -> None:
    """Run an import's steps in this process, and print its seconds, its counts and its peak memory in MiB."""
    started = perf_counter()
    store, board = ObjectStore.from_settings(settings), ProgressBoard.from_url(settings.redis_url)
    with closing(database.connect(settings.database_url)) as connection:
        claim = ledger.claim(connection, upload_id, uuid.uuid4().hex, datetime.now(UTC), lambda _: True)
        plan = opening.open_import(connection, store, claim)
        report = steps.load_chunks(settings.database_url, store, board, claim, plan, lambda *_: None)
        steps.verify_import(connection, claim)
        record = steps.publish_import(connection, store, board, claim)
    seconds = perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    parts = ", ".join(
        f"{name} {spent:.1f}" for name, spent in sorted(report.seconds.items(), key=lambda item: -item[1])
    )
    print(f"{seconds}|{record['inserted']}|{record['unchanged']}|{peak}|{parts}")


def _import(home: Home, settings: Settings, path: Path) -> tuple[float, str]:
    """Put a file into the bucket and import it in a process of its own; returns seconds and what it printed."""
    store = ObjectStore.from_settings(settings)
    store.ensure_bucket()
    upload_id = uuid.uuid4().hex
    key = f"uploads/{upload_id}.csv"
    store.s3.upload_file(str(path), store.bucket, key)
    found = store.find(key)
    assert found is not None
    stored = found[0]
    registration = ledger.Registration(
        upload_id, store.bucket, key, stored.etag, stored.size, stored.uploaded_at, path.name, "bench"
    )
    with closing(database.connect(settings.database_url)) as connection:
        ledger.register(connection, registration)
        connection.execute("CHECKPOINT")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.importing", "--run", upload_id],
        env={**os.environ, **servers.application_environment(home, settings)},
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, _, said = done.stdout.strip().partition("|")
    with closing(database.connect(settings.database_url)) as connection:
        assert reports.find(connection, upload_id)["state"] == "succeeded"
    store.s3.delete_object(Bucket=store.bucket, Key=key)
    return float(seconds), said


def _copy(settings: Settings, typed: Path) -> float:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE contacts, contact_versions RESTART IDENTITY")
        connection.execute("CHECKPOINT")
    started = perf_counter()
    command = f"\\copy contacts ({_COLUMNS}) FROM '{typed}' CSV"
    subprocess.run([servers.postgres_binary("psql"), settings.database_url, "-qc", command], check=True)
    return perf_counter() - started


def main(rows: int) -> None:
    """Print a table of seconds and ratios."""
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place) / "home")
        control.up(home, lambda _: None)
        try:
            _measure(home, Path(place), rows)
        finally:
            control.down(home, lambda _: None)


def _measure(home: Home, folder: Path, rows: int) -> None:
    stack = home.settings()
    name = "bench"
    base = stack.database_url.rsplit("/", 1)[0]
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    settings = stack.model_copy(update={"database_url": f"{base}/{name}", "s3_bucket": "bench"})
    database.migrate(settings.database_url)
    path, typed = folder / "contacts.csv", folder / "typed.csv"
    sample_files.write(path, rows, "A9", seed=42, dirty=0.01)
    found: dict[str, list[float]] = {"all new": [], "all unchanged": [], "\\copy": []}
    said = {}
    for _ in range(_ROUNDS):
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            connection.execute("TRUNCATE contacts, contact_versions RESTART IDENTITY")
        for case in ("all new", "all unchanged"):
            seconds, said[case] = _import(home, settings, path)
            found[case].append(seconds)
        if not typed.exists():
            with (
                psycopg.connect(settings.database_url) as connection,
                connection.cursor() as cursor,
                typed.open("wb") as target,
                cursor.copy(f"COPY contacts ({_COLUMNS}) TO STDOUT CSV") as copy,
            ):
                target.writelines(copy)
        found["\\copy"].append(_copy(settings, typed))
    bare = median(found["\\copy"])
    print(f"{rows:,} rows x 67 columns, {path.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} cores")
    print("| case | s (median of 3) | ÷ `\\copy` | inserted / unchanged / peak MiB / seconds by part |")
    print("|---|---:|---:|---|")
    for case, seconds in found.items():
        took = median(seconds)
        print(f"| {case} | {took:.1f} | {took / bare:.2f} | {said.get(case, '').replace('|', ' / ')} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(Settings.model_validate({}), sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
