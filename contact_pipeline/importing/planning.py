"""How an import's file is read: decided at the first attempt, the same for every later one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from contact_pipeline.contacts.column_formats import ColumnFormats
from contact_pipeline.contacts.same_names import is_shared_id
from contact_pipeline.database import queries, saved_mappings, states
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.errors import FileRefused, ObjectChanged
from contact_pipeline.files import dialect
from contact_pipeline.files.csv.reader import read_chunks, start_of
from contact_pipeline.files.detection import detect
from contact_pipeline.files.dialect import Dialect, FormatOverrides
from contact_pipeline.files.excel.workbook import CPU_SECONDS
from contact_pipeline.files.header_mapping import HeaderMapping, map_header
from contact_pipeline.files.likeness import looks_like
from contact_pipeline.files.rejects_file import RejectColumns, find_reject_columns, unguard
from contact_pipeline.files.titles import signature
from contact_pipeline.importing.file_formats import column_formats, named_columns, undecided
from contact_pipeline.importing.memory import give_memory_back
from contact_pipeline.importing.options import READING, ImportOptions
from contact_pipeline.object_store import ObjectStore, StoredObject


@dataclass(frozen=True)
class ReadingPlan:
    """How a file is read.

    Attributes:
        dialect: how it is written.
        mapping: which column feeds which field.
        column_formats: how its columns write dates and numbers.
        reject_columns: where our own columns are, in a file of rejects.
        looks_like: for each column, the field that it may be meant for, where it feeds none.
        doubts: what the reading is not sure of, as codes of warnings, counted with the first chunk.
    """

    dialect: Dialect
    mapping: HeaderMapping
    column_formats: ColumnFormats
    reject_columns: RejectColumns | None = None
    doubts: tuple[str, ...] = ()
    looks_like: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class StoredBlob:
    """An object in the bucket, as a file to be read. `on_bytes` is called whenever some of its bytes have come."""

    store: ObjectStore
    stored: StoredObject
    on_bytes: Callable[[], None]
    workbook_seconds: int = CPU_SECONDS

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.stored.size

    def read(self, begin: int, end: int) -> bytes:
        """Bytes `begin` to `end` (exclusive)."""
        if end <= begin:
            return b""
        return self.store.read_range(self.stored.key, self.stored.etag, begin, end, self.on_bytes)

    def stream(self, begin: int) -> Iterator[bytes]:
        """Its bytes from `begin` on, in blocks."""
        return self.store.stream(self.stored, begin, self.on_bytes)


def blob_of(
    store: ObjectStore,
    record: ImportRecord,
    on_bytes: Callable[[], None] = lambda: None,
    workbook_seconds: int = CPU_SECONDS,
) -> StoredBlob:
    """The file of an import."""
    stored = StoredObject(record.object_key, record.etag, record.size, record.uploaded_at)
    return StoredBlob(store, stored, on_bytes, workbook_seconds)


def options_of(record: ImportRecord) -> ImportOptions:
    """What was chosen for an import."""
    return ImportOptions.model_validate(record.options)


def open_import(
    connection: Connection,
    store: ObjectStore,
    claim: Claim,
    chosen: Mapping[str, Any] | None = None,
    on_bytes: Callable[[], None] = lambda: None,
) -> ReadingPlan:
    """Decide how the file is read, or recall what was decided.

    Args:
        chosen: options that this run changes.
        on_bytes: called whenever some of the file's bytes have come.

    Raises:
        FileRefused: the file cannot be imported, or not in the way that is asked for.
        ObjectChanged: the object is not the one that was registered.
    """
    # The first rows are parsed here already: what that frees is not to be kept while the file is loaded.
    give_memory_back()
    record = claim.record
    found = store.find(record.object_key)
    if found is None:
        raise ObjectChanged(f"{record.object_key} was deleted before it was imported")
    if found[0].etag != record.etag:
        raise ObjectChanged(f"{record.object_key} was replaced before it was imported")
    before = options_of(record)
    options = ImportOptions.model_validate({**before.chosen(), **(chosen or {})})
    same = all(getattr(options, name) == getattr(before, name) for name in READING)
    if options != before:
        if not same and queries.last_chunk(connection, claim.upload_id) is not None:
            raise FileRefused(
                "reading_changed",
                f"{', '.join(READING)} cannot change once a chunk of the file is loaded: undo the import, or upload "
                "the file again",
            )
        states.keep_options(connection, claim, options.chosen())
    if same and record.dialect and record.mapping:
        return recalled(record)
    plan, rejects_of = _decide(connection, blob_of(store, record, on_bytes), record, options)
    kept = {
        **asdict(plan.mapping),
        "column_formats": asdict(plan.column_formats),
        "reject_columns": asdict(plan.reject_columns) if plan.reject_columns else None,
        "doubts": plan.doubts,
        "looks_like": plan.looks_like,
    }
    note = "its rows may take back what contacts do not want" if options.may_opt_in and not options.is_dry_run else None
    states.keep_reading_plan(connection, claim, asdict(plan.dialect), kept, rejects_of, note)
    return plan


def reading_plan(connection: Connection, claim: Claim) -> ReadingPlan:
    """What `open_import` decided."""
    record = queries.find(connection, claim.upload_id)
    assert record is not None
    return recalled(record)


def recalled(record: ImportRecord) -> ReadingPlan:
    """What was decided for an import whose file was looked at."""
    mapping = record.mapping
    assert record.dialect is not None
    assert mapping is not None
    return ReadingPlan(
        dialect.recalled(record.dialect),
        HeaderMapping(
            tuple(mapping["fields"]),
            tuple(mapping["extra"]),
            mapping["source"],
            tuple(mapping["thousands"]),
            tuple(mapping.get("keys", ())),
            tuple((at, name) for at, name in mapping.get("refusals", ())),
        ),
        ColumnFormats(**{name: tuple(value) for name, value in mapping["column_formats"].items()}),
        RejectColumns(**mapping["reject_columns"]) if mapping["reject_columns"] else None,
        tuple(mapping.get("doubts", ())),
        tuple(mapping.get("looks_like", ())),
    )


def overrides_of(connection: Connection, record: ImportRecord, options: ImportOptions) -> FormatOverrides:
    """What a person says, or has said before, of how a file is written."""
    overrides = options.overrides
    if options.mapping is None:
        return replace(overrides, titles=tuple(saved_mappings.remembered_titles(connection, record.owner)))
    return overrides


def _decide(
    connection: Connection, blob: StoredBlob, record: ImportRecord, options: ImportOptions
) -> tuple[ReadingPlan, str | None]:
    dialect, sample = detect(blob, overrides_of(connection, record, options))
    decided = decide_by_rows(connection, blob, record, options, dialect, first_rows(sample, dialect))
    if options.mapping is not None and options.save_mapping and decided[0].reject_columns is None:
        # Only now: what does not fit the file is not worth remembering.
        saved_mappings.remember_mapping(connection, record.owner, signature(dialect.header), options.mapping)
    return decided


def decide_by_rows(
    connection: Connection,
    blob: StoredBlob,
    record: ImportRecord,
    options: ImportOptions,
    dialect: Dialect,
    table: pl.DataFrame,
    *,
    whole: bool = True,
) -> tuple[ReadingPlan, str | None]:
    """Decide how a file's columns are read, given its first rows.

    Args:
        whole: whether columns whose dates or numbers the first rows leave open are read through.

    Returns:
        The plan, and the upload whose rejects the file brings back, if it does.

    Raises:
        FileRefused: nobody is to be told by its columns, or the mapping does not fit.
    """
    read_through = blob if whole else None
    reject_columns = find_reject_columns(dialect.header, table)
    if reject_columns is None:
        titles = signature(dialect.header)
        own = options.mapping
        if own is None:
            own = saved_mappings.remembered_mapping(connection, record.owner, titles)
        mapping = _with_profiles(map_header(dialect.header, own, options.source), own, dialect.header, table)
        doubts = _doubts(dialect)
        is_said = "contact_id" in (own or {}).values() or mapping.is_of_a_system("contact_id", dialect.header)
        if not is_said and is_shared_id(named_columns(mapping, table)):
            mapping = mapping.without("contact_id")
            doubts += ("shared_id:contact_id",)
        formats = column_formats(read_through, dialect, mapping, table, options)
        likeness = looks_like(dialect.header, mapping, table)
        return ReadingPlan(dialect, mapping, formats, None, (*doubts, *undecided(formats)), likeness), None
    table = reject_columns.unguarded(table)
    original = queries.find(connection, reject_columns.upload_id) if reject_columns.upload_id else None
    if original is None or original.owner != record.owner or not original.mapping:
        mapping = map_header(_titles(dialect), options.mapping, options.source)
        mapping = _with_profiles(mapping, options.mapping, _titles(dialect), table)
        mapping = _without_reject_columns(mapping, reject_columns)
        formats = column_formats(read_through, dialect, mapping, table, options)
        return ReadingPlan(dialect, mapping, formats, reject_columns), None
    # The rows come back under the source that they had, and are read as they were.
    first = recalled(original)
    own = options.mapping or options_of(original).mapping
    mapping = map_header(_titles(dialect), own, options.source or first.mapping.source)
    mapping = _without_reject_columns(_with_profiles(mapping, own, _titles(dialect), table), reject_columns)
    doubts = ("shared_id:contact_id",) if "shared_id:contact_id" in first.doubts else ()
    if doubts and "contact_id" in mapping.fields and "contact_id" not in (options.mapping or {}).values():
        mapping = mapping.without("contact_id")
    formats = column_formats(read_through, dialect, mapping, table, options)
    if options.day_first is None:
        formats = replace(first.column_formats, in_thousands=mapping.thousands)
    return ReadingPlan(dialect, mapping, formats, reject_columns, doubts), reject_columns.upload_id


def _with_profiles(
    mapping: HeaderMapping, own: Mapping[str, str] | None, header: Sequence[str], table: pl.DataFrame
) -> HeaderMapping:
    """The mapping where `URL` feeds the person's profile, if LinkedIn profiles of people are what the column holds."""
    if "website" not in mapping.fields or "person_linkedin_url" in mapping.fields:
        return mapping
    at = mapping.fields.index("website")
    values = table[str(at)].str.strip_chars()
    filled = values.filter(values != "")
    profiles = int(filled.str.contains(r"(?i)linkedin\.com/(?:in|pub)/").sum())
    if header[at] in (own or {}) or not profiles or 2 * profiles < len(filled):
        return mapping
    return replace(mapping, fields=(*mapping.fields[:at], "person_linkedin_url", *mapping.fields[at + 1 :]))


def _titles(dialect: Dialect) -> list[str]:
    return [unguard(title) for title in dialect.header]


def _without_reject_columns(mapping: HeaderMapping, reject_columns: RejectColumns) -> HeaderMapping:
    ours = set(reject_columns.positions.values())
    return replace(mapping, extra=tuple(None if at in ours else key for at, key in enumerate(mapping.extra)))


def first_rows(sample: bytes, dialect: Dialect) -> pl.DataFrame:
    """The sound rows at the file's beginning."""
    chunk = next(read_chunks([sample], dialect, start_of(dialect)), None)
    if chunk is None:
        return pl.DataFrame(schema={str(at): pl.String() for at in range(len(dialect.header))})
    return chunk.table


def _doubts(dialect: Dialect) -> tuple[str, ...]:
    doubts = ("encoding_guessed",) if dialect.confidence.get("encoding") == "guessed" else ()
    if not dialect.has_number_formats:
        doubts = (*doubts, "number_formats_not_read")
    # Who has asked for one sheet wants no other.
    unread = dialect.other_sheets and not dialect.content_encoding.sheet
    return (*doubts, "sheets_not_read") if unread else doubts
