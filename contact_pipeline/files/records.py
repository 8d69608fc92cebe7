"""Where the records of a CSV file begin and end.

The fast way counts quotes: outside quotes their number so far is even, so every
line end at an even count ends a record. That is one pass at memory speed, and
right for every well-formed file. A stray or unclosed quote breaks the count;
`exact_records` then walks the grammar record by record, and gives up only the
record that is broken.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

LONGEST_RECORD: Final = 1 << 20
"""Bytes; a quoted value that runs on for longer than this is taken for an unclosed quote."""

_LF: Final = 0x0A
_CR: Final = 0x0D
_SLICE: Final = 1 << 19
_BOM: Final = "\ufeff".encode()
_LINE: Final = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")

EMPTY_ROW: Final = "empty_row"
REPEATED_HEADER: Final = "repeated_header"


@dataclass(frozen=True)
class Layout:
    """What tells records and values of a text apart.

    Attributes:
        delimiter: one ASCII character between values.
        quote: one ASCII character around a value; doubled inside it.
        width: number of columns of the file; 0 while it is not known.
        header: the header record as it is in the text, without its line end; it may come again further down.
    """

    delimiter: str = ","
    quote: str = '"'
    width: int = 0
    header: bytes = b""

    def skips(self, record: bytes) -> str | None:
        """Why a record is no row: `empty_row`, `repeated_header`, "" for a blank line; None for a row."""
        bare = record.strip(b"\r\n")
        if not bare:
            return ""
        if not bare.strip(f"{self.delimiter}{self.quote} \t".encode()):
            return EMPTY_ROW
        if self.header and bare.removeprefix(_BOM) == self.header:
            return REPEATED_HEADER
        return None


@dataclass(frozen=True)
class _Patterns:
    """The CSV grammar of one delimiter and quote, as regular expressions."""

    value: re.Pattern[bytes]
    strict: re.Pattern[bytes]
    one_line: re.Pattern[bytes]


@cache
def _patterns(delimiter: str, quote: str) -> _Patterns:
    d, q = re.escape(delimiter.encode()), re.escape(quote.encode())
    value = rb"(?:%(q)s(?:[^%(q)s]|%(q)s%(q)s)*+%(q)s(?=%(d)s|\r|\n|\Z)|(?!%(q)s)[^%(d)s\r\n]*+)" % {b"d": d, b"q": q}
    loose = rb"(?:%(q)s(?:[^%(q)s\r\n]|%(q)s%(q)s)*+%(q)s[^%(d)s\r\n]*+|(?!%(q)s)[^%(d)s\r\n]*+)" % {b"d": d, b"q": q}
    end = rb"(\r\n|\n|\r|\Z)"
    return _Patterns(
        value=re.compile(value),
        strict=re.compile(value + rb"(?:" + d + value + rb")*+" + end),
        one_line=re.compile(loose + rb"(?:" + d + loose + rb")*+" + end),
    )


@dataclass(frozen=True)
class Records:
    """Records found in a stretch of bytes.

    Attributes:
        starts: offset of each record's first byte.
        ends: offset after each record's line end.
        unclosed: positions (in `starts`) of records that open a quote and never close it, or never end.
        skipped: what stands between them and is no row: (offset, why).
        lines: offsets after each line end of these bytes, where they were looked for.
    """

    starts: Offsets
    ends: Offsets
    unclosed: tuple[int, ...] = ()
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
            tuple(place for place in self.unclosed if place < count),
            tuple(item for item in self.skipped if item[0] < end),
            self.lines,
        )

    def skips(self) -> Counter[str]:
        """How many records are no rows, by reason."""
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


def _outside_quotes(data: bytes, ends: Offsets, quote: int) -> tuple[Offsets, bool]:
    """Those of the offsets that an even number of quotes comes before, and whether the last quote is closed."""
    kept = []
    before = 0
    first = 0
    for at, piece in enumerate(slices(data)):
        quotes = np.flatnonzero(np.frombuffer(piece, np.uint8) == quote)
        after = int(np.searchsorted(ends, (at + 1) * _SLICE, side="right"))
        here = ends[first:after]
        odd = (before + np.searchsorted(quotes, here - at * _SLICE)) % 2
        kept.append(here[odd == 0])
        before += len(quotes)
        first = after
    return np.concatenate(kept) if kept else ends, before % 2 == 0


def fast_records(data: bytes, layout: Layout, *, at_end: bool) -> Records | None:
    """Find the whole records in `data` by quote parity.

    Args:
        data: bytes from the first byte of a record on.
        layout: what tells records apart.
        at_end: whether the file ends with them; a last line without a line end is then a record.

    Returns:
        The records that are rows; None where the quotes cannot be trusted.
    """
    quote = layout.quote.encode()
    ends = lines = line_ends(data)
    if not at_end and data.endswith(b"\r"):
        # The LF of a CRLF may be the first byte of what comes next.
        ends = ends[:-1]
    if quote in data:
        ends, closed = _outside_quotes(data, ends, quote[0])
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
    return replace(_only_rows(data, starts, ends, layout), lines=lines)


def _only_rows(data: bytes, starts: Offsets, ends: Offsets, layout: Layout) -> Records:
    """Leave out blank lines, all-empty rows and repeated headers. Only records of their lengths are looked at."""
    lengths = ends - starts
    as_header = len(layout.header)
    candidate = lengths <= max(2, 3 * layout.width + 1)
    if as_header:
        candidate |= (lengths >= as_header) & (lengths <= as_header + len(_BOM) + 2)
    skipped = []
    left_out = []
    for place in np.flatnonzero(candidate):
        why = layout.skips(data[starts[place] : ends[place]])
        if why is not None:
            left_out.append(place)
            if why:
                skipped.append((int(starts[place]), why))
    if left_out:
        starts, ends = np.delete(starts, left_out), np.delete(ends, left_out)
    return Records(starts, ends, skipped=tuple(skipped))


def exact_records(data: bytes, layout: Layout, count: int, *, at_end: bool) -> Records:
    """Find up to `count` records by the CSV grammar, surviving stray and unclosed quotes.

    A quote opens a value only where the value begins. A record that does not close
    its quote, or closes it in the middle of a later line's text, is given up at
    the end of its first line.

    Args:
        data: bytes from the first byte of a record on.
        layout: what tells records apart; its width tells a value with line ends from a swallowed row.
        count: stop after so many.
        at_end: whether the file ends with `data`.
    """
    starts: list[int] = []
    ends: list[int] = []
    unclosed: list[int] = []
    skipped: list[tuple[int, str]] = []
    position = 0
    while position < len(data) and len(starts) < count:
        end, sound = _exact_end(data, position, layout, at_end=at_end)
        if end is None:
            break
        why = layout.skips(data[position:end])
        if why is None:
            if not sound:
                unclosed.append(len(starts))
            starts.append(position)
            ends.append(end)
        elif why:
            skipped.append((position, why))
        position = end
    return Records(np.array(starts, np.int64), np.array(ends, np.int64), tuple(unclosed), tuple(skipped))


def _exact_end(data: bytes, start: int, layout: Layout, *, at_end: bool) -> tuple[int | None, bool]:
    """Where the record at `start` ends (None: more bytes are needed), and whether it is sound."""
    patterns = _patterns(layout.delimiter, layout.quote)
    limit = min(len(data), start + LONGEST_RECORD)
    known_end = at_end and limit == len(data)
    strict = patterns.strict.match(data, start, limit)
    if strict is not None:
        touches_limit = strict.end() == limit and not known_end
        several_lines = len(line_ends(strict[0].rstrip(b"\r\n"))) > 0
        if touches_limit:
            if limit == len(data):
                return None, True
        elif not several_lines or not layout.width or _count_values(strict[0], layout) == layout.width:
            return strict.end(), True
    elif limit == len(data) and not at_end:
        return None, True
    one_line = patterns.one_line.match(data, start, limit)
    if one_line is not None and (one_line[1] or known_end):
        return one_line.end(), True
    line = _LINE.match(data, start)
    end = line.end() if line is not None else len(data)
    return end, False


def _count_values(record: bytes, layout: Layout) -> int:
    """Number of values in a record that the grammar accepts."""
    pattern, delimiter = _patterns(layout.delimiter, layout.quote).value, layout.delimiter.encode()
    count, position = 1, 0
    while (value := pattern.match(record, position)) and record[value.end() : value.end() + 1] == delimiter:
        count, position = count + 1, value.end() + 1
    return count


def values_of(text: str, layout: Layout) -> list[str]:
    """The values of one record, as Python's csv reads it; none where it cannot."""
    csv.field_size_limit(LONGEST_RECORD)
    record = io.StringIO(text.rstrip("\r\n"), newline="")
    try:
        return next(csv.reader(record, delimiter=layout.delimiter, quotechar=layout.quote), [])
    except csv.Error:
        return []


def is_sound_line(record: bytes, layout: Layout) -> bool:
    """Whether a record stands on one line and the grammar accepts it as it is."""
    strict = _patterns(layout.delimiter, layout.quote).strict
    return not len(line_ends(record.rstrip(b"\r\n"))) and strict.fullmatch(record) is not None


def lines_outside_quotes(data: bytes, layout: Layout) -> Offsets:
    """Offsets after each line end that no quoted value holds: of a sheet, where its rows end."""
    return _outside_quotes(data, line_ends(data), layout.quote.encode()[0])[0]
