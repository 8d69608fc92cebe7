"""The chunk transaction: match, write, account for every row, all or nothing. It calls nothing above it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

import polars as pl

from contact_pipeline.crash_points import reached
from contact_pipeline.database import batch_columns, claims, commits, contributions, writing
from contact_pipeline.database.batches import Batch
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.contact_tables import IDENTITY_INDEXES
from contact_pipeline.database.contributions import Contributions
from contact_pipeline.database.postgres import Connection, DatabaseFailed, scrubbed
from contact_pipeline.database.records import COUNTS
from contact_pipeline.importing.chunk_matching import SESSION, ChunkMatcher, MatchRules
from contact_pipeline.importing.chunks import ChunkOutcome, ChunkTally, PreparedChunk, UnchangedRows
from contact_pipeline.importing.commit_order import CommitTicket

_MIN_ROWS_TO_SPLIT: Final = 100
_MAX_NOTED: Final = 100


class ContactsChanged(Exception):
    """Another import changed what the chunk was matched with: it is matched again."""


class RowsRefused(Exception):
    """The database refused the values of rows: they are to become rejects, and the chunk is to be loaded again.

    Attributes:
        columns: the column that each of the rows was refused for, by row index, as far as the server tells.
    """

    def __init__(self, columns: dict[int, str]) -> None:
        super().__init__(f"the database refused {len(columns)} rows")
        self.columns = columns


class ChunkTransaction:
    """Loads one chunk."""

    def __init__(
        self,
        connection: Connection,
        claim: Claim,
        matcher: ChunkMatcher,
        statements: writing.Statements,
        rules: MatchRules,
        seconds: defaultdict[str, float],
    ) -> None:
        """Prepare the transaction.

        Args:
            seconds: gains what each part of the work takes.
        """
        self._connection = connection
        self._claim = claim
        self._matcher = matcher
        self._statements = statements
        self._source = rules.source
        self._is_dry_run = rules.is_dry_run
        self._seconds = seconds
        self._interrupted: Callable[[], bool] = lambda: False
        self._refused: dict[int, str] = {}

    def run(
        self,
        chunk: PreparedChunk,
        unchanged: UnchangedRows | None,
        ticket: CommitTicket,
        *,
        alone: bool,
        interrupted: Callable[[], bool],
    ) -> ChunkOutcome:
        """Load the chunk and commit it.

        Args:
            unchanged: rows that are not among its contacts, since they are unchanged.
            alone: keep everybody else from committing until this is over.
            interrupted: whether somebody has asked for its statement to end.

        Raises:
            RowsRefused: rows are to become rejects first; nothing is committed.
            ContactsChanged: what the rows were matched with has changed; nothing is committed.
            ImportCancelled, ClaimLost, ImportAborted, CommitWaitTimeout, DatabaseFailed: as named.
        """
        self._interrupted = interrupted
        connection = self._connection
        with connection.transaction():
            connection.execute(SESSION)
            claims.mark_session(connection, self._claim.upload_id)
            stored = self._enter(connection, chunk)
            if stored is not None:
                return stored
            if alone:
                commits.lock_commits(connection)
            tally = ChunkTally(Counter(), Counter(chunk.warnings), list(chunk.rejects), values=Counter(chunk.values))
            if unchanged is not None:
                tally.seen, tally.left_out = unchanged.seen, unchanged.identifying
                tally.counts.update(unchanged.counts)
                tally.unchanged_by_record += unchanged.counts.total()
                in_order = chunk.contacts["contact_id"].null_count() > 0
                self._note_confirmed(unchanged.confirmed, tally.contributions, in_order=in_order)
            self._load_contacts(connection, chunk, chunk.contacts, tally, ticket)
            if self._refused:
                raise RowsRefused(self._refused)
            reached("chunk_written")
            ticket.wait_to_commit()
            started = perf_counter()
            # Locked late, so that a cancellation waits for one commit and not for a chunk.
            claims.lock_claim(connection, self._claim)
            writing.write_rejects(connection, self._claim.upload_id, chunk.start.chunk, tally.rejects)
            tally.counts["rejected"] = len(tally.rejects)
            self._account(connection, chunk, tally)
            if not self._is_dry_run:
                self._contribute(connection, chunk, tally)
            reached("before_commit")
            self._seconds["ledger"] += perf_counter() - started
            started = perf_counter()
        reached("after_commit")
        self._seconds["commit"] += perf_counter() - started
        counts = {count: tally.counts[count] for count in COUNTS}
        return ChunkOutcome(chunk.rows, counts, dict(tally.warnings), unchanged_by_record=tally.unchanged_by_record)

    def _contribute(self, connection: Connection, chunk: PreparedChunk, tally: ChunkTally) -> None:
        """Keep what the chunk contributes, unless what was committed meanwhile makes its matches wrong."""
        commits.lock_commits(connection)
        ordered_at = self._claim.record.ordered_at
        found = tally.contributions
        if not commits.still_right(connection, self._claim.upload_id, ordered_at, tally.seen, found, tally.matched):
            raise ContactsChanged("contacts that this chunk is about have been committed meanwhile")
        contributions.enter(connection, self._claim.upload_id, chunk.start.chunk, found)

    def _enter(self, connection: Connection, chunk: PreparedChunk) -> ChunkOutcome | None:
        """Enter the chunk into the ledger; where it is there already, its stored outcome."""
        entered = connection.execute(
            """INSERT INTO import_chunks (upload_id, chunk, attempt, first_row, rows, first_line, end_line,
                                          begin_offset, end_offset, bytes_read)
               VALUES (%s, %s, %s, %s, 0, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING chunk""",
            (
                self._claim.upload_id,
                chunk.start.chunk,
                self._claim.attempt,
                chunk.start.row,
                chunk.start.line,
                chunk.end_line,
                chunk.start.offset,
                chunk.end_offset,
                chunk.bytes_read,
            ),
        ).fetchone()
        if entered is not None:
            return None
        row = connection.execute(
            "SELECT * FROM import_chunks WHERE upload_id = %s AND chunk = %s",
            (self._claim.upload_id, chunk.start.chunk),
        ).fetchone()
        assert row is not None
        return ChunkOutcome(row["rows"], {count: row[count] for count in COUNTS}, row["warnings"], skipped=True)

    def _account(self, connection: Connection, chunk: PreparedChunk, tally: ChunkTally) -> None:
        """Write the counts; the table's own check refuses a chunk whose rows are not all accounted for."""
        counts = {count: tally.counts[count] for count in COUNTS}
        assignments = ", ".join(f"{count} = %({count})s" for count in COUNTS)
        connection.execute(
            f"""UPDATE import_chunks SET rows = %(rows)s, warnings = %(warnings)s, column_values = %(values)s,
                       noted_rows = %(noted)s, {assignments}
                WHERE upload_id = %(upload_id)s AND chunk = %(chunk)s""".encode(),
            {
                **counts,
                "rows": chunk.rows,
                "warnings": json.dumps(tally.warnings),
                "values": json.dumps(tally.values),
                "noted": json.dumps({code: rows[:_MAX_NOTED] for code, rows in tally.noted.items()}),
                "upload_id": self._claim.upload_id,
                "chunk": chunk.start.chunk,
            },
        )

    def _load_contacts(
        self, connection: Connection, chunk: PreparedChunk, rows: pl.DataFrame, tally: ChunkTally, ticket: CommitTicket
    ) -> None:
        """Match rows and write them.

        Where contacts pass an e-mail on to each other within these rows, one
        statement cannot write them all: they are then applied in two halves, one
        after the other, with the same result.
        """
        if not rows.height:
            ticket.decide(tally.left_out)
            return
        before = tally.copy()
        try:
            with connection.transaction(), scrubbed():
                self._apply(connection, self._matcher.match(connection, chunk, rows, tally, ticket), tally)
        except DatabaseFailed as error:
            if error.constraint not in IDENTITY_INDEXES or rows.height == 1:
                raise
            tally.restore(before)
            # The second half could have to wait, and the first one has locked contacts by then.
            ticket.wait_for_the_one_before()
            middle = rows.height // 2
            self._load_contacts(connection, chunk, rows[:middle], tally, ticket)
            self._load_contacts(connection, chunk, rows[middle:], tally, ticket)

    def _apply(self, connection: Connection, batch: Batch, tally: ChunkTally) -> None:
        """Write a batch; where some value is refused, halve it until the row at fault is alone."""
        try:
            with connection.transaction(), scrubbed():
                changed = self._write(connection, batch, tally.contributions)
        except DatabaseFailed as error:
            # A server that takes long for so many rows may be in time with fewer.
            too_long = error.sqlstate == "57014" and len(batch) > _MIN_ROWS_TO_SPLIT and not self._interrupted()
            if not (error.about_values or too_long) or error.constraint in IDENTITY_INDEXES:
                raise
            if len(batch) > 1:
                for half in batch.halves():
                    self._apply(connection, half, tally)
                return
            for row_index in batch.row_indexes(0):
                self._refused[row_index] = error.column or ""
            return
        batch.count(changed, tally.counts)

    def _write(self, connection: Connection, batch: Batch, found: Contributions) -> set[int]:
        constants: dict[str, Any] = {
            "upload_id": self._claim.upload_id,
            "uploaded_at": self._claim.record.ordered_at,
            "chunk": batch.chunk,
        }
        started = perf_counter()
        # Known contacts first: one of them may give up the e-mail that a new one has.
        differing = batch.differing()
        changed: set[int] = set()
        if differing.height:
            if not writing.stage_and_lock(connection, self._statements, differing, self._source):
                raise ContactsChanged("a contact was changed by another import while this chunk was being matched")
            changed = writing.update_known(connection, self._statements, differing, constants)
        updated = perf_counter()
        new = batch.new()
        if new.height:
            first, last, keys = writing.copy_new(
                connection,
                self._statements,
                new,
                self._source,
                constants,
                with_keys=batch.members is not None and not self._is_dry_run,
            )
            found.inserted(first, last)
            if keys is not None:
                self._note_made(batch, new, keys, found)
        self._note_contributions(batch, new, found)
        self._seconds["update"] += updated - started
        self._seconds["copy"] += perf_counter() - updated
        return changed

    def _note_made(self, batch: Batch, new: pl.DataFrame, keys: pl.Series, found: Contributions) -> None:
        """Where rows were matched one by one, keep each row that made a contact, and the places of the others."""
        made = batch.made(new, keys, [batch_columns.KEY, batch_columns.FIRST, *self._statements.columns])
        if made.height:
            found.rows.append(
                made.with_columns(pl.lit(self._source).alias("source"), pl.lit(True).alias(contributions.MADE))
            )
        found.places.append(batch.made_by_id(new, keys))

    def _note_contributions(self, batch: Batch, new: pl.DataFrame, found: Contributions) -> None:
        self._note_confirmed(batch.confirmed(), found, in_order=batch.members is not None)
        found.not_locked.append(batch.left_as_they_are())
        rows = batch.contributed([batch_columns.KEY, batch_columns.FIRST, *self._statements.columns])
        if rows.height:
            found.rows.append(rows.with_columns(pl.lit(self._source).alias("source")))
        if new["contact_id"].null_count() or rows["contact_id"].null_count():
            found.without_ids = True

    def _note_confirmed(self, confirmed: pl.DataFrame, found: Contributions, *, in_order: bool) -> None:
        """Keep which contacts were confirmed; with their rows' places where rows without ids stand between them."""
        if not confirmed.height:
            return
        if in_order:
            rows = confirmed.rename({contributions.HASH: contributions.CONFIRMED})
            found.rows.append(rows.with_columns(pl.lit(self._source).alias("source")))
        else:
            found.confirmed.append(confirmed.select(contributions.KEY, contributions.HASH))
