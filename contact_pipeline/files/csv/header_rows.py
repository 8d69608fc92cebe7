"""Header rows below the first: the same titles again, or those of a second table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from contact_pipeline.files.csv.grammar import values_of
from contact_pipeline.files.csv.records import MAX_RECORD_BYTES, REPEATED_HEADER, CsvFormat, Records
from contact_pipeline.files.titles import KNOWN_TITLES, count_known, field_of, normalise

OTHER_TABLE: Final = "other_table"

_BOM: Final = "\ufeff"
_BOM_BYTES: Final = _BOM.encode()
_KEY_BYTES: Final = 4
_LOWER: Final = 0x20
_MIN_KNOWN_TITLES: Final = 3


def header_rows(data: bytes, records: Records, csv_format: CsvFormat) -> dict[int, str]:
    """The records that are headers, by place: `repeated_header` or `other_table`.

    Only records that begin as a title does are looked at.
    """
    if not csv_format.titles or not len(records):
        return {}
    keys, known = _keys(data, records, csv_format), _beginnings(csv_format)
    candidates = np.flatnonzero(known.folded[_folded(keys)] | known.folded[_folded(keys >> 8)])
    near = keys[candidates]
    candidates = candidates[np.isin(near, known.keys) | np.isin(near >> 8, known.keys)]
    found = {}
    for row_index in candidates.tolist():
        begin, end = int(records.starts[row_index]), int(records.ends[row_index])
        if end - begin < MAX_RECORD_BYTES:
            why = _why(values_of(data[begin:end].decode("utf-8", "replace"), csv_format), csv_format.titles)
            if why:
                found[row_index] = why
    return found


def _why(values: Sequence[str], titles: Sequence[str]) -> str | None:
    filled = [value for value in values if value.strip()]
    if len(filled) < min(2, len(titles)):
        return None
    if len(values) == len(titles):
        pairs = list(zip(values, titles, strict=True))
        again = sum(_is_title(value, title) for value, title in pairs)
        if again >= min(2, len(titles)) and 2 * again >= len(filled):
            # In another order, or with other titles, what follows stands under other titles.
            own = {normalise(title) for title in titles}
            moved = any(not _is_title(value, title) and _is_some_title(value, own) for value, title in pairs)
            return OTHER_TABLE if moved else REPEATED_HEADER
    known = count_known(values)
    if known >= _MIN_KNOWN_TITLES and 2 * known >= len(filled):
        return OTHER_TABLE
    return None


def _is_title(value: str, title: str) -> bool:
    """Whether a value is a column's title, written as that is or as another title of the same field."""
    written = normalise(value)
    if not written:
        return False
    field = field_of(title)
    return written == normalise(title) or (field is not None and field == field_of(value))


def _is_some_title(value: str, own: Collection[str]) -> bool:
    """Whether a value is a title of this file, or one that means a field."""
    return bool(value.strip()) and (normalise(value) in own or field_of(value) is not None)


def _keys(data: bytes, records: Records, csv_format: CsvFormat) -> npt.NDArray[np.int64]:
    """The first letters of each record, whatever their case, as a number."""
    text = np.frombuffer(data, np.uint8)
    starts = records.starts
    # Where files were put behind each other, the mark that they begin with stands before the titles.
    marked = text.take(starts, mode="clip") == _BOM_BYTES[0]
    if marked.any():
        marked &= text.take(starts + 1, mode="clip") == _BOM_BYTES[1]
        starts = starts + marked * len(_BOM_BYTES)
    starts = starts + (text.take(starts, mode="clip") == ord(csv_format.quote))
    key = np.zeros(len(records), np.int64)
    for distance in range(_KEY_BYTES):
        key = key << 8 | (text.take(starts + distance, mode="clip") | _LOWER)
    return key


def _folded(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """16 bits of each key: a table lookup rules out most records."""
    return (keys ^ keys >> 13) & 0xFFFF


class _Beginnings(NamedTuple):
    """What titles begin with: as keys, and as a table of keys folded."""

    keys: npt.NDArray[np.int64]
    folded: npt.NDArray[np.bool_]


@lru_cache(maxsize=32)
def _beginnings(csv_format: CsvFormat) -> _Beginnings:
    titles = [title.lstrip(_BOM) for title in csv_format.titles[:3]]
    spellings = {spelling for title in KNOWN_TITLES for spelling in (title, title.replace(" ", ""))}
    spellings |= {spelling.replace(" ", mark) for spelling in spellings for mark in "_-." if " " in spelling}
    # A short title is told by what follows on it as well: a delimiter, perhaps between quotes.
    between = (
        csv_format.delimiter,
        f"{csv_format.quote}{csv_format.delimiter}{csv_format.quote}",
        f"{csv_format.quote}{csv_format.delimiter}",
    )
    beginnings = {spelling + end for spelling in spellings for end in (csv_format.delimiter, csv_format.quote, " ")}
    beginnings |= {mark.join(titles) + csv_format.delimiter for mark in between}
    keys = set()
    for beginning in beginnings:
        letters = beginning.encode()
        for length in (_KEY_BYTES, _KEY_BYTES - 1):
            if len(letters) >= length and (length == _KEY_BYTES or len(letters) == length):
                keys.add(int.from_bytes(bytes(letter | _LOWER for letter in letters[:length])))
    known = np.array(sorted(keys), np.int64)
    folded = np.zeros(1 << 16, np.bool_)
    folded[_folded(known)] = True
    return _Beginnings(known, folded)
