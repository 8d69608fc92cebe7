"""The step that loads: every chunk that the ledger does not have, in file order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from contact_pipeline.crash_points import reached
from contact_pipeline.database import queries, states
from contact_pipeline.database.claims import Claim, lock_claim
from contact_pipeline.database.postgres import Connection, KeptConnection
from contact_pipeline.database.records import COUNTS
from contact_pipeline.database.undo.undoing import undo
from contact_pipeline.errors import TooManyRejects
from contact_pipeline.files.chunks import Position
from contact_pipeline.files.csv.reader import start_of
from contact_pipeline.files.dialect import Dialect
from contact_pipeline.importing import dry_run_report
from contact_pipeline.importing.chunk_matching import MatchRules
from contact_pipeline.importing.heartbeat import Heartbeat
from contact_pipeline.importing.loader import Loader
from contact_pipeline.importing.memory import steady_memory
from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.importing.parallel import SIDE_BY_SIDE, Loaders
from contact_pipeline.importing.planning import ReadingPlan, blob_of, options_of
from contact_pipeline.importing.prepare import Preparer
from contact_pipeline.importing.progress import Progress, ProgressBoard
from contact_pipeline.importing.read_ahead import ReadAhead
from contact_pipeline.importing.report import progress_of
from contact_pipeline.object_store import ObjectStore


@dataclass
class LoadReport:
    """What one attempt's loading did.

    Attributes:
        progress: the import as a whole, earlier attempts included.
        chunks: committed by this attempt.
        retries: how often a chunk was tried again after a transient fault.
        seconds: spent in each part of the work, over all threads.
        warnings: of the chunks committed by this attempt, by `code:field`.
    """

    progress: Progress
    chunks: int = 0
    retries: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: Counter[str] = field(default_factory=Counter)


def load_chunks(
    database: KeptConnection,
    store: ObjectStore,
    board: ProgressBoard,
    claim: Claim,
    plan: ReadingPlan,
    on_chunk: Callable[[Progress, int], None],
    heartbeat: Heartbeat | None = None,
    session_database_url: str = "",
) -> LoadReport:
    """Load every chunk that the ledger does not have, committed one after another, in file order.

    Reading, cleaning and validating run ahead in a thread of their own. When the reader
    has come to the file's end, the import is `verifying`.

    Args:
        on_chunk: told of the progress, and the number of chunks so far, after each commit.
        heartbeat: told of all that gets done.
        session_database_url: where a dry run finds a session that no pooler gives to others, if not there.

    Raises:
        ImportCancelled, ClaimLost: this run is to stop.
        SharedSession: a dry run found none.
        TooManyRejects: more rows were rejected than the import's options allow.
        FileRefused: the file turns out not to be readable to its end.
        ObjectChanged, StoreFailed, DatabaseFailed: as named.
    """
    options = options_of(claim.record)
    heartbeat = heartbeat or Heartbeat()
    read_again = blob_of(store, claim.record).read if plan.dialect.content_encoding.plain else None
    preparer = Preparer(
        plan, strict=options.strictness == "strict", may_opt_in=options.may_opt_in, read_again=read_again
    )

    rules = MatchRules(
        plan.mapping.source, options.on_existing, may_opt_in=options.may_opt_in, is_dry_run=options.is_dry_run
    )

    def loader() -> Loader:
        url = session_database_url or database.url if options.is_dry_run else database.url
        return Loader(url, claim, preparer, rules, on_retry=heartbeat.mark)

    # What a dry run loads, one connection sees.
    with (
        steady_memory(),
        closing(Loaders(loader, 1 if options.is_dry_run else SIDE_BY_SIDE)) as loaders,
    ):

        def begin(connection: Connection) -> tuple[Progress, Position]:
            return progress_of(connection, claim.record), _resume_position(connection, claim, plan.dialect)

        progress, start = begin(loaders.connection) if options.is_dry_run else database.patiently(begin)
        progress.started_with = progress.done
        report = LoadReport(progress)
        board.put(claim.upload_id, progress)
        stopped = None
        with (
            ReadAhead(store, claim, plan, preparer, start, heartbeat) as ahead,
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
            _end_dry_run(loaders.connection, claim, plan, report, stopped)
            return report
    if stopped:
        too_many = stopped
        raise TooManyRejects(database.patiently(lambda c: _after_too_many(c, claim, options, too_many)))
    reached("file_read")
    database.patiently(lambda c: states.mark_verifying(c, claim, progress.rows, report.seconds))
    reached("verifying")
    return report


def _too_many(options: ImportOptions, progress: Progress, *, at_end: bool) -> str | None:
    return options.too_many(progress.counts.get("rejected", 0), progress.rows, at_end=at_end)


def _after_too_many(connection: Connection, claim: Claim, options: ImportOptions, stopped: str) -> str:
    """Keep or undo what was loaded; returns what to tell."""
    if options.on_too_many_rejects == "keep":
        return f"{stopped}. What was loaded is kept"
    with connection.transaction():
        # A cancellation that came first wins.
        lock_claim(connection, claim)
    undone = undo(connection, claim.upload_id, "run", also_from=("loading",), error=("too_many_rejects", stopped))
    return f"{stopped}. What was loaded is undone: {undone}"


def _end_dry_run(
    connection: Connection, claim: Claim, plan: ReadingPlan, report: LoadReport, stopped: str | None
) -> None:
    counts = {count: report.progress.counts.get(count, 0) for count in COUNTS}
    found = dry_run_report.report(connection, claim.upload_id, plan, stopped)
    states.end_dry_run(connection, claim, counts, report.progress.rows, dict(report.warnings), report.seconds, found)


def _resume_position(connection: Connection, claim: Claim, dialect: Dialect) -> Position:
    last = queries.last_chunk(connection, claim.upload_id)
    if last is None:
        return start_of(dialect)
    row = last.first_row + last.rows
    codes = queries.reject_codes(connection, claim.upload_id, row - 1)
    return Position(last.chunk + 1, last.end_offset, row, last.end_line, codes[0] if codes else "")
