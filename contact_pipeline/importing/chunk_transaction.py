"""The chunk transaction: match, load, account for every row, all or nothing."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import polars as pl
import psycopg
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    wait_exponential_jitter,
)

from contact_pipeline.contacts.identity import (
    LINKEDIN_SLUG,
    NAME_COMPANY,
    ContactCandidate,
    all_told_apart_by_id,
    identities,
    names_differ,
    names_of,
    resolve,
)
from contact_pipeline.crash_points import reached
from contact_pipeline.database import batches, claims, contributions, dry_run, events, matching, postgres, writing
from contact_pipeline.database.batches import Batch
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.contributions import Contributions, NewerUploads
from contact_pipeline.database.matching import OnExisting, StoredContact
from contact_pipeline.database.postgres import Connection, DatabaseFailed, connect, scrubbed
from contact_pipeline.database.tables import COUNTS, IDENTITY_INDEXES
from contact_pipeline.files.chunks import Reject
from contact_pipeline.importing.chunks import DeferredChunk, Outcome, PreparedChunk
from contact_pipeline.importing.commit_order import CommitTicket, CommitWaitTimeout

_INTERRUPT_SECONDS: Final = 5.0
_MIN_ROWS_TO_SPLIT: Final = 100
_MAX_NOTED: Final = 100
_ALONE_FROM: Final = 3
"""Tries after which a chunk that others keep making wrong is matched and committed while nobody else commits."""

# Every lookup has its index; statistics of a table that is being filled would have the planner read it whole.
_SESSION: Final = (
    postgres.LIMITS +
    # A client that is not there any more lets go of its locks.
    "SET LOCAL tcp_keepalives_idle = 10; SET LOCAL tcp_keepalives_interval = 5; SET LOCAL tcp_keepalives_count = 4; "
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; "
    # A chunk of contacts that change, and their before-images, stay out of temporary files.
    "SET LOCAL work_mem = '64MB'"
)


class ContactsChanged(Exception):
    """Another import changed what the chunk was matched with: it is matched again."""


@dataclass
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    unchanged_by_record: int = 0
    contributions: Contributions = field(default_factory=Contributions)
    matched: list[pl.DataFrame] = field(default_factory=list)
    values: Counter[int] = field(default_factory=Counter)
    noted: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def copy(self) -> _Tally:
        return _Tally(
            Counter(self.counts), Counter(self.warnings), list(self.rejects), self.unchanged_by_record,
            self.contributions.copy(), list(self.matched), Counter(self.values),
            defaultdict(list, {code: list(rows) for code, rows in self.noted.items()}),
        )  # fmt: skip

    def restore(self, other: _Tally) -> None:
        self.__dict__.update(other.__dict__)


class Loader:
    """Loads chunks of one claimed import over one connection."""

    def __init__(
        self,
        database_url: str,
        claim: Claim,
        source: str,
        columns: Sequence[str],
        *,
        on_existing: OnExisting = "update",
        may_opt_in: bool = False,
        is_dry_run: bool = False,
        on_retry: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the connection.

        Args:
            source: the system whose contact ids the file carries.
            columns: the columns of `PreparedChunk.contacts` that go into the table.
            on_existing: what a row does to a contact that was there before this import.
            may_opt_in: whether a row takes back what a contact does not want.
            is_dry_run: load into temporary tables that stand for the real ones.
            on_retry: called when a chunk is to be tried again.
        """
        self._on_existing: OnExisting = on_existing
        self._rehearsal = is_dry_run
        self._database_url = database_url
        self._claim = claim
        self._source = source
        self._on_retry = on_retry
        self._interrupted = False
        self._may_opt_in = may_opt_in
        self._statements = writing.statements(columns, may_opt_in=may_opt_in)
        self._newer = NewerUploads(claim.upload_id, claim.record["ordered_at"])
        for attempt in postgres.retrying(on_retry):
            with attempt:
                self._connection = self._connect()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.retries = 0

    @property
    def connection(self) -> Connection:
        """The connection, for when nothing is being loaded."""
        return self._connection

    def close(self) -> None:
        """Give the connection back; an open transaction is rolled back."""
        self._connection.close()

    def interrupt(self) -> None:
        """End the statement that is being executed, if any. May be called from another thread."""
        self._interrupted = True
        # Where it cannot be told to end, it ends by its own time limits.
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=_INTERRUPT_SECONDS)

    def load(self, chunk: PreparedChunk, ticket: CommitTicket) -> Outcome:
        """Load a chunk in one transaction; what may pass is tried again, over a new connection if need be, for minutes.

        Raises:
            ImportCancelled, ClaimLost: this run is to stop.
            ImportAborted: so it is by its turn.
            DatabaseFailed: the fault did not pass, or is none that passes.
        """
        for attempt in Retrying(
            retry=retry_if_exception(self._passes),
            stop=stop_after_delay(postgres.PATIENCE_SECONDS),
            wait=wait_exponential_jitter(initial=0.5, max=10),
            sleep=sleep_using_event(ticket.off),
            before_sleep=self._count_retry,
            reraise=True,
        ):
            with attempt, scrubbed():
                number = attempt.retry_state.attempt_number
                if number > 1:
                    ticket.wait_for_the_one_before()
                    self._reconnect()
                return self._transaction(chunk, ticket, alone=number >= _ALONE_FROM)
        raise AssertionError("unreachable")

    def _connect(self) -> Connection:
        connection = connect(self._database_url, application="contact-pipeline import")
        with scrubbed():
            connection.execute(b"SET temp_buffers = '32MB'")
            if self._rehearsal:
                dry_run.create_dry_run_tables(connection)
            connection.execute(self._statements.create_incoming)
        return connection

    def _passes(self, error: BaseException) -> bool:
        """Whether trying the chunk again can help."""
        if self._rehearsal and (self._connection.broken or self._connection.closed):
            # What was loaded so far is lost with the connection: the run begins anew.
            return False
        if isinstance(error, ContactsChanged | CommitWaitTimeout):
            return True
        return isinstance(error, DatabaseFailed) and (error.transient or error.constraint in IDENTITY_INDEXES)

    def _count_retry(self, _: RetryCallState) -> None:
        self.retries += 1
        self._on_retry()

    def _reconnect(self) -> None:
        if self._connection.broken or self._connection.closed:
            self._connection.close()
            self._connection = self._connect()

    def _transaction(self, chunk: PreparedChunk, ticket: CommitTicket, *, alone: bool) -> Outcome:
        connection = self._connection
        with connection.transaction():
            connection.execute(_SESSION)
            claims.mark_session(connection, self._claim.upload_id)
            stored = self._enter(connection, chunk)
            if stored is not None:
                return stored
            if alone:
                contributions.lock_commits(connection)
            seen = 0
            if not self._rehearsal:
                seen = contributions.last_commit(connection)
                self._newer.look(connection)
            tally = _Tally()
            if chunk.deferred is not None:
                chunk = self._without_unchanged(connection, chunk.deferred, tally, ticket)
            tally.warnings.update(chunk.warnings)
            tally.values.update(chunk.values)
            tally.rejects += chunk.rejects
            self._load_contacts(connection, chunk, chunk.contacts, tally, ticket)
            reached("chunk_written")
            ticket.wait_to_commit()
            started = perf_counter()
            # Only now, so that whoever cancels the import waits for one commit and not for a chunk.
            claims.lock_claim(connection, self._claim)
            writing.write_rejects(connection, self._claim.upload_id, chunk.start.chunk, tally.rejects)
            tally.counts["rejected"] = len(tally.rejects)
            self._account(connection, chunk, tally)
            if not self._rehearsal:
                self._contribute(connection, chunk, tally, seen)
            reached("before_commit")
            self.seconds["ledger"] += perf_counter() - started
            started = perf_counter()
        reached("after_commit")
        self.seconds["commit"] += perf_counter() - started
        counts = {count: tally.counts[count] for count in COUNTS}
        return Outcome(chunk.rows, counts, dict(tally.warnings), unchanged_by_record=tally.unchanged_by_record)

    def _contribute(self, connection: Connection, chunk: PreparedChunk, tally: _Tally, seen: int) -> None:
        """Keep what the chunk contributes, unless what others have committed meanwhile makes its matches wrong."""
        contributions.lock_commits(connection)
        ordered_at = self._claim.record["ordered_at"]
        found = tally.contributions
        if not contributions.still_right(connection, self._claim.upload_id, ordered_at, seen, found, tally.matched):
            raise ContactsChanged("another import has committed contacts that this chunk is about")
        contributions.enter(connection, self._claim.upload_id, chunk.start.chunk, found)

    def _enter(self, connection: Connection, chunk: PreparedChunk) -> Outcome | None:
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
        return Outcome(row["rows"], {count: row[count] for count in COUNTS}, row["warnings"], skipped=True)

    def _account(self, connection: Connection, chunk: PreparedChunk, tally: _Tally) -> None:
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
        events.enqueue_event(
            connection,
            self._claim.upload_id,
            "chunk.loaded",
            {"chunk": chunk.start.chunk, "rows": chunk.rows, **counts},
        )

    def _load_contacts(
        self, connection: Connection, chunk: PreparedChunk, rows: pl.DataFrame, tally: _Tally, ticket: CommitTicket
    ) -> None:
        """Match rows and write them.

        Where contacts pass an e-mail on to each other within these rows, one
        statement cannot write them all: they are then applied in two halves, one
        after the other, which comes to the same.
        """
        if not rows.height:
            return
        before = tally.copy()
        try:
            with connection.transaction(), scrubbed():
                self._apply(connection, chunk, self._match(connection, chunk, rows, tally, ticket), tally)
        except DatabaseFailed as error:
            if error.constraint not in IDENTITY_INDEXES or rows.height == 1:
                raise
            tally.restore(before)
            middle = rows.height // 2
            self._load_contacts(connection, chunk, rows[:middle], tally, ticket)
            self._load_contacts(connection, chunk, rows[middle:], tally, ticket)

    def _match(
        self, connection: Connection, chunk: PreparedChunk, rows: pl.DataFrame, tally: _Tally, ticket: CommitTicket
    ) -> Batch:
        ids = rows["contact_id"] if all_told_apart_by_id(rows["contact_id"]) else None
        ticket.wait_to_match(ids)
        started = perf_counter()
        tally.matched.append(rows.select("contact_id", "email", LINKEDIN_SLUG, NAME_COMPANY))
        lookup = self._lookup()
        if ids is None or matching.meets_any_without_id(connection, rows, lookup):
            ticket.decide(None)
            ticket.wait_for_the_one_before()
            batch = self._match_one_by_one(connection, chunk, rows, lookup, tally)
        else:
            ticket.decide(ids)
            batch = batches.by_id(rows, matching.find_by_ids(connection, ids, lookup), chunk.start.chunk)
            if batch.unchanged_by_record and not matching.any_without_id(connection, lookup):
                tally.unchanged_by_record += batch.unchanged_by_record
        self.seconds["match"] += perf_counter() - started
        return batch

    def _lookup(self) -> matching.Lookup:
        return matching.Lookup(
            self._source,
            self._claim.upload_id,
            self._claim.record["ordered_at"],
            self._on_existing,
            is_dry_run=self._rehearsal,
            newer=self._newer.keys,
        )

    def _without_unchanged(
        self, connection: Connection, deferred: DeferredChunk, tally: _Tally, ticket: CommitTicket
    ) -> PreparedChunk:
        """Account for the rows that are what their contacts were written from last; prepares the others."""
        ids = deferred.ids.drop_nulls()
        if all_told_apart_by_id(ids):
            # Beforehand, without a lock: the chunk before this one may still be loaded.
            nothing_before = ticket.comes_next
            rest, counts, confirmed = self._find_unchanged(connection, deferred, ids)
            beside = ticket.wait_to_match(ids)
            if not (beside or nothing_before):
                rest, counts, confirmed = self._find_unchanged(connection, deferred, ids)
            # A contact or a row without an id might meet one of the rows on a lower rung.
            if not (rest.contacts["contact_id"].null_count() or matching.any_without_id(connection, self._lookup())):
                ticket.decide(ids)
                tally.counts.update(counts)
                tally.unchanged_by_record += counts.total()
                tally.contributions.confirmed.append(confirmed)
                return rest
        return deferred.prepare(None)

    def _find_unchanged(
        self, connection: Connection, deferred: DeferredChunk, ids: pl.Series
    ) -> tuple[PreparedChunk, Counter[str], pl.DataFrame]:
        """The rows that are not recognised, what the others count as, and the contacts that they confirm."""
        started = perf_counter()
        found = matching.find_records(connection, ids, self._lookup())
        same, counts, confirmed = batches.split_unchanged(deferred.ids, deferred.record_hashes, found)
        self.seconds["match"] += perf_counter() - started
        return deferred.prepare(~same), counts, confirmed

    def _match_one_by_one(
        self,
        connection: Connection,
        chunk: PreparedChunk,
        rows: pl.DataFrame,
        lookup: matching.Lookup,
        tally: _Tally,
    ) -> Batch:
        who = identities(rows)
        candidates = matching.find_candidates(connection, who, lookup)
        resolution = resolve(who, self._source, candidates.people.values())
        tally.warnings.update(f"{code}:email" for _, code in resolution.warnings)
        self._note_other_names(chunk, rows, resolution.people, candidates.known, tally)
        return batches.by_people(
            rows, resolution.people, candidates.known, chunk.start.chunk, may_opt_in=self._may_opt_in
        )

    def _note_other_names(
        self,
        chunk: PreparedChunk,
        rows: pl.DataFrame,
        people: Sequence[ContactCandidate],
        known: Mapping[int, StoredContact],
        tally: _Tally,
    ) -> None:
        """Tell of rows that became one contact with others, or with one that was there, of another name."""
        row_indexes = rows[batches.ROW_INDEX].to_list()
        names = names_of(rows)
        for person in people:
            name = known[person.key].name if person.key is not None else None
            for row in person.rows:
                if names_differ(name, names[row]):
                    tally.warnings["merged_names_differ"] += 1
                    tally.noted["merged_names_differ"].append(chunk.start.row + row_indexes[row])
                name = name or names[row]

    def _apply(self, connection: Connection, chunk: PreparedChunk, batch: Batch, tally: _Tally) -> None:
        """Write a batch; where some value is refused, halve it until the row that is to blame stands alone."""
        try:
            with connection.transaction(), scrubbed():
                changed = self._write(connection, batch, tally.contributions)
        except DatabaseFailed as error:
            # A server that takes long for so many rows may be in time with fewer.
            too_long = error.sqlstate == "57014" and len(batch) > _MIN_ROWS_TO_SPLIT and not self._interrupted
            if not (error.about_values or too_long) or error.constraint in IDENTITY_INDEXES:
                raise
            if len(batch) > 1:
                for half in batch.halves():
                    self._apply(connection, chunk, half, tally)
                return
            for row_index in batch.row_indexes(0):
                tally.rejects.append(chunk.reject(row_index, "refused_by_database", error.column or ""))
            return
        batch.count(changed, tally.counts)

    def _write(self, connection: Connection, batch: Batch, found: Contributions) -> set[int]:
        constants: dict[str, Any] = {
            "upload_id": self._claim.upload_id,
            "uploaded_at": self._claim.record["ordered_at"],
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
            first, last = writing.copy_new(connection, self._statements, new, self._source, constants)
            found.inserted(first, last)
            self._note_made(connection, batch, new, first, last, found)
        self._note_contributions(batch, new, found)
        self.seconds["update"] += updated - started
        self.seconds["copy"] += perf_counter() - updated
        return changed

    def _note_made(
        self, connection: Connection, batch: Batch, new: pl.DataFrame, first: int, last: int, found: Contributions
    ) -> None:
        """Where rows were matched one by one, keep each row that made a contact."""
        if batch.members is None or self._rehearsal:
            return
        keys = writing.inserted_keys(connection, self._claim.upload_id, first, last)
        made = batch.made(new, keys, [batches.KEY, batches.FIRST, *self._statements.columns])
        if made is not None:
            found.rows.append(made.with_columns(pl.lit(self._source).alias("source"), pl.lit(True).alias("made")))

    def _note_contributions(self, batch: Batch, new: pl.DataFrame, found: Contributions) -> None:
        rows = batch.contributed([batches.KEY, batches.FIRST, *self._statements.columns])
        rows = rows.with_columns(pl.lit(self._source).alias("source"))
        for frames, frame in ((found.confirmed, batch.confirmed()), (found.rows, rows)):
            if frame.height:
                frames.append(frame)
        if new["contact_id"].null_count() or rows["contact_id"].null_count():
            found.without_ids = True
