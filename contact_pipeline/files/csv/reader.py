"""A file's text, cut into chunks of exactly 10,000 rows, in bounded memory."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Generator, Iterable
from typing import Final, NamedTuple

import numpy as np

from contact_pipeline.files.chunks import Chunk, MalformedRecord, Position, malformed_by_width
from contact_pipeline.files.csv.characters import find_character_flags
from contact_pipeline.files.csv.grammar import exact_records, is_sound_line, swallows
from contact_pipeline.files.csv.header_rows import OTHER_TABLE, header_rows
from contact_pipeline.files.csv.malformed import (
    ROW_PIECE,
    is_utf8,
    text_of,
    torn_at_the_edges,
    torn_records,
    undecodable,
)
from contact_pipeline.files.csv.parser import Columns, Parsed, of_usual_width, parse, parse_some
from contact_pipeline.files.csv.records import (
    REPEATED_HEADER,
    CsvFormat,
    Offsets,
    Records,
    fast_records,
    line_ends,
    lines_outside_quotes,
)
from contact_pipeline.files.dialect import Dialect
from contact_pipeline.files.footer import FOOTER, MAX_FOOTER_BYTES, footer

CHUNK_ROWS: Final = 10_000
"""Rows of a chunk: the unit of validation, of transaction and of progress."""

_FIRST_GUESS: Final = 1 << 20

_LARGEST_STEP: Final = 1 << 23

_RECORDS_THAT_TELL: Final = 100


def start_of(dialect: Dialect) -> Position:
    """Where the first chunk of a file begins."""
    return Position(0, dialect.data_offset, 1, dialect.data_line)


def read_chunks(
    blocks: Iterable[bytes],
    dialect: Dialect,
    start: Position,
    bytes_read: Callable[[], int] | None = None,
    columns: Callable[[], Columns] = lambda: None,
) -> Generator[Chunk]:
    """Cut a text into chunks.

    Args:
        blocks: the file's text from `start.offset` on, in blocks of any size.
        dialect: how the file is written.
        start: where the first chunk to make begins.
        bytes_read: tells how much of the file has been read; None where its text is the file as it stands.
        columns: asked before each chunk which columns its table is to have.
    """
    csv_format = dialect.csv_format
    blocks = iter(blocks)
    data = b""
    at_end = False
    wanted = _FIRST_GUESS
    position = start
    below = seen = 0
    needed = columns()
    while True:
        pieces, size, ended = [data], len(data), at_end
        while size < wanted and not ended:
            block = next(blocks, None)
            ended = block is None
            pieces.append(block or b"")
            size += len(pieces[-1])
        data = b"".join(pieces)
        del pieces
        if ended and not at_end:
            end, below = footer(data, csv_format)
            data, at_end = data[:end], True
        # Where a quote was followed far ahead, more is held than a chunk needs.
        part = 2 * wanted if len(data) > 4 * wanted else len(data)
        cut = _cut(data[:part], csv_format, needed, position.before, at_end=at_end and part == len(data))
        if not cut.enough and part < len(data):
            cut = _cut(data, csv_format, needed, position.before, at_end=at_end)
        if not cut.enough and not at_end:
            # Few records, or no more than before, say little about the others: the text that is held grows by steps.
            per_record = len(data) / max(len(cut.records), 1)
            says_little = len(cut.records) < _RECORDS_THAT_TELL or len(cut.records) <= seen
            step = _LARGEST_STEP if says_little else len(data) << 4
            seen = len(cut.records)
            wanted = len(data) + max(_FIRST_GUESS, min(int(per_record * CHUNK_ROWS * 1.02) - len(data), step))
            continue
        seen = 0
        if not len(cut.records):
            return
        chunk = _make_chunk(data, cut, needed, dialect, position, bytes_read)
        if below and not data[chunk.end_offset - position.offset :].strip(b"\r\n"):
            chunk.skipped[FOOTER] += below
        taken = chunk.end_offset - position.offset
        wanted = int(taken * 1.02)
        data = data[taken:]
        position = chunk.next()
        yield chunk
        # Not held while the next one is read.
        del chunk, cut
        needed = columns()


class _Cut(NamedTuple):
    """Up to 10,000 records.

    Attributes:
        enough: whether these are 10,000, and what follows on them is known too.
        parsed: their table, where the fast way holds.
        other_table: the places of those that belong to a second table.
        torn: places of those that may be torn: what stands before the first, or behind the last, is a piece of a row.
        headers_left_out: whether a header stands between them.
    """

    records: Records
    enough: bool
    parsed: Parsed | None
    other_table: frozenset[int]
    torn: frozenset[int]
    headers_left_out: bool


def _cut(data: bytes, csv_format: CsvFormat, columns: Columns, before: str, *, at_end: bool) -> _Cut:
    """Cut off up to 10,000 records, parsed where the fast way holds."""
    records = fast_records(data, csv_format, at_end=at_end)
    if records is not None:
        cut = _ten_thousand(data, records.first, csv_format, before, at_end=at_end)
        if not len(cut.records) or not (cut.enough or at_end):
            return cut
        parsed = None
        if not cut.headers_left_out and not _swallow_rows(data, cut.records, csv_format):
            parsed = parse(data, cut.records, csv_format, columns)
        if parsed is not None and all(
            is_sound_line(data[cut.records.starts[at] : cut.records.ends[at]], csv_format) for at in parsed.malformed
        ):
            return cut._replace(parsed=parsed)

    def first(count: int) -> Records:
        return exact_records(data, csv_format, count, at_end=at_end)

    return _ten_thousand(data, first, csv_format, before, at_end=at_end)


def _swallow_rows(data: bytes, records: Records, csv_format: CsvFormat) -> bool:
    """Whether any record of several lines has rows inside."""
    assert records.lines is not None
    if np.searchsorted(records.lines, records.ends[-1], side="right") <= len(records):
        return False
    first = np.searchsorted(records.lines, records.starts, side="right")
    last = np.searchsorted(records.lines, records.ends, side="left")
    return any(
        swallows(data[records.starts[at] : records.ends[at]], csv_format)
        for at in np.flatnonzero(last > first).tolist()
    )


def _ten_thousand(
    data: bytes, first: Callable[[int], Records], csv_format: CsvFormat, before: str, *, at_end: bool
) -> _Cut:
    # One more than a chunk has: the row behind it may be a piece of its last one.
    wanted = CHUNK_ROWS + 1
    while True:
        found = first(wanted)
        records, other_table = _without_headers(data, found, csv_format, before)
        left_out = len(found) - len(records)
        if len(records) > CHUNK_ROWS or len(found) < wanted:
            break
        wanted += left_out
    if not at_end and len(records) > CHUNK_ROWS and len(data) - records.starts[CHUNK_ROWS] < MAX_FOOTER_BYTES:
        # What follows may be a footer: it is known as one at the text's end.
        return _Cut(records.first(CHUNK_ROWS), False, None, other_table, frozenset(), left_out > 0)
    torn = torn_at_the_edges(data, records, csv_format, before, CHUNK_ROWS)
    return _Cut(records.first(CHUNK_ROWS), len(records) > CHUNK_ROWS, None, other_table, torn, left_out > 0)


def _without_headers(
    data: bytes, records: Records, csv_format: CsvFormat, before: str
) -> tuple[Records, frozenset[int]]:
    """Leave repeated headers out; returns the places of rows of a second table as well, its header among them."""
    headers = header_rows(data, records, csv_format)
    if not headers and before != OTHER_TABLE:
        return records, frozenset()
    again = sorted(row_index for row_index, why in headers.items() if why == REPEATED_HEADER)
    in_other = before == OTHER_TABLE
    other = []
    for row_index in range(len(records)):
        why = headers.get(row_index)
        in_other = why == OTHER_TABLE or (in_other and why is None)
        if in_other:
            other.append(row_index - bisect(again, row_index))
    return (records.without(again, REPEATED_HEADER) if again else records), frozenset(other)


def _make_chunk(
    data: bytes,
    cut: _Cut,
    columns: Columns,
    dialect: Dialect,
    start: Position,
    bytes_read: Callable[[], int] | None,
) -> Chunk:
    csv_format = dialect.csv_format
    records, parsed = cut.records, cut.parsed
    end = int(records.ends[-1])
    malformed = {row_index: MalformedRecord(row_index, code) for row_index, code in records.malformed}
    if data.find(b"\x00", 0, end) >= 0 or not is_utf8(data, end):
        malformed |= {item.row_index: item for item in undecodable(data, records, dialect, {*malformed})}
        parsed = None
    malformed |= {
        row_index: MalformedRecord(row_index, OTHER_TABLE) for row_index in cut.other_table if row_index < len(records)
    }
    if parsed is None or cut.other_table:
        parsed = parse_some(data, records, csv_format, _all_but(records, malformed), {}, columns)
    fitted = of_usual_width(data, records, csv_format, parsed.malformed)
    if fitted:
        parsed = parse_some(data, records, csv_format, _all_but(records, malformed), fitted, columns)
    malformed |= {item.row_index: item for item in malformed_by_width(parsed)}
    torn = torn_records(data, records, csv_format, parsed.malformed, cut.torn)
    if torn:
        malformed |= {
            row_index: MalformedRecord(row_index, code)
            for row_index, code in torn.items()
            if row_index not in malformed or code == ROW_PIECE
        }
        parsed = parsed.without([*torn])
    return Chunk(
        start=start,
        end_offset=start.offset + end,
        table=parsed.table,
        whole=columns is None,
        row_indexes=parsed.row_indexes,
        malformed=tuple(malformed[row_index] for row_index in sorted(malformed)),
        character_flags=find_character_flags(data if columns is None else text_of(parsed), csv_format),
        skipped=records.skips(),
        bytes_read=bytes_read() if bytes_read is not None else start.offset + end,
        _data=data,
        _records=records,
        _line_ends=_lines(data, records, end, dialect),
        _layout=csv_format,
        _replaced=fitted,
    )


def _all_but(records: Records, left_out: Collection[int]) -> list[int]:
    return [row_index for row_index in range(len(records)) if row_index not in left_out]


def _lines(data: bytes, records: Records, end: int, dialect: Dialect) -> Offsets:
    """Offsets after each line of the records' bytes; of a sheet a line is a row."""
    if dialect.lines_are_rows:
        return lines_outside_quotes(data[:end], dialect.csv_format)
    lines = records.lines if records.lines is not None else line_ends(data[:end])
    return lines[: np.searchsorted(lines, end, side="right")]
