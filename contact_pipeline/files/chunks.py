"""A chunk of a file: some consecutive rows, as a table, and where each of them stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow

from contact_pipeline.contacts.texts import Oddities
from contact_pipeline.files.oddities import find_oddities
from contact_pipeline.files.parser import Parsed, parse_some
from contact_pipeline.files.records import Layout, Offsets, Records


class Position(NamedTuple):
    """Where a chunk begins: what an attempt needs to go on from there.

    Attributes:
        chunk: its number, from 0.
        offset: of its first byte in the file's text.
        row: number of its first row, from 1 after the header.
        line: physical line that this row begins on, from 1.
        before: code of the row before it, where that is damaged in a way that may go on: part of a second table, or a
            piece of a row.
    """

    chunk: int
    offset: int
    row: int
    line: int
    before: str = ""


@dataclass(frozen=True)
class Broken:
    """A record that is not a row of the table: its place among the chunk's records, what is wrong, and where."""

    place: int
    code: str
    column: str | None = None


def broken_by_width(parsed: Parsed) -> list[Broken]:
    """The records that the parser does not see as one row of the file's width."""
    return [Broken(place, "wrong_number_of_columns") for place in parsed.misfits]


@dataclass(frozen=True)
class Chunk:
    """10,000 consecutive rows of a file (fewer in the last chunk).

    Attributes:
        start: where it begins.
        end_offset: offset after its last byte.
        table: its sound rows: String columns `0`, `1`, … by position, empty cells as "".
        whole: whether that is all of the columns.
        places: for each row of `table`, its place among the chunk's records.
        broken: the other records.
        oddities: rare characters that its bytes hold, those of the table's columns where it is not whole.
        skipped: what stands between its rows and is none, by reason.
        bytes_read: how much of the file, as it is packed, had been read for it.
    """

    start: Position
    end_offset: int
    table: pl.DataFrame
    whole: bool
    places: pl.Series
    broken: tuple[Broken, ...]
    oddities: Oddities
    skipped: Counter[str]
    bytes_read: int
    _data: bytes = field(repr=False)
    _records: Records = field(repr=False)
    _line_ends: Offsets = field(repr=False)
    _layout: Layout = field(repr=False)
    _replaced: Mapping[int, bytes] = field(repr=False)
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

    def part(self, wanted: pl.Series | None) -> Chunk:
        """The same chunk with all columns, as if only some rows of its table were sound.

        A record that is no row of the file's width, read on its own, is broken.

        Args:
            wanted: a mask of the rows; None for all.
        """
        places = self.places if wanted is None else self.places.filter(wanted)
        if self.whole:
            return self if wanted is None else replace(self, table=self.table.filter(wanted), places=places)
        parsed = parse_some(self._data, self._records, self._layout, places.to_list(), self._replaced)
        oddities = find_oddities(b"\n".join(self.record(place) for place in places), self._layout)
        broken = (*self.broken, *broken_by_width(parsed))
        return replace(self, table=parsed.table, whole=True, places=parsed.places, broken=broken, oddities=oddities)

    def record_hashes(self, seed: int) -> pl.Series | None:
        """A hash (Int64) of the bytes of each record; None where they do not follow on each other."""
        starts, ends = self._records.starts, self._records.ends
        if not len(starts) or (starts[1:] != ends[:-1]).any():
            return None
        offsets = np.append(starts, ends[-1:])
        buffers = [None, pyarrow.py_buffer(offsets), pyarrow.py_buffer(self._data)]
        records = pl.from_arrow(pyarrow.Array.from_buffers(pyarrow.large_binary(), len(starts), buffers))
        assert isinstance(records, pl.Series)
        return records.hash(seed).reinterpret(signed=True)

    def next(self) -> Position:
        """Where the chunk after this one begins."""
        last = self.broken[-1] if self.broken else None
        before = last.code if last is not None and last.place == self.rows - 1 else ""
        return Position(self.start.chunk + 1, self.end_offset, self.start.row + self.rows, self.end_line, before)
