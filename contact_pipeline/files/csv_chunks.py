"""A file's text, cut into chunks of exactly 10,000 rows, in bounded memory."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow
import pyarrow.csv

from contact_pipeline.contacts.texts import Oddities
from contact_pipeline.files.dialect import Dialect
from contact_pipeline.files.footers import FOOTER, footer
from contact_pipeline.files.oddities import find_oddities
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


class Position(NamedTuple):
    """Where a chunk begins: what an attempt needs to go on from there.

    Attributes:
        chunk: its number, from 0.
        offset: of its first byte in the file's text.
        row: number of its first row, from 1 after the header.
        line: physical line that this row begins on, from 1.
    """

    chunk: int
    offset: int
    row: int
    line: int


@dataclass(frozen=True)
class Broken:
    """A record that is not a row of the table: its place among the chunk's records, what is wrong, and where."""

    place: int
    code: str
    column: str | None = None


@dataclass(frozen=True)
class Chunk:
    """10,000 consecutive rows of a file (fewer in the last chunk).

    Attributes:
        start: where it begins.
        end_offset: offset after its last byte.
        table: its sound rows: String columns `0`, `1`, … by position, empty cells as "".
        places: for each row of `table`, its place among the chunk's records.
        broken: the other records.
        oddities: rare characters that its bytes hold.
        skipped: what stands between its rows and is none, by reason.
        bytes_read: how much of the file, as it is packed, had been read for it.
    """

    start: Position
    end_offset: int
    table: pl.DataFrame
    places: pl.Series
    broken: tuple[Broken, ...]
    oddities: Oddities
    skipped: Counter[str]
    bytes_read: int
    _data: bytes = field(repr=False)
    _records: Records = field(repr=False)
    _line_ends: Offsets = field(repr=False)
    _read: Callable[[int, int], bytes] | None = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        """Number of its records, sound and broken."""
        return len(self._records)

    def record(self, place: int) -> bytes:
        """The bytes of one record, as they are in the file, without the line end."""
        begin, end = int(self._records.starts[place]), int(self._records.ends[place])
        if self._read is not None:
            return self._read(self.start.offset + begin, self.start.offset + end).rstrip(b"\r\n")
        return self._data[begin:end].rstrip(b"\r\n")

    def line_of(self, place: int) -> int:
        """Physical line that a record begins on."""
        return self.start.line + int(np.searchsorted(self._line_ends, self._records.starts[place], side="right"))

    @property
    def end_line(self) -> int:
        """Physical line after its last record."""
        return self.start.line + len(self._line_ends)

    def without_values(self, read: Callable[[int, int], bytes] | None) -> Chunk:
        """The chunk without its table, and without its text where `read` can read that again, by offsets in the file.

        What is held while a chunk is loaded counts twice: two are.
        """
        return replace(self, table=self.table.clear(), _data=self._data if read is None else b"", _read=read)

    def part(self, wanted: pl.Series) -> Chunk:
        """The same chunk, as if only some rows of its table were sound. `wanted`: a mask of them."""
        return replace(self, table=self.table.filter(wanted), places=self.places.filter(wanted))

    def record_hashes(self, seed: int) -> pl.Series | None:
        """A hash (Int64) of the bytes of each row of the table; None where its records do not follow on each other."""
        starts, ends = self._records.starts, self._records.ends
        if not len(starts) or (starts[1:] != ends[:-1]).any():
            return None
        offsets = np.append(starts, ends[-1:])
        buffers = [None, pyarrow.py_buffer(offsets), pyarrow.py_buffer(self._data)]
        records = pl.from_arrow(pyarrow.Array.from_buffers(pyarrow.large_binary(), len(starts), buffers))
        assert isinstance(records, pl.Series)
        return records.hash(seed).reinterpret(signed=True).gather(self.places)

    def next(self) -> Position:
        """Where the chunk after this one begins."""
        return Position(self.start.chunk + 1, self.end_offset, self.start.row + self.rows, self.end_line)


