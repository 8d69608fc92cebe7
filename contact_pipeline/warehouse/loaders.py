"""Several connections that load one import's chunks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from contact_pipeline.warehouse.chunks import Outcome, PreparedChunk
from contact_pipeline.warehouse.database import Connection
from contact_pipeline.warehouse.loading import Loader
from contact_pipeline.warehouse.turns import Turn

SIDE_BY_SIDE: Final = 2
"""Connections of an import: while the server indexes one chunk's contacts, it takes in another's."""

_PATIENCE_SECONDS: Final = 5.0


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
        self, chunks: Iterable[PreparedChunk], while_waiting: Callable[[], None]
    ) -> Generator[tuple[PreparedChunk, Outcome]]:
        """Load chunks; yields each with its outcome once it is committed.

        The chunk after it is committed when the next one is asked for, and not
        before: whoever stops asking, or closes the generator, stops the import there.

        Args:
            while_waiting: called every few seconds while a chunk takes long.

        Raises:
            ImportCancelled, NotTheOwner, DatabaseFailed: see `Loader.load`. No later chunk is committed then.
        """
        under_way: deque[tuple[PreparedChunk, Turn, Loader, Future[Outcome]]] = deque()
        turn = None
        with ThreadPoolExecutor(len(self._loaders), thread_name_prefix="load") as pool:
            try:
                for number, chunk in enumerate(chunks):
                    turn = Turn(turn)
                    # The one that loaded the chunk which was waited for last: it is free.
                    loader = self._loaders[number % len(self._loaders)]
                    under_way.append((chunk, turn, loader, pool.submit(loader.load, chunk, turn)))
                    if len(under_way) == len(self._loaders):
                        yield _outcome(under_way, while_waiting)
                        under_way.popleft()[1].end()
                while under_way:
                    yield _outcome(under_way, while_waiting)
                    under_way.popleft()[1].end()
            finally:
                for _, called_off, _, _ in under_way:
                    called_off.call_off()
                for _, _, loader, future in under_way:
                    if not future.done():
                        loader.interrupt()


def _outcome(
    under_way: deque[tuple[PreparedChunk, Turn, Loader, Future[Outcome]]], while_waiting: Callable[[], None]
) -> tuple[PreparedChunk, Outcome]:
    """Wait for the first chunk under way."""
    chunk, _, _, future = under_way[0]
    while not future.done():
        try:
            return chunk, future.result(_PATIENCE_SECONDS)
        except TimeoutError:
            while_waiting()
    return chunk, future.result()
