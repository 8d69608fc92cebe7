"""How long uploads wait: many put at once with one of another owner behind them, and a bucket full of old ones.

python -m benchmarks.waiting [uploads] [old objects]
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median

from contact_pipeline.bucket_listing import KeyRange, list_pages
from contact_pipeline.database import postgres
from contact_pipeline.database.postgres import Connection
from contact_pipeline.importing.discovery import SettledPages, discover
from contact_pipeline.object_store import UPLOADS, ObjectStore
from contact_pipeline.stack import control, processes
from contact_pipeline.stack.home import Home

_SECONDS = 3_600
_TICKS = 20


def _quiet(_: str) -> None:
    """The stack's own words are not wanted."""


def _ended(connection: Connection, since: float, prefix: str, wanted: int) -> list[float]:
    """Seconds until each of these imports was over, as they end."""
    while True:
        rows = connection.execute(
            """SELECT extract(epoch FROM finished_at) AS ended FROM imports
               WHERE object_key LIKE %s AND state = 'succeeded' ORDER BY finished_at""",
            (f"{UPLOADS}{prefix}%",),
        ).fetchall()
        if len(rows) >= wanted or time.time() - since > _SECONDS:
            return [float(row["ended"]) - since for row in rows]
        time.sleep(1)


def many_at_once(home: Home, uploads: int) -> str:
    """Put many files of 300 rows at once, then a small one of another owner."""
    settings = home.settings()
    store = ObjectStore.from_settings(settings)
    with closing(postgres.connect(settings.database_url)) as connection:

        def put(number: int) -> None:
            rows = "".join(f"m{number}n{row}@x.example,Ada\n" for row in range(300))
            store.s3.put_object(
                Bucket=store.bucket,
                Key=f"{UPLOADS}many-{number:04}.csv",
                Body=f"Email,First Name\n{rows}".encode(),
                Metadata={"owner": "many"},
            )

        began = time.time()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(put, range(uploads)))
        put_in = time.time() - began
        store.s3.put_object(
            Bucket=store.bucket,
            Key=f"{UPLOADS}other.csv",
            Body=b"Email,First Name\nother@x.example,Ben\n",
            Metadata={"owner": "other"},
        )
        (other,) = _ended(connection, began, "other", 1)
        many = _ended(connection, began, "many", uploads)
    return (
        f"{uploads} uploads of 300 rows, put within {put_in:.0f} s: the first over after {many[0]:.0f} s, half of them "
        f"after {median(many):.0f} s, the last after {many[-1]:.0f} s ({many[-1] / len(many):.1f} s each). One row of "
        f"another owner, put behind them: after {other:.0f} s."
    )


def _shown(seconds: list[float]) -> str:
    return ", ".join(f"{one:.1f}" for one in seconds)


def _found_after(connection: Connection, store: ObjectStore, name: str) -> float:
    """Put an object, and wait until the ledger has it."""
    key = f"{UPLOADS}{name}.csv"
    began = time.time()
    store.s3.put_object(Bucket=store.bucket, Key=key, Body=b"Email,First Name\nn@x.example,Ada\n")
    while connection.execute("SELECT FROM imports WHERE object_key = %s", (key,)).fetchone() is None:
        time.sleep(0.1)
    return time.time() - began


def old_objects(home: Home, count: int) -> str:
    """Fill the bucket with objects that are imported, then put a new one."""
    settings = home.settings()
    store = ObjectStore.from_settings(settings)
    processes.stop(home, "supervisor")
    processes.stop(home, "dagster-daemon")
    with ThreadPoolExecutor(32) as pool:
        list(
            pool.map(
                lambda number: store.s3.put_object(Bucket=store.bucket, Key=f"{UPLOADS}old-{number:06}.csv", Body=b"x"),
                range(count),
            )
        )
    with closing(postgres.connect(settings.database_url)) as connection:
        listed, left = [], [KeyRange()]
        while left:
            pages, left = list_pages(store, left, 600)
            listed += [item for page in pages for item in page.objects]
        old = [item for item in listed if item.key.startswith(f"{UPLOADS}old-")]
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(
                """INSERT INTO imports (upload_id, state, bucket, object_key, etag, size, uploaded_at, ordered_at,
                                        file_name, owner, finished_at)
                   VALUES (md5(%s), 'succeeded', %s, %s, %s, 1, %s, now() - make_interval(secs => %s / 1e6), 'old.csv',
                           'old', now())""",
                [
                    (item.key, store.bucket, item.key, item.etag, item.uploaded_at, at + 1_000_000)
                    for at, item in enumerate(old)
                ],
            )
        connection.execute("ANALYZE imports")
        where: str | None = None
        settled, ticks = SettledPages(), []
        for _ in range(_TICKS):
            began = time.perf_counter()
            where = discover(connection, store, where, settled).cursor
            ticks.append(time.perf_counter() - began)
        control.up(home, _quiet)
        rounds = []
        for wait in (0, 30):
            # At first the code server knows no page of the listing; then it does.
            time.sleep(wait)
            rounds.append([_found_after(connection, store, f"{key}-{wait}") for key in ("0first", "old-050000", "zzz")])
    return (
        f"{len(old):,} imported objects under the prefix: a tick takes {median(ticks):.2f} s ({min(ticks):.2f} to "
        f"{max(ticks):.2f}); a new upload is found after "
        f"{_shown(rounds[0])} s right after the start, then after {_shown(rounds[1])} s (keys from all over it)."
    )


def measure(uploads: int = 300, old: int = 100_000) -> str:
    """Measure both; returns a Markdown section."""
    with tempfile.TemporaryDirectory(prefix="waiting-") as place:
        home = Home(Path(place) / "home")
        control.up(home, _quiet)
        try:
            lines = [many_at_once(home, uploads), old_objects(home, old)]
        finally:
            control.down(home, _quiet)
    return "### Waiting\n\n" + "\n\n".join(lines)


if __name__ == "__main__":
    print(measure(*map(int, sys.argv[1:])))
