"""Where the records of a CSV file begin and end.

The fast way counts quotes: outside quotes their number so far is even, so every
line end at an even count ends a record. That is one pass at memory speed, and
right for every well-formed file. A stray or unclosed quote breaks the count;
`exact_records` then walks the grammar record by record, and gives up only the
record that is broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]

LONGEST_RECORD: Final = 1 << 20
"""Bytes; a quoted value that runs on for longer than this is taken for an unclosed quote."""

_QUOTE: Final = 0x22
_LF: Final = 0x0A
_CR: Final = 0x0D
_SLICE: Final = 1 << 19

_FIELD: Final = rb'(?:"(?:[^"]|"")*+"(?=,|\r|\n|\Z)|(?!")[^,\r\n]*+)'
_VALUE: Final = re.compile(_FIELD)
_STRICT: Final = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*+(\r\n|\n|\r|\Z)")
_LOOSE_FIELD: Final = rb'(?:"(?:[^"\r\n]|"")*+"[^,\r\n]*+|(?!")[^,\r\n]*+)'
_ONE_LINE: Final = re.compile(_LOOSE_FIELD + rb"(?:," + _LOOSE_FIELD + rb")*+(\r\n|\n|\r|\Z)")
_LINE: Final = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")


@dataclass(frozen=True)
class Records:
    """Records found in a stretch of bytes.

    Attributes:
        starts: offset of each record's first byte.
        ends: offset after each record's line end.
        unclosed: positions (in `starts`) of records that open a quote and never close it, or never end.
    """

    starts: Offsets
    ends: Offsets
    unclosed: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.starts)

    def first(self, count: int) -> Records:
        """The first `count` of them."""
        return Records(self.starts[:count], self.ends[:count], tuple(i for i in self.unclosed if i < count))


def slices(data: bytes) -> Iterator[memoryview]:
    """The bytes in pieces small enough that what is computed of one stays in the cache, and in bounds."""
    view = memoryview(data)
    for begin in range(0, len(data), _SLICE):
        yield view[begin : begin + _SLICE]


def _positions(data: bytes, byte: int) -> Offsets:
    """Offsets of every occurrence of a byte."""
    found = [
        np.flatnonzero(np.frombuffer(piece, np.uint8) == byte) + at * _SLICE for at, piece in enumerate(slices(data))
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def line_ends(data: bytes) -> Offsets:
    """Offsets after each LF, CRLF or lone CR."""
    ends = _positions(data, _LF) + 1
    if b"\r" in data:
        carriage = _positions(data, _CR)
        following = np.append(np.frombuffer(data, np.uint8), 0)[carriage + 1]
        ends = np.sort(np.concatenate([ends, carriage[following != _LF] + 1]))
    return ends.astype(np.int64)


def _outside_quotes(data: bytes, ends: Offsets) -> tuple[Offsets, bool]:
    """Those of the offsets that an even number of quotes comes before, and whether the last quote is closed."""
    kept = []
    before = 0
    first = 0
    for at, piece in enumerate(slices(data)):
        quotes = np.flatnonzero(np.frombuffer(piece, np.uint8) == _QUOTE)
        after = int(np.searchsorted(ends, (at + 1) * _SLICE, side="right"))
        here = ends[first:after]
        odd = (before + np.searchsorted(quotes, here - at * _SLICE)) % 2
        kept.append(here[odd == 0])
        before += len(quotes)
        first = after
    return np.concatenate(kept) if kept else ends, before % 2 == 0


def fast_records(data: bytes, *, at_end: bool) -> Records | None:
    """Find the whole records in `data` by quote parity.

    Args:
        data: bytes from the first byte of a record on.
        at_end: whether the file ends with them; a last line without a line end is then a record.

    Returns:
        The records, without blank lines; None where the quotes cannot be trusted.
    """
    ends = line_ends(data)
    if not at_end and data.endswith(b"\r"):
        # The LF of a CRLF may be the first byte of what comes next.
        ends = ends[:-1]
    if b'"' in data:
        ends, closed = _outside_quotes(data, ends)
        if at_end and not closed:
            return None
    whole = int(ends[-1]) if len(ends) else 0
    if at_end and whole < len(data):
        ends = np.append(ends, len(data))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if len(ends) else ends
    if len(ends) and int((ends - starts).max()) > LONGEST_RECORD:
        return None
    if not at_end and len(data) - whole > LONGEST_RECORD:
        return None
    return _without_blank_lines(data, starts, ends)


def _without_blank_lines(data: bytes, starts: Offsets, ends: Offsets) -> Records:
    short = np.flatnonzero(ends - starts <= 2)
    if len(short):
        blank = [i for i in short if not data[starts[i] : ends[i]].strip(b"\r\n")]
        starts, ends = np.delete(starts, blank), np.delete(ends, blank)
    return Records(starts, ends)


def exact_records(data: bytes, width: int, count: int, *, at_end: bool) -> Records:
    """Find up to `count` records by the CSV grammar, surviving stray and unclosed quotes.

    A quote opens a value only where the value begins. A record that does not close
    its quote, or closes it in the middle of a later line's text, is given up at
    the end of its first line.

    Args:
        data: bytes from the first byte of a record on.
        width: number of columns of the file; it tells a value with line ends from a swallowed row.
        count: stop after so many.
        at_end: whether the file ends with `data`.
    """
    starts: list[int] = []
    ends: list[int] = []
    unclosed: list[int] = []
    position = 0
    while position < len(data) and len(starts) < count:
        end, sound = _exact_end(data, position, width, at_end=at_end)
        if end is None:
            break
        if data[position:end].strip(b"\r\n"):
            if not sound:
                unclosed.append(len(starts))
            starts.append(position)
            ends.append(end)
        position = end
    return Records(np.array(starts, np.int64), np.array(ends, np.int64), tuple(unclosed))


def _exact_end(data: bytes, start: int, width: int, *, at_end: bool) -> tuple[int | None, bool]:
    """Where the record at `start` ends (None: more bytes are needed), and whether it is sound."""
    limit = min(len(data), start + LONGEST_RECORD)
    known_end = at_end and limit == len(data)
    strict = _STRICT.match(data, start, limit)
    if strict is not None:
        touches_limit = strict.end() == limit and not known_end
        several_lines = len(line_ends(strict[0].rstrip(b"\r\n"))) > 0
        if touches_limit:
            if limit == len(data):
                return None, True
        elif not several_lines or _count_values(strict[0]) == width:
            return strict.end(), True
    elif limit == len(data) and not at_end:
        return None, True
    one_line = _ONE_LINE.match(data, start, limit)
    if one_line is not None and (one_line[1] or known_end):
        return one_line.end(), True
    line = _LINE.match(data, start)
    end = line.end() if line is not None else len(data)
    return end, False


def _count_values(record: bytes) -> int:
    """Number of values in a record that the grammar accepts."""
    count, position = 1, 0
    while (value := _VALUE.match(record, position)) and record[value.end() : value.end() + 1] == b",":
        count, position = count + 1, value.end() + 1
    return count


def is_sound_line(record: bytes) -> bool:
    """Whether a record stands on one line and the grammar accepts it as it is."""
    return not len(line_ends(record.rstrip(b"\r\n"))) and _STRICT.fullmatch(record) is not None
