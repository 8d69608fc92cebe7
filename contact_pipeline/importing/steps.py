"""The four steps of an import: open, load, verify, publish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, Final

from psycopg.rows import DictRow

from contact_pipeline.files import dialect as dialects
from contact_pipeline.files.csv_chunks import Chunk, Position, read_chunks, start_of
from contact_pipeline.files.dialect import Dialect
from contact_pipeline.files.headers import Mapping, map_header
from contact_pipeline.importing.memory import give_memory_back
from contact_pipeline.importing.preparing import Preparer
from contact_pipeline.importing.summary import progress_of
from contact_pipeline.object_store import ObjectChanged, ObjectStore, StoredObject
from contact_pipeline.progress import Progress, ProgressBoard
from contact_pipeline.warehouse import ledger, reports
from contact_pipeline.warehouse.chunks import PreparedChunk
from contact_pipeline.warehouse.database import Connection
from contact_pipeline.warehouse.ledger import Claim
from contact_pipeline.warehouse.loading import Loader

_AHEAD: Final = 1
"""Chunks prepared ahead of the one being loaded: what bounds the memory of a run."""

_HEARTBEAT_SECONDS: Final = 5.0


class LedgerIncomplete(Exception):
    """The committed chunks do not cover the file: the import cannot be called succeeded."""


@dataclass(frozen=True)
class ReadingPlan:
    """How a file is read: decided at the first attempt, the same for every later one."""

    dialect: Dialect
    mapping: Mapping


def open_import(connection: Connection, store: ObjectStore, claim: Claim) -> ReadingPlan:
    """Decide how the file is read, or recall what was decided.

    Raises:
        FileRefused: the file cannot be imported.
        ObjectChanged: the object is not the one that was registered.
    """
    record = claim.record
    found = store.find(record["object_key"])
    if found is None:
        raise ObjectChanged(f"{record['object_key']} was deleted before it was imported")
    if found[0].etag != record["etag"]:
        raise ObjectChanged(f"{record['object_key']} was replaced before it was imported")
    if record["dialect"] and record["mapping"]:
        return _recalled(record["dialect"], record["mapping"])
    stored = _stored(claim)
    sample_size = min(stored.size, dialects.SAMPLE_BYTES)
    sample = store.read_range(stored.key, stored.etag, 0, sample_size) if sample_size else b""
    dialect = dialects.detect(sample, whole=sample_size == stored.size)
    mapping = map_header(dialect.header)
    ledger.keep_reading_plan(connection, claim, asdict(dialect), asdict(mapping))
    return ReadingPlan(dialect, mapping)


def reading_plan(connection: Connection, claim: Claim) -> ReadingPlan:
    """What `open_import` decided."""
    record = reports.find(connection, claim.upload_id)
    assert record is not None
    return _recalled(record["dialect"], record["mapping"])


def _recalled(dialect: dict[str, Any], mapping: dict[str, Any]) -> ReadingPlan:
    return ReadingPlan(
        Dialect(**{**dialect, "header": tuple(dialect["header"])}),
        Mapping(tuple(mapping["fields"]), tuple(mapping["extra"]), mapping["source"]),
    )


def _stored(claim: Claim) -> StoredObject:
    record = claim.record
    return StoredObject(record["object_key"], record["etag"], record["size"], record["uploaded_at"])


@dataclass
class LoadReport:
    """What one attempt's loading did.

    Attributes:
        progress: the import as a whole, earlier attempts included.
        chunks: committed by this attempt.
        retries: how often a chunk was tried again after a transient fault.
        seconds: spent in each part of the work, in whichever thread.
    """

    progress: Progress
    chunks: int = 0
    retries: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


def load_chunks(
    database_url: str,
    store: ObjectStore,
    board: ProgressBoard,
    claim: Claim,
    plan: ReadingPlan,
    on_chunk: Callable[[Progress, int], None],
) -> LoadReport:
    """Load every chunk that the ledger does not have, one after another, in file order.

    Reading, cleaning and validating run ahead in another thread. When the reader
    has come to the file's end, the import is `verifying`.

    Args:
        on_chunk: told of the progress, and the number of chunks so far, after each commit.

    Raises:
        ImportCancelled, NotTheOwner: this run is to stop.
        ObjectChanged, StoreFailed, DatabaseFailed: as named.
    """
    give_memory_back()
    preparer = Preparer(plan.dialect.header, plan.mapping)
    loader = Loader(database_url, claim, plan.mapping.source, preparer.columns)
    try:
        progress = progress_of(loader.connection, claim.record)
        progress.started_with = progress.done
        report = LoadReport(progress)
        board.put(claim.upload_id, progress)
        start = _resume_position(loader.connection, claim, plan.dialect)
        last_beat = perf_counter()
        with _Ahead(store, claim, plan, preparer, start, lambda: ledger.beat(loader.connection, claim)) as prepared:
            for chunk in prepared:
                outcome = loader.load(chunk)
                progress.add(outcome, chunk.end_offset)
                report.chunks += 1
                board.put(claim.upload_id, progress)
                if perf_counter() - last_beat > _HEARTBEAT_SECONDS:
                    ledger.beat(loader.connection, claim)
                    last_beat = perf_counter()
                on_chunk(progress, chunk.start.chunk + 1)
            report.retries = loader.retries
            report.seconds = {**preparer.seconds, **loader.seconds, "read": prepared.seconds}
        ledger.keep_total(loader.connection, claim, progress.rows, report.seconds)
        return report
    finally:
        loader.close()


def _resume_position(connection: Connection, claim: Claim, dialect: Dialect) -> Position:
    last = reports.last_chunk(connection, claim.upload_id)
    if last is None:
        return start_of(dialect)
    return Position(last["chunk"] + 1, last["end_offset"], last["first_row"] + last["rows"], last["end_line"])


class _Ahead:
    """Prepares chunks in a thread, a bounded number ahead of whoever takes them."""

    def __init__(
        self,
        store: ObjectStore,
        claim: Claim,
        plan: ReadingPlan,
        preparer: Preparer,
        start: Position,
        while_waiting: Callable[[], None],
    ) -> None:
        self._chunks = read_chunks(store.stream(_stored(claim), start.offset), plan.dialect, start)
        self._preparer = preparer
        self._while_waiting = while_waiting
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self.seconds = 0.0

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._chunks.close()

    def __iter__(self) -> Iterator[PreparedChunk]:
        waiting: list[Future[PreparedChunk | None]] = [self._pool.submit(self._next) for _ in range(_AHEAD)]
        while True:
            prepared = self._result(waiting.pop(0))
            if prepared is None:
                return
            waiting.append(self._pool.submit(self._next))
            yield prepared

    def _result(self, future: Future[PreparedChunk | None]) -> PreparedChunk | None:
        """Wait for a chunk; a slow store is no reason to be thought dead."""
        while not future.done():
            try:
                return future.result(_HEARTBEAT_SECONDS)
            except TimeoutError:
                self._while_waiting()
        return future.result()

    def _next(self) -> PreparedChunk | None:
        started = perf_counter()
        chunk: Chunk | None = next(self._chunks, None)
        self.seconds += perf_counter() - started
        return self._preparer.prepare(chunk) if chunk is not None else None


def verify_import(connection: Connection, claim: Claim) -> None:
    """Make sure that the ledger covers the file: every row, once, without a gap.

    Raises:
        LedgerIncomplete: it does not.
    """
    record = reports.find(connection, claim.upload_id)
    assert record is not None
    sums = reports.totals(connection, claim.upload_id)
    gaps = reports.gaps(connection, claim.upload_id, record["dialect"]["data_offset"])
    rejected = reports.rejected_rows(connection, claim.upload_id)
    problems = []
    if record["total_rows"] is None:
        problems.append("the file was not read to its end")
    elif record["total_rows"] != sums["rows"]:
        problems.append(f"{sums['rows']} rows are committed of {record['total_rows']}")
    if gaps:
        problems.append(f"{gaps} chunks do not begin where the one before them ends")
    if rejected != sums["rejected"]:
        problems.append(f"{rejected} rejected rows are kept of {sums['rejected']}")
    if problems:
        raise LedgerIncomplete("the ledger does not cover the file: " + "; ".join(problems))


def publish_import(connection: Connection, board: ProgressBoard, claim: Claim) -> DictRow:
    """End the import well; its counts are final from here.

    Returns:
        The import's row in the ledger.

    Raises:
        ImportCancelled, NotTheOwner: this run is to stop.
    """
    record = claim.record if claim.finished else ledger.succeed(connection, claim)
    progress = progress_of(connection, claim.record)
    progress.state = "succeeded"
    progress.done = progress.size
    board.put(claim.upload_id, progress)
    return record
