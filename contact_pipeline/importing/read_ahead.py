"""Reading and preparing the next chunk while others are loaded."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter

from contact_pipeline.database.claims import Claim
from contact_pipeline.files.chunks import Chunk, Position
from contact_pipeline.files.csv.reader import read_chunks
from contact_pipeline.files.text import Text
from contact_pipeline.importing.heartbeat import Heartbeat
from contact_pipeline.importing.parallel import LoadableChunk
from contact_pipeline.importing.planning import ReadingPlan, blob_of
from contact_pipeline.importing.prepare import Preparer
from contact_pipeline.object_store import ObjectStore


class ReadAhead:
    """Reads and prepares one chunk, in a thread, while others are loaded: what bounds the memory of a run."""

    def __init__(
        self,
        store: ObjectStore,
        claim: Claim,
        plan: ReadingPlan,
        preparer: Preparer,
        start: Position,
        heartbeat: Heartbeat,
    ) -> None:
        content_encoding = plan.dialect.content_encoding
        text = Text(blob_of(store, claim.record, heartbeat.mark), content_encoding, start.offset)
        self._blocks = text.blocks()
        bytes_read = None if content_encoding.plain else text.bytes_read
        self._chunks = read_chunks(self._blocks, plan.dialect, start, bytes_read, preparer.needed)
        self._preparer = preparer
        self._heartbeat = heartbeat
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self.seconds = 0.0

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._chunks.close()
        self._blocks.close()

    def next_chunk(self) -> Future[LoadableChunk | None]:
        """Begin with the next chunk; None at the file's end."""
        return self._pool.submit(self._next)

    def _next(self) -> LoadableChunk | None:
        started = perf_counter()
        chunk: Chunk | None = next(self._chunks, None)
        self.seconds += perf_counter() - started
        prepared = self._preparer.prepare(chunk) if chunk is not None else None
        self._heartbeat.mark()
        return prepared
