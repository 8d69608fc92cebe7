"""Which contacts a chunk's rows are: of the unchanged ones before they are prepared, of the others afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np
import polars as pl

from contact_pipeline.contacts.identity import IDENTIFYING, all_told_apart_by_id, identities, may_be_one_person
from contact_pipeline.contacts.resolution import ContactCandidate, MergePolicy, resolve
from contact_pipeline.contacts.same_names import names_differ, names_of
from contact_pipeline.database import batch_columns, batches, commits, contributions, matching, postgres
from contact_pipeline.database.batches import Batch
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.commits import NewerUploads
from contact_pipeline.database.matching import Candidates, StoredContact
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
        self._newer = NewerUploads(claim.record.ordered_at)
        self.seconds = 0.0

    def _look_for_newer(self, connection: Connection) -> int:
        """Learn what newer uploads have confirmed; returns the number of the last commit that is seen."""
        seen = commits.last_commit(connection)
        self._newer.look(connection)
        return seen

    def find_unchanged(self, connection: Connection, deferred: DeferredChunk) -> UnchangedRows | None:
        """Find the rows that are what their contacts were written from last; None where all rows are to be prepared."""
        ids = deferred.ids.drop_nulls()
        if not all_told_apart_by_id(ids):
            return None
        started = perf_counter()
        with connection.transaction():
            connection.execute(SESSION)
            seen = self._look_for_newer(connection)
            found = matching.find_records(connection, ids, self._lookup())
        unchanged = batches.split_unchanged(deferred.ids, deferred.record_hashes, deferred.chunk.row_indexes, found)
        self.seconds += perf_counter() - started
        return UnchangedRows(*unchanged, seen)

    def leave_out(
        self,
        connection: Connection,
        deferred: DeferredChunk,
        unchanged: UnchangedRows,
        rest: PreparedChunk,
        ticket: CommitTicket,
    ) -> UnchangedRows | None:
        """The unchanged rows of a chunk where they need not be prepared, given the others; else None.

        Their contacts are told by their ids. But a row without an id may be one of them, and their order counts then;
        and that a contact without an id has the e-mail of one of them is a warning. Then all rows are matched together.

        Raises:
            ImportAborted: the import stops.
        """
        identifying = rest.contacts.select(IDENTIFYING)
        if ticket.wait_to_match(pl.concat([identifying, unchanged.identifying])):
            again = self.find_unchanged(connection, deferred)
            if again is None or not again.rows.equals(unchanged.rows):
                return None
            unchanged = again
        started = perf_counter()
        emails = unchanged.identifying["email"]
        without_id = identifying.filter(pl.col("contact_id").is_null())
        with connection.transaction():
            connection.execute(SESSION)
            lookup = self._lookup()
            shared = matching.shared_without_id(connection, "email", emails, lookup)
            meets = bool(emails.is_in(shared.implode()).any())
            if without_id.height and not meets:
                met = matching.keys_met_without_id(connection, without_id, lookup)
                meets = bool(np.isin(met, unchanged.confirmed[contributions.KEY].to_numpy()).any())
        self.seconds += perf_counter() - started
        return None if meets else unchanged

    def match(
        self, connection: Connection, chunk: PreparedChunk, rows: pl.DataFrame, tally: ChunkTally, ticket: CommitTicket
    ) -> Batch:
        """Match rows of a chunk.

        Args:
            tally: gains what is to be told of these rows.

        Raises:
            ImportAborted: the import stops.
        """
        identifying = rows.select(IDENTIFYING)
        ticket.wait_to_match(identifying)
        started = perf_counter()
        while True:
            seen = self._look_for_newer(connection)
            lookup = self._lookup()
            one_by_one, found, candidates = self._look_up(connection, identifying, lookup)
            concerned = pl.concat([identifying, candidates.identifying()])
            if not candidates.people or not ticket.wait_to_match(concerned):
                break
        ticket.decide(pl.concat([concerned, tally.left_out]))
        tally.seen = min(tally.seen, seen)
        tally.matched.append(identifying)
        by_ids = rows.filter(~one_by_one)
        for row_index in batches.of_other_names(by_ids, found):
            _note_other_name(chunk, row_index, tally)
        batch = batches.by_id(by_ids, found, chunk.start.chunk)
        if one_by_one.any():
            others = self._resolve(chunk, rows.filter(one_by_one), candidates, tally)
            batch = batches.together(batch, others)
        tally.unchanged_by_record += batch.unchanged_by_record
        self.seconds += perf_counter() - started
        return batch

    def _look_up(
        self, connection: Connection, rows: pl.DataFrame, lookup: matching.Lookup
    ) -> tuple[pl.Series, pl.DataFrame, Candidates]:
        """Look up the contacts that rows may be.

        Returns:
            Which of the rows are to be resolved one by one: those without ids, and what these may be too; the contacts
            that the others are, by their ids; and those that these may be.
        """
        one_by_one = may_be_one_person(rows)
        if not one_by_one.all():
            one_by_one |= matching.meet_any_without_id(connection, rows, lookup)
        found = matching.find_by_ids(connection, rows.filter(~one_by_one)["contact_id"], lookup)
        without_id = rows.filter(rows["contact_id"].is_null())
        if without_id.height and found.height:
            met = matching.keys_met_without_id(connection, without_id, lookup)
            theirs = found.filter(found["key"].is_in(met))["contact_id"]
            one_by_one |= rows["contact_id"].is_in(theirs.implode()).fill_null(False)
        return one_by_one, found, matching.find_candidates(connection, identities(rows.filter(one_by_one)), lookup)

    def _lookup(self) -> matching.Lookup:
        return matching.Lookup(
            self._rules.source,
            self._claim.upload_id,
            self._claim.record.ordered_at,
            self._rules.on_existing,
            is_dry_run=self._rules.is_dry_run,
            newer=self._newer.keys,
        )

    def _resolve(self, chunk: PreparedChunk, rows: pl.DataFrame, candidates: Candidates, tally: ChunkTally) -> Batch:
        """Tell one by one which contacts rows are."""
        resolution = resolve(identities(rows), self._rules.source, candidates.people.values())
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
