"""Keeping chunks in order that are loaded side by side."""

from __future__ import annotations

from threading import Event
from typing import Final

import polars as pl

_MAX_WAIT_SECONDS: Final = 20.0


class ImportAborted(Exception):
    """The chunk is not to be loaded: one before it was not, or the import stops."""


class CommitWaitTimeout(Exception):
    """The chunk held its locks for long while it waited for the one before it: it is loaded anew, after that one."""


class CommitTicket:
    """A chunk's place in the order of an import's commits.

    A chunk may be matched and written while the one before it is not committed yet
    where both consist of contacts told apart by their ids alone, and share none:
    the order then makes no difference to what becomes of their rows. It is never
    committed before the one before it is over.
    """

    def __init__(self, before: CommitTicket | None = None) -> None:
        """The turn after another one; the first one has none before it."""
        self._before = before
        self._ids: pl.Series | None = None
        self._decided = Event()
        self._over = Event()
        self._off = Event()

    @property
    def off(self) -> Event:
        """Set once the chunk is called off."""
        return self._off

    @property
    def comes_next(self) -> bool:
        """Whether the chunk before this one is over."""
        return self._before is None or self._before._over.is_set()

    def wait_to_match(self, ids: pl.Series | None) -> bool:
        """Wait until the chunk can be matched. It holds no lock yet that the chunk before it could wait for.

        Args:
            ids: the contact ids of its rows, where they have ids of their own; else None.

        Returns:
            Whether what the chunk before it does cannot touch these ids; else that one is over.

        Raises:
            ImportAborted: the import stops.
        """
        before = self._before
        if before is not None and ids is not None:
            before._decided.wait()
            if before._ids is not None and not ids.is_in(before._ids.implode()).any():
                self._check()
                return True
        self.wait_for_the_one_before()
        return False

    def decide(self, ids: pl.Series | None) -> None:
        """Say by which contact ids alone the chunk is matched; None where it is matched otherwise.

        Only the first time counts: a part of the chunk that is matched again says less.
        """
        if not self._decided.is_set():
            self._ids = ids
            self._decided.set()

    def wait_for_the_one_before(self) -> None:
        """Wait until the chunk before this one is over, however long that takes.

        Raises:
            ImportAborted: the import stops.
        """
        if self._before is not None:
            self._before._over.wait()
        self._check()

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
