"""Which contacts a chunk's rows are: of the unchanged ones before they are prepared, of the others afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np
import polars as pl

from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY, all_told_apart_by_id, identities
from contact_pipeline.contacts.resolution import ContactCandidate, MergePolicy, resolve
from contact_pipeline.contacts.same_names import names_differ, names_of
from contact_pipeline.database import batch_columns, batches, contributions, matching, postgres
from contact_pipeline.database.batches import Batch
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.contributions import NewerUploads
from contact_pipeline.database.matching import StoredContact
from contact_pipeline.database.postgres import Connection
from contact_pipeline.importing.chunks import ChunkTally, DeferredChunk, PreparedChunk, UnchangedRows
from contact_pipeline.importing.commit_order import CommitTicket

# Every lookup has its index; statistics of a table that is being filled would have the planner read it whole.
SESSION: Final = (
    postgres.LIMITS +
    # A client that is gone loses its locks.
    "SET LOCAL tcp_keepalives_idle = 10; SET LOCAL tcp_keepalives_interval = 5; SET LOCAL tcp_keepalives_count = 4; "
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; "
    # A chunk of contacts that change, and their before-images, stay out of temporary files.
    "SET LOCAL work_mem = '64MB'"
)
"""Settings of each transaction that looks contacts up."""


@dataclass(frozen=True)
class MatchRules:
    """What an import's rows are matched by.

    Attributes:
        source: the system whose contact ids the file carries.
        on_existing: what a row does to a contact that was there before this import.
        may_opt_in: whether a row takes back what a contact does not want.
        is_dry_run: whether temporary tables stand for the real ones.
    """

    source: str
    on_existing: MergePolicy = MergePolicy.UPDATE
    may_opt_in: bool = False
    is_dry_run: bool = False


class ChunkMatcher:
    """Matches the chunks of one import with the contacts that are there.

    Attributes:
        seconds: spent in matching.
    """

    def __init__(self, claim: Claim, rules: MatchRules) -> None:
        self._claim = claim
        self._rules = rules
        self._newer = NewerUploads(claim.upload_id, claim.record.ordered_at)
        self.seconds = 0.0

    def look_for_newer(self, connection: Connection) -> int:
        """Learn what newer uploads have confirmed; returns the number of the last commit that is seen."""
        seen = contributions.last_commit(connection)
        self._newer.look(connection)
        return seen

    def find_unchanged(
        self, connection: Connection, deferred: DeferredChunk, ticket: CommitTicket
    ) -> UnchangedRows | None:
        """Find the rows that are what their contacts were written from last; None where all rows are to be prepared.

        Raises:
            ImportAborted: the import stops.
        """
        ids = deferred.ids.drop_nulls()
        if not all_told_apart_by_id(ids):
            return None
        # Beforehand, without a lock: the chunk before this one may still be loaded.
        nothing_before = ticket.comes_next
        unchanged = self._look_up_records(connection, deferred, ids)
        beside = ticket.wait_to_match(ids)
        if not (beside or nothing_before):
            unchanged = self._look_up_records(connection, deferred, ids)
        return unchanged

    def may_leave_out(
        self,
        connection: Connection,
        deferred: DeferredChunk,
        unchanged: UnchangedRows,
        rest: PreparedChunk,
        ticket: CommitTicket,
    ) -> bool:
        """Whether the unchanged rows of a chunk need not be prepared, given the others.

        Their contacts are told by their ids. But a row without an id may be one of them, and their order counts then;
        and that a contact without an id has the e-mail of one of them is a warning. Then all rows are matched together.
        """
        without_id = rest.contacts.filter(pl.col("contact_id").is_null())
        started = perf_counter()
        with connection.transaction():
            connection.execute(SESSION)
            lookup = self._lookup()
            meets = matching.emails_meet_any_without_id(connection, unchanged.emails, lookup)
            if without_id.height and not meets:
                met = matching.keys_met_without_id(connection, without_id, lookup)
                meets = bool(np.isin(met, unchanged.confirmed[contributions.KEY].to_numpy()).any())
        self.seconds += perf_counter() - started
        if meets:
            return False
        if not without_id.height:
            ticket.decide(deferred.ids.drop_nulls())
        return True

    def _look_up_records(self, connection: Connection, deferred: DeferredChunk, ids: pl.Series) -> UnchangedRows:
        started = perf_counter()
        with connection.transaction():
            connection.execute(SESSION)
            seen = self.look_for_newer(connection)
            found = matching.find_records(connection, ids, self._lookup())
        unchanged = batches.split_unchanged(deferred.ids, deferred.record_hashes, deferred.chunk.row_indexes, found)
        self.seconds += perf_counter() - started
        return UnchangedRows(*unchanged, seen)

    def match(
        self, connection: Connection, chunk: PreparedChunk, rows: pl.DataFrame, tally: ChunkTally, ticket: CommitTicket
    ) -> Batch:
        """Match rows of a chunk.

        Args:
            tally: gains what is to be told of these rows.

        Raises:
            ImportAborted: the import stops.
        """
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
            found = matching.find_by_ids(connection, ids, lookup)
            for row_index in batches.of_other_names(rows, found):
                _note_other_name(chunk, row_index, tally)
            batch = batches.by_id(rows, found, chunk.start.chunk)
        tally.unchanged_by_record += batch.unchanged_by_record
        self.seconds += perf_counter() - started
        return batch

    def _lookup(self) -> matching.Lookup:
        return matching.Lookup(
            self._rules.source,
            self._claim.upload_id,
            self._claim.record.ordered_at,
            self._rules.on_existing,
            is_dry_run=self._rules.is_dry_run,
            newer=self._newer.keys,
        )

    def _match_one_by_one(
        self,
        connection: Connection,
        chunk: PreparedChunk,
        rows: pl.DataFrame,
        lookup: matching.Lookup,
        tally: ChunkTally,
    ) -> Batch:
        who = identities(rows)
        candidates = matching.find_candidates(connection, who, lookup)
        resolution = resolve(who, self._rules.source, candidates.people.values())
        tally.warnings.update(f"{code}:email" for _, code in resolution.warnings)
        _note_other_names(chunk, rows, resolution.people, candidates.known, tally)
        return batches.by_people(
            rows, resolution.people, candidates.known, chunk.start.chunk, may_opt_in=self._rules.may_opt_in
        )


def _note_other_names(
    chunk: PreparedChunk,
    rows: pl.DataFrame,
    people: Sequence[ContactCandidate],
    known: Mapping[int, StoredContact],
    tally: ChunkTally,
) -> None:
    """Tell of rows that became one contact with others, or with one that was there, of another name."""
    row_indexes = rows[batch_columns.ROW_INDEX].to_list()
    names = names_of(rows)
    for person in people:
        name = known[person.key].name if person.key is not None else None
        for row in person.rows:
            if names_differ(name, names[row]):
                _note_other_name(chunk, row_indexes[row], tally)
            name = name or names[row]


def _note_other_name(chunk: PreparedChunk, row_index: int, tally: ChunkTally) -> None:
    tally.warnings["merged_names_differ"] += 1
    tally.noted["merged_names_differ"].append(chunk.start.row + row_index)
