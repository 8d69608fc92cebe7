"""A run's sign of life, which is a sign of progress: a run that hangs gives none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread
from typing import Final

from contact_pipeline.database import claims
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.postgres import DatabaseFailed, connect

INTERVAL_SECONDS: Final = 5.0


class Heartbeat:
    """Counts what gets done: bytes that came, chunks that are prepared or loaded, tries that are bounded themselves."""

    def __init__(self) -> None:
        self._marks = 0
        self._told = 0

    def mark(self, *_: object) -> None:
        """Something got done."""
        self._marks += 1

    def take(self) -> bool:
        """Whether anything got done since the last time."""
        moved, self._told = self._marks != self._told, self._marks
        return moved


@contextmanager
def beating(database_url: str, claim: Claim, heartbeat: Heartbeat) -> Iterator[None]:
    """Tell the ledger every few seconds that the import gets on, as long as it does."""
    over = Event()

    def beat() -> None:
        while not over.wait(INTERVAL_SECONDS):
            if heartbeat.take():
                # If the database is away, the loader reports it.
                with suppress(DatabaseFailed), closing(connect(database_url)) as connection:
                    claims.record_heartbeat(connection, claim)

    thread = Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
