"""How long a small file takes from the answer to `complete` until its rows can be seen, through sensor and daemon.

python -m benchmarks.latency [rounds]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import psycopg

from contact_pipeline.client import UploadClient
from contact_pipeline.samples import files as sample_files
from contact_pipeline.settings import Settings
from contact_pipeline.stack import control
from contact_pipeline.stack.home import Home

_ROWS = 1_150
_ROUNDS = 7
_FILES_AT_ONCE = 40
_SECONDS_OF_A_LOOP = 5


def measure(settings: Settings, folder: Path, rounds: int = _ROUNDS) -> str:
    """Upload files of 1 MB, each by itself and each when the last is over, then forty small ones; Markdown."""
    client = UploadClient(settings.api_url, settings.api_token.get_secret_value())
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        by_itself = _Times()
        at_the_heels = _Times()
        for number in range(rounds):
            # Another moment each time of the daemon's loop, whatever comes before.
            sleep(_SECONDS_OF_A_LOOP * (1 + number / rounds))
            by_itself.add(connection, client, folder / f"itself-{number}.csv", 100 + number)
        for number in range(rounds):
            at_the_heels.add(connection, client, folder / f"heels-{number}.csv", 200 + number)
        at_once = _at_once(client, connection, folder)
    client.close()
    return (
        "### From `complete` to rows that can be seen\n\n"
        f"{rounds} files of {_ROWS:,} rows (1 MB) through API, S3, sensor, daemon and run. "
        f"Each by itself, at any moment: {by_itself}. Each as soon as the one before has succeeded: {at_the_heels}.\n\n"
        f"{_FILES_AT_ONCE} files of 1,000 rows, uploaded one after the other: {at_once:.2f} s a file until the last "
        f"has succeeded, {at_once / median(by_itself.ended):.2f} of the time of one by itself, "
        f"{at_once / median(at_the_heels.ended):.2f} of one right after another."
    )


class _Times:
    """Seconds from `complete` until the rows of files could be seen, and until their imports had succeeded."""

    def __init__(self) -> None:
        self.visible: list[float] = []
        self.ended: list[float] = []

    def add(self, connection: psycopg.Connection, client: UploadClient, path: Path, seed: int) -> None:
        sample_files.write(path, _ROWS, "A9", seed=seed)
        upload_id = client.upload(path, lambda _: None)
        started = perf_counter()
        _wait(connection, "SELECT count(*) FROM contacts WHERE created_by_import = %s", upload_id, _ROWS)
        self.visible.append(perf_counter() - started)
        _wait(connection, "SELECT state FROM imports WHERE upload_id = %s", upload_id, "succeeded")
        self.ended.append(perf_counter() - started)

    def __str__(self) -> str:
        spread = f"median; {min(self.visible):.1f} to {max(self.visible):.1f}"
        return f"visible after {median(self.visible):.1f} s ({spread}), succeeded after {median(self.ended):.1f} s"


def _at_once(client: UploadClient, connection: psycopg.Connection, folder: Path) -> float:
    """Seconds a file."""
    paths = [folder / f"at-once-{number}.csv" for number in range(_FILES_AT_ONCE)]
    for number, path in enumerate(paths):
        sample_files.write(path, 1_000, "A9", seed=1_000 + number)
    started = perf_counter()
    upload_ids = [client.upload(path, lambda _: None) for path in paths]
    for upload_id in upload_ids:
        _wait(connection, "SELECT state FROM imports WHERE upload_id = %s", upload_id, "succeeded")
    return (perf_counter() - started) / _FILES_AT_ONCE


def _wait(connection: psycopg.Connection, query: str, upload_id: str, wanted: object) -> None:
    while True:
        row = connection.execute(query.encode(), (upload_id,)).fetchone()
        if row is not None and row[0] == wanted:
            return
        sleep(0.02)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place) / "home")
        try:
            print(measure(control.up(home, lambda _: None), Path(place), *map(int, sys.argv[1:])))
        finally:
            control.down(home, lambda _: None)
