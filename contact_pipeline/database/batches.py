"""The rows of a chunk, matched: one row a person, with the contact that the person is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from contact_pipeline.contacts.fields import CONSENT_FIELDS
from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY
from contact_pipeline.contacts.resolution import ContactCandidate, Effect
from contact_pipeline.contacts.same_names import differing_names
from contact_pipeline.database.batch_columns import (
    EXTRA,
    FILL_BLANKS,
    FIRST,
    HASH,
    KEY,
    PERSON,
    RECORD_HASH,
    ROW_HASH,
    ROW_INDEX,
    ROW_INDEXES,
    VERSION,
)
from contact_pipeline.database.matching import StoredContact
from contact_pipeline.database.row_hash import rehash

_BY_ID: Final = "by_id"
_SAME: Final = "same"
_EQUAL: Final = "equal"
_WRITTEN: Final = "written"
_SIZE: Final = "size"


@dataclass(frozen=True)
class Batch:
    """Rows of a chunk, merged to one a person.

    Attributes:
        chunk: number of the chunk.
        rows: a row for each person: the chunk's columns; `key` and `version` of the contact that it is, null where it
            is new; `fill`, whether it only fills blanks; whether it was told by its id alone; whether it is equal to
            the row applied last; whether it is that, or is to do nothing; whether this import wrote the contact before;
            how many rows of the file it stands for, and the first.
        unchanged_by_record: how many of them are, record for record, what their contacts were written from last.
        members: the single rows of people that were told one by one, with `key`, null where they are new, `first`, and
            `person`, the first row's place: matched again another time, they may be other people.
    """

    chunk: int
    rows: pl.DataFrame
    unchanged_by_record: int = 0
    members: pl.DataFrame | None = None

    def __len__(self) -> int:
        return self.rows.height

    def halves(self) -> Iterator[Batch]:
        """The batch in two."""
        middle = self.rows.height // 2
        yield Batch(self.chunk, self.rows[:middle], members=self.members)
        yield Batch(self.chunk, self.rows[middle:], members=self.members)

    def row_indexes(self, index: int) -> list[int]:
        """Places in the chunk of the rows that one person consists of."""
        together = self.rows[ROW_INDEXES][index] if ROW_INDEXES in self.rows.columns else None
        return list(together) if together is not None else [self.rows[ROW_INDEX][index]]

    def new(self) -> pl.DataFrame:
        """The people that are not in the table: those that have ids, in order of these, then the others as in the file.

        So imports that load the same people side by side meet them in one order, and do not deadlock; and of two
        contacts without ids the older one has the lower key.
        """
        known = self.rows[KEY].is_not_null()
        people = self.rows.filter(~known) if known.any() else self.rows
        return people.sort("contact_id", FIRST, nulls_last=True)

    def differing(self) -> pl.DataFrame:
        """The known people whose row is to be written, with `key`, `version` and `fill`."""
        if self.rows[KEY].null_count() == self.rows.height:
            return self.rows.clear()
        return self.rows.filter(pl.col(KEY).is_not_null() & ~pl.col(_SAME))

    def confirmed(self) -> pl.DataFrame:
        """The known contacts whose row is equal to the one applied last: `key`, `hash` of the row, and `first`."""
        equal = self.rows.filter(pl.col(_EQUAL)) if self.rows[_EQUAL].any() else self.rows.clear()
        return equal.select(KEY, pl.col(ROW_HASH).alias(HASH), FIRST)

    def left_as_they_are(self) -> pl.Series:
        """Keys of the known contacts that rows were found to be one by one, and do nothing to."""
        return self.rows.filter(_SAME, ~pl.col(_BY_ID))[KEY]

    def contributed(self, columns: Sequence[str]) -> pl.DataFrame:
        """The rows of known contacts that are not equal to the one applied last, whatever they do: these columns."""
        if self.rows[KEY].null_count() == self.rows.height:
            return self.rows.clear().select(columns)
        rows = self.rows.filter(pl.col(KEY).is_not_null() & ~pl.col(_EQUAL))
        if self.members is None:
            return rows.select(columns)
        one_by_one = rows.filter(~pl.col(_BY_ID))[KEY]
        members = self.members.filter(pl.col(KEY).is_in(one_by_one.implode()))
        return pl.concat([rows.filter(_BY_ID).select(columns), members.select(columns)])

    def made(self, new: pl.DataFrame, keys: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
        """The single rows of people that were told one by one and are new: these columns. There are `members`.

        Args:
            new: the people, as `new` gives them.
            keys: the keys that they have got.
        """
        assert self.members is not None
        got = new.select(keys, pl.col(FIRST).alias(PERSON))
        fresh = self.members.filter(pl.col(KEY).is_null()).drop(KEY)
        return fresh.join(got, on=PERSON, how="inner").select(columns)

    def made_by_id(self, new: pl.DataFrame, keys: pl.Series) -> pl.DataFrame:
        """The new people that were told by their ids: `key` and `first`. The contact has their values."""
        return new.select(keys, FIRST, _BY_ID).filter(_BY_ID).drop(_BY_ID)

    def count(self, changed: set[int], counts: Counter[str]) -> None:
        """Account for every row, given the keys of contacts that changed."""
        grouped = self.rows.group_by(
            pl.col(KEY).is_null().alias("new"), _WRITTEN, pl.col(KEY).is_in(list(changed)).alias("changed")
        ).agg(pl.len().alias("people"), pl.col(_SIZE).sum().alias("rows"))
        for is_new, written, has_changed, people, rows in grouped.rows():
            if not is_new and written:
                counts["duplicate_in_file"] += rows
                continue
            counts["inserted" if is_new else "updated" if has_changed else "unchanged"] += people
            counts["duplicate_in_file"] += rows - people


def by_id(rows: pl.DataFrame, found: pl.DataFrame, chunk: int) -> Batch:
    """The batch of rows that each have a contact id of their own.

    Args:
        rows: the chunk's sound rows.
        found: the contacts that have these ids: `contact_id`, `key`, `version`, `known_hash`, `known_record`, `fill`,
            `leave`, `written`, `known_first`, `known_last`.
    """
    if not found.height:
        return Batch(
            chunk,
            rows.with_columns(
                pl.lit(None, pl.Int64()).alias(KEY),
                pl.lit(None, pl.Int64()).alias(VERSION),
                pl.lit(False).alias(FILL_BLANKS),
                pl.lit(True).alias(_BY_ID),
                pl.lit(False).alias(_EQUAL),
                pl.lit(False).alias(_SAME),
                pl.lit(False).alias(_WRITTEN),
                pl.lit(1, pl.Int64()).alias(_SIZE),
                pl.col(ROW_INDEX).alias(FIRST),
            ),
        )
    joined = rows.join(found, on="contact_id", how="left", maintain_order="left")
    equal = (pl.col(ROW_HASH) == pl.col("known_hash")).fill_null(False)
    return Batch(
        chunk,
        joined.with_columns(
            pl.col(FILL_BLANKS).fill_null(False),
            pl.lit(True).alias(_BY_ID),
            equal.alias(_EQUAL),
            (equal | pl.col("leave").fill_null(False)).alias(_SAME),
            pl.col(_WRITTEN).fill_null(False),
            pl.lit(1, pl.Int64()).alias(_SIZE),
            pl.col(ROW_INDEX).alias(FIRST),
        ).drop("known_hash", "known_record", "known_first", "known_last", "leave"),
        unchanged_by_record=int((joined[RECORD_HASH] == joined["known_record"]).cast(pl.Int64()).sum()),
    )


def together(by_ids: Batch, one_by_one: Batch) -> Batch:
    """The batch of all rows of a chunk of which some were told by their ids and others one by one."""
    if not len(by_ids):
        return one_by_one
    return Batch(
        by_ids.chunk,
        pl.concat([by_ids.rows, one_by_one.rows], how="diagonal"),
        by_ids.unchanged_by_record + one_by_one.unchanged_by_record,
        one_by_one.members,
    )


def of_other_names(rows: pl.DataFrame, found: pl.DataFrame) -> list[int]:
    """Row indexes of rows whose name is not the one that the contact with their id has.

    Args:
        rows: the chunk's sound rows.
        found: as in `by_id`.
    """
    if not found.height or not {"first_name", "last_name"} & {*rows.columns}:
        return []
    names = [name for name in ("first_name", "last_name") if name in rows.columns]
    joined = rows.select("contact_id", ROW_INDEX, ROW_HASH, *names).join(
        found.select("contact_id", "known_hash", "known_first", "known_last"), on="contact_id", how="inner"
    )
    changed = joined.filter((pl.col(ROW_HASH) != pl.col("known_hash")).fill_null(True))
    return changed.filter(differing_names(changed))[ROW_INDEX].to_list()


def split_unchanged(
    ids: pl.Series, record_hashes: pl.Series, row_indexes: pl.Series, found: pl.DataFrame
) -> tuple[pl.Series, Counter[str], pl.DataFrame, pl.DataFrame]:
    """Which rows are, record for record, what their contacts were written from last, and what they count as.

    Args:
        ids: contact ids, none of them twice, null where a row has none.
        record_hashes: hashes of the rows' records.
        row_indexes: their places in the chunk.
        found: as in `by_id`.

    Returns:
        A mask of the rows, without nulls; counts; of the contacts that are confirmed so `key`, `hash`
        and `first`, and their `contact_id` and `email`.
    """
    rows = pl.DataFrame([ids.alias("contact_id"), record_hashes.alias(RECORD_HASH), row_indexes.alias(FIRST)])
    joined = rows.join(found, on="contact_id", how="left", maintain_order="left")
    same = (joined[RECORD_HASH] == joined["known_record"]).fill_null(False)
    again = int((same & joined[_WRITTEN]).sum())
    known = joined.filter(same)
    confirmed = known.select(KEY, pl.col(RECORD_HASH).alias(HASH), FIRST)
    counts = Counter({"unchanged": int(same.sum()) - again, "duplicate_in_file": again})
    columns = {LINKEDIN_SLUG: pl.lit(None, pl.String()), NAME_COMPANY: pl.lit(None, pl.String())}
    return same, counts, confirmed, known.select("contact_id", email="known_email", **columns)


def by_people(
    rows: pl.DataFrame,
    people: Sequence[ContactCandidate],
    known: Mapping[int, StoredContact],
    chunk: int,
    *,
    may_opt_in: bool = False,
) -> Batch:
    """The batch of rows whose people were told one by one. Several rows of a person are merged.

    A later value wins over an earlier one, a blank over none. For a contact whose
    blanks only are filled, the first value stays. What any row says that a contact
    does not want stays, unless `may_opt_in`.
    """
    together = [person for person in people if len(person.rows) > 1]
    alone = [person for person in people if len(person.rows) == 1] if together else people
    ordered = [*alone]
    merged = rows[[person.rows[0] for person in alone]]
    if together:
        frames = [merged.with_columns(pl.concat_list(ROW_INDEX).alias(ROW_INDEXES))]
        for first_wins in (False, True):
            group = [person for person in together if (person.effect is Effect.FILL_BLANKS) is first_wins]
            if group:
                frames.append(_merge(rows, group, first_wins=first_wins, may_opt_in=may_opt_in))
                ordered += group
        merged = pl.concat(frames)
    found = [known[person.key] if person.key is not None else None for person in ordered]
    same = [
        contact is not None and (person.effect is Effect.NONE or contact.row_hash == row_hash)
        for person, contact, row_hash in zip(ordered, found, merged[ROW_HASH].to_list(), strict=True)
    ]
    columns = {
        KEY: pl.Series([person.key for person in ordered], dtype=pl.Int64()),
        VERSION: pl.Series([contact.version if contact else None for contact in found], dtype=pl.Int64()),
        FILL_BLANKS: pl.Series([person.effect is Effect.FILL_BLANKS for person in ordered], dtype=pl.Boolean()),
        _BY_ID: pl.repeat(False, len(ordered), dtype=pl.Boolean(), eager=True),
        # Their order counts where they are matched anew: they are kept as they are, not as equal to others.
        _EQUAL: pl.repeat(False, len(ordered), dtype=pl.Boolean(), eager=True),
        _SAME: pl.Series(same, dtype=pl.Boolean()),
        _WRITTEN: pl.Series([contact is not None and contact.written for contact in found], dtype=pl.Boolean()),
        _SIZE: pl.Series([len(person.rows) for person in ordered], dtype=pl.Int64()),
        FIRST: rows[ROW_INDEX].gather([person.rows[0] for person in ordered]),
    }
    told_by_id = (pl.col(_SIZE) == 1) & pl.col("contact_id").is_not_null()
    merged = merged.with_columns(**columns).with_columns(pl.when(told_by_id).then(RECORD_HASH).alias(RECORD_HASH))
    known_records = pl.Series([contact.record_hash if contact else None for contact in found], dtype=pl.Int64())
    return Batch(
        chunk,
        merged,
        members=_members(rows, people),
        unchanged_by_record=int((merged[RECORD_HASH] == known_records).cast(pl.Int64()).sum()),
    )


def _members(rows: pl.DataFrame, people: Sequence[ContactCandidate]) -> pl.DataFrame:
    """The rows that people consist of, each by itself."""
    firsts = rows[ROW_INDEX].to_list()
    alone = pl.Series([len(person.rows) == 1 for person in people for _ in person.rows], dtype=pl.Boolean())
    return rows[[row for person in people for row in person.rows]].with_columns(
        pl.col(ROW_INDEX).alias(FIRST),
        pl.when(pl.lit(alone) & pl.col("contact_id").is_not_null()).then(RECORD_HASH).alias(RECORD_HASH),
        pl.Series(KEY, [person.key for person in people for _ in person.rows], dtype=pl.Int64()),
        pl.Series(
            PERSON, [firsts[person.rows[0]] for person in people for _ in person.rows], dtype=rows.schema[ROW_INDEX]
        ),
    )


def _merge(
    rows: pl.DataFrame, people: Sequence[ContactCandidate], *, first_wins: bool, may_opt_in: bool
) -> pl.DataFrame:
    """One row for each person, of the rows that are that person."""
    members = rows[[row for person in people for row in person.rows]].with_columns(
        pl.Series(PERSON, [index for index, person in enumerate(people) for _ in person.rows])
    )
    consent = [column for column in rows.columns if column in CONSENT_FIELDS and not may_opt_in]
    filled = pl.exclude(PERSON, ROW_INDEX, NAME_COMPANY, *consent).drop_nulls()
    merged = members.group_by(PERSON, maintain_order=True).agg(
        pl.col(ROW_INDEX).alias(ROW_INDEXES),
        pl.col(ROW_INDEX).last(),
        pl.col(NAME_COMPANY).drop_nulls().first(),
        pl.col(consent).max(),
        filled.first() if first_wins else filled.last(),
    )
    if EXTRA in rows.columns:
        extras = members.group_by(PERSON, maintain_order=True).agg(pl.col(EXTRA).drop_nulls())[EXTRA]
        written = [_merged_extra(list(values), first_wins=first_wins) for values in extras]
        merged = merged.with_columns(pl.Series(EXTRA, written, dtype=pl.String()))
    return rehash(merged, may_opt_in=may_opt_in).select(*rows.columns, ROW_INDEXES)


def _merged_extra(extras: Sequence[str], *, first_wins: bool) -> str | None:
    together: dict[str, Any] = {}
    for text in reversed(extras) if first_wins else extras:
        together |= json.loads(text)
    return json.dumps(together, ensure_ascii=False) if together else None
