"""The steps of an import after it is opened: load, verify, publish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from time import perf_counter

from psycopg.rows import DictRow

from contact_pipeline.crash_points import reached
from contact_pipeline.database import queries, states
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.postgres import Connection, patiently
from contact_pipeline.database.tables import COUNTS
from contact_pipeline.database.undo.undoing import undo
from contact_pipeline.files.chunks import Chunk, Position
from contact_pipeline.files.csv.reader import read_chunks, start_of
from contact_pipeline.files.dialect import Dialect
from contact_pipeline.files.text import Text
from contact_pipeline.importing import dry_run_report, rejects_export
from contact_pipeline.importing.chunk_matching import MatchRules
from contact_pipeline.importing.heartbeat import Heartbeat
from contact_pipeline.importing.loader import Loader
from contact_pipeline.importing.memory import steady_memory
from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.importing.parallel import SIDE_BY_SIDE, LoadableChunk, Loaders
from contact_pipeline.importing.planning import ReadingPlan, blob_of, options_of
from contact_pipeline.importing.prepare import Preparer
from contact_pipeline.importing.progress import Progress, ProgressBoard
from contact_pipeline.importing.report import progress_of
from contact_pipeline.object_store import ObjectStore


class LedgerIncomplete(Exception):
    """The committed chunks do not cover the file: the import cannot be called succeeded."""


class TooManyRejects(Exception):
    """The import stopped, for more rows were rejected than its options allow. The message says what became of it."""


@dataclass
class LoadReport:
    """What one attempt's loading did.

    Attributes:
        progress: the import as a whole, earlier attempts included.
        chunks: committed by this attempt.
        retries: how often a chunk was tried again after a transient fault.
        seconds: spent in each part of the work, in whichever thread.
        warnings: of the chunks committed by this attempt, by `code:field`.
    """

    progress: Progress
    chunks: int = 0
    retries: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: Counter[str] = field(default_factory=Counter)


def load_chunks(
    database_url: str,
    store: ObjectStore,
    board: ProgressBoard,
    claim: Claim,
    plan: ReadingPlan,
    on_chunk: Callable[[Progress, int], None],
    heartbeat: Heartbeat | None = None,
) -> LoadReport:
    """Load every chunk that the ledger does not have, committed one after another, in file order.

    Reading, cleaning and validating run ahead in a thread of their own. When the reader
    has come to the file's end, the import is `verifying`.

    Args:
        on_chunk: told of the progress, and the number of chunks so far, after each commit.
        heartbeat: told of all that gets done.

    Raises:
        ImportCancelled, ClaimLost: this run is to stop.
        TooManyRejects: more rows were rejected than the import's options allow.
        FileRefused: the file turns out not to be readable to its end.
        ObjectChanged, StoreFailed, DatabaseFailed: as named.
    """
    options = options_of(claim.record)
    heartbeat = heartbeat or Heartbeat()
    read_again = blob_of(store, claim).read if plan.dialect.content_encoding.plain else None
    preparer = Preparer(
        plan, strict=options.strictness == "strict", may_opt_in=options.may_opt_in, read_again=read_again
    )

    rules = MatchRules(
        plan.mapping.source, options.on_existing, may_opt_in=options.may_opt_in, is_dry_run=options.is_dry_run
    )

    def loader() -> Loader:
        return Loader(database_url, claim, preparer, rules, on_retry=heartbeat.mark)

    # What a dry run loads, one connection sees.
    with (
        steady_memory(),
        closing(Loaders(loader, 1 if options.is_dry_run else SIDE_BY_SIDE)) as loaders,
    ):

        def begin(connection: Connection) -> tuple[Progress, Position]:
            return progress_of(connection, claim.record), _resume_position(connection, claim, plan.dialect)

        progress, start = begin(loaders.connection) if options.is_dry_run else patiently(database_url, begin)
        progress.started_with = progress.done
        report = LoadReport(progress)
        board.put(claim.upload_id, progress)
        stopped = None
        with (
            _Ahead(store, claim, plan, preparer, start, heartbeat) as ahead,
            closing(loaders.load(ahead.next_chunk)) as loaded,
        ):
            for chunk, outcome in loaded:
                progress.add(outcome, chunk.bytes_read)
                report.chunks += 1
                report.warnings.update(outcome.warnings)
                preparer.deferring = 2 * outcome.unchanged_by_record > outcome.rows
                board.put(claim.upload_id, progress)
                heartbeat.mark()
                on_chunk(progress, chunk.start.chunk + 1)
                stopped = _too_many(options, progress, at_end=False)
                if stopped:
                    break
        report.retries = loaders.retries
        report.seconds = {**preparer.seconds, **loaders.seconds, "read": ahead.seconds}
        stopped = stopped or _too_many(options, progress, at_end=True)
        if options.is_dry_run:
            _end_check(loaders.connection, claim, plan, report, stopped)
            return report
    if stopped:
        too_many = stopped
        raise TooManyRejects(patiently(database_url, lambda c: _after_too_many(c, claim, options, too_many)))
    reached("file_read")
    patiently(database_url, lambda c: states.mark_verifying(c, claim, progress.rows, report.seconds))
    reached("verifying")
    return report


def _too_many(options: ImportOptions, progress: Progress, *, at_end: bool) -> str | None:
    return options.too_many(progress.counts.get("rejected", 0), progress.rows, at_end=at_end)


def _after_too_many(connection: Connection, claim: Claim, options: ImportOptions, stopped: str) -> str:
    """Keep or undo what was loaded; returns what to tell."""
    if options.on_too_many_rejects == "keep":
        return f"{stopped}. What was loaded is kept"
    undone = undo(connection, claim.upload_id, "run", also_from=("loading",), error=("too_many_rejects", stopped))
    return f"{stopped}. What was loaded is undone: {undone}"


def _end_check(
    connection: Connection, claim: Claim, plan: ReadingPlan, report: LoadReport, stopped: str | None
) -> None:
    counts = {count: report.progress.counts.get(count, 0) for count in COUNTS}
    found = dry_run_report.report(connection, claim.upload_id, plan, stopped)
    states.end_dry_run(connection, claim, counts, report.progress.rows, dict(report.warnings), report.seconds, found)


def _resume_position(connection: Connection, claim: Claim, dialect: Dialect) -> Position:
    last = queries.last_chunk(connection, claim.upload_id)
    if last is None:
        return start_of(dialect)
    row = last["first_row"] + last["rows"]
    codes = queries.reject_codes(connection, claim.upload_id, row - 1)
    return Position(last["chunk"] + 1, last["end_offset"], row, last["end_line"], codes[0] if codes else "")


class _Ahead:
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
        text = Text(blob_of(store, claim, heartbeat.mark), content_encoding, start.offset)
        self._blocks = text.blocks()
        bytes_read = None if content_encoding.plain else text.bytes_read
        self._chunks = read_chunks(self._blocks, plan.dialect, start, bytes_read, preparer.needed)
        self._preparer = preparer
        self._heartbeat = heartbeat
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self.seconds = 0.0

    def __enter__(self) -> _Ahead:
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


def verify_import(connection: Connection, claim: Claim) -> None:
    """Make sure that the ledger covers the file: every row, once, without a gap.

    Raises:
        LedgerIncomplete: it does not.
    """
    record = queries.find(connection, claim.upload_id)
    assert record is not None
    sums = queries.totals(connection, claim.upload_id)
    gaps = queries.gaps(connection, claim.upload_id, record["dialect"]["data_offset"])
    rejected = queries.rejected_rows(connection, claim.upload_id)
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


def publish_import(
    connection: Connection,
    store: ObjectStore,
    board: ProgressBoard,
    claim: Claim,
    on_bytes: Callable[[], None] = lambda: None,
) -> DictRow:
    """Put the rejects file into the bucket and end the import well; its counts are final from here.

    Args:
        on_bytes: called again and again while the rejects file is written.

    Returns:
        The import's row in the ledger.

    Raises:
        ImportCancelled, ClaimLost: this run is to stop.
    """
    if claim.finished:
        record = claim.record
    else:
        # Not "succeeded" until the rejects can be fetched.
        rejects_export.store_rejects(connection, store, claim.record, on_bytes)
        reached("rejects_stored")
        record = states.succeed(connection, claim)
        reached("succeeded")
    progress = progress_of(connection, claim.record)
    progress.state = "succeeded"
    progress.done = progress.size
    board.put(claim.upload_id, progress)
    return record
