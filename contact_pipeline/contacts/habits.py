"""How a file's columns write dates and numbers, where one value alone does not tell.

`3/4/2024` is a day in March in one file and in April in another. What is
unambiguous in the column, or else in the other columns, decides; it is decided
once from the file's first rows and kept with the import.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from contact_pipeline.contacts import parsing
from contact_pipeline.contacts.fields import FIELD_BY_NAME, Kind
from contact_pipeline.contacts.texts import Oddities, clean_texts

_LARGEST_MONTH: Final = 12
_DATES: Final = (Kind.DATE, Kind.TIMESTAMP)
_NUMBERS: Final = (Kind.AMOUNT, Kind.INTEGER)
_DECIMAL_COMMA: Final = re.compile(
    r"\D*\d{1,3}(?:\.\d{3})+,\d{1,2}\D*|\D*\d+,(?:\d{1,2}|\d{4,})\D*|\D*\d{1,3}(?:\.\d{3}){2,}\D*"
)
_DECIMAL_POINT: Final = re.compile(r"\D*\d{1,3}(?:,\d{3})+(?:\.\d+)?\D*|\D*\d+\.(?:\d{1,2}|\d{4,})\D*")


@dataclass(frozen=True)
class Habits:
    """How columns are written.

    Attributes:
        day_first: fields whose dates put the day before the month.
        decimal_comma: fields whose numbers have a decimal comma.
        undecided: fields with dates that could be read either way; they are read month first.
    """

    day_first: tuple[str, ...] = ()
    decimal_comma: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()


def infer(sample: pl.DataFrame, day_first: bool | None = None) -> Habits:
    """Infer the habits of a file's columns.

    Args:
        sample: its first rows: String columns named by field, as written.
        day_first: what the user says of all its dates.
    """
    dates: dict[str, bool | None] = {}
    commas = []
    texts = clean_texts(sample, Oddities()) if sample.width else sample
    for name in sample.columns:
        kind = FIELD_BY_NAME[name].kind
        if kind not in (*_DATES, *_NUMBERS):
            continue
        values = texts[name].drop_nulls().unique().to_list()
        if kind in _DATES:
            dates[name] = _day_first(values)
        elif _has_decimal_comma(values):
            commas.append(name)
    decided = {first for first in dates.values() if first is not None}
    usual = decided.pop() if len(decided) == 1 else None
    found = {name: _either(day_first, first, usual) for name, first in dates.items()}
    return Habits(
        tuple(name for name, first in found.items() if first),
        tuple(commas),
        tuple(name for name, first in found.items() if first is None and _has_slashed(sample[name])),
    )


def _either(said: bool | None, column: bool | None, file: bool | None) -> bool | None:
    return said if said is not None else column if column is not None else file


def _day_first(values: Iterable[str]) -> bool | None:
    day = month = 0
    for value in values:
        found = parsing.slashed(value)
        if found is not None and found[2] != ".":
            day += found[0] > _LARGEST_MONTH >= found[1]
            month += found[1] > _LARGEST_MONTH >= found[0]
    return None if day == month else day > month


def _has_slashed(column: pl.Series) -> bool:
    return any(
        found is not None and found[2] != "." for found in map(parsing.slashed, column.str.strip_chars().unique())
    )


def _has_decimal_comma(values: Iterable[str]) -> bool:
    comma = sum(_DECIMAL_COMMA.fullmatch(value) is not None for value in values)
    point = sum(_DECIMAL_POINT.fullmatch(value) is not None for value in values)
    return comma > point
