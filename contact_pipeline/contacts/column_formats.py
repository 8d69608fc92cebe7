"""How a file's columns write dates and numbers, where one value alone does not tell.

`3/4/2024` is a day in March in one file and in April in another. What is
unambiguous in the column, or else in the other columns, decides for the column
as a whole; it is decided once, before the first chunk is loaded, and kept with
the import.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from contact_pipeline.contacts import parsing
from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELD_BY_NAME
from contact_pipeline.contacts.texts import CharacterFlags, clean_texts

_LARGEST_MONTH: Final = 12
_DATES: Final = (Kind.DATE, Kind.TIMESTAMP)
_NUMBERS: Final = (Kind.AMOUNT, Kind.INTEGER)
_DECIMAL_COMMA: Final = re.compile(
    r"\D*\d{1,3}(?:\.\d{3})+,\d{1,2}\D*|\D*\d+,(?:\d{1,2}|\d{4,})\D*|\D*\d{1,3}(?:\.\d{3}){2,}\D*"
)
_BELOW_ONE: Final = {mark: re.compile(rf"\D*0{re.escape(mark)}\d+\D*") for mark in ",."}
_GROUPED: Final = re.compile(r"\D*[1-9]\d{0,2}\.\d{3}\D*")
_YEAR_FIRST: Final = re.compile(r"\d{2}-(?:0?[1-9]|1[0-2])-(?:0?[1-9]|[12]\d|3[01])(?:\D.*)?")
_DECIMAL_POINT: Final = re.compile(r"\D*\d{1,3}(?:,\d{3})+(?:\.\d+)?\D*|\D*\d+\.(?:\d{1,2}|\d{4,})\D*")


@dataclass(frozen=True)
class ColumnFormats:
    """How columns write dates and numbers.

    Attributes:
        day_first: fields whose dates put the day before the month.
        decimal_comma: fields whose numbers have a decimal comma.
        undecided: fields with dates that could be read either way; they are read month first.
        undecided_numbers: fields with numbers such as `1.500` only; they are read as thousands.
        in_thousands: fields whose numbers count thousands.
    """

    day_first: tuple[str, ...] = ()
    decimal_comma: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    undecided_numbers: tuple[str, ...] = ()
    in_thousands: tuple[str, ...] = ()


@dataclass(frozen=True)
class DateEvidence:
    """What a column's dates say of their order.

    Attributes:
        day, month: how many different values make sense with the day, or the month, first only.
        slashed: whether any could be read either way but for that.
        year: how many make sense with a year of two digits first, as `24-05-01` does.
    """

    day: int = 0
    month: int = 0
    slashed: bool = False
    year: int = 0

    @property
    def day_first(self) -> bool | None:
        """What most of them say; None where they say nothing."""
        return None if self.day == self.month else self.day > self.month

    @property
    def is_open(self) -> bool:
        """Whether rows further down may decide."""
        return self.slashed and self.day_first is None

    @property
    def may_begin_with_years(self) -> bool:
        """Whether all that speaks for the day first makes sense with a year first, too."""
        return 0 < self.day <= self.year

    def __add__(self, other: DateEvidence) -> DateEvidence:
        """That of more rows of the column."""
        return DateEvidence(
            self.day + other.day, self.month + other.month, self.slashed or other.slashed, self.year + other.year
        )


@dataclass(frozen=True)
class NumberEvidence:
    """What a column's numbers say of their decimal mark.

    Attributes:
        comma, point: how many different values make sense with a decimal comma, or point, only.
        grouped: whether any could be read either way: `1.500`.
    """

    comma: int = 0
    point: int = 0
    grouped: bool = False

    @property
    def is_open(self) -> bool:
        """Whether rows further down may decide."""
        return self.grouped and self.comma == self.point

    @property
    def decimal_comma(self) -> bool:
        """What most of them say; where none does, three digits behind a point are thousands, not thousandths."""
        return self.comma > self.point or self.is_open

    def __add__(self, other: NumberEvidence) -> NumberEvidence:
        """That of more rows of the column."""
        return NumberEvidence(self.comma + other.comma, self.point + other.point, self.grouped or other.grouped)


def date_evidence(rows: pl.DataFrame) -> dict[str, DateEvidence]:
    """The evidence of every column of dates: String columns named by field, as written."""
    return {name: _date_evidence(values) for name, values in _different_values(rows, _DATES).items()}


def number_evidence(rows: pl.DataFrame) -> dict[str, NumberEvidence]:
    """The evidence of every column of numbers: String columns named by field, as written."""
    return {name: _number_evidence(values) for name, values in _different_values(rows, _NUMBERS).items()}


def _different_values(rows: pl.DataFrame, kinds: Collection[Kind]) -> dict[str, list[str]]:
    """The different texts of each column of some kinds, cleaned."""
    names = [name for name in rows.columns if FIELD_BY_NAME[name].kind in kinds]
    texts = clean_texts(rows.select(names), CharacterFlags()) if names else rows.clear()
    return {name: texts[name].drop_nulls().unique().to_list() for name in names}


def infer(
    dates: Mapping[str, DateEvidence],
    numbers: Mapping[str, NumberEvidence],
    day_first: bool | None = None,
    in_thousands: tuple[str, ...] = (),
) -> ColumnFormats:
    """Infer how a file's columns write dates and numbers.

    Args:
        dates, numbers: what its columns say.
        day_first: what the user says of all its dates.
        in_thousands: fields whose titles say that they count thousands.
    """
    decided = {evidence.day_first for evidence in dates.values()} - {None}
    usual = decided.pop() if len(decided) == 1 else None
    found = {name: _either(day_first, evidence.day_first, usual) for name, evidence in dates.items()}
    return ColumnFormats(
        tuple(name for name, first in found.items() if first),
        tuple(name for name, evidence in numbers.items() if evidence.decimal_comma),
        tuple(
            name
            for name, first in found.items()
            if (first is None and dates[name].slashed) or (day_first is None and dates[name].may_begin_with_years)
        ),
        # Of whole numbers there is no doubt: they have no decimals.
        tuple(
            name
            for name, evidence in numbers.items()
            if evidence.is_open and FIELD_BY_NAME[name].kind is not Kind.INTEGER
        ),
        in_thousands,
    )


def _either(said: bool | None, column: bool | None, file: bool | None) -> bool | None:
    return said if said is not None else column if column is not None else file


def _date_evidence(values: Iterable[str]) -> DateEvidence:
    day = month = year = 0
    slashed = False
    for value in values:
        found = parsing.slashed(value)
        if found is not None and found[2] != ".":
            slashed = True
            day += found[0] > _LARGEST_MONTH >= found[1]
            month += found[1] > _LARGEST_MONTH >= found[0]
            year += found[0] > _LARGEST_MONTH and _YEAR_FIRST.fullmatch(value) is not None
    return DateEvidence(day, month, slashed, year)


def _number_evidence(values: Iterable[str]) -> NumberEvidence:
    comma = point = 0
    grouped = False
    for value in values:
        is_grouped = _GROUPED.fullmatch(value) is not None
        # `$1.125B` has decimals: who groups digits writes them all.
        is_scaled = is_grouped and parsing.has_scale(value)
        comma += _DECIMAL_COMMA.fullmatch(value) is not None or _BELOW_ONE[","].fullmatch(value) is not None
        point += is_scaled or any(form.fullmatch(value) is not None for form in (_DECIMAL_POINT, _BELOW_ONE["."]))
        grouped |= is_grouped
    return NumberEvidence(comma, point, grouped)
