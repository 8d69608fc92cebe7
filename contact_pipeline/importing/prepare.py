"""From a chunk of the file to a chunk that can be loaded: map, clean, validate, account for what fails."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from threading import Lock
from time import perf_counter

import polars as pl

from contact_pipeline.contacts.cleaning import Cleaned, clean
from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELD_BY_NAME, FULL_NAME
from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY, has_identity, with_identity
from contact_pipeline.contacts.name_titles import FAMILY_NAME_FIRST
from contact_pipeline.contacts.names import split_full_names
from contact_pipeline.contacts.schema import diagnose, failing_rows
from contact_pipeline.contacts.several_values import Moved
from contact_pipeline.contacts.texts import CharacterFlags, clean_texts
from contact_pipeline.database.batch_columns import EXTRA, RECORD_HASH, ROW_HASH, ROW_INDEX
from contact_pipeline.database.row_hash import rehash
from contact_pipeline.files.chunks import Chunk, Reject
from contact_pipeline.files.csv.parser import Columns
from contact_pipeline.files.csv.records import MAX_RECORD_BYTES
from contact_pipeline.files.rejects_file import unguard
from contact_pipeline.files.titles import normalise
from contact_pipeline.importing.cell_warnings import cell_warnings
from contact_pipeline.importing.chunks import CellWarning, DeferredChunk, PreparedChunk
from contact_pipeline.importing.failing_values import FRAME_INDEX, settle_errors
from contact_pipeline.importing.planning import ReadingPlan
from contact_pipeline.importing.rules import hash_seed


class Preparer:
    """Prepares the chunks of one file.

    Attributes:
        deferring: whether rows are expected to be known already: chunks are then deferred.
        seconds: spent in each part of the work.
    """

    def __init__(
        self,
        plan: ReadingPlan,
        *,
        strict: bool = False,
        may_opt_in: bool = False,
        read_again: Callable[[int, int], bytes] | None = None,
        noting_cells: bool = False,
    ) -> None:
        """Prepare for a file.

        Args:
            plan: how it is read.
            strict: whether a wrong value rejects its row, wherever it stands.
            may_opt_in: whether rows take back what a contact does not want.
            read_again: reads bytes of the file by their offsets, where its text is the file as it stands.
            noting_cells: whether prepared chunks are to say which cells their warnings are about.
        """
        self._noting_cells = noting_cells
        self._read_again = read_again
        mapping = plan.mapping
        self._reject_columns = plan.reject_columns
        self._formats = plan.column_formats
        self._strict = strict
        self._doubts = plan.doubts
        self._refusals = mapping.refusals
        self._may_opt_in = may_opt_in
        header = [unguard(title) for title in plan.dialect.header] if plan.reject_columns else plan.dialect.header
        self._titles: Mapping[str, str] = {
            field: title for field, title in zip(mapping.fields, header, strict=True) if field is not None
        }
        self._positions = {field: str(at) for at, field in enumerate(mapping.fields) if field is not None}
        self._full_name = self._positions.pop(FULL_NAME, None)
        self._family_first = (
            self._full_name is not None and normalise(header[int(self._full_name)]) in FAMILY_NAME_FIRST
        )
        self._keys = {str(at): key for at, key in enumerate(mapping.keys)}
        self._extra = {key: str(at) for at, key in enumerate(mapping.extra) if key is not None}
        self._seed = hash_seed(plan, may_opt_in=may_opt_in)
        self._told_by_id = self._reject_columns is None and "contact_id" in self._positions
        self._counting = Lock()
        self._no_contacts: pl.DataFrame | None = None
        self.deferring = False
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @property
    def columns(self) -> list[str]:
        """Columns of the prepared contacts that go into the table."""
        fields = dict.fromkeys(self._positions) | dict.fromkeys(name for _, name in self._refusals)
        if self._full_name is not None:
            fields |= dict.fromkeys(("first_name", "last_name"))
        kinds = {FIELD_BY_NAME[field].kind for field in self._positions}
        if Kind.EMAIL in kinds:
            fields |= dict.fromkeys(("secondary_email", "tertiary_email"))
        if Kind.PHONE in kinds:
            fields |= dict.fromkeys(("other_phone",))
        # The loader matches by these, also where the file has no such column.
        fields |= dict.fromkeys(("contact_id", "email"))
        return [*fields, EXTRA, LINKEDIN_SLUG, NAME_COMPANY, ROW_HASH, RECORD_HASH]

    def needed(self) -> Columns:
        """The columns that the next chunk's table is to have: a deferred chunk needs the ids only."""
        return [int(self._positions["contact_id"])] if self.deferring and self._told_by_id else None

    def prepare(self, chunk: Chunk) -> PreparedChunk | DeferredChunk:
        """Clean and validate a chunk, or defer that where only its column of contact ids is parsed."""
        hashes = chunk.record_hashes(self._seed) if self._told_by_id else None
        if chunk.whole:
            return self._prepare(chunk, hashes)
        if hashes is None:
            # Its records do not follow on each other: a header, or a blank line, stands between them.
            return self._prepare(chunk.part(None), None)
        texts = chunk.table.select(pl.col(self._positions["contact_id"]).alias("contact_id"))
        ids = clean_texts(texts, chunk.character_flags)["contact_id"]
        return DeferredChunk(chunk, ids, hashes.gather(chunk.row_indexes), hashes)

    def prepare_rows(self, deferred: DeferredChunk, wanted: pl.Series | None) -> PreparedChunk:
        """Clean and validate rows of a deferred chunk.

        Args:
            wanted: a mask of the rows; None for all.
        """
        chunk = deferred.chunk
        if wanted is None or wanted.any():
            return self._prepare(chunk.part(wanted), deferred.all_record_hashes)
        # Cleaning and validating no rows takes as long as doing so with a hundred: 25 ms.
        if self._no_contacts is None:
            self._no_contacts = self._prepare(chunk.part(wanted), None).contacts
        return self._prepared(chunk, self._no_contacts, self._malformed(chunk), self._warnings_of(chunk), Counter())

    def _prepare(self, chunk: Chunk, hashes: pl.Series | None) -> PreparedChunk:
        """Clean and validate a chunk.

        A value that fails is dropped and counted as a warning; its row is rejected
        where the value was what identifies it, or where nothing identifies it.
        """
        started = perf_counter()
        table = self._reject_columns.unguarded(chunk.table) if self._reject_columns else chunk.table
        found = clean(self._mapped(table), chunk.character_flags, self._formats)
        extra, values = self._extra_column(table)
        values.update(
            {int(self._positions[name]): count for name, count in found.values.items() if name in self._positions}
        )
        if self._full_name is not None:
            values[int(self._full_name)] = int((table[self._full_name].str.strip_chars() != "").sum())
        refused = self._refused(table, found.frame, chunk.character_flags)
        cleaned = found.frame.with_columns(extra, chunk.row_indexes.alias(ROW_INDEX), *refused)
        cleaning_ended = perf_counter()
        failing = failing_rows(cleaned)
        errors = diagnose(cleaned.with_row_index(FRAME_INDEX).filter(failing))
        validating_ended = perf_counter()

        cleaned, rejected, warnings, dropped = settle_errors(cleaned, errors, strict=self._strict)
        warnings.update({code: len(rows) for code, rows in found.notices.items()})
        warnings.update(self._warnings_of(chunk))
        cleaned = self._keep_in_extra(cleaned, table, found, dropped, warnings)
        if self._reject_columns:
            for at, code in self._reject_columns.still_broken(table).items():
                rejected[cleaned[ROW_INDEX][at]] = [(code, "")]
        if hashes is None:
            hashes = pl.repeat(None, chunk.rows, dtype=pl.Int64(), eager=True)
        told_of = {*dropped, *chain(*found.shortened.values(), *found.notices.values())}
        # A row with a warning is not skipped as unchanged: its warning is counted again.
        hashes = hashes.gather(chunk.row_indexes).scatter(sorted(told_of), None)
        identified = with_identity(cleaned.with_columns(hashes.alias(RECORD_HASH)))
        nameless = identified.filter(~has_identity())[ROW_INDEX].to_list()
        for row_index in nameless:
            # Where the identifying value was wrong, that is what is wrong with the row.
            rejected.setdefault(row_index, [("missing_identity", "")])
        sound = identified.filter(~pl.col(ROW_INDEX).is_in(list(rejected))) if rejected else identified
        keep = [column for column in self.columns if column != ROW_HASH]
        contacts = rehash(sound.select(ROW_INDEX, *keep), may_opt_in=self._may_opt_in)

        rejects = [self.reject(chunk, row_index, found) for row_index, found in rejected.items()]
        rejects += self._malformed(chunk)
        cells = cell_warnings(cleaned[ROW_INDEX], found, dropped) if self._noting_cells else ()
        # Loaders prepare the rows of deferred chunks, side by side.
        with self._counting:
            self.seconds["clean"] += cleaning_ended - started
            self.seconds["validate"] += validating_ended - cleaning_ended
            self.seconds["identify"] += perf_counter() - validating_ended
        return self._prepared(chunk, contacts, rejects, warnings, values, cells)

    def _malformed(self, chunk: Chunk) -> list[Reject]:
        return [
            self.reject(chunk, malformed.row_index, [(malformed.code, malformed.column or "")])
            for malformed in chunk.malformed
        ]

    def _warnings_of(self, chunk: Chunk) -> Counter[str]:
        """What is to be said of a chunk whatever its rows are."""
        warnings = Counter(chunk.skipped)
        if chunk.start.chunk == 0:
            # What is said of the file as a whole is said once, with its first chunk.
            warnings.update(self._doubts)
        return warnings

    def _prepared(
        self,
        chunk: Chunk,
        contacts: pl.DataFrame,
        rejects: Sequence[Reject],
        warnings: Counter[str],
        values: Counter[int],
        cells: tuple[CellWarning, ...] = (),
    ) -> PreparedChunk:
        chunk = chunk.without_values(self._read_again)
        return PreparedChunk(
            start=chunk.start,
            end_offset=chunk.end_offset,
            end_line=chunk.end_line,
            bytes_read=chunk.bytes_read,
            rows=chunk.rows,
            contacts=contacts,
            rejects=tuple(sorted(rejects, key=lambda reject: reject.row)),
            warnings=warnings,
            values=values,
            source=chunk,
            cells=cells,
        )

    def _mapped(self, table: pl.DataFrame) -> pl.DataFrame:
        named = table.select(pl.col(position).alias(field) for field, position in self._positions.items())
        if self._full_name is None:
            return named
        return named.with_columns(self._split_names(table))

    def _split_names(self, table: pl.DataFrame) -> list[pl.Series]:
        names = table.select(pl.col(str(self._full_name)).alias("first_name"))
        return split_full_names(clean_texts(names, CharacterFlags())["first_name"], family_first=self._family_first)

    def _refused(self, table: pl.DataFrame, frame: pl.DataFrame, character_flags: CharacterFlags) -> list[pl.Series]:
        """The fields that further columns say no for, with that."""
        columns: dict[str, pl.Series] = {}
        for at, name in self._refusals:
            said = clean(table.select(pl.col(str(at)).alias(name)), character_flags, self._formats).frame[name]
            known = columns.get(name, frame[name])
            columns[name] = known.zip_with(said.is_null() | (known.fill_null(False) & ~said.fill_null(False)), said)
        return [column.alias(name) for name, column in columns.items()]

    def _keep_in_extra(
        self,
        cleaned: pl.DataFrame,
        table: pl.DataFrame,
        found: Cleaned,
        dropped: Mapping[int, Mapping[str, str]],
        warnings: Counter[str],
    ) -> pl.DataFrame:
        """Keep, under its column's title, the text of each value that was dropped, or that stood for several."""
        kept: defaultdict[int, dict[str, str]] = defaultdict(dict)
        for index, fields in dropped.items():
            for field in fields:
                self._keep(kept[index], table, index, field, found.moved)
        for field, left in found.shortened.items():
            for index in left:
                self._keep(kept[index], table, index, field, found.moved)
                warnings[f"several_values:{field}"] += 1
        for index in self._shortened_names(cleaned, table):
            self._keep(kept[index], table, index, "first_name", found.moved)
        indexes = sorted(index for index in kept if kept[index])
        if not indexes:
            return cleaned
        before = cleaned[EXTRA].gather(indexes).to_list()
        together = [
            json.dumps({**kept[index], **(json.loads(text) if text else {})}, ensure_ascii=False)
            for index, text in zip(indexes, before, strict=True)
        ]
        return cleaned.with_columns(cleaned[EXTRA].scatter(indexes, together))

    def _shortened_names(self, cleaned: pl.DataFrame, table: pl.DataFrame) -> list[int]:
        """Rows whose whole name had letters that are in neither name: of a degree, a pronoun, a form of address."""
        if self._full_name is None:
            return []
        letters = [
            texts.fill_null("").str.replace_all(r"[^\p{L}]", "").str.len_chars()
            for texts in (table[self._full_name], cleaned["first_name"], cleaned["last_name"])
        ]
        return (letters[0] > letters[1] + letters[2]).arg_true().to_list()

    def _keep(self, kept: dict[str, str], table: pl.DataFrame, index: int, field: str, moved: Moved) -> None:
        origin = moved.get(field, {}).get(index, field)
        position = self._positions.get(origin)
        if position is None and field in ("first_name", "last_name"):
            position = self._full_name
        text = table[position][index].strip() if position is not None else ""
        if position is not None and text:
            kept[self._keys.get(position, field)] = text

    def _extra_column(self, table: pl.DataFrame) -> tuple[pl.Series, Counter[int]]:
        """The unmapped columns as one JSON object a row, without the blank ones; null where all are blank.

        Returns:
            The column, and how many values each of these columns has, by position.
        """
        members = []
        values: Counter[int] = Counter()
        for key, position in self._extra.items():
            filled = table[position].str.strip_chars() != ""
            values[int(position)] = int(filled.sum())
            if values[int(position)]:
                encoded = table.select(pl.struct(pl.col(position).alias(key)).struct.json_encode()).to_series()
                members.append(encoded.str.slice(1).str.head(-1).set(~filled, None))
        if not members:
            return pl.Series(EXTRA, [None] * table.height, dtype=pl.String()), values
        frame = pl.DataFrame([member.alias(str(at)) for at, member in enumerate(members)])
        joined = frame.select(pl.concat_str(pl.all(), separator=",", ignore_nulls=True)).to_series()
        return ("{" + joined + "}").set(joined == "", None).alias(EXTRA), values

    def reject(self, chunk: Chunk, row_index: int, found: Sequence[tuple[str, str]]) -> Reject:
        """The reject of a row.

        Args:
            chunk: where the row stands.
            found: what is wrong with it: code and field, "" for the row as a whole.
        """
        return Reject(
            row=chunk.start.row + row_index,
            line=chunk.line_of(row_index),
            codes=tuple(code for code, _ in found),
            columns=tuple(self._titles.get(column, column) for _, column in found),
            # Of a row too long to be loaded its beginning says which one it is.
            record=chunk.record(row_index)[:MAX_RECORD_BYTES],
        )
