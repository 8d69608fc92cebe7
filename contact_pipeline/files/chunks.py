"""A chunk of a file: some consecutive rows, as a table, with the place of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow

from contact_pipeline.contacts.texts import CharacterFlags
from contact_pipeline.files.csv.characters import find_character_flags
from contact_pipeline.files.csv.parser import Parsed, parse_some
from contact_pipeline.files.csv.records import CsvFormat, Offsets, Records


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
class MalformedRecord:
    """A record that is not a row of the table: its place among the chunk's records, what is wrong, and where."""

    row_index: int
    code: str
    column: str | None = None


@dataclass(frozen=True)
class Reject:
    """A row that does not load: where it is, what is wrong with it, and its bytes as they are in the file."""

    row: int
    line: int
    codes: tuple[str, ...]
    columns: tuple[str, ...]
    record: bytes


def malformed_by_width(parsed: Parsed) -> list[MalformedRecord]:
    """The records that the parser does not see as one row of the file's width."""
    return [MalformedRecord(row_index, "wrong_number_of_columns") for row_index in parsed.malformed]


@dataclass(frozen=True)
class Chunk:
    """10,000 consecutive rows of a file (fewer in the last chunk).

    Attributes:
        start: where it begins.
        end_offset: offset after its last byte.
        table: its sound rows: String columns `0`, `1`, … by position, empty cells as "".
        whole: whether that is all of the columns.
        row_indexes: for each row of `table`, its place among the chunk's records.
        malformed: the other records.
        character_flags: rare characters that its bytes hold, those of the table's columns where it is not whole.
        skipped: what stands between its rows and is none, by reason.
        bytes_read: how much of the file, as it is packed, had been read for it.
    """

    start: Position
    end_offset: int
    table: pl.DataFrame
    whole: bool
    row_indexes: pl.Series
    malformed: tuple[MalformedRecord, ...]
    character_flags: CharacterFlags
    skipped: Counter[str]
    bytes_read: int
    _data: bytes = field(repr=False)
    _records: Records = field(repr=False)
    _line_ends: Offsets = field(repr=False)
    _layout: CsvFormat = field(repr=False)
    _replaced: Mapping[int, bytes] = field(repr=False)
    _read: Callable[[int, int], bytes] | None = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        """Number of its records, sound and broken."""
        return len(self._records)

    def record(self, row_index: int) -> bytes:
        """The bytes of one record, as they are in the file, without the line end."""
        begin, end = int(self._records.starts[row_index]), int(self._records.ends[row_index])
        if self._read is not None:
            return self._read(self.start.offset + begin, self.start.offset + end).rstrip(b"\r\n")
        return self._data[begin:end].rstrip(b"\r\n")

    def line_of(self, row_index: int) -> int:
        """Physical line that a record begins on."""
        return self.start.line + int(np.searchsorted(self._line_ends, self._records.starts[row_index], side="right"))

    @property
    def end_line(self) -> int:
        """Physical line after its last record."""
        return self.start.line + len(self._line_ends)

    def without_values(self, read: Callable[[int, int], bytes] | None) -> Chunk:
        """The chunk without its table, and without its text where `read` can read that again, by offsets in the file.

        What is held while a chunk is loaded counts twice: two are.
        """
        return replace(self, table=self.table.clear(), _data=self._data if read is None else b"", _read=read)

    def first(self, rows: int) -> Chunk:
        """The same chunk as if it had its first records only."""
        kept = replace(self._records, starts=self._records.starts[:rows], ends=self._records.ends[:rows])
        wanted = self.row_indexes < len(kept)
        return replace(
            self,
            table=self.table.filter(wanted),
            row_indexes=self.row_indexes.filter(wanted),
            malformed=tuple(one for one in self.malformed if one.row_index < len(kept)),
            _records=kept,
        )

    def part(self, wanted: pl.Series | None) -> Chunk:
        """The same chunk with all columns, as if only some rows of its table were sound.

        A record that is no row of the file's width, read on its own, is broken.

        Args:
            wanted: a mask of the rows; None for all.
        """
        row_indexes = self.row_indexes if wanted is None else self.row_indexes.filter(wanted)
        if self.whole:
            return self if wanted is None else replace(self, table=self.table.filter(wanted), row_indexes=row_indexes)
        parsed = parse_some(self._data, self._records, self._layout, row_indexes.to_list(), self._replaced)
        character_flags = find_character_flags(
            b"\n".join(self.record(row_index) for row_index in row_indexes), self._layout
        )
        malformed = (*self.malformed, *malformed_by_width(parsed))
        return replace(
            self,
            table=parsed.table,
            whole=True,
            row_indexes=parsed.row_indexes,
            malformed=malformed,
            character_flags=character_flags,
        )

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
        last = self.malformed[-1] if self.malformed else None
        before = last.code if last is not None and last.row_index == self.rows - 1 else ""
        return Position(self.start.chunk + 1, self.end_offset, self.start.row + self.rows, self.end_line, before)
