"""Where the records of a CSV file begin and end, found at memory speed.

Outside quotes the number of quotes so far is even, so every line end at an even
count ends a record. That is right for every well-formed file, and each quote is
looked at: it stands at a value's edge, or is doubled within one. Where one does
not, `grammar.exact_records` walks the grammar record by record, and gives up
only the record that is damaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

MAX_RECORD_BYTES: Final = 1 << 20
"""Bytes; a longer record is one reject."""

_LF: Final = 0x0A
_CR: Final = 0x0D
_SLICE: Final = 1 << 19

EMPTY_ROW: Final = "empty_row"
REPEATED_HEADER: Final = "repeated_header"


@dataclass(frozen=True)
class CsvFormat:
    """What tells records and values of a text apart.

    Attributes:
        delimiter: one ASCII character between values.
        quote: one ASCII character around a value; doubled inside it.
        width: number of columns of the file; 0 while it is not known.
        lax: whether the file is written with quotes inside bare values, or text behind closing quotes.
        widths: other numbers of values that rows have as a rule, all blank beyond the shorter of the two.
        titles: the column titles as written; they may come again further down.
    """

    delimiter: str = ","
    quote: str = '"'
    width: int = 0
    lax: bool = False
    widths: tuple[int, ...] = ()
    titles: tuple[str, ...] = ()

    def skips(self, record: bytes) -> str | None:
        """Why a record is not a data row: `empty_row`, "" for a blank line; None for a row."""
        bare = record.strip(b"\r\n")
        # MS-DOS ended text files with a Ctrl-Z.
        if not bare or bare == b"\x1a":
            return ""
        return EMPTY_ROW if not bare.strip(f"{self.delimiter}{self.quote} \t".encode()) else None


@dataclass(frozen=True)
class Records:
    """Records found in a stretch of bytes.

    Attributes:
        starts: offset of each record's first byte.
        ends: offset after each record's line end.
        malformed: records that the grammar does not accept: (position in `starts`, code).
        skipped: what stands between them and is no row: (offset, why).
        lines: offsets after each line end of these bytes, where they were looked for.
    """

    starts: Offsets
    ends: Offsets
    malformed: tuple[tuple[int, str], ...] = ()
    skipped: tuple[tuple[int, str], ...] = ()
    lines: Offsets | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def first(self, count: int) -> Records:
        """The first `count` of them."""
        if len(self) <= count:
            return self
        end = int(self.ends[count - 1])
        return Records(
            self.starts[:count],
            self.ends[:count],
            tuple(item for item in self.malformed if item[0] < count),
            tuple(item for item in self.skipped if item[0] < end),
            self.lines,
        )

    def without(self, row_indexes: list[int], why: str) -> Records:
        """The records that are left, without some that are not data rows."""
        left_out = np.array(row_indexes, np.int64)
        malformed = [(row_index, code) for row_index, code in self.malformed if row_index not in set(row_indexes)]
        return Records(
            np.delete(self.starts, left_out),
            np.delete(self.ends, left_out),
            tuple((row_index - int(np.searchsorted(left_out, row_index)), code) for row_index, code in malformed),
            tuple(sorted([*self.skipped, *((int(self.starts[row_index]), why) for row_index in row_indexes)])),
            self.lines,
        )

    def skips(self) -> Counter[str]:
        """How many records are not data rows, by reason."""
        return Counter(why for _, why in self.skipped)


def slices(data: bytes) -> Iterator[memoryview]:
    """The bytes in pieces small enough that what is computed of one stays in the cache, and in bounds."""
    view = memoryview(data)
    for begin in range(0, len(data), _SLICE):
        yield view[begin : begin + _SLICE]


def positions(data: bytes, wanted: Callable[[Bytes], npt.NDArray[np.bool_]]) -> Offsets:
    """Offsets of every byte that is wanted."""
    found = [
        np.flatnonzero(wanted(np.frombuffer(piece, np.uint8))) + at * _SLICE for at, piece in enumerate(slices(data))
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def line_ends(data: bytes) -> Offsets:
    """Offsets after each LF, CRLF or lone CR."""
    ends = positions(data, lambda piece: piece == _LF) + 1
    if b"\r" in data:
        carriage = positions(data, lambda piece: piece == _CR)
        following = np.append(np.frombuffer(data, np.uint8), 0)[carriage + 1]
        ends = np.sort(np.concatenate([ends, carriage[following != _LF] + 1]))
    return ends.astype(np.int64)


def _outside_quotes(data: bytes, ends: Offsets, csv_format: CsvFormat) -> tuple[Offsets, bool, bool]:
    """Those of the offsets that an even number of quotes comes before.

    Returns:
        The offsets, whether the last quote is closed, and whether every quote stands at an edge of a value.
    """
    kept = []
    before = 0
    first = 0
    sound = True
    whole = np.frombuffer(data, np.uint8)
    quote = ord(csv_format.quote)
    for at, piece in enumerate(slices(data)):
        quotes = np.flatnonzero(np.frombuffer(piece, np.uint8) == quote)
        after = int(np.searchsorted(ends, (at + 1) * _SLICE, side="right"))
        here = ends[first:after]
        odd = (before + np.searchsorted(quotes, here - at * _SLICE)) % 2
        kept.append(here[odd == 0])
        if sound:
            # An edge comes before an opening quote, and follows a closing one.
            quotes += at * _SLICE - 1
            quotes[1 - before % 2 :: 2] += 2
            sound = _are_edges(whole.take(quotes, mode="clip"), csv_format)
        before += len(quotes)
        first = after
    return np.concatenate(kept) if kept else ends, before % 2 == 0, sound


def _are_edges(reject_columns: Bytes, csv_format: CsvFormat) -> bool:
    """Whether all of these bytes may stand beside a quote that encloses a value, or that is doubled within one."""
    found = reject_columns == ord(csv_format.delimiter)
    for mark in (ord(csv_format.quote), _LF, _CR):
        found |= reject_columns == mark
    return bool(found.all())


def fast_records(data: bytes, csv_format: CsvFormat, *, at_end: bool) -> Records | None:
    """Find the whole records in `data` by quote parity.

    Args:
        data: bytes from the first byte of a record on.
        csv_format: what tells records apart.
        at_end: whether the file ends with them; a last line without a line end is then a record.

    Returns:
        The records that are rows; None where the quotes cannot be trusted.
    """
    ends = lines = line_ends(data)
    if not at_end and data.endswith(b"\r"):
        # The LF of a CRLF may be the first byte of what comes next.
        ends = ends[:-1]
    if csv_format.quote.encode() in data:
        ends, closed, sound = _outside_quotes(data, ends, csv_format)
        if not sound or (at_end and not closed):
            return None
    whole = int(ends[-1]) if len(ends) else 0
    if at_end and whole < len(data):
        ends = np.append(ends, len(data))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if len(ends) else ends
    if len(ends) and int((ends - starts).max()) > MAX_RECORD_BYTES:
        return None
    if not at_end and len(data) - whole > MAX_RECORD_BYTES:
        return None
    return replace(_only_rows(data, starts, ends, csv_format), lines=lines)


def _only_rows(data: bytes, starts: Offsets, ends: Offsets, csv_format: CsvFormat) -> Records:
    """Leave out blank lines and all-empty rows. Only records of their lengths are looked at."""
    skipped = []
    left_out = []
    for row_index in np.flatnonzero(ends - starts <= max(2, 3 * csv_format.width + 1)):
        why = csv_format.skips(data[starts[row_index] : ends[row_index]])
        if why is not None:
            left_out.append(row_index)
            if why:
                skipped.append((int(starts[row_index]), why))
    if left_out:
        starts, ends = np.delete(starts, left_out), np.delete(ends, left_out)
    return Records(starts, ends, skipped=tuple(skipped))


def lines_outside_quotes(data: bytes, csv_format: CsvFormat) -> Offsets:
    """Offsets after each line end that no quoted value holds: of a sheet, where its rows end."""
    return _outside_quotes(data, line_ends(data), csv_format)[0]
