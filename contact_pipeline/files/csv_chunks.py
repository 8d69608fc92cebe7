"""A file's text, cut into chunks of exactly 10,000 rows, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Final, NamedTuple

import numpy as np
import pyarrow

from contact_pipeline.files.chunks import Broken, Chunk, Position, broken_by_width
from contact_pipeline.files.dialect import Dialect
from contact_pipeline.files.footers import FOOTER, footer
from contact_pipeline.files.oddities import find_oddities
from contact_pipeline.files.parser import Columns, Parsed, parse, parse_some, without_blank_values_too_many
from contact_pipeline.files.records import (
    Layout,
    Offsets,
    Records,
    exact_records,
    fast_records,
    is_sound_line,
    line_ends,
    lines_outside_quotes,
    values_of,
)

CHUNK_ROWS: Final = 10_000
"""Rows of a chunk: the unit of validation, of transaction and of progress."""

_FIRST_GUESS: Final = 1 << 20


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
    layout = dialect.layout
    blocks = iter(blocks)
    data = b""
    at_end = False
    wanted = _FIRST_GUESS
    position = start
    below = 0
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
            end, below = footer(data, layout)
            data, at_end = data[:end], True
        cut = _cut(data, layout, needed, at_end=at_end)
        if len(cut.records) < CHUNK_ROWS and not at_end:
            per_record = len(data) / max(len(cut.records), 1)
            wanted = max(len(data) + _FIRST_GUESS, int(per_record * CHUNK_ROWS * 1.02))
            continue
        if not len(cut.records):
            return
        chunk = _make_chunk(data, cut, needed, dialect, position, bytes_read)
        if below and chunk.end_offset - position.offset == len(data):
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
    records: Records
    parsed: Parsed | None


def _cut(data: bytes, layout: Layout, columns: Columns, *, at_end: bool) -> _Cut:
    """Cut off up to 10,000 records, parsed where the fast way holds."""
    records = fast_records(data, layout, at_end=at_end)
    if records is not None:
        records = records.first(CHUNK_ROWS)
        if len(records) < CHUNK_ROWS and not at_end:
            return _Cut(records, None)
        parsed = parse(data, records, layout, columns) if len(records) else None
        if not len(records) or (
            parsed is not None
            and all(is_sound_line(data[records.starts[at] : records.ends[at]], layout) for at in parsed.misfits)
        ):
            return _Cut(records, parsed)
    records = exact_records(data, layout, CHUNK_ROWS, at_end=at_end)
    return _Cut(records, None)


def _make_chunk(
    data: bytes,
    cut: _Cut,
    columns: Columns,
    dialect: Dialect,
    start: Position,
    bytes_read: Callable[[], int] | None,
) -> Chunk:
    layout = dialect.layout
    records, parsed = cut
    end = int(records.ends[-1])
    broken = [Broken(place, _given_up_for(data, records, place, layout)) for place in records.unclosed]
    if data.find(b"\x00", 0, end) >= 0 or not _is_utf8(data, end):
        broken += _undecodable(data, records, dialect, {item.place for item in broken})
        parsed = None
    if parsed is None:
        parsed = parse_some(data, records, layout, _all_but(records, broken), {}, columns)
    trimmed = without_blank_values_too_many(data, records, layout, parsed.misfits)
    if trimmed:
        parsed = parse_some(data, records, layout, _all_but(records, broken), trimmed, columns)
    broken += broken_by_width(parsed)
    return Chunk(
        start=start,
        end_offset=start.offset + end,
        table=parsed.table,
        whole=columns is None,
        places=parsed.places,
        broken=tuple(sorted(broken, key=lambda item: item.place)),
        oddities=find_oddities(data if columns is None else _text_of(parsed), layout),
        skipped=records.skips(),
        bytes_read=bytes_read() if bytes_read is not None else start.offset + end,
        _data=data,
        _records=records,
        _line_ends=_lines(data, records, end, dialect),
        _layout=layout,
        _replaced=trimmed,
    )


def _text_of(parsed: Parsed) -> bytes:
    return "\n".join(value for column in parsed.table for value in column.to_list()).encode()


def _all_but(records: Records, broken: Iterable[Broken]) -> list[int]:
    left_out = {item.place for item in broken}
    return [place for place in range(len(records)) if place not in left_out]


def _lines(data: bytes, records: Records, end: int, dialect: Dialect) -> Offsets:
    """Offsets after each line of the records' bytes; of a sheet a line is a row."""
    if dialect.lines_are_rows:
        return lines_outside_quotes(data[:end], dialect.layout)
    lines = records.lines if records.lines is not None else line_ends(data[:end])
    return lines[: np.searchsorted(lines, end, side="right")]


def _given_up_for(data: bytes, records: Records, place: int, layout: Layout) -> str:
    quoted = layout.quote.encode() in data[records.starts[place] : records.ends[place]]
    return "unclosed_quote" if quoted else "too_long"


def _is_utf8(data: bytes, end: int) -> bool:
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


def _undecodable(data: bytes, records: Records, dialect: Dialect, known: set[int]) -> list[Broken]:
    """The records that hold a NUL byte or bytes that are not UTF-8, with the column."""
    found = []
    for place in range(len(records)):
        record = data[records.starts[place] : records.ends[place]]
        if place in known:
            continue
        if b"\x00" in record:
            found.append(Broken(place, "nul_byte", _column_of(record, "\x00", dialect)))
        elif not _is_utf8(record, len(record)):
            found.append(Broken(place, "invalid_utf8", _column_of(record, "\ufffd", dialect)))
    return found


def _column_of(record: bytes, sought: str, dialect: Dialect) -> str | None:
    """Title of the column whose value holds a character."""
    text = record.decode("utf-8", errors="replace")
    for title, value in zip(dialect.header, values_of(text, dialect.layout), strict=False):
        if sought in value:
            return title
    return None
