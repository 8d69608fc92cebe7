"""Several connections that load one import's chunks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

from contact_pipeline.database.postgres import Connection
from contact_pipeline.importing.chunks import ChunkOutcome, DeferredChunk, PreparedChunk
from contact_pipeline.importing.commit_order import CommitTicket
from contact_pipeline.importing.loader import Loader

SIDE_BY_SIDE: Final = 2
"""Connections of an import: while the server indexes one chunk's contacts, it takes in another's."""

LoadableChunk = PreparedChunk | DeferredChunk


class Loaders:
    """Loads chunks side by side; they are committed, and told of, in file order."""

    def __init__(self, make: Callable[[], Loader], count: int) -> None:
        """Open `count` connections."""
        self._loaders: list[Loader] = []
        try:
            for _ in range(count):
                self._loaders.append(make())
        except BaseException:
            self.close()
            raise

    @property
    def connection(self) -> Connection:
        """A connection that sees what was loaded, for when nothing is being loaded."""
        return self._loaders[0].connection

    @property
    def seconds(self) -> dict[str, float]:
        """What each part of the work took, over all connections."""
        together: Counter[str] = Counter()
        for loader in self._loaders:
            together.update(loader.seconds)
        return dict(together)

    @property
    def retries(self) -> int:
        """How often a chunk was tried again after a transient fault."""
        return sum(loader.retries for loader in self._loaders)

    def close(self) -> None:
        """Give the connections back; open transactions are rolled back."""
        for loader in self._loaders:
            loader.close()

    def load(
        self, next_chunk: Callable[[], Future[LoadableChunk | None]]
    ) -> Generator[tuple[LoadableChunk, ChunkOutcome]]:
        """Load chunks; yields each with its outcome as soon as it is committed.

        The chunk after it is committed when the next one is asked for, and not
        before: to stop asking, or to close the generator, stops the import there.

        Args:
            next_chunk: begins to prepare the next chunk, None at the file's end; called when the last one is taken.

        Raises:
            ImportCancelled, ClaimLost, DatabaseFailed: see `Loader.load`. No later chunk is committed then.
            Exception: what the preparation of a chunk raised, once those before it are committed.
        """
        under_way: deque[_UnderWay] = deque()
        ticket = None
        number = 0
        with ThreadPoolExecutor(len(self._loaders), thread_name_prefix="load") as pool:
            try:
                preparing: Future[LoadableChunk | None] | None = next_chunk()
                while preparing is not None or under_way:
                    first = under_way[0].future if under_way else None
                    if first is not None and first.done():
                        yield under_way[0].chunk, first.result()
                        under_way.popleft().ticket.end()
                    elif preparing is not None and self._can_take(preparing, under_way):
                        chunk = preparing.result()
                        preparing = next_chunk() if chunk is not None else None
                        if chunk is not None:
                            # Reuse the loader whose chunk committed last.
                            loader = self._loaders[number % len(self._loaders)]
                            number, ticket = number + 1, CommitTicket(ticket)
                            future = pool.submit(loader.load, chunk, ticket)
                            under_way.append(_UnderWay(chunk, ticket, loader, future))
                    else:
                        wait(_not_done(first, preparing), return_when=FIRST_COMPLETED)
            finally:
                for left in under_way:
                    left.ticket.abort()
                for left in under_way:
                    if not left.future.done():
                        left.loader.interrupt()

    def _can_take(self, preparing: Future[LoadableChunk | None], under_way: Sequence[_UnderWay]) -> bool:
        if not preparing.done() or len(under_way) == len(self._loaders):
            return False
        return not under_way or preparing.exception() is None


def _not_done(*futures: Future[Any] | None) -> list[Future[Any]]:
    return [future for future in futures if future is not None and not future.done()]


@dataclass(frozen=True)
class _UnderWay:
    """A chunk that is being loaded."""

    chunk: LoadableChunk
    ticket: CommitTicket
    loader: Loader
    future: Future[ChunkOutcome]
