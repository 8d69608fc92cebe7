"""Keeping chunks in order that are loaded side by side."""

from __future__ import annotations

from threading import Event
from typing import Final

import polars as pl

from contact_pipeline.contacts.identity import could_meet

_MAX_WAIT_SECONDS: Final = 20.0


class ImportAborted(Exception):
    """The chunk is not to be loaded: one before it was not, or the import stops."""


class CommitWaitTimeout(Exception):
    """The chunk held its locks for long while it waited for the one before it: it is loaded anew, after that one."""


class CommitTicket:
    """A chunk's place in the order of an import's commits.

    A chunk may be matched and written while the one before it is not committed yet
    where no row of one could be one person with a row of the other. It is never
    committed before the one before it is over, and whether that one's contacts
    make its matches wrong is checked then (`commits.still_right`).
    """

    def __init__(self, before: CommitTicket | None = None) -> None:
        """The turn after another one; the first one has none before it."""
        self._before = before
        self._rows: pl.DataFrame | None = None
        self._decided = Event()
        self._over = Event()
        self._off = Event()

    @property
    def off(self) -> Event:
        """Set once the chunk is called off."""
        return self._off

    def wait_to_match(self, rows: pl.DataFrame) -> bool:
        """Wait until nothing of the chunk before this one can make a difference to rows.

        It is called before the chunk locks anything that the one before it could wait for.

        Args:
            rows: what identifies them.

        Returns:
            Whether the one before had to be over first: what was looked up until now may be otherwise by now.

        Raises:
            ImportAborted: the import stops.
        """
        before = self._before
        if before is None:
            self._check()
            return False
        before._decided.wait()
        theirs = before._rows
        if theirs is not None and not could_meet(rows, theirs):
            self._check()
            return False
        self.wait_for_the_one_before()
        return True

    def decide(self, rows: pl.DataFrame) -> None:
        """Say what identifies the rows of the chunk, and the contacts that it may write.

        Only the first time counts: a part of the chunk that is matched again says less.
        """
        if not self._decided.is_set():
            self._rows = rows
            self._decided.set()

    def wait_for_the_one_before(self) -> None:
        """Wait until the chunk before this one is over, however long that takes.

        Raises:
            ImportAborted: the import stops.
        """
        if self._before is not None:
            self._before._over.wait()
        self._check()
        self._before = None

    def wait_to_commit(self) -> None:
        """Wait until the chunk may be committed, while it holds locks.

        Raises:
            ImportAborted: the import stops.
            CommitWaitTimeout: the chunk before it may be waiting for these locks, by way of another import.
        """
        if self._before is not None and not self._before._over.wait(_MAX_WAIT_SECONDS):
            raise CommitWaitTimeout("the chunk before this one takes long")
        self._check()

    def end(self) -> None:
        """The chunk is committed, and what comes of that is done: the next one may commit."""
        self._before = None
        self._decided.set()
        self._over.set()

    def abort(self) -> None:
        """The chunk is not to be loaded, nor any behind it."""
        self._off.set()
        self._decided.set()
        self._over.set()

    def _check(self) -> None:
        if self._off.is_set() or (self._before is not None and self._before._off.is_set()):
            raise ImportAborted("a chunk before this one was not loaded")
