"""The CSV grammar, record by record: for files whose quotes cannot be trusted.

A quote opens a value where the value begins, is doubled inside it, and closes it
where a delimiter or a line end follows. A record that only a laxer reading
accepts is damaged, unless the whole file is written so: read laxly, a stray
quote gives some value, and rarely the one that was meant.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from contact_pipeline.errors import FileRefused
from contact_pipeline.files.csv.records import MAX_RECORD_BYTES, CsvFormat, Records, line_ends

LOOK_AHEAD: Final = 1 << 26
"""Bytes; how far a closing quote or a line end is looked for. What lies ahead is held in memory."""

UNCLOSED_QUOTE: Final = "unclosed_quote"
STRAY_QUOTE: Final = "stray_quote"
TOO_LONG: Final = "too_long"

# In a table of two columns any line with a delimiter looks like a row.
_TELLING_WIDTH: Final = 3
_LINE: Final = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")


@dataclass(frozen=True)
class _Patterns:
    """The CSV grammar of one delimiter and quote, as regular expressions."""

    value: re.Pattern[bytes]
    strict: re.Pattern[bytes]
    one_line: re.Pattern[bytes]
    bare_end: re.Pattern[bytes]


@cache
def _patterns(delimiter: str, quote: str) -> _Patterns:
    d, q = re.escape(delimiter.encode()), re.escape(quote.encode())
    marks = {b"d": d, b"q": q}
    value = rb"(?:%(q)s(?:[^%(q)s]|%(q)s%(q)s)*+%(q)s(?=%(d)s|\r|\n|\Z)|(?!%(q)s)[^%(d)s%(q)s\r\n]*+)" % marks
    loose = rb"(?:%(q)s(?:[^%(q)s\r\n]|%(q)s%(q)s)*+%(q)s[^%(d)s\r\n]*+|(?!%(q)s)[^%(d)s\r\n]*+)" % marks
    end = rb"(\r\n|\n|\r|\Z)"
    return _Patterns(
        value=re.compile(value),
        strict=re.compile(value + rb"(?:" + d + value + rb")*+" + end),
        one_line=re.compile(loose + rb"(?:" + d + loose + rb")*+" + end),
        bare_end=re.compile(rb"[%(d)s%(q)s\r\n]" % marks),
    )


def exact_records(data: bytes, csv_format: CsvFormat, count: int, *, at_end: bool) -> Records:
    """Find up to `count` records by the CSV grammar, surviving stray and unclosed quotes.

    A record that does not close its quote, or closes it in the middle of a later
    line's text, is given up at the end of its first line.

    Args:
        data: bytes from the first byte of a record on.
        csv_format: what tells records apart; its width tells a value with line ends from a swallowed row.
        count: stop after so many.
        at_end: whether the file ends with `data`.

    Raises:
        FileRefused: a line is longer than can be held.
    """
    starts: list[int] = []
    ends: list[int] = []
    malformed: list[tuple[int, str]] = []
    skipped: list[tuple[int, str]] = []
    position = 0
    while position < len(data) and len(starts) < count:
        end, code = _exact_end(data, position, csv_format, at_end=at_end)
        if end is None:
            break
        why = csv_format.skips(data[position:end]) if end - position <= MAX_RECORD_BYTES else None
        if why is None:
            if code:
                malformed.append((len(starts), code))
            starts.append(position)
            ends.append(end)
        elif why:
            skipped.append((position, why))
        position = end
    return Records(np.array(starts, np.int64), np.array(ends, np.int64), tuple(malformed), tuple(skipped))


def _exact_end(  # noqa: PLR0911 - one for each way that a record ends
    data: bytes, start: int, csv_format: CsvFormat, *, at_end: bool
) -> tuple[int | None, str | None]:
    """Where the record at `start` ends (None: more bytes are needed), and what is wrong with it."""
    patterns = _patterns(csv_format.delimiter, csv_format.quote)
    limit = min(len(data), start + MAX_RECORD_BYTES)
    known_end = at_end and limit == len(data)
    strict = patterns.strict.match(data, start, limit)
    if strict is not None and (strict.end() < limit or known_end or strict[1]):
        if strict.end() == limit == len(data) and not at_end and strict[1] == b"\r":
            return None, None
        if not swallows(strict[0], csv_format):
            return strict.end(), None
    elif not known_end:
        end = _long_end(data, start, csv_format, at_end=at_end)
        if end is None and not at_end and len(data) - start < LOOK_AHEAD:
            return None, None
        if end is not None and end > 0 and not swallows(data[start:end], csv_format):
            return end, TOO_LONG if end - start > MAX_RECORD_BYTES else None
    one_line = patterns.one_line.match(data, start, limit)
    if one_line is not None and (one_line[1] or known_end):
        return one_line.end(), None if csv_format.lax else STRAY_QUOTE
    line = _LINE.match(data, start)
    end = line.end() if line is not None else len(data)
    if end == len(data) and not at_end:
        if len(data) - start < LOOK_AHEAD:
            return None, None
        raise FileRefused("row_too_long", f"a row is longer than {LOOK_AHEAD >> 20} MiB: the file is no table of rows")
    return end, UNCLOSED_QUOTE if csv_format.quote.encode() in data[start:end] else TOO_LONG


def swallows(record: bytes, csv_format: CsvFormat) -> bool:
    """Whether a record of several lines has rows inside, which quotes of other rows have swallowed.

    So it is where a whole line of it is a sound row, or where each of its lines has as many delimiters as a row.
    """
    if csv_format.width < _TELLING_WIDTH:
        return False
    lines = record[:MAX_RECORD_BYTES].rstrip(b"\r\n").splitlines(keepends=True)
    delimiter, least = csv_format.delimiter.encode(), csv_format.width - 1
    counts = [line.count(delimiter) for line in lines]
    if len(lines) < 2 or max(counts[1:], default=0) < least:
        return False
    # As where a quote stands for the value above: each line begins with one.
    begin = csv_format.quote.encode()
    if all(count == least and line.startswith(begin) for count, line in zip(counts, lines, strict=True)):
        return True
    strict = _patterns(csv_format.delimiter, csv_format.quote).strict
    return any(
        count >= least and strict.fullmatch(line) and _count_values(line, csv_format) == csv_format.width
        for line, count in zip(lines[1:], counts[1:], strict=True)
    )


def _long_end(  # noqa: PLR0911 - one for each way that a record ends
    data: bytes, start: int, csv_format: CsvFormat, *, at_end: bool
) -> int | None:
    """Where a record ends that may be longer than the patterns look; -1 for a damaged one, None for an open end."""
    patterns = _patterns(csv_format.delimiter, csv_format.quote)
    quote, delimiter = csv_format.quote.encode(), csv_format.delimiter.encode()
    at = start
    while True:
        if data[at : at + 1] == quote:
            close = data.find(quote, at + 1)
            while close >= 0 and data[close + 1 : close + 2] == quote:
                close = data.find(quote, close + 2)
            if close < 0 or (close + 1 == len(data) and not at_end):
                return None
            at = close + 1
            if at < len(data) and data[at : at + 1] not in (delimiter, b"\r", b"\n"):
                return -1
        else:
            bare = patterns.bare_end.search(data, at)
            if bare is None and not at_end:
                return None
            at = bare.start() if bare is not None else len(data)
            if data[at : at + 1] == quote:
                return -1
        if data[at : at + 1] != delimiter:
            break
        at += 1
    if data[at : at + 2] == b"\r\n":
        return at + 2
    if at == len(data) - 1 and data[at:] == b"\r" and not at_end:
        return None
    return min(at + 1, len(data))


def _count_values(record: bytes, csv_format: CsvFormat) -> int:
    """Number of values in a record that the grammar accepts."""
    pattern, delimiter = _patterns(csv_format.delimiter, csv_format.quote).value, csv_format.delimiter.encode()
    count, position = 1, 0
    while (value := pattern.match(record, position)) and record[value.end() : value.end() + 1] == delimiter:
        count, position = count + 1, value.end() + 1
    return count


def values_of(text: str, csv_format: CsvFormat) -> list[str]:
    """The values of one record, as Python's csv reads it; none where it cannot."""
    csv.field_size_limit(LOOK_AHEAD)
    record = io.StringIO(text.rstrip("\r\n"), newline="")
    try:
        return next(csv.reader(record, delimiter=csv_format.delimiter, quotechar=csv_format.quote), [])
    except csv.Error:
        return []


def is_sound_line(record: bytes, csv_format: CsvFormat) -> bool:
    """Whether a record stands on one line and the grammar accepts it as it is."""
    strict = _patterns(csv_format.delimiter, csv_format.quote).strict
    return not len(line_ends(record.rstrip(b"\r\n"))) and strict.fullmatch(record) is not None
