"""One connection that loads an import's chunks: prepare what was deferred, then the chunk transaction, with retries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

import psycopg
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    wait_exponential_jitter,
)

from contact_pipeline.database import dry_run, postgres, writing
from contact_pipeline.database.batch_columns import ROW_INDEX
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.contact_tables import IDENTITY_INDEXES
from contact_pipeline.database.postgres import Connection, DatabaseFailed, connect, scrubbed
from contact_pipeline.importing.chunk_matching import ChunkMatcher, MatchRules
from contact_pipeline.importing.chunk_transaction import ChunkTransaction, ContactsChanged, RowsRefused
from contact_pipeline.importing.chunks import ChunkOutcome, DeferredChunk, PreparedChunk, UnchangedRows
from contact_pipeline.importing.commit_order import CommitTicket, CommitWaitTimeout
from contact_pipeline.importing.prepare import Preparer

_INTERRUPT_SECONDS: Final = 5.0
_ALONE_FROM: Final = 3
"""After so many conflicts a chunk is matched and committed while all other commits wait."""


class Loader:
    """Loads chunks of one claimed import over one connection.

    Attributes:
        seconds: spent in each part of the work.
        retries: how often a chunk was tried again.
    """

    def __init__(
        self,
        database_url: str,
        claim: Claim,
        preparer: Preparer,
        rules: MatchRules,
        on_retry: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the connection.

        Args:
            preparer: prepares the rows of deferred chunks.
            on_retry: called when a chunk is to be tried again.
        """
        self._database_url = database_url
        self._claim = claim
        self._preparer = preparer
        self._rules = rules
        self._on_retry = on_retry
        self._interrupted = False
        self._statements = writing.statements(preparer.columns, may_opt_in=rules.may_opt_in)
        self._matcher = ChunkMatcher(claim, rules)
        for attempt in postgres.retrying(on_retry):
            with attempt:
                self._connection = self._connect()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self.retries = 0

    @property
    def connection(self) -> Connection:
        """The connection, for when nothing is being loaded."""
        return self._connection

    @property
    def seconds(self) -> dict[str, float]:
        """What each part of the work took."""
        return {**self._seconds, "match": self._matcher.seconds}

    def close(self) -> None:
        """Give the connection back; an open transaction is rolled back."""
        self._connection.close()

    def interrupt(self) -> None:
        """End the statement that is being executed, if any. May be called from another thread."""
        self._interrupted = True
        # Where it cannot be told to end, it ends by its own time limits.
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=_INTERRUPT_SECONDS)

    def load(self, chunk: PreparedChunk | DeferredChunk, ticket: CommitTicket) -> ChunkOutcome:
        """Load a chunk in one transaction; what may pass is tried again, over a new connection if need be, for minutes.

        Raises:
            ImportCancelled, ClaimLost: this run is to stop.
            ImportAborted: the import stops.
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
                prepared, unchanged = self._prepare(chunk, ticket, alone=number >= _ALONE_FROM)
                return self._load(prepared, unchanged, ticket, alone=number >= _ALONE_FROM)
        raise AssertionError("unreachable")

    def _prepare(
        self, chunk: PreparedChunk | DeferredChunk, ticket: CommitTicket, *, alone: bool
    ) -> tuple[PreparedChunk, UnchangedRows | None]:
        """Prepare the rows of a deferred chunk that are not unchanged."""
        if isinstance(chunk, PreparedChunk):
            return chunk, None
        if alone:
            # What was looked up beforehand may have changed once more by the time that the others are kept out.
            return self._preparer.prepare_rows(chunk, None), None
        unchanged = self._matcher.find_unchanged(self._connection, chunk)
        if unchanged is not None:
            rest = self._preparer.prepare_rows(chunk, ~unchanged.rows)
            unchanged = self._matcher.leave_out(self._connection, chunk, unchanged, rest, ticket)
            if unchanged is not None:
                return rest, unchanged
        return self._preparer.prepare_rows(chunk, None), None

    def _load(
        self, chunk: PreparedChunk, unchanged: UnchangedRows | None, ticket: CommitTicket, *, alone: bool
    ) -> ChunkOutcome:
        while True:
            transaction = ChunkTransaction(
                self._connection, self._claim, self._matcher, self._statements, self._rules, self._seconds
            )
            try:
                return transaction.run(chunk, unchanged, ticket, alone=alone, interrupted=lambda: self._interrupted)
            except RowsRefused as refused:
                chunk = self._without_refused(chunk, refused)
                ticket.wait_for_the_one_before()

    def _without_refused(self, chunk: PreparedChunk, refused: RowsRefused) -> PreparedChunk:
        """The chunk with the rows that only the database refused among its rejects."""
        rejects = [
            self._preparer.reject(chunk.source, row_index, [("refused_by_database", column)])
            for row_index, column in refused.columns.items()
        ]
        contacts = chunk.contacts.filter(~chunk.contacts[ROW_INDEX].is_in(list(refused.columns)))
        return replace(chunk, contacts=contacts, rejects=(*chunk.rejects, *rejects))

    def _connect(self) -> Connection:
        connection = connect(self._database_url, application="contact-pipeline import")
        with scrubbed():
            # A session that a pooler has given to others may have temporary tables already: it keeps its buffers then.
            with suppress(psycopg.errors.InvalidParameterValue):
                connection.execute(b"SET temp_buffers = '32MB'")
            if self._rules.is_dry_run:
                dry_run.create_dry_run_tables(connection)
        return connection

    def _passes(self, error: BaseException) -> bool:
        """Whether trying the chunk again can help."""
        if self._rules.is_dry_run and (self._connection.broken or self._connection.closed):
            # What was loaded so far is lost with the connection: the run begins anew.
            return False
        if isinstance(error, ContactsChanged | CommitWaitTimeout):
            return True
        return isinstance(error, DatabaseFailed) and (error.retryable or error.constraint in IDENTITY_INDEXES)

    def _count_retry(self, _: RetryCallState) -> None:
        self.retries += 1
        self._on_retry()

    def _reconnect(self) -> None:
        if self._connection.broken or self._connection.closed:
            self._connection.close()
            self._connection = self._connect()
