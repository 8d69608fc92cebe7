"""Lines below a table that are not data rows: totals, copyright lines, who made the report."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from contact_pipeline.files.csv.grammar import values_of
from contact_pipeline.files.csv.records import CsvFormat, line_ends

FOOTER: Final = "footer"

_WORDS: Final = re.compile(
    r"(grand |sub-?)?totals?\b|sum\b|(rows|records|contacts|leads|count)\s*[:=]|copyright\b|©\s*\w|\(c\)|confidential\b"
    r"|generated (by|on|at)\b|exported (by|on|at|from)\b|report (generated|run|created)\b|page \d+ of \d+"
    r"|end of (file|report|list)\b|as of \d",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"[\d.,\s$€£%-]*")
MAX_FOOTER_BYTES: Final = 4096
"""Bytes; so near to a text's end a footer is looked for."""

_MAX_LINES: Final = 12


def footer(data: bytes, csv_format: CsvFormat) -> tuple[int, int]:
    """Find the footer of a table.

    A footer is what begins with a footer's words, or single values below a blank
    line. A last row that was cut off is none.

    Args:
        data: the text's end, from the first byte of a record on.

    Returns:
        The offset that it begins at (the length of `data` where there is none), and how many lines it has.
    """
    if csv_format.width < 2:
        return len(data), 0
    first = max(0, len(data) - MAX_FOOTER_BYTES)
    ends = [0, *line_ends(data[first:])]
    if ends[-1] < len(data) - first:
        ends.append(len(data) - first)
    spans = [(first + begin, first + end) for begin, end in pairwise(ends)]
    if first:
        spans = spans[1:]
    block: list[tuple[int, bool, bool]] = []  # (begin, blank, speaks like a footer)
    for begin, end in reversed(spans[-3 * _MAX_LINES :]):
        line = data[begin:end]
        filled = _filled(line, csv_format)
        if filled is None or (len(filled) > 1 and not _speaks(filled)):
            break
        block.append((begin, not filled, bool(filled) and _speaks(filled)))
    block.reverse()
    below_blank = bool(block) and block[0][1]
    for row_index, (begin, blank, speaks) in enumerate(block):
        if not blank and (speaks or below_blank):
            lines = sum(not empty for _, empty, _ in block[row_index:])
            start = block[0][0] if below_blank else begin
            return (start, lines) if lines <= _MAX_LINES else (len(data), 0)
    return len(data), 0


def _filled(line: bytes, csv_format: CsvFormat) -> list[str] | None:
    """The values of a line that are not blank; None where it holds an e-mail address or half a quoted value."""
    if b"@" in line or line.count(csv_format.quote.encode()) % 2:
        return None
    text = line.decode("utf-8", "replace").replace("\x00", "")
    return [value.strip() for value in values_of(text, csv_format) if value.strip()]


def _speaks(filled: list[str]) -> bool:
    return bool(_WORDS.match(filled[0])) and all(_NUMBER.fullmatch(value) for value in filled[1:])
