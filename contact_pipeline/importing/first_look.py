"""What an import would read and store, from the file's first rows: what a person looks at before the import.

The same code reads, cleans and validates as in an import; only the beginning of the file is read, and nothing is
written. What holds for the whole file, the dry run counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import polars as pl

from contact_pipeline.contacts.column_formats import ColumnFormats
from contact_pipeline.contacts.fields import FULL_NAME
from contact_pipeline.database import saved_mappings
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.errors import FileRefused
from contact_pipeline.files.chunks import Chunk
from contact_pipeline.files.csv.reader import read_chunks, start_of
from contact_pipeline.files.detection import detect
from contact_pipeline.files.dialect import SAMPLE_BYTES, Dialect
from contact_pipeline.files.header_mapping import EXTRA, HeaderMapping, map_known_titles
from contact_pipeline.files.likeness import looks_like
from contact_pipeline.files.titles import signature
from contact_pipeline.importing.dry_run_report import decisions
from contact_pipeline.importing.first_rows import SeenRow, seen_rows, shown
from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.importing.planning import ReadingPlan, StoredBlob, decide_by_rows, overrides_of

_NOBODY: Final = "no_identity_column"
_NO_HEADER: Final = "no_header"
_SAMPLES: Final = 3


class MappedBy(StrEnum):
    """Why a column goes where it goes."""

    TITLE = "title"
    PERSON = "person"
    PROPOSAL = "proposal"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class SeenColumn:
    """A column of the file.

    Attributes:
        column: its title.
        field: the field that it feeds, `full_name`, or None; `extra`: its key in `extra` where it feeds none.
        mapped_by: why.
        suggestion: the field that it may be meant for, where it feeds none.
        samples: its first different values.
        filled: the share of the rows looked at that have a value.
    """

    column: str
    field: str | None
    extra: str | None
    mapped_by: MappedBy
    suggestion: str | None
    samples: list[str]
    filled: float


@dataclass(frozen=True, kw_only=True)
class FirstLook:
    """What the first rows say.

    Attributes:
        reading: how the file is read, and `confidence`, how sure that is.
        source: the system whose contact ids the file carries.
        columns: its columns, in order.
        further: fields that get values although no column feeds them, such as a second e-mail address of a cell.
        rows: the first rows.
        looked_at: how many rows the columns were judged by.
        proposed: options that are used here beside those given, where the titles alone do not say who a row is.
        problem: code and sentence, where the file cannot be imported like this.
    """

    reading: dict[str, Any]
    source: str
    columns: list[SeenColumn]
    further: list[str]
    rows: list[SeenRow]
    looked_at: int
    proposed: dict[str, Any]
    problem: tuple[str, str] | None


def look(connection: Connection, blob: StoredBlob, record: ImportRecord, options: ImportOptions) -> FirstLook:
    """Look at the first rows of a file as an import by some options would.

    A file whose titles nobody knows is looked at all the same: its first line is taken for the header, and what titles
    and values look like is proposed as its mapping.

    Raises:
        FileRefused: it is no table, or cannot be unpacked or decoded.
        StoreFailed, ObjectChanged: as named.
    """
    dialect, sample, header_row = _detect(connection, blob, record, options)
    chunk = next(read_chunks([sample], dialect, start_of(dialect)), None)
    if chunk is None:
        raise FileRefused("no_rows", "the file has a header row and no row below it")
    if chunk.rows > 1 and (blob.size > SAMPLE_BYTES or len(sample) > SAMPLE_BYTES // 2):
        # The last record of the sample may go on behind it.
        chunk = chunk.first(chunk.rows - 1)
    if header_row is not None:
        return _without_header(dialect, chunk, header_row)
    table, proposed, problem = chunk.table, {}, None
    try:
        plan, _ = decide_by_rows(connection, blob, record, options, dialect, table, whole=False)
    except FileRefused as refused:
        plan, problem = _with_fields(dialect, options.mapping or {}), (refused.code, str(refused))
        proposed = _proposal(plan.dialect.header, plan.mapping, table) if refused.code == _NOBODY else {}
        if proposed:
            tried = options.model_copy(update={"mapping": proposed | (options.mapping or {})})
            proposed = {}
            with suppress(FileRefused):
                plan, _ = decide_by_rows(connection, blob, record, tried, dialect, table, whole=False)
                problem, proposed = None, tried.mapping or {}
    by_person = options.mapping
    if by_person is None:
        by_person = saved_mappings.remembered_mapping(connection, record.owner, signature(dialect.header)) or {}
    guesses = looks_like(dialect.header, plan.mapping, table)
    further, rows = seen_rows(plan, chunk, options) if problem is None else ([], [])
    return FirstLook(
        reading=decisions(plan)["reading"] | {"confidence": dict(dialect.confidence)},
        source=plan.mapping.source,
        columns=[_column(plan, table, at, by_person, proposed, guesses[at]) for at in range(len(dialect.header))],
        further=further,
        rows=rows,
        looked_at=table.height,
        proposed={"mapping": proposed} if proposed else {},
        problem=problem,
    )


def _detect(
    connection: Connection, blob: StoredBlob, record: ImportRecord, options: ImportOptions
) -> tuple[Dialect, bytes, int | None]:
    """How the file is written, its first bytes, and the line of the header where nothing says that it is one."""
    overrides = overrides_of(connection, record, options)
    try:
        return *detect(blob, overrides), None
    except FileRefused as refused:
        if refused.code != _NO_HEADER or overrides.header_line is not None:
            raise
        return *detect(blob, replace(overrides, header_line=1)), 1


def _with_fields(dialect: Dialect, chosen: Mapping[str, str]) -> ReadingPlan:
    """A plan by which every column is kept under its title, but for those that a person has chosen a field for."""
    fields = tuple(field if (field := chosen.get(title)) != EXTRA else None for title in dialect.header)
    extra = tuple(title if field is None else None for title, field in zip(dialect.header, fields, strict=True))
    return ReadingPlan(dialect, HeaderMapping(fields, extra, ""), ColumnFormats())


def _without_header(dialect: Dialect, chunk: Chunk, header_row: int) -> FirstLook:
    """What is shown where no title is known: a person says which line holds titles, for the first may be a contact."""
    plan = _with_fields(dialect, {})
    return FirstLook(
        reading=decisions(plan)["reading"] | {"confidence": dict(dialect.confidence)},
        source="",
        columns=[_column(plan, chunk.table, at, {}, {}, None) for at in range(len(dialect.header))],
        further=[],
        rows=[],
        looked_at=chunk.table.height,
        proposed={"header_row": header_row},
        problem=(_NO_HEADER, "no title is known: say which line holds the titles"),
    )


def _proposal(header: tuple[str, ...], mapping: HeaderMapping, table: pl.DataFrame) -> dict[str, str]:
    """What titles and values look like, each field once."""
    by_title = map_known_titles(header)
    guesses = looks_like(header, replace(mapping, fields=by_title), table)
    proposed: dict[str, str] = {}
    for title, field, guess in zip(header, by_title, guesses, strict=True):
        name = field or guess
        names = {*proposed.values(), *(one for one in by_title if one)}
        clash = name == FULL_NAME and names & {"first_name", "last_name"}
        if title and name is not None and name not in proposed.values() and not clash:
            proposed[title] = name
    return proposed


def _column(
    plan: ReadingPlan,
    table: pl.DataFrame,
    at: int,
    by_person: dict[str, str],
    proposed: dict[str, str],
    suggestion: str | None,
) -> SeenColumn:
    title, field = plan.dialect.header[at], plan.mapping.fields[at]
    values = table[str(at)].str.strip_chars()
    values = values.filter(values != "")
    if title in by_person:
        mapped_by = MappedBy.PERSON
    elif title in proposed:
        mapped_by = MappedBy.PROPOSAL
    else:
        mapped_by = MappedBy.TITLE if field else MappedBy.NOTHING
    return SeenColumn(
        column=title,
        field=field,
        extra=plan.mapping.extra[at],
        mapped_by=mapped_by,
        suggestion=suggestion,
        samples=[shown(value) for value in values.unique(maintain_order=True).head(_SAMPLES).to_list()],
        filled=len(values) / table.height if table.height else 0.0,
    )
