"""What a file's rows have as a rule though the CSV grammar has it not: told by its first rows, for all of them.

What one row alone has is damage.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELD_BY_NAME
from contact_pipeline.files.csv.grammar import STRAY_QUOTE, exact_records, values_of
from contact_pipeline.files.csv.parser import are_of_one_width
from contact_pipeline.files.csv.records import CsvFormat, fast_records
from contact_pipeline.files.titles import field_of

_ROWS: Final = 2_000
_LEAST: Final = 2
_NEARLY_ALL: Final = 0.95
_TOGETHER: Final = 8
_FEW_ROWS: Final = 4
_ADDRESS: Final = re.compile(r"\S+@\S+\.\S+")
_LOOKS_LIKE: Final[dict[Kind | None, re.Pattern[str]]] = {Kind.EMAIL: re.compile("@"), Kind.URL: re.compile(r"\w\.\w")}


class Shape(NamedTuple):
    """How rows differ from the grammar as a rule: see `CsvFormat`."""

    lax: bool
    widths: tuple[int, ...]


def shape_of(sample: bytes, csv_format: CsvFormat, titles: Sequence[str], *, whole: bool) -> Shape:
    """Look at a file's first rows.

    Args:
        sample: the text behind the header.
        csv_format: how records are written, with the width of the header.
        titles: the column titles.
        whole: whether the file ends with the sample.
    """
    records = fast_records(sample, csv_format, at_end=whole)
    if records is not None and len(records) and are_of_one_width(sample, records, csv_format):
        return Shape(lax=False, widths=())
    records = exact_records(sample, csv_format, _ROWS, at_end=whole)
    quote = csv_format.quote.encode()
    stray = {row_index for row_index, code in records.malformed if code == STRAY_QUOTE}
    spans = [sample[begin:end] for begin, end in zip(records.starts, records.ends, strict=True)]
    quoted = sum(quote in span for span in spans) - len(records.malformed)
    lax = len(stray) >= _LEAST and len(stray) > quoted
    damaged = {row_index for row_index, _ in records.malformed if not (lax and row_index in stray)}
    rows = [
        values_of(span.decode("utf-8", "replace").replace("\x00", ""), csv_format)
        for row_index, span in enumerate(spans)
        if row_index not in damaged
    ]
    return Shape(lax, _usual_widths(rows, titles))


def _usual_widths(rows: Sequence[Sequence[str]], titles: Sequence[str]) -> tuple[int, ...]:
    """Widths of rows that are longer or shorter than the header by blanks.

    Longer ones are the rule where half of the rows are: each ends in a delimiter. Shorter ones are where many follow on
    each other: Excel leaves the blanks at a row's end out, of sixteen rows together.
    """
    width = len(titles)
    longer = [row for row in rows if len(row) > width]
    blank = Counter(len(row) for row in longer if not any(map(str.strip, row[width:])))
    usual: set[int] = set()
    if blank and 2 * blank.total() >= len(rows) and blank.total() >= _NEARLY_ALL * len(longer):
        usual.update(blank)
    whole = sum(len(row) == width for row in rows)
    for length, group in groupby(map(len, rows)):
        count = sum(1 for _ in group)
        # Where no row is as wide as the header, it is the header that has a delimiter too many.
        if whole >= _LEAST and 1 < length < width and (count >= _TOGETHER or 2 * count >= len(rows) > _FEW_ROWS):
            usual.add(length)
    return tuple(sorted(usual)) if usual and _fit(rows, titles, usual) else ()


def _fit(rows: Sequence[Sequence[str]], titles: Sequence[str], usual: Collection[int]) -> bool:
    """Whether addresses stand under the titles that say so, and in rows of unusual width under no others.

    Where the header itself is damaged, or rows are torn in two, they do not.
    """
    seen: defaultdict[int, list[bool]] = defaultdict(list)
    kinds = [_kind(title) for title in titles]
    for row in rows:
        for at, (value, kind) in enumerate(zip(row, kinds, strict=False)):
            pattern = _LOOKS_LIKE.get(kind)
            if pattern is not None and value.strip():
                seen[at].append(pattern.search(value) is not None)
            elif kind is Kind.TEXT and len(row) in usual and _ADDRESS.fullmatch(value):
                return False
    return all(2 * sum(found) >= len(found) for found in seen.values())


def _kind(title: str) -> Kind | None:
    field = field_of(title)
    return FIELD_BY_NAME[field].kind if field is not None else None