def start_of(dialect: Dialect) -> Position:
    """Where the first chunk of a file begins."""
    return Position(0, dialect.data_offset, 1, dialect.data_line)


def read_chunks(
    blocks: Iterable[bytes], dialect: Dialect, start: Position, bytes_read: Callable[[], int] | None = None
) -> Generator[Chunk]:
    """Cut a text into chunks.

    Args:
        blocks: the file's text from `start.offset` on, in blocks of any size.
        dialect: how the file is written.
        start: where the first chunk to make begins.
        bytes_read: tells how much of the file has been read; None where its text is the file as it stands.
    """
    layout = dialect.layout
    blocks = iter(blocks)
    data = b""
    at_end = False
    wanted = _FIRST_GUESS
    position = start
    below = 0
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
        cut = _cut(data, layout, at_end=at_end)
        if len(cut.records) < CHUNK_ROWS and not at_end:
            per_record = len(data) / max(len(cut.records), 1)
            wanted = max(len(data) + _FIRST_GUESS, int(per_record * CHUNK_ROWS * 1.02))
            continue
        if not len(cut.records):
            return
        chunk = _make_chunk(data, cut, dialect, position, bytes_read)
        if below and chunk.end_offset - position.offset == len(data):
            chunk.skipped[FOOTER] += below
        taken = chunk.end_offset - position.offset
        wanted = int(taken * 1.02)
        data = data[taken:]
        position = chunk.next()
        del cut
        yield chunk


class _Parsed(NamedTuple):
    table: pl.DataFrame
    places: pl.Series
    misfits: list[int]


class _Cut(NamedTuple):
    records: Records
    parsed: _Parsed | None


def _cut(data: bytes, layout: Layout, *, at_end: bool) -> _Cut:
    """Cut off up to 10,000 records, parsed where the fast way holds."""
    records = fast_records(data, layout, at_end=at_end)
    if records is not None:
        records = records.first(CHUNK_ROWS)
        if len(records) < CHUNK_ROWS and not at_end:
            return _Cut(records, None)
        parsed = _parse(data, records, layout) if len(records) else None
        if not len(records) or (
            parsed is not None
            and all(is_sound_line(data[records.starts[at] : records.ends[at]], layout) for at in parsed.misfits)
        ):
            return _Cut(records, parsed)
    records = exact_records(data, layout, CHUNK_ROWS, at_end=at_end)
    return _Cut(records, None)


def _make_chunk(
    data: bytes, cut: _Cut, dialect: Dialect, start: Position, bytes_read: Callable[[], int] | None
) -> Chunk:
    layout = dialect.layout
    records, parsed = cut
    end = int(records.ends[-1])
    broken = [Broken(place, _given_up_for(data, records, place, layout)) for place in records.unclosed]
    if data.find(b"\x00", 0, end) >= 0 or not _is_utf8(data, end):
        broken += _undecodable(data, records, dialect, {item.place for item in broken})
        parsed = None
    if parsed is None:
        parsed = _parse_without(data, records, layout, {item.place for item in broken}, {})
    trimmed = _with_blank_values_too_many(data, records, layout, parsed.misfits)
    if trimmed:
        parsed = _parse_without(data, records, layout, {item.place for item in broken}, trimmed)
    broken += [Broken(place, "wrong_number_of_columns") for place in parsed.misfits]
    return Chunk(
        start=start,
        end_offset=start.offset + end,
        table=parsed.table,
        places=parsed.places,
        broken=tuple(sorted(broken, key=lambda item: item.place)),
        oddities=find_oddities(data, layout),
        skipped=records.skips(),
        bytes_read=bytes_read() if bytes_read is not None else start.offset + end,
        _data=data,
        _records=records,
        _line_ends=_lines(data, records, end, dialect),
    )


def _lines(data: bytes, records: Records, end: int, dialect: Dialect) -> Offsets:
    """Offsets after each line of the records' bytes; of a sheet a line is a row."""
    if dialect.lines_are_rows:
        return lines_outside_quotes(data[:end], dialect.layout)
    lines = records.lines if records.lines is not None else line_ends(data[:end])
    return lines[: np.searchsorted(lines, end, side="right")]


