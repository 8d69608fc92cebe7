"""Records that are not rows of the table: torn by a line end, of another encoding, with NUL bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow

from contact_pipeline.files.chunks import MalformedRecord
from contact_pipeline.files.csv.grammar import values_of
from contact_pipeline.files.csv.parser import Parsed
from contact_pipeline.files.csv.records import (
    MAX_RECORD_BYTES,
    CsvFormat,
    Records,
)
from contact_pipeline.files.dialect import Dialect

ROW_PIECE: Final = "row_piece"

TORN_ROW: Final = "torn_row"

_FEW_PIECES: Final = 3


def torn_at_the_edges(
    data: bytes, records: Records, csv_format: CsvFormat, before: str, chunk_rows: int
) -> frozenset[int]:
    """Rows at a chunk's beginning and end that a line end may have torn.

    Args:
        before: code of the row before the chunk.
        chunk_rows: rows of a chunk; one record more, if there is one, is the first of the next chunk.
    """
    torn = set()
    if before == ROW_PIECE and len(records) and records.starts[0] == 0:
        torn.add(0)
    if len(records) > chunk_rows and records.starts[-1] == records.ends[-2]:
        following = data[records.starts[-1] : records.ends[-1]]
        if csv_format.width > 1 and _is_piece(following, csv_format):
            torn.add(chunk_rows - 1)
    return frozenset(torn)


def _is_piece(record: bytes, csv_format: CsvFormat) -> bool:
    """Whether a record has one value: what a line end within a value leaves behind."""
    return len(record) < MAX_RECORD_BYTES and len(values_of(record.decode("utf-8", "replace"), csv_format)) == 1


def torn_records(
    data: bytes, records: Records, csv_format: CsvFormat, malformed: Sequence[int], at_edges: frozenset[int]
) -> dict[int, str]:
    """Pieces of rows, and the rows beside them: which of the two a piece belongs to cannot be told.

    Where there are many, they are lines that say something else, such as titles of sections.
    """
    pieces = [
        row_index
        for row_index in malformed
        if _is_piece(data[records.starts[row_index] : records.ends[row_index]], csv_format)
    ]
    if csv_format.width < 2 or len(pieces) > max(_FEW_PIECES, len(records) // 100):
        return {}
    torn = dict.fromkeys(at_edges, TORN_ROW)
    for row_index in pieces:
        if row_index > 0 and records.starts[row_index] == records.ends[row_index - 1]:
            torn[row_index - 1] = TORN_ROW
        if row_index + 1 < len(records) and records.starts[row_index + 1] == records.ends[row_index]:
            torn[row_index + 1] = TORN_ROW
    return torn | dict.fromkeys(pieces, ROW_PIECE)


def text_of(parsed: Parsed) -> bytes:
    """All values of parsed records, as UTF-8."""
    return "\n".join(value for column in parsed.table for value in column.to_list()).encode()


def is_utf8(data: bytes, end: int) -> bool:
    """Whether all up to `end` is UTF-8: asked of Arrow, which is faster than a decoder and lets other threads run."""
    if data.isascii():
        return True
    ends = np.array([0, end], np.int64)
    buffers = [None, pyarrow.py_buffer(ends), pyarrow.py_buffer(data)]
    try:
        pyarrow.Array.from_buffers(pyarrow.large_utf8(), 1, buffers).validate(full=True)
    except pyarrow.ArrowInvalid:
        return False
    return True


def undecodable(data: bytes, records: Records, dialect: Dialect, known: set[int]) -> list[MalformedRecord]:
    """The records that hold a NUL byte or bytes that are not UTF-8, with the column."""
    found = []
    for row_index in range(len(records)):
        record = data[records.starts[row_index] : records.ends[row_index]]
        if row_index in known:
            continue
        if b"\x00" in record:
            found.append(MalformedRecord(row_index, "nul_byte", _column_of(record, "\x00", dialect)))
        elif not is_utf8(record, len(record)):
            found.append(MalformedRecord(row_index, "invalid_utf8", _column_of(record, "\ufffd", dialect)))
    return found


def _column_of(record: bytes, sought: str, dialect: Dialect) -> str | None:
    """Title of the column whose value holds a character."""
    text = record.decode("utf-8", errors="replace")
    for title, value in zip(dialect.header, values_of(text, dialect.csv_format), strict=False):
        if sought in value:
            return title
    return None