def _given_up_for(data: bytes, records: Records, place: int, layout: Layout) -> str:
    quoted = layout.quote.encode() in data[records.starts[place] : records.ends[place]]
    return "unclosed_quote" if quoted else "too_long"


def _parse(data: bytes, records: Records, layout: Layout) -> _Parsed | None:
    """Parse consecutive records; None where the parser does not see as many records as were cut."""
    misfits: list[int] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        misfits.append(row.number - 1)
        return "skip"

    names = [str(position) for position in range(layout.width)]
    end = int(records.ends[-1])
    try:
        table = pyarrow.csv.read_csv(
            pyarrow.BufferReader(memoryview(data)[:end]),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=names, block_size=max(end + 1, 1 << 16)
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=layout.delimiter, quote_char=layout.quote, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: pyarrow.utf8() for name in names},
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pyarrow.ArrowInvalid:
        if len(misfits) != len(records):
            return None
        table = pyarrow.table({name: pyarrow.array([], pyarrow.utf8()) for name in names})
    if table.num_rows + len(misfits) != len(records):
        return None
    if not misfits:
        return _Parsed(_frame(table), pl.int_range(len(records), dtype=pl.Int64, eager=True), [])
    kept = sorted(set(range(len(records))) - set(misfits))
    return _Parsed(_frame(table), pl.Series(kept, dtype=pl.Int64), misfits)


def _frame(table: pyarrow.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _parse_without(
    data: bytes, records: Records, layout: Layout, left_out: set[int], replaced: Mapping[int, bytes]
) -> _Parsed:
    """Parse the records but some; a record that the parser sees otherwise is a misfit."""
    kept = [place for place in range(len(records)) if place not in left_out]
    spans = [
        replaced.get(place) or data[records.starts[place] : records.ends[place]].rstrip(b"\r\n") + b"\n"
        for place in kept
    ]
    if not kept:
        return _no_rows(layout.width, [])
    parsed = _parse_spans(spans, layout)
    places = pl.Series(kept, dtype=pl.Int64)
    return _Parsed(parsed.table, places.gather(parsed.places), [kept[place] for place in parsed.misfits])


def _with_blank_values_too_many(
    data: bytes, records: Records, layout: Layout, misfits: Iterable[int]
) -> dict[int, bytes]:
    """Records that are too wide by blank values only, without these: nothing of them is lost or shifted."""
    trimmed = {}
    for place in misfits:
        record = data[records.starts[place] : records.ends[place]]
        values = values_of(record.decode("utf-8", "surrogateescape"), layout)
        if len(values) > layout.width and not any(value.strip() for value in values[layout.width :]):
            out = io.StringIO(newline="")
            csv.writer(out, delimiter=layout.delimiter, quotechar=layout.quote, lineterminator="\n").writerow(
                values[: layout.width]
            )
            trimmed[place] = out.getvalue().encode("utf-8", "surrogateescape")
    return trimmed


def _no_rows(width: int, misfits: list[int]) -> _Parsed:
    empty = pl.DataFrame(schema={str(position): pl.String() for position in range(width)})
    return _Parsed(empty, pl.Series([], dtype=pl.Int64), misfits)


def _parse_spans(spans: list[bytes], layout: Layout) -> _Parsed:
    cut = np.cumsum([len(span) for span in spans], dtype=np.int64)
    records = Records(np.concatenate([np.zeros(1, np.int64), cut[:-1]]), cut)
    parsed = _parse(b"".join(spans), records, layout)
    if parsed is not None:
        return parsed
    if len(spans) == 1:
        return _no_rows(layout.width, [0])
    middle = len(spans) // 2
    left, right = _parse_spans(spans[:middle], layout), _parse_spans(spans[middle:], layout)
    return _Parsed(
        pl.concat([left.table, right.table]),
        pl.concat([left.places, right.places + middle]),
        left.misfits + [place + middle for place in right.misfits],
    )


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
